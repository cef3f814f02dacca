//! The half that knows the crate: from a file's bytes to words about its rows. Runs where nothing else does, and may die of it.
//!
//! The crate's record API is used, and not Arrow: it needs none of Arrow's crates, and rows are what is wanted. It panics on
//! some files instead of giving an error; what is known is refused by the schema, the rest is caught and ends the input.

use super::super::columns::{Named, json_string};
use super::super::{BadRecord, Entry, InputError, LINE_BYTES_MAX, Options, bad, json_lines, shown};
use super::json::{Shape, write_value};
use super::words::{Last, Word};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Row;
use parquet::record::reader::RowIter;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Says all that there is to say of a file. The error: nobody listens.
pub(super) fn decode(file: File, options: &Options, out: &mut impl Write) -> io::Result<()> {
    let last = match open(file, options) {
        Ok((reader, columns)) => {
            Word::Begin.write(out)?;
            // Who asked may want to know that much and no more.
            out.flush()?;
            rows(reader, &columns, out)?
        }
        Err(last) => last,
    };
    Word::Last(last).write(out)?;
    out.flush()
}

fn open(file: File, options: &Options) -> Result<(SerializedFileReader<File>, Columns), Last> {
    let reader = caught(|| SerializedFileReader::new(file)).map_err(Last::Damaged)?;
    let columns = Columns::new(&reader, options).map_err(|error| match error {
        InputError::BadHeader(text) => Last::Header(text),
        other => Last::Damaged(other.to_string()),
    })?;
    Ok((reader, columns))
}

fn rows(reader: SerializedFileReader<File>, columns: &Columns, out: &mut impl Write) -> io::Result<Last> {
    let mut rows = RowIter::from_file_into(Box::new(reader));
    let (mut line, mut room) = (0, 0);
    loop {
        match caught(|| rows.next().transpose()) {
            Ok(Some(row)) => {
                line += 1;
                let entry = columns.entry(&row, line, room);
                // The next one is about as large.
                room = entry.as_ref().map_or(0, |entry| entry.json.len());
                Word::Row(entry).write(out)?;
            }
            Ok(None) => return Ok(Last::End),
            Err(reason) => return Ok(Last::Damaged(format!("row {}: {reason}", line + 1))),
        }
    }
}

/// What the crate cannot read, as a text; a panic is one more way for it to say so.
fn caught<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(payload) => Err(payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "the reader gave up".into())),
    }
}

struct Columns {
    /// As JSON strings; `None`: the column gave way to a mapped one.
    keys: Vec<Option<String>>,
    shapes: Vec<Shape>,
    id: Option<usize>,
    id_name: String,
}

impl Columns {
    fn new(reader: &impl FileReader, options: &Options) -> Result<Self, InputError> {
        let schema = reader.metadata().file_metadata().schema();
        let fields = schema.get_fields();
        let mut seen = HashSet::new();
        if let Some(twice) = fields.iter().find(|field| !seen.insert(field.name())) {
            let name = shown(twice.name());
            return Err(InputError::BadHeader(format!("the column `{name}` comes twice: rename one of them")));
        }
        let mut shapes = Vec::new();
        for field in fields {
            shapes.push(Shape::of(field).map_err(|problem| {
                InputError::BadHeader(format!("the column `{}` cannot be read: {problem}", shown(field.name())))
            })?);
        }
        let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
        let Named { names, id, id_name } = Named::new(&names, options)?;
        let keys = names.into_iter().map(|name| name.map(json_string)).collect();
        Ok(Self { keys, shapes, id, id_name })
    }

    /// `room`: for that many bytes of JSON, to begin with.
    fn entry(&self, row: &Row, line: u64, room: usize) -> Result<Entry, BadRecord> {
        let (mut json, mut id) = (String::with_capacity(room), None);
        for (index, (_, field)) in row.get_column_iter().enumerate() {
            let (Some(key), Some(shape)) = (self.keys.get(index), self.shapes.get(index)) else { break };
            let Some(key) = key else { continue };
            json.push(if json.is_empty() { '{' } else { ',' });
            json.push_str(key);
            json.push(':');
            let start = json.len();
            write_value(&mut json, field, shape);
            if self.id == Some(index) {
                id = Some(json_lines::id(&json[start..]));
            }
        }
        json.push_str(if json.is_empty() { "{}" } else { "}" });
        let wrong = |message: String| bad(json.as_bytes(), message);
        if json.len() > LINE_BYTES_MAX {
            let length = json.len();
            return Err(wrong(format!(
                "row {line} has {length} bytes as JSON, and at most {LINE_BYTES_MAX} are read: split it, or leave out a column"
            )));
        }
        let id = id.transpose().map_err(|reason| {
            let name = shown(&self.id_name);
            wrong(format!("row {line}: the column `{name}` cannot be an id: {reason}; name another with --id-field"))
        })?;
        Ok(Entry::new(id, json))
    }
}
