//! The columns that an export can have: their names, what they hold, and where it comes from.

use crate::domain::Emission;
use crate::output::{Cell, Kind, Part, TableColumn, fields, plain};
use crate::store::ItemRow;
use std::borrow::Cow;

/// A column by its name. `output.KEY` and `input.KEY` are fields at the top level of what was emitted and of the item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    Known(Known),
    OutputField(String),
    InputField(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    Id,
    Part,
    Output,
    Input,
    State,
    Class,
    Code,
    Message,
    Reason,
    Detail,
    Backtrace,
    Card,
    Attempts,
    EndedAt,
    Line,
    Position,
    Calls,
    InputTokens,
    OutputTokens,
    Usage,
    Cost,
    Route,
    Model,
    Replayed,
    Truncated,
    CpuMs,
    MemoryBytes,
    Generation,
    Plugin,
}

/// `docs/export.md` explains each.
const KNOWN: [(&str, Known, Kind); 29] = [
    ("id", Known::Id, Kind::Text),
    ("part", Known::Part, Kind::Text),
    ("output", Known::Output, Kind::Json),
    ("input", Known::Input, Kind::Json),
    ("state", Known::State, Kind::Text),
    ("class", Known::Class, Kind::Text),
    ("code", Known::Code, Kind::Text),
    ("message", Known::Message, Kind::Text),
    ("reason", Known::Reason, Kind::Text),
    ("detail", Known::Detail, Kind::Json),
    ("backtrace", Known::Backtrace, Kind::Text),
    ("card", Known::Card, Kind::Json),
    ("attempts", Known::Attempts, Kind::Integer),
    ("ended_at", Known::EndedAt, Kind::Time),
    ("line", Known::Line, Kind::Integer),
    ("position", Known::Position, Kind::Integer),
    ("calls", Known::Calls, Kind::Integer),
    ("input_tokens", Known::InputTokens, Kind::Integer),
    ("output_tokens", Known::OutputTokens, Kind::Integer),
    ("usage", Known::Usage, Kind::Json),
    ("cost", Known::Cost, Kind::Number),
    ("route", Known::Route, Kind::Text),
    ("model", Known::Model, Kind::Text),
    ("replayed", Known::Replayed, Kind::Integer),
    ("truncated", Known::Truncated, Kind::Integer),
    ("cpu_ms", Known::CpuMs, Kind::Number),
    ("memory_bytes", Known::MemoryBytes, Kind::Integer),
    ("generation", Known::Generation, Kind::Text),
    ("plugin", Known::Plugin, Kind::Text),
];

impl Column {
    /// Names of columns, with commas between. The error says what is wrong and what there is.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let mut columns: Vec<Self> = Vec::new();
        for name in text.split(',').map(str::trim) {
            let column = Self::parse(name)?;
            if columns.contains(&column) {
                return Err(format!("the column `{name}` is named twice"));
            }
            columns.push(column);
        }
        Ok(columns)
    }

    fn parse(name: &str) -> Result<Self, String> {
        if let Some((_, known, _)) = KNOWN.iter().find(|(known, ..)| *known == name) {
            return Ok(Self::Known(*known));
        }
        match name.split_once('.') {
            Some(("output", key)) if !key.is_empty() => Ok(Self::OutputField(key.to_owned())),
            Some(("input", key)) if !key.is_empty() => Ok(Self::InputField(key.to_owned())),
            Some(_) | None => {
                let names: Vec<&str> = KNOWN.iter().map(|(name, ..)| *name).collect();
                Err(format!(
                    "there is no column `{name}`: there are {}, output.KEY and input.KEY for single fields",
                    names.join(", ")
                ))
            }
        }
    }

    pub(super) fn header(&self) -> TableColumn {
        match self {
            Self::Known(known) => {
                let (name, _, kind) = KNOWN.iter().find(|(_, column, _)| column == known).unwrap_or(&KNOWN[0]);
                TableColumn { name: (*name).to_owned(), kind: *kind }
            }
            Self::OutputField(key) => TableColumn { name: format!("output.{key}"), kind: Kind::Json },
            Self::InputField(key) => TableColumn { name: format!("input.{key}"), kind: Kind::Json },
        }
    }

    pub(super) fn needs_input(&self) -> bool {
        matches!(self, Self::InputField(_) | Self::Known(Known::Input))
    }

    pub(super) fn needs_books(&self) -> bool {
        match self {
            Self::OutputField(_) | Self::InputField(_) => false,
            Self::Known(known) => matches!(
                known,
                Known::Calls
                    | Known::InputTokens
                    | Known::OutputTokens
                    | Known::Usage
                    | Known::Cost
                    | Known::Route
                    | Known::Model
            ),
        }
    }

    /// `emission`: the value that the row is about, if the item has any.
    pub(super) fn cell<'a>(
        &self,
        row: &'a ItemRow,
        part: Option<Part<'a>>,
        emission: Option<&'a Emission>,
    ) -> Cell<'a> {
        match self {
            Self::OutputField(key) => emission.map_or(Cell::Empty, |emission| field(&emission.value, key)),
            Self::InputField(key) if row.problem.is_none() => field(&row.input, key),
            Self::InputField(_) => Cell::Empty,
            Self::Known(known) => known.cell(row, part, emission),
        }
    }
}

impl Known {
    fn cell<'a>(self, row: &'a ItemRow, part: Option<Part<'a>>, emission: Option<&'a Emission>) -> Cell<'a> {
        let books = row.books.as_ref();
        match self {
            Self::Id => text(Some(&row.id)),
            Self::Part => match part {
                None => Cell::Empty,
                Some(Part::Index(index)) => Cell::Text(index.to_string().into()),
                Some(Part::Name(name)) => Cell::Text(name.into()),
            },
            Self::Output => emission.map_or(Cell::Empty, |emission| Cell::Json(emission.value.as_str().into())),
            // A line that is no item is no JSON either.
            Self::Input if row.problem.is_some() => {
                Cell::Json(serde_json::Value::from(row.input.as_str()).to_string().into())
            }
            // Pruned.
            Self::Input if row.input.is_empty() => Cell::Empty,
            Self::Input => Cell::Json(in_one_line(&row.input)),
            Self::State => Cell::Text(row.state.name().into()),
            Self::Class => text(row.class.as_ref()),
            Self::Code => text(row.code.as_ref()),
            Self::Message => text(row.message.as_ref()),
            Self::Reason => text(row.reason.as_ref()),
            Self::Detail => row.detail.as_deref().map_or(Cell::Empty, |detail| Cell::Json(in_one_line(detail))),
            Self::Backtrace => text(row.backtrace.as_ref()),
            Self::Card => row.card.as_deref().map_or(Cell::Empty, |card| Cell::Json(card.into())),
            Self::Attempts => Cell::Integer(row.attempts),
            Self::EndedAt => row.ended_ms.map_or(Cell::Empty, Cell::Time),
            Self::Line => Cell::Integer(row.line),
            Self::Position => Cell::Integer(row.position),
            Self::Calls => integer(books.map(|books| books.calls)),
            Self::InputTokens => integer(books.map(|books| books.input_tokens)),
            Self::OutputTokens => integer(books.map(|books| books.output_tokens)),
            Self::Usage => books.map_or(Cell::Empty, |books| Cell::Json(usage(books).into())),
            Self::Cost => thousandths(books.and_then(|books| books.cost), 1e6),
            Self::Route => text(books.and_then(|books| books.routes.as_ref())),
            Self::Model => text(books.and_then(|books| books.models.as_ref())),
            Self::Replayed => integer(row.replayed),
            Self::Truncated => integer(row.truncated),
            Self::CpuMs => thousandths(row.cpu_us, 1e3),
            Self::MemoryBytes => integer(row.memory_bytes),
            Self::Generation => text(row.generation.as_ref()),
            Self::Plugin => text(row.plugin.as_ref()),
        }
    }
}

fn text(text: Option<&String>) -> Cell<'_> {
    text.map_or(Cell::Empty, |text| Cell::Text(text.as_str().into()))
}

fn integer(number: Option<u64>) -> Cell<'static> {
    number.map_or(Cell::Empty, Cell::Integer)
}

#[expect(clippy::cast_precision_loss, reason = "for reading")]
fn thousandths(number: Option<u64>, of: f64) -> Cell<'static> {
    number.map_or(Cell::Empty, |number| Cell::Number(number as f64 / of))
}

fn usage(books: &crate::store::ItemBooks) -> String {
    let usage = serde_json::json!({
        "calls": books.calls,
        "answered": books.answered,
        "failed": books.failed,
        "unknown": books.unknown,
        "input_tokens": books.input_tokens,
        "output_tokens": books.output_tokens,
        "cache_read_tokens": books.cache_read_tokens,
        "cache_write_tokens": books.cache_write_tokens,
        "reasoning_tokens": books.reasoning_tokens,
    });
    usage.to_string()
}

/// The last of two fields of one name counts, as everywhere.
fn field<'a>(object: &'a str, key: &str) -> Cell<'a> {
    let found = fields(object).and_then(|fields| fields.into_iter().rfind(|(name, _)| name == key));
    found.map_or(Cell::Empty, |(_, value)| Cell::Json(in_one_line(value.get())))
}

/// JSON strings hold no line breaks: those that are there stand between tokens.
pub(super) fn in_one_line(json: &str) -> Cow<'_, str> {
    if json.contains(['\n', '\r']) { json.replace(['\n', '\r'], " ").into() } else { json.into() }
}

/// A value of the input as it would stand in a CSV file.
pub(super) fn original(value: &str) -> Cell<'_> {
    if value == "null" { Cell::Empty } else { Cell::Text(plain(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_found_by_its_name_and_has_it_as_its_header() {
        for (name, known, kind) in KNOWN {
            let column = Column::parse(name).unwrap();
            assert_eq!(column, Column::Known(known));
            assert_eq!(column.header(), TableColumn { name: name.into(), kind });
        }
        assert_eq!(Column::parse_list("id, output.a.b").unwrap()[1], Column::OutputField("a.b".into()));
    }

    #[test]
    fn a_column_that_there_is_not_or_twice_is_refused_with_those_that_there_are() {
        let error = Column::parse_list("id,prize").unwrap_err();
        assert!(error.contains("`prize`") && error.contains("cost") && error.contains("input.KEY"), "{error}");
        assert!(Column::parse_list("id,id").unwrap_err().contains("twice"));
        assert!(Column::parse_list("output.").is_err());
    }

    #[test]
    fn the_last_of_two_fields_counts_and_keeps_its_digits() {
        assert_eq!(field(r#"{"a":1,"a":1.00}"#, "a"), Cell::Json("1.00".into()));
        assert_eq!(field("[1]", "a"), Cell::Empty);
    }
}
