//! CSV: `id`, `part` where any item emits several values, then one column for each key of the emitted objects.
//!
//! Lines end in LF, which every reader takes and every Unix tool wants; there is no byte order mark, for the same reason. A string that
//! a spreadsheet would take for a formula gets a `'` in front (OWASP, "CSV Injection"): what is in it came from a model.

use super::{OutputError, Part, Row, RowWriter};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Keys beyond this go into `output` with the whole value.
const COLUMNS_MAX: usize = 1_000;
/// Where values go that are no objects.
const WHOLE: &str = "output";

/// The columns of an output, collected from all its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    keys: Vec<String>,
    known: HashSet<String>,
    whole: bool,
    parts: bool,
}

impl Columns {
    pub fn observe(&mut self, row: &Row<'_>) {
        self.parts |= row.part.is_some();
        match serde_json::from_str::<Value>(row.value) {
            Ok(Value::Object(map)) => {
                for key in map.keys() {
                    if self.known.contains(key) {
                        continue;
                    }
                    if self.keys.len() == COLUMNS_MAX {
                        self.whole = true;
                        break;
                    }
                    self.known.insert(key.clone());
                    self.keys.push(key.clone());
                }
            }
            Ok(_) | Err(_) => self.whole = true,
        }
    }

    fn header(&self) -> Vec<String> {
        let mut header = vec!["id".to_owned()];
        if self.parts {
            header.push("part".into());
        }
        // A key that has the name of one of ours is told from it.
        let taken = |key: &str| key == "id" || (key == "part" && self.parts) || (key == WHOLE && self.whole);
        header.extend(self.keys.iter().map(|key| if taken(key) { format!("output.{key}") } else { key.clone() }));
        if self.whole {
            header.push(WHOLE.into());
        }
        header
    }
}

pub(super) struct Csv<'a> {
    writer: csv::Writer<Box<dyn Write + 'a>>,
    name: PathBuf,
    columns: Columns,
    header_written: bool,
}

impl<'a> Csv<'a> {
    pub(super) fn new(sink: Box<dyn Write + 'a>, name: &Path, columns: Columns) -> Self {
        Self { writer: csv::Writer::from_writer(sink), name: name.to_path_buf(), columns, header_written: false }
    }

    fn write_header(&mut self) -> Result<(), OutputError> {
        if self.header_written {
            return Ok(());
        }
        self.header_written = true;
        let header: Vec<String> = self.columns.header().iter().map(|name| defused(name)).collect();
        self.writer.write_record(header).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: csv::Error) -> OutputError {
        OutputError::at(&self.name, &std::io::Error::from(error))
    }

    fn cells(&self, row: &Row<'_>) -> Vec<String> {
        let value: Value = serde_json::from_str(row.value).unwrap_or(Value::Null);
        let empty = Map::new();
        let object = value.as_object().unwrap_or(&empty);
        let mut cells = vec![defused(row.id)];
        if self.columns.parts {
            cells.push(match row.part {
                None => String::new(),
                Some(Part::Index(index)) => index.to_string(),
                Some(Part::Name(name)) => defused(name),
            });
        }
        cells.extend(self.columns.keys.iter().map(|key| object.get(key).map_or_else(String::new, cell)));
        if self.columns.whole {
            let covered = value.is_object() && object.keys().all(|key| self.columns.known.contains(key));
            cells.push(if covered { String::new() } else { cell(&value) });
        }
        cells
    }
}

impl RowWriter for Csv<'_> {
    fn write(&mut self, row: &Row<'_>) -> Result<(), OutputError> {
        self.write_header()?;
        let cells = self.cells(row);
        self.writer.write_record(cells).map_err(|error| self.failed(error))
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.write_header()?;
        self.writer.flush().map_err(|error| OutputError::at(&self.name, &error))
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => defused(text),
        other => other.to_string(),
    }
}

fn defused(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(rows: &[Row<'_>]) -> Vec<Vec<String>> {
        let mut columns = Columns::default();
        for row in rows {
            columns.observe(row);
        }
        let mut bytes = Vec::new();
        let mut writer = Csv::new(Box::new(&mut bytes), Path::new("test"), columns);
        for row in rows {
            writer.write(row).unwrap();
        }
        writer.finish().unwrap();
        drop(writer);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
        reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    fn row<'a>(id: &'a str, value: &'a str) -> Row<'a> {
        Row { id, part: None, value }
    }

    #[test]
    fn keys_become_columns_and_other_values_go_into_one_of_their_own() {
        let table = written(&[row("a", r#"{"x":"1","id":2}"#), row("b", r#"{"y":[1]}"#), row("c", "\"s\"")]);
        assert_eq!(table[0], ["id", "x", "output.id", "y", "output"].map(str::to_owned).to_vec());
        assert_eq!(table[1..], [vec!["a", "1", "2", "", ""], vec!["b", "", "", "[1]", ""], vec!["c", "", "", "", "s"]]);
    }

    #[test]
    fn a_formula_is_defused_and_a_negative_number_is_not() {
        let table = written(&[row("=a", r#"{"t":"=1+1","n":-5}"#)]);
        assert_eq!(table[1], ["'=a", "'=1+1", "-5"].map(str::to_owned).to_vec());
    }

    proptest! {
        #[test]
        fn a_csv_reader_gets_every_text_back(id in "[a-z][^\\x00]{0,20}", text in "\\PC*|[\"',\\n]{0,5}") {
            let value = serde_json::json!({ "t": text }).to_string();
            let table = written(&[row(&id, &value)]);
            prop_assert_eq!(&table[1][0], &id);
            prop_assert_eq!(&table[1][1], &defused(&text));
        }
    }
}
