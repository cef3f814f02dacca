//! The dead letters: failed items with their own fields as they were, and what failed them, to be mended and fed in again.

use super::columns::{in_one_line, original};
use super::export::{ExportError, Target};
use crate::output::{self, Cell, Format, Kind, Lines, TableColumn, fields};
use crate::store::{FailedFilter, ItemRow, Order, Reader, Selection, States};
use std::collections::HashMap;

/// Fields beyond this fit no table that anybody would open.
const FIELDS_MAX: usize = 10_000;
/// What is put behind an item's own fields.
const ADDED: [(&str, Kind); 4] = [
    ("error_class", Kind::Text),
    ("error_reason", Kind::Text),
    ("attempts", Kind::Integer),
    ("last_error_at", Kind::Time),
];
/// Where a line goes that is no item.
const RAW: &str = "raw";

/// Returns how many items. Blocks.
pub fn export_failed(reader: &Reader, filter: &FailedFilter, target: Target<'_>) -> Result<u64, ExportError> {
    let selection = Selection { failed: filter.clone(), with_input: true, ..Selection::new(States::Failed) };
    let reader = &reader.as_of_now()?;
    let names = Names::collect(reader, &selection)?;
    target.fill(|format, sink, name| match format {
        Format::JsonLines => {
            let mut lines = Lines::new(sink, name);
            let count = walk(reader, &selection, |item| Ok(lines.write(&names.line(item))?))?;
            lines.finish()?;
            Ok(count)
        }
        Format::Csv | Format::Parquet => {
            let mut writer = output::open_table(format, sink, name, names.header())?;
            let count = walk(reader, &selection, |item| Ok(writer.write(&names.cells(item)?)?))?;
            writer.finish()?;
            Ok(count)
        }
    })
}

fn walk(
    reader: &Reader,
    selection: &Selection,
    mut write: impl FnMut(&ItemRow) -> Result<(), ExportError>,
) -> Result<u64, ExportError> {
    debug_assert_eq!(selection.order, Order::Input);
    let mut count = 0;
    reader.for_each_item(selection, |item| -> Result<(), ExportError> {
        count += 1;
        write(&item)
    })?;
    Ok(count)
}

/// All fields of all items, in the order in which they were first seen.
#[derive(Default)]
struct Names {
    keys: Vec<String>,
    /// Where each stands among them.
    places: HashMap<String, usize>,
    has_raw: bool,
}

impl Names {
    fn collect(reader: &Reader, selection: &Selection) -> Result<Self, ExportError> {
        let mut names = Self::default();
        walk(reader, selection, |item| names.observe(item))?;
        Ok(names)
    }

    fn observe(&mut self, item: &ItemRow) -> Result<(), ExportError> {
        let Some(fields) = item_fields(item) else {
            self.has_raw = true;
            return Ok(());
        };
        for (key, _) in fields {
            if !self.places.contains_key(&*key) {
                if self.keys.len() == FIELDS_MAX {
                    return Err(ExportError::TooWide(FIELDS_MAX));
                }
                self.places.insert(key.to_string(), self.keys.len());
                self.keys.push(key.into_owned());
            }
        }
        Ok(())
    }

    /// A name of ours that no item has, so that dead letters can fail again.
    fn free(&self, name: &str) -> String {
        let mut name = name.to_owned();
        while self.places.contains_key(&name) {
            name.insert_str(0, "sandmill.");
        }
        name
    }

    fn header(&self) -> Vec<TableColumn> {
        let original = |name: &String| TableColumn { name: name.clone(), kind: Kind::Original };
        let mut header: Vec<TableColumn> = self.keys.iter().map(original).collect();
        header.extend(self.has_raw.then(|| TableColumn { name: self.free(RAW), kind: Kind::Original }));
        header.extend(ADDED.map(|(name, kind)| TableColumn { name: self.free(name), kind }));
        header
    }

    fn cells<'a>(&self, item: &'a ItemRow) -> Result<Vec<Cell<'a>>, ExportError> {
        let mut cells = vec![Cell::Empty; self.keys.len()];
        match item_fields(item) {
            Some(fields) => {
                for (key, value) in fields {
                    let place = self.places.get(&*key).ok_or(ExportError::Moved)?;
                    cells[*place] = original(value.get());
                }
                cells.extend(self.has_raw.then_some(Cell::Empty));
            }
            None if self.has_raw => cells.push(Cell::Text(item.input.as_str().into())),
            None => return Err(ExportError::Moved),
        }
        cells.extend([
            Cell::Text(item.class.as_deref().unwrap_or_default().into()),
            Cell::Text(reason(item).into()),
            Cell::Integer(item.attempts),
            item.ended_ms.map_or(Cell::Empty, Cell::Time),
        ]);
        Ok(cells)
    }

    /// The item's own text, with our fields behind its own.
    fn line(&self, item: &ItemRow) -> String {
        let at = item.ended_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms.cast_signed()).ok());
        let added: [serde_json::Value; 4] = [
            item.class.as_deref().into(),
            reason(item).into(),
            item.attempts.into(),
            at.map(|at| format!("{at:.3}")).into(),
        ];
        let added: Vec<String> = ADDED
            .iter()
            .zip(added)
            .map(|((name, _), value)| format!("{}:{value}", serde_json::Value::from(self.free(name))))
            .collect();
        let raw = || serde_json::json!({ self.free(RAW): item.input }).to_string();
        let own = if item_fields(item).is_some() { in_one_line(&item.input) } else { raw().into() };
        let own = own.trim_end();
        let own = own.strip_suffix('}').unwrap_or(own);
        let comma = if own.trim() == "{" { "" } else { "," };
        format!("{own}{comma}{}}}", added.join(","))
    }
}

/// `None`: it is no object, because the line is no item.
fn item_fields(item: &ItemRow) -> Option<Vec<(std::borrow::Cow<'_, str>, &serde_json::value::RawValue)>> {
    if item.problem.is_some() { None } else { fields(&item.input) }
}

fn reason(item: &ItemRow) -> String {
    let message = item.message.as_deref().unwrap_or_default();
    match &item.code {
        Some(code) if item.class.as_ref() != Some(code) => format!("{code}: {message}"),
        Some(_) | None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ItemState;
    use proptest::prelude::*;

    fn item(input: &str, problem: Option<&str>) -> ItemRow {
        ItemRow {
            seq: 1,
            id: "a".into(),
            position: 0,
            line: 1,
            state: ItemState::Failed,
            input: input.into(),
            problem: problem.map(str::to_owned),
            emissions: Vec::new(),
            reason: None,
            class: Some("plugin".into()),
            code: Some("refused".into()),
            message: Some("no".into()),
            detail: None,
            backtrace: None,
            attempts: 2,
            ended_ms: Some(1_700_000_000_000),
            generation: None,
            plugin: None,
            replayed: None,
            truncated: None,
            cpu_us: None,
            memory_bytes: None,
            last_request: None,
            card: None,
            books: None,
        }
    }

    fn names(items: &[ItemRow]) -> Names {
        let mut names = Names::default();
        for item in items {
            names.observe(item).unwrap();
        }
        names
    }

    #[test]
    fn an_items_own_fields_come_first_and_keep_their_names_and_their_text() {
        let items = [item("{\"n\": 1.00,\"attempts\":{}}", None), item("{}", None), item("{\"cut", Some("cut off"))];
        let names = names(&items);
        let header: Vec<String> = names.header().into_iter().map(|column| column.name).collect();
        let ours = ["error_class", "error_reason", "sandmill.attempts", "last_error_at"];
        assert_eq!(header, [&["n", "attempts", "raw"][..], &ours].concat());
        let cells = names.cells(&items[0]).unwrap();
        assert_eq!(cells[..3], [Cell::Text("1.00".into()), Cell::Text("{}".into()), Cell::Empty]);
        assert_eq!(names.cells(&items[2]).unwrap()[2], Cell::Text("{\"cut".into()));
        let added = "\"error_class\":\"plugin\",\"error_reason\":\"refused: no\",\"sandmill.attempts\":2,\"last_error_at\":\"2023-11-14T22:13:20.000Z\"}";
        assert_eq!(names.line(&items[0]), format!("{{\"n\": 1.00,\"attempts\":{{}},{added}"));
        assert_eq!(names.line(&items[1]), format!("{{{added}"));
        assert_eq!(names.line(&items[2]), format!("{{\"raw\":\"{{\\\"cut\",{added}"));
    }

    #[test]
    fn a_field_without_a_column_is_told_and_not_dropped() {
        let names = names(&[item("{\"a\":1}", None)]);
        assert!(matches!(names.cells(&item("{\"b\":1}", None)), Err(ExportError::Moved)));
        assert!(matches!(names.cells(&item("[", Some("no item"))), Err(ExportError::Moved)));
    }

    proptest! {
        #[test]
        fn a_line_is_json_that_holds_the_item_as_it_was(
            fields in prop::collection::hash_map("[a-c\"}]{0,3}|attempts|error_class", "(?s).{0,6}", 0..4),
            is_pretty: bool,
        ) {
            let object = serde_json::json!(fields);
            let text = if is_pretty { serde_json::to_string_pretty(&object).unwrap() } else { object.to_string() };
            let item = item(&text, None);
            let line = names(std::slice::from_ref(&item)).line(&item);
            prop_assert!(!line.contains('\n'));
            let read: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(read.len(), fields.len() + ADDED.len());
            for (key, value) in &fields {
                prop_assert_eq!(&read[key], value);
            }
        }
    }
}
