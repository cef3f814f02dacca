//! What is written is read back as it was, in every format, and nothing in it is a formula.

use super::input::{read_back, with_file};
use super::parts::Fields;
use sandmill::input::fuzzing::parquet_here;
use sandmill::input::{Decoder, Format as InputFormat, Options, open_path};
use sandmill::output::{Columns, Format, Part, Row, open, plain};
use serde_json::Value;
use std::path::Path;

/// What a spreadsheet takes for a formula, or for the start of one.
const FORMULAS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// The first byte chooses the format; then ID, PART, VALUE, ID, PART, VALUE…. What is no JSON in one line is no value.
pub(crate) fn rows(bytes: &[u8]) {
    let [kind, rest @ ..] = bytes else { return };
    let mut fields = Fields::of(rest);
    let mut kept = Vec::new();
    while let Some(id) = fields.next() {
        let (id, part, value) = (String::from_utf8_lossy(id).into_owned(), fields.text(), fields.text());
        // As the sandbox takes them: no white space around them.
        let value = value.trim_ascii().to_owned();
        if !id.is_empty() && !value.contains(['\n', '\r']) && serde_json::from_str::<Value>(&value).is_ok() {
            kept.push((id, part, value));
        }
    }
    let rows: Vec<Row<'_>> = kept.iter().map(|(id, part, value)| Row { id, part: part_of(part), value }).collect();
    match kind % 3 {
        0 => csv(&rows),
        1 => json_lines(&rows),
        _ => parquet(&rows),
    }
}

fn part_of(text: &str) -> Option<Part<'_>> {
    match text {
        "" => None,
        _ => Some(text.parse().map_or(Part::Name(text), Part::Index)),
    }
}

fn written(format: Format, rows: &[Row<'_>]) -> Vec<u8> {
    let mut columns = Columns::default();
    for row in rows {
        columns.observe(row);
    }
    let mut bytes = Vec::new();
    let mut writer = open(format, Box::new(&mut bytes), Path::new("out"), columns).expect("a writer");
    for row in rows {
        writer.write(row).expect("a row");
    }
    writer.finish().expect("an end");
    drop(writer);
    bytes
}

fn csv(rows: &[Row<'_>]) {
    let bytes = written(Format::Csv, rows);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
    let table: Vec<csv::StringRecord> = reader.records().map(|record| record.expect("of one width")).collect();
    assert_eq!(table.len(), rows.len() + 1);
    let names: std::collections::HashSet<&str> = table[0].iter().collect();
    assert!(names.len() == table[0].len() && !names.contains(""), "{:?}", table[0]);
    assert!(table[0].iter().all(|name| !name.starts_with(FORMULAS)), "{:?}", table[0]);
    for (record, row) in table[1..].iter().zip(rows) {
        assert_eq!(record[0].trim_start_matches('\''), row.id.trim_start_matches('\''));
        for cell in record.iter().filter(|cell| cell.starts_with(FORMULAS)) {
            assert!(cell.parse::<f64>().is_ok() && cell.starts_with('-'), "{cell:?} is a formula");
        }
        if let Ok(text) = serde_json::from_str::<String>(row.value) {
            let last = record.iter().next_back().expect("a column");
            assert_eq!(last.strip_prefix('\'').unwrap_or(last), text.strip_prefix('\'').unwrap_or(&text));
        }
    }
    // Our own reader sees what the csv crate does.
    let again = with_file(&bytes, |path| {
        let options = Options { format: InputFormat::Csv, id_field: None, map: Vec::new() };
        let nowhere = Decoder::new("/nowhere".into(), 0);
        open_path(path, &options, &nowhere).expect("a header").collect::<Result<Vec<_>, _>>().expect("readable")
    });
    assert_eq!(again.len(), rows.len());
}

fn json_lines(rows: &[Row<'_>]) {
    let text = String::from_utf8(written(Format::JsonLines, rows)).expect("UTF-8");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), rows.len(), "{text:?}");
    for (line, row) in lines.into_iter().zip(rows) {
        let value: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(value["id"], row.id);
        assert_eq!(value["output"], serde_json::from_str::<Value>(row.value).expect("JSON"));
    }
}

fn parquet(rows: &[Row<'_>]) {
    let bytes = written(Format::Parquet, rows);
    let records = with_file(&bytes, |path| {
        assert_eq!(read_back(path).len(), bytes.len());
        let options = Options { format: InputFormat::Parquet, id_field: None, map: Vec::new() };
        parquet_here(path, &options).expect("our own file").collect::<Result<Vec<_>, _>>().expect("readable")
    });
    assert_eq!(records.len(), rows.len());
    for (record, row) in records.into_iter().zip(rows) {
        // An id that no item may have comes back as a bad record.
        let Ok(entry) = record.entry else { continue };
        let value: Value = serde_json::from_str(&entry.json).expect("JSON");
        assert_eq!(value["id"], row.id);
        let output = value["output"].as_str().map_or_else(|| value["output"].to_string(), str::to_owned);
        assert!(output == row.value || output == plain(row.value), "{output:?} instead of {:?}", row.value);
    }
}
