//! CSV (RFC 4180) with a header: each record an object of strings, in the order of the columns.
//!
//! `--map text=body` renames the column `body`; a column that is called `text` already gives way. The id is looked for
//! under the names that hold after that.

use super::columns::{Named, json_string};
use super::csv_records::{CsvReader, CsvRecord, Step};
use super::{BadRecord, Entry, InputError, LINE_BYTES_MAX, Options, Record, Records, bad, shown, unreadable};
use crate::domain::ItemId;
use std::collections::HashSet;
use std::io::BufRead;

/// The most columns a file can have; what has more is no table.
const COLUMNS_MAX: usize = 1 << 16;

pub(super) fn open(reader: Box<dyn BufRead + Send>, name: &str, options: &Options) -> Result<Records, InputError> {
    let mut reader = CsvReader::new(reader);
    let mut record = CsvRecord::default();
    let header = reader.read(&mut record, COLUMNS_MAX).map_err(|error| unreadable(name, &error))?;
    let columns = match header {
        Step::End => return Ok(Box::new(std::iter::empty())),
        Step::OpenQuote(line) => return Err(open_quote(name, line)),
        Step::Record => Columns::new(&record, options)?,
    };
    let name = name.to_owned();
    let mut ended = false;
    Ok(Box::new(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let step = reader.read(&mut record, columns.keys.len());
        ended = !matches!(step, Ok(Step::Record));
        match step {
            Ok(Step::Record) => Some(Ok(Record { line: record.line, entry: columns.entry(&record) })),
            Ok(Step::End) => None,
            Ok(Step::OpenQuote(line)) => Some(Err(open_quote(&name, line))),
            Err(error) => Some(Err(unreadable(&name, &error))),
        }
    })))
}

/// Not a bad record: all items behind the quote would be lost in it.
fn open_quote(name: &str, line: u64) -> InputError {
    InputError::Unreadable {
        name: name.into(),
        reason: format!(
            "the quote that line {line} opens is never closed: close it, or put the field into quotes and double those that belong to its text"
        ),
    }
}

struct Columns {
    /// As JSON strings; `None`: the column gave way to a mapped one.
    keys: Vec<Option<String>>,
    id: Option<usize>,
    id_name: String,
}

impl Columns {
    fn new(header: &CsvRecord, options: &Options) -> Result<Self, InputError> {
        let names = names(header)?;
        let Named { names, id, id_name } = Named::new(&names, options)?;
        let keys = names.into_iter().map(|name| name.map(json_string)).collect();
        Ok(Self { keys, id, id_name })
    }

    fn entry(&self, record: &CsvRecord) -> Result<Entry, BadRecord> {
        let line = record.line;
        let wrong = |message: String| bad(&record.raw, message);
        if record.is_too_long() {
            return Err(wrong(format!(
                "the record that starts in line {line} has {} bytes, and at most {LINE_BYTES_MAX} are read: split it, or look for a quote that is missing or too many",
                record.length
            )));
        }
        if record.fields_count != self.keys.len() {
            return Err(wrong(format!(
                "the record that starts in line {line} has {} fields, and the header has {}: a comma or a quote is missing or too many",
                record.fields_count,
                self.keys.len()
            )));
        }
        let mut json = String::with_capacity(record.length + 16 * self.keys.len());
        let mut id = None;
        for (index, (key, field)) in self.keys.iter().zip(record.fields()).enumerate() {
            let text = std::str::from_utf8(field).map_err(|_| {
                let column = index + 1;
                wrong(format!(
                    "column {column} of the record that starts in line {line} is not UTF-8: convert the file, for example with iconv"
                ))
            })?;
            if self.id == Some(index) {
                id = Some(ItemId::new(text).map_err(|error| {
                    let id_name = shown(&self.id_name);
                    wrong(format!(
                        "line {line}: the column `{id_name}` cannot be an id: {error}; name another with --id-field"
                    ))
                })?);
            }
            if let Some(key) = key {
                json.push(if json.is_empty() { '{' } else { ',' });
                json.push_str(key);
                json.push(':');
                json.push_str(&json_string(text));
            }
        }
        json.push('}');
        Ok(Entry::new(id, json))
    }
}

/// The names of the columns, each of its own.
fn names(header: &CsvRecord) -> Result<Vec<&str>, InputError> {
    if header.is_too_long() || header.fields_count > COLUMNS_MAX {
        return Err(InputError::BadHeader(format!(
            "the first line has {} bytes and {} columns, and is no header: a CSV file starts with a line of column names",
            header.length, header.fields_count
        )));
    }
    let mut names = Vec::new();
    let mut seen = HashSet::new();
    for (index, field) in header.fields().enumerate() {
        let column = index + 1;
        let name = std::str::from_utf8(field).map_err(|_| {
            InputError::BadHeader(format!(
                "the name of column {column} is not UTF-8: convert the file, for example with iconv"
            ))
        })?;
        if name.trim().is_empty() {
            return Err(InputError::BadHeader(format!(
                "column {column} has no name: a CSV file starts with a line of column names"
            )));
        }
        if !seen.insert(name) {
            let name = shown(name);
            return Err(InputError::BadHeader(format!("the column `{name}` comes twice: rename one of them")));
        }
        names.push(name);
    }
    if let [only] = names[..]
        && let Some(separator) = [(';', "semicolons"), ('\t', "tabs")].iter().find(|(c, _)| only.contains(*c))
    {
        let (name, separator) = (shown(only), separator.1);
        return Err(InputError::BadHeader(format!(
            "the header is one column, `{name}`: the file seems to be separated by {separator}; save it with commas"
        )));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use crate::input::tests::{options, read};
    use crate::input::{Format, InputError, LINE_BYTES_MAX, Options, Record};

    fn records(text: &str) -> Vec<Record> {
        read(text.as_bytes(), &options(Format::Csv)).unwrap()
    }

    #[test]
    fn records_become_objects_of_strings_in_the_order_of_the_columns() {
        let records = records("\u{feff}id,text,n\r\na,\"x, \"\"y\"\"\nz\",1\r\nb,,\r\n");
        let first = records[0].entry.as_ref().unwrap();
        assert_eq!(first.json, r#"{"id":"a","text":"x, \"y\"\nz","n":"1"}"#);
        assert_eq!(first.id.as_ref().unwrap().as_str(), "a");
        assert_eq!((records.len(), records[0].line, records[1].line), (2, 2, 4), "{records:?}");
    }

    #[test]
    fn an_empty_file_and_a_header_alone_have_no_items() {
        assert!(records("").is_empty());
        assert!(records("\n\n").is_empty());
        assert!(records("id,text").is_empty());
    }

    #[test]
    fn an_empty_text_in_quotes_is_an_item_and_a_blank_line_is_none() {
        let texts: Vec<String> = records("t\n\n\"\"\nx\n").into_iter().map(|r| r.entry.unwrap().json).collect();
        assert_eq!(texts, [r#"{"t":""}"#, r#"{"t":"x"}"#]);
    }

    fn check_bad(record: &Record, raw: &str, part: &str) {
        let bad = record.entry.as_ref().unwrap_err();
        assert_eq!(bad.raw, raw);
        assert!(bad.message.contains(part), "{}", bad.message);
    }

    #[test]
    fn a_record_that_is_no_item_is_kept_as_it_stood_and_the_others_go_on() {
        let text = b"id,t\na,\"1,2\",2\nb,3\n,4\nc,\xff\nd,5\n";
        let records = read(text, &options(Format::Csv)).unwrap();
        check_bad(&records[0], "a,\"1,2\",2", "line 2 has 3 fields, and the header has 2");
        assert!(records[1].entry.is_ok());
        check_bad(&records[2], ",4", "line 4: the column `id` cannot be an id: the id is empty");
        check_bad(&records[3], "c,\u{fffd}", "column 2 of the record that starts in line 5 is not UTF-8");
        assert!(records[4].entry.is_ok());
    }

    #[test]
    fn a_record_beyond_all_bounds_is_no_item_and_the_next_one_is() {
        let text = format!("id,t\na,\"\n{}\"\nb,2\n", "x".repeat(LINE_BYTES_MAX));
        let records = records(&text);
        let message = &records[0].entry.as_ref().unwrap_err().message;
        assert!(message.contains("starts in line 2 has") && message.contains("split it"), "{message}");
        assert!(records[1].entry.is_ok() && records[1].line == 4);
    }

    #[test]
    fn a_quote_that_is_never_closed_ends_the_job_rather_than_swallow_the_items_behind_it() {
        match read(b"id,t\na,\"1\nb,2\nc,3\n", &options(Format::Csv)) {
            Err(InputError::Unreadable { reason, .. }) => assert!(reason.contains("line 2 opens"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }

    fn check_mapped(header: &str, map: &[(&str, &str)], expected: &str) {
        let map = map.iter().map(|(to, from)| ((*to).into(), (*from).into())).collect();
        let records = read(header.as_bytes(), &Options { map, ..options(Format::Csv) }).unwrap();
        assert_eq!(records[0].entry.as_ref().unwrap().json, expected);
    }

    #[test]
    fn mapping_renames_a_column_and_one_of_the_new_name_gives_way() {
        check_mapped("a,body\n1,2\n", &[("text", "body")], r#"{"a":"1","text":"2"}"#);
        check_mapped("text,body\n1,2\n", &[("text", "body")], r#"{"text":"2"}"#);
        check_mapped("a,b\n1,2\n", &[("a", "b"), ("b", "a")], r#"{"b":"1","a":"2"}"#);
        check_mapped("a,b\n1,2\n", &[("a", "a")], r#"{"a":"1","b":"2"}"#);
    }

    #[test]
    fn an_id_is_found_under_its_new_name() {
        let options = Options { map: vec![("id".into(), "key".into())], ..options(Format::Csv) };
        let records = read(b"key\nk\n", &options).unwrap();
        assert_eq!(records[0].entry.as_ref().unwrap().id.as_ref().unwrap().as_str(), "k");
    }

    fn check_header(text: &[u8], change: impl FnOnce(&mut Options), part: &str) {
        let mut options = options(Format::Csv);
        change(&mut options);
        match read(text, &options) {
            Err(InputError::BadHeader(message)) => assert!(message.contains(part), "{message}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_header_that_cannot_serve_names_the_column() {
        check_header(b"a,a\n1,2\n", |_| {}, "`a` comes twice");
        check_header(b"a,\n1,2\n", |_| {}, "column 2 has no name");
        check_header(b"\"\"\nx\n", |_| {}, "column 1 has no name");
        check_header(b"a,\xff\n1,2\n", |_| {}, "column 2 is not UTF-8");
        check_header(b"id;text\n1;2\n", |_| {}, "separated by semicolons");
        check_header(b"id\ttext\n1\t2\n", |_| {}, "separated by tabs");
        check_header(b"a,b\n", |o| o.map = vec![("text".into(), "body".into())], "there is `a`, `b`");
        check_header(b"a,b\n", |o| o.id_field = Some("key".into()), "--id-field names; there is `a`, `b`");
    }
}
