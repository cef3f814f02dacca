//! CSV (RFC 4180) with a header: each record an object of strings, in the order of the columns.

use super::{BadRecord, Entry, InputError, Options, Record, Records, bad};
use crate::domain::ItemId;
use csv::{ByteRecord, ReaderBuilder};
use std::collections::HashSet;
use std::io::BufRead;

pub(super) fn open(mut reader: Box<dyn BufRead + Send>, name: &str, options: &Options) -> Result<Records, InputError> {
    let start =
        reader.fill_buf().map_err(|error| InputError::Unreadable { name: name.into(), reason: error.to_string() })?;
    // The csv crate ends a record at CR and counts the line at the LF that follows, which then belongs to the next record.
    let lines_late = match start.iter().position(|byte| *byte == b'\n') {
        Some(at) if at > 0 && start[at - 1] == b'\r' => 1,
        Some(_) | None => 0,
    };
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(reader);
    let header = reader.byte_headers().map_err(|error| unreadable(name, &error))?;
    let columns = Columns { lines_late, ..Columns::new(header, options)? };
    let name = name.to_owned();
    let mut ended = false;
    Ok(Box::new(std::iter::from_fn(move || {
        let mut record = ByteRecord::new();
        loop {
            if ended {
                return None;
            }
            match reader.read_byte_record(&mut record) {
                Ok(true) if record.len() == 1 && record[0].is_empty() => {}
                Ok(true) => return Some(Ok(columns.record(&record))),
                Ok(false) => ended = true,
                Err(error) => {
                    ended = true;
                    return Some(Err(unreadable(&name, &error)));
                }
            }
        }
    })))
}

fn unreadable(name: &str, error: &csv::Error) -> InputError {
    InputError::Unreadable { name: name.into(), reason: error.to_string() }
}

struct Columns {
    /// As JSON strings.
    names: Vec<String>,
    id: Option<usize>,
    id_name: String,
    /// How far behind the positions of records are.
    lines_late: u64,
}

impl Columns {
    fn new(header: &ByteRecord, options: &Options) -> Result<Self, InputError> {
        let mut names = Vec::new();
        for (index, field) in header.iter().enumerate() {
            let name = std::str::from_utf8(field)
                .map_err(|_| InputError::BadHeader(format!("the name of column {} is not UTF-8", index + 1)))?;
            if name.trim().is_empty() && header.len() > 1 {
                return Err(InputError::BadHeader(format!(
                    "column {} has no name: a CSV file starts with a line of column names",
                    index + 1
                )));
            }
            names.push(name.to_owned());
        }
        let listing = names.join("`, `");
        for (to, from) in &options.map {
            let Some(index) = names.iter().position(|name| name == from) else {
                return Err(InputError::BadHeader(format!(
                    "there is no column `{from}`, which --map names; there is `{listing}`"
                )));
            };
            names[index].clone_from(to);
        }
        let mut seen = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(InputError::BadHeader(format!("the column `{twice}` comes twice: rename one of them")));
        }
        let id_name = options.id_field.clone().unwrap_or_else(|| "id".into());
        let id = names.iter().position(|name| *name == id_name);
        if id.is_none() && options.id_field.is_some() {
            return Err(InputError::BadHeader(format!(
                "there is no column `{id_name}`, which --id-field names; there is `{listing}`"
            )));
        }
        let names = names.into_iter().map(|name| serde_json::Value::from(name).to_string()).collect();
        Ok(Self { names, id, id_name, lines_late: 0 })
    }

    fn record(&self, record: &ByteRecord) -> Record {
        let line = record.position().map_or(0, csv::Position::line) + self.lines_late;
        Record { line, entry: self.entry(record, line) }
    }

    fn entry(&self, record: &ByteRecord, line: u64) -> Result<Entry, BadRecord> {
        let wrong = |message: String| bad(&record.iter().collect::<Vec<_>>().join(&b','), message);
        if record.len() != self.names.len() {
            return Err(wrong(format!(
                "the record in line {line} has {} fields, and the header has {}: a comma or a quote is missing or too many",
                record.len(),
                self.names.len()
            )));
        }
        let mut json = String::from("{");
        for (index, (name, field)) in self.names.iter().zip(record).enumerate() {
            let text = std::str::from_utf8(field).map_err(|_| {
                wrong(format!("column {name} of line {line} is not UTF-8: convert the file, for example with iconv"))
            })?;
            if index > 0 {
                json.push(',');
            }
            json.push_str(name);
            json.push(':');
            json.push_str(&serde_json::Value::from(text).to_string());
        }
        json.push('}');
        let id = match self.id {
            None => None,
            Some(index) => {
                let text = String::from_utf8_lossy(&record[index]);
                Some(ItemId::new(&text).map_err(|error| {
                    wrong(format!(
                        "line {line}: the column `{}` cannot be an id: {error}; name another with --id-field",
                        self.id_name
                    ))
                })?)
            }
        };
        Ok(Entry { id, json })
    }
}

#[cfg(test)]
mod tests {
    use crate::input::tests::{options, read};
    use crate::input::{Format, InputError, Options};

    #[test]
    fn records_become_objects_of_strings_in_the_order_of_the_columns() {
        let text = "\u{feff}id,text,n\r\na,\"x, \"\"y\"\"\nz\",1\r\nb,,\r\n";
        let records = read(text.as_bytes(), &options(Format::Csv)).unwrap();
        let first = records[0].entry.as_ref().unwrap();
        assert_eq!(first.json, r#"{"id":"a","text":"x, \"y\"\nz","n":"1"}"#);
        assert_eq!(first.id.as_ref().unwrap().as_str(), "a");
        assert_eq!((records.len(), records[1].line), (2, 4), "{records:?}");
    }

    #[test]
    fn a_record_of_another_width_is_no_item_and_the_others_go_on() {
        let records = read(b"id,t\na,1,2\nb,3\n", &options(Format::Csv)).unwrap();
        assert!(records[0].entry.as_ref().unwrap_err().message.contains("3 fields, and the header has 2"));
        assert!(records[1].entry.is_ok());
    }

    fn check_header(text: &str, change: impl FnOnce(&mut Options), part: &str) {
        let mut options = options(Format::Csv);
        change(&mut options);
        match read(text.as_bytes(), &options) {
            Err(InputError::BadHeader(message)) => assert!(message.contains(part), "{message}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_header_that_cannot_serve_names_the_column() {
        check_header("a,a\n1,2\n", |_| {}, "`a` comes twice");
        check_header("a,\n1,2\n", |_| {}, "column 2 has no name");
        check_header("a,b\n", |o| o.map = vec![("text".into(), "body".into())], "there is `a`, `b`");
        check_header("a,b\n", |o| o.id_field = Some("key".into()), "--id-field");
    }
}
