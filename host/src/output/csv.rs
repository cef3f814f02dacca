//! CSV: `id`, `part` where any item emits several values, then one column for each key of the emitted objects.
//!
//! - A string stands as it is, null and what is missing are empty, anything else is its JSON text to the digit.
//! - A value that is no object goes into the column `output`. A key that has the name of one of our columns becomes
//!   `output.KEY`.
//! - A string, an id, a name that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, the wide forms of these, tab, CR,
//!   LF or NUL)
//!   gets a `'` in front (OWASP, "CSV Injection"): what is in it came from a model. Numbers are left alone.
//! - Lines end in LF: RFC 4180 has CR LF, but every CSV reader takes LF, and Unix tools would see the CR as text.
//! - UTF-8 without a byte order mark: Excel wants one on double click, but for most programs it becomes part of the
//!   name `id`. In Excel: Data, From Text/CSV, UTF-8.

use super::object::{fields, plain};
use super::table::{Cell, Kind, TableColumn, TableWriter, text};
use super::{OutputError, Part, Row, RowWriter};
use ::csv::{Error, ErrorKind, Writer, WriterBuilder};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Keys beyond this go into `output` with the whole value.
const COLUMNS_MAX: usize = 1_000;
/// Where values go that are no objects.
const WHOLE: &str = "output";
const BUFFER: usize = 256 << 10;
/// What a formula begins with, or what a spreadsheet skips before one; the wide forms count where they are typed.
const FORMULAS: [char; 12] = ['=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠'];

/// The columns of an output, collected from all its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    keys: Vec<String>,
    /// Where each key stands among them.
    places: HashMap<String, usize>,
    whole: bool,
    parts: bool,
}

impl Columns {
    pub fn observe(&mut self, row: &Row<'_>) {
        self.parts |= row.part.is_some();
        let Some(fields) = fields(row.value) else {
            self.whole = true;
            return;
        };
        for (key, _) in fields {
            if self.places.contains_key(&*key) {
                continue;
            }
            if self.keys.len() == COLUMNS_MAX {
                self.whole = true;
                break;
            }
            self.places.insert(key.to_string(), self.keys.len());
            self.keys.push(key.into_owned());
        }
    }

    /// No name is blank, which readers refuse, and none comes twice, whatever the keys are.
    fn header(&self) -> Vec<String> {
        let mut header = vec!["id".to_owned()];
        header.extend(self.parts.then(|| "part".to_owned()));
        let mut taken: HashSet<String> = header.iter().cloned().collect();
        taken.extend(self.whole.then(|| WHOLE.to_owned()));
        for key in &self.keys {
            let mut name = defused(key).into_owned();
            while name.trim().is_empty() || taken.contains(&name) {
                name.insert_str(0, "output.");
            }
            taken.insert(name.clone());
            header.push(name);
        }
        header.extend(self.whole.then(|| WHOLE.to_owned()));
        header
    }

    fn cells<'a>(&self, row: &Row<'a>) -> Vec<Cow<'a, str>> {
        let mut cells = vec![defused(row.id)];
        if self.parts {
            cells.push(match row.part {
                None => Cow::default(),
                Some(Part::Index(index)) => index.to_string().into(),
                Some(Part::Name(name)) => defused(name),
            });
        }
        let first = cells.len();
        cells.resize(first + self.keys.len(), Cow::default());
        let mut is_covered = true;
        match fields(row.value) {
            Some(fields) => {
                for (key, value) in fields {
                    match self.places.get(&*key) {
                        Some(place) => cells[first + place] = cell(value.get()),
                        None => is_covered = false,
                    }
                }
            }
            None => is_covered = false,
        }
        if self.whole {
            cells.push(if is_covered { Cow::default() } else { cell(row.value) });
        }
        cells
    }
}

pub(super) struct Csv<'a> {
    writer: Writer<Box<dyn Write + Send + 'a>>,
    name: PathBuf,
    columns: Columns,
    header_written: bool,
}

impl<'a> Csv<'a> {
    pub(super) fn new(sink: Box<dyn Write + Send + 'a>, name: &Path, columns: Columns) -> Self {
        let writer = WriterBuilder::new().buffer_capacity(BUFFER).from_writer(sink);
        Self { writer, name: name.to_path_buf(), columns, header_written: false }
    }

    fn write_header(&mut self) -> Result<(), OutputError> {
        if self.header_written {
            return Ok(());
        }
        self.header_written = true;
        self.writer.write_record(self.columns.header()).map_err(|error| failed(&self.name, error))
    }
}

/// The crate's own conversion loses the kind of the error, and with it what is told of a full disk or a closed pipe.
fn failed(name: &Path, error: Error) -> OutputError {
    let text = error.to_string();
    match error.into_kind() {
        ErrorKind::Io(error) => OutputError::at(name, &error),
        _ => OutputError::at(name, &std::io::Error::other(text)),
    }
}

impl RowWriter for Csv<'_> {
    fn write(&mut self, row: &Row<'_>) -> Result<(), OutputError> {
        self.write_header()?;
        let cells = self.columns.cells(row);
        self.writer.write_record(cells.iter().map(|cell| cell.as_bytes())).map_err(|error| failed(&self.name, error))
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.write_header()?;
        self.writer.flush().map_err(|error| OutputError::at(&self.name, &error))
    }
}

/// `value`: JSON.
fn cell(value: &str) -> Cow<'_, str> {
    let text = plain(value);
    if value.starts_with('"') { defuse(text) } else { text }
}

fn defuse(text: Cow<'_, str>) -> Cow<'_, str> {
    match defused(&text) {
        Cow::Owned(defused) => defused.into(),
        Cow::Borrowed(_) => text,
    }
}

fn defused(text: &str) -> Cow<'_, str> {
    if text.starts_with(FORMULAS) { format!("'{text}").into() } else { text.into() }
}

/// Columns that somebody chose.
pub(super) struct Table<'a> {
    writer: Writer<Box<dyn Write + Send + 'a>>,
    name: PathBuf,
    columns: Vec<TableColumn>,
    header_written: bool,
}

impl<'a> Table<'a> {
    pub(super) fn new(sink: Box<dyn Write + Send + 'a>, name: &Path, columns: Vec<TableColumn>) -> Self {
        let writer = WriterBuilder::new().buffer_capacity(BUFFER).from_writer(sink);
        Self { writer, name: name.to_path_buf(), columns, header_written: false }
    }

    fn write_header(&mut self) -> Result<(), OutputError> {
        if self.header_written {
            return Ok(());
        }
        self.header_written = true;
        let header = self.columns.iter().map(|column| match column.kind {
            Kind::Original => Cow::Borrowed(column.name.as_str()),
            Kind::Text | Kind::Json | Kind::Integer | Kind::Number | Kind::Time => defused(&column.name),
        });
        let header: Vec<Cow<'_, str>> = header.collect();
        self.writer.write_record(header.iter().map(|name| name.as_bytes())).map_err(|error| failed(&self.name, error))
    }
}

impl TableWriter for Table<'_> {
    fn write(&mut self, cells: &[Cell<'_>]) -> Result<(), OutputError> {
        self.write_header()?;
        let cells: Vec<Cow<'_, str>> = self
            .columns
            .iter()
            .zip(cells)
            .map(|(column, cell)| match (column.kind, cell) {
                (Kind::Text, Cell::Text(text)) => defused(text),
                (Kind::Json, Cell::Json(json)) => self::cell(json),
                _ => text(cell),
            })
            .collect();
        self.writer.write_record(cells.iter().map(|cell| cell.as_bytes())).map_err(|error| failed(&self.name, error))
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        self.write_header()?;
        self.writer.flush().map_err(|error| OutputError::at(&self.name, &error))
    }
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
        let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
        reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    fn row<'a>(id: &'a str, value: &'a str) -> Row<'a> {
        Row { id, part: None, value }
    }

    /// `table`: the header, then the cells of each row.
    fn check(values: &[&str], table: &[&[&str]]) {
        let rows: Vec<Row<'_>> = values.iter().map(|value| row("a", value)).collect();
        assert_eq!(written(&rows), table);
    }

    #[test]
    fn keys_become_columns_and_other_values_go_into_one_of_their_own() {
        check(
            &[r#"{"x":"1","id":2}"#, r#"{"y":[1, 2]}"#, "\"s\"", "null"],
            &[
                &["id", "x", "output.id", "y", "output"],
                &["a", "1", "2", "", ""],
                &["a", "", "", "[1, 2]", ""],
                &["a", "", "", "", "s"],
                &["a", "", "", "", ""],
            ],
        );
    }

    #[test]
    fn parts_have_a_column_where_any_item_has_several() {
        let row = |part| Row { id: "a", part, value: r#"{"part":1}"# };
        let table = written(&[row(None), row(Some(Part::Index(2))), row(Some(Part::Name("-n")))]);
        let expected = [["id", "part", "output.part"], ["a", "", "1"], ["a", "2", "1"], ["a", "'-n", "1"]];
        assert_eq!(table, expected);
    }

    #[test]
    fn a_number_is_written_to_the_digit_and_the_last_of_two_values_counts() {
        check(
            &[r#"{"n":12345678901234567890123,"m":1.0e2}"#, r#"{"n":1e999,"n":0.10,"m":null}"#],
            &[&["id", "n", "m"], &["a", "12345678901234567890123", "1.0e2"], &["a", "0.10", ""]],
        );
    }

    #[test]
    fn what_no_text_can_hold_is_written_as_json_and_not_lost() {
        let deep = format!("{{\"d\":{}1{}}}", "[".repeat(500), "]".repeat(500));
        check(
            &[r#"{"s":"\ud800"}"#, &deep],
            &[&["id", "s", "d"], &["a", r#""\ud800""#, ""], &["a", "", &deep[5..deep.len() - 1]]],
        );
    }

    #[test]
    fn every_column_has_a_name_of_its_own() {
        check(
            &[r#"{"id":1,"output.id":2,"":3,"=x":4,"'=x":5,"output":6}"#, "7"],
            &[
                &["id", "output.id", "output.output.id", "output.", "'=x", "output.'=x", "output.output", "output"],
                &["a", "1", "2", "3", "4", "5", "6", ""],
                &["a", "", "", "", "", "", "", "7"],
            ],
        );
    }

    #[test]
    fn keys_beyond_the_most_columns_keep_the_whole_value() {
        let many: Vec<String> = (0..=COLUMNS_MAX).map(|index| format!("\"k{index}\":{index}")).collect();
        let many = format!("{{{}}}", many.join(","));
        let table = written(&[row("a", &many), row("b", r#"{"k0":1}"#)]);
        assert_eq!((table[0].len(), table[0][COLUMNS_MAX + 1].as_str()), (COLUMNS_MAX + 2, "output"));
        assert_eq!((&table[1][COLUMNS_MAX + 1], table[2][COLUMNS_MAX + 1].as_str()), (&many, ""));
    }

    #[test]
    fn no_rows_make_a_header_alone() {
        assert_eq!(written(&[]), [["id"]]);
    }

    #[test]
    fn a_formula_is_defused_and_a_negative_number_is_not() {
        let table = written(&[row("=a", r#"{"t":"=1+1","u":"\t=1","v":"\r=1","n":-5,"@k":"+1"}"#)]);
        assert_eq!(table[0], ["id", "t", "u", "v", "n", "'@k"]);
        assert_eq!(table[1], ["'=a", "'=1+1", "'\t=1", "'\r=1", "-5", "'+1"]);
    }

    #[test]
    fn what_a_spreadsheet_skips_before_a_formula_and_its_wide_forms_defuse_it_too() {
        let table = written(&[row("＝1", r#"{"l":"\n=1","z":"\u0000=1","＋k":"＠x","s":" =1"}"#)]);
        assert_eq!(table[0], ["id", "l", "z", "'＋k", "s"]);
        assert_eq!(table[1], ["'＝1", "'\n=1", "'\0=1", "'＠x", " =1"]);
    }

    proptest! {
        #[test]
        fn a_csv_reader_gets_every_text_back_but_for_the_defusing(
            id in "[^\\x00]{1,20}",
            rows in prop::collection::vec(prop::collection::hash_map(any::<String>(), "(?s).{0,9}|[\"',\\r\\n=]{0,5}", 0..4), 1..4),
        ) {
            let values: Vec<String> = rows.iter().map(|row| serde_json::json!(row).to_string()).collect();
            let table = written(&values.iter().map(|value| row(&id, value)).collect::<Vec<_>>());
            let names: HashSet<&String> = table[0].iter().collect();
            prop_assert_eq!(names.len(), table[0].len());
            let mut keys: Vec<String> = Vec::new();
            for value in &values {
                for key in serde_json::from_str::<serde_json::Map<_, _>>(value).unwrap().keys() {
                    if !keys.contains(key) {
                        keys.push(key.clone());
                    }
                }
            }
            for (cells, row) in table[1..].iter().zip(&rows) {
                prop_assert_eq!(&cells[0], &defused(&id));
                for (cell, key) in cells[1..].iter().zip(&keys) {
                    let text = row.get(key).map_or("", String::as_str);
                    let formula = text.starts_with(FORMULAS);
                    prop_assert_eq!(cell, &format!("{}{text}", if formula { "'" } else { "" }));
                }
            }
        }
    }
}
