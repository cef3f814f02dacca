//! Tables: rows of columns that somebody chose, in every format.

use super::object::plain;
use super::{OutputError, csv, parquet};
use std::borrow::Cow;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

const BUFFER: usize = 256 << 10;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// A field of the input, handed back as it was: nothing in it is defused in CSV, nor in its name.
    Original,
    Json,
    Integer,
    Number,
    /// UTC, to the millisecond.
    Time,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    pub name: String,
    pub kind: Kind,
}

/// What stands in one column of one row; of its column's kind, or empty.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    Empty,
    Text(Cow<'a, str>),
    /// A JSON value's text.
    Json(Cow<'a, str>),
    Integer(u64),
    Number(f64),
    /// Milliseconds since the Unix epoch.
    Time(u64),
}

/// Takes rows, one after the other, each with a cell a column.
pub trait TableWriter {
    fn write(&mut self, cells: &[Cell<'_>]) -> Result<(), OutputError>;
    /// Hands over what is still buffered.
    fn finish(&mut self) -> Result<(), OutputError>;
}

/// `name` stands in messages.
pub fn open_table<'a>(
    format: super::Format,
    sink: Box<dyn Write + Send + 'a>,
    name: &Path,
    columns: Vec<TableColumn>,
) -> Result<Box<dyn TableWriter + 'a>, OutputError> {
    Ok(match format {
        super::Format::JsonLines => Box::new(JsonLines { lines: Lines::new(sink, name), columns }),
        super::Format::Csv => Box::new(csv::Table::new(sink, name, columns)),
        super::Format::Parquet => Box::new(parquet::Table::new(sink, name, columns)?),
    })
}

/// RFC 3339.
pub(super) fn time(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| unix_ms.to_string(), |at| format!("{at:.3}"))
}

/// Lines of text, each written whole.
pub struct Lines<'a> {
    sink: BufWriter<Box<dyn Write + Send + 'a>>,
    name: PathBuf,
}

impl<'a> Lines<'a> {
    /// `name` stands in messages.
    pub fn new(sink: Box<dyn Write + Send + 'a>, name: &Path) -> Self {
        Self { sink: BufWriter::with_capacity(BUFFER, sink), name: name.to_path_buf() }
    }

    pub fn write(&mut self, line: &str) -> Result<(), OutputError> {
        let written = self.sink.write_all(line.as_bytes()).and_then(|()| self.sink.write_all(b"\n"));
        written.map_err(|error| OutputError::at(&self.name, &error))
    }

    pub fn finish(&mut self) -> Result<(), OutputError> {
        self.sink.flush().map_err(|error| OutputError::at(&self.name, &error))
    }
}

/// An object a row, with every column: what is empty is null.
struct JsonLines<'a> {
    lines: Lines<'a>,
    columns: Vec<TableColumn>,
}

impl TableWriter for JsonLines<'_> {
    fn write(&mut self, cells: &[Cell<'_>]) -> Result<(), OutputError> {
        let mut line = String::from("{");
        for (column, cell) in self.columns.iter().zip(cells) {
            if line.len() > 1 {
                line.push(',');
            }
            line.push_str(&quoted(&column.name));
            line.push(':');
            match cell {
                Cell::Empty => line.push_str("null"),
                Cell::Text(text) => line.push_str(&quoted(text)),
                Cell::Json(json) => line.push_str(json),
                Cell::Integer(number) => line.push_str(&number.to_string()),
                Cell::Number(number) => line.push_str(&number.to_string()),
                Cell::Time(at) => line.push_str(&quoted(&time(*at))),
            }
        }
        line.push('}');
        self.lines.write(&line)
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.lines.finish()
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What a cell is where all is text; empty and the empty text look the same.
pub(super) fn text<'a>(cell: &'a Cell<'_>) -> Cow<'a, str> {
    match cell {
        Cell::Empty => Cow::default(),
        Cell::Text(text) => Cow::Borrowed(text),
        Cell::Json(json) => plain(json),
        Cell::Integer(number) => number.to_string().into(),
        Cell::Number(number) => number.to_string().into(),
        Cell::Time(at) => time(*at).into(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::output::Format;

    pub(in crate::output) fn columns() -> Vec<TableColumn> {
        let kinds = [Kind::Text, Kind::Original, Kind::Json, Kind::Integer, Kind::Number, Kind::Time];
        let names = ["=t", "=o", "j", "i", "n", "at"];
        names.into_iter().zip(kinds).map(|(name, kind)| TableColumn { name: name.into(), kind }).collect()
    }

    pub(in crate::output) fn rows() -> [Vec<Cell<'static>>; 2] {
        let full = vec![
            Cell::Text("=1+1".into()),
            Cell::Text("=1+1".into()),
            Cell::Json("\"-a\\nb\"".into()),
            Cell::Integer(7),
            Cell::Number(0.000_012),
            Cell::Time(1_700_000_000_123),
        ];
        let empty = full.iter().map(|_| Cell::Empty).collect();
        [full, empty]
    }

    fn written(format: Format) -> String {
        let mut bytes = Vec::new();
        let mut writer = open_table(format, Box::new(&mut bytes), Path::new("test"), columns()).unwrap();
        for row in rows() {
            writer.write(&row).unwrap();
        }
        writer.finish().unwrap();
        drop(writer);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn each_line_of_json_has_every_column() {
        let expected = "{\"=t\":\"=1+1\",\"=o\":\"=1+1\",\"j\":\"-a\\nb\",\"i\":7,\"n\":0.000012,\"at\":\"2023-11-14T22:13:20.123Z\"}\n\
                        {\"=t\":null,\"=o\":null,\"j\":null,\"i\":null,\"n\":null,\"at\":null}\n";
        assert_eq!(written(Format::JsonLines), expected);
    }

    #[test]
    fn in_csv_a_formula_is_defused_unless_it_is_handed_back_to_where_it_came_from() {
        let expected = "'=t,=o,j,i,n,at\n'=1+1,=1+1,\"'-a\nb\",7,0.000012,2023-11-14T22:13:20.123Z\n,,,,,\n";
        assert_eq!(written(Format::Csv), expected);
    }
}
