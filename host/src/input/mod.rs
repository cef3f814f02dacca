//! Readers of input: one file a format, all streaming, none ever holding the whole input.
//!
//! A line that is no item is told as such and the others go on; what makes the whole input unreadable is an error. Must not know:
//! stores, plugins.

mod csv;
mod json_lines;
mod lines;
mod source;

use crate::domain::ItemId;
use std::io::BufRead;
use std::path::Path;

pub use source::{open_source, spool};

/// The longest line that is read, in bytes; a longer one is no item.
const LINE_BYTES_MAX: usize = 64 << 20;
/// What is kept of a line that is no item, in bytes.
const RAW_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// RFC 4180, with a header.
    Csv,
    /// Each line is an item `{"text": …}`.
    Lines,
}

impl Format {
    pub const NAMES: [&str; 3] = ["jsonl", "csv", "lines"];

    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "jsonl" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            "lines" => Some(Self::Lines),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::Csv => "csv",
            Self::Lines => "lines",
        }
    }

    pub fn from_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            "txt" | "lines" => Some(Self::Lines),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub format: Format,
    /// The field that holds the id; `None`: `id`, where a record has one.
    pub id_field: Option<String>,
    /// (field of the item, field of the record): the record's field is renamed.
    pub map: Vec<(String, String)>,
}

/// One record of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it starts, from 1.
    pub line: u64,
    pub entry: Result<Entry, BadRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `None`: it brings none.
    pub id: Option<ItemId>,
    /// A JSON object.
    pub json: String,
}

/// A record that is no item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// The start of it.
    pub raw: String,
    /// What is wrong, where, and the way out.
    pub message: String,
}

/// An input that cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error("cannot read {name}: {reason}")]
    Unreadable { name: String, reason: String },
    #[error("{0}")]
    BadHeader(String),
    #[error("the input is {what}: {way_out}")]
    WrongFormat { what: &'static str, way_out: &'static str },
}

/// Records, in the order of the input.
pub type Records = Box<dyn Iterator<Item = Result<Record, InputError>> + Send>;

/// Reads `reader`, called `name` in messages.
pub fn open(mut reader: Box<dyn BufRead + Send>, name: &str, options: &Options) -> Result<Records, InputError> {
    let unreadable = |error: std::io::Error| InputError::Unreadable { name: name.into(), reason: error.to_string() };
    let start = reader.fill_buf().map_err(unreadable)?;
    refuse_compressed(start)?;
    if start.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    match options.format {
        Format::JsonLines => json_lines::open(reader, name, options),
        Format::Csv => csv::open(reader, name, options),
        Format::Lines => Ok(lines::open(reader, name)),
    }
}

fn refuse_compressed(start: &[u8]) -> Result<(), InputError> {
    let (what, way_out) = match start {
        [0x1f, 0x8b, ..] => (
            "compressed with gzip",
            "decompress it first: gzip -dc FILE | sandmill run … --input - --input-format jsonl",
        ),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => (
            "compressed with zstd",
            "decompress it first: zstd -dc FILE | sandmill run … --input - --input-format jsonl",
        ),
        [b'P', b'A', b'R', b'1', ..] => ("a Parquet file", "export it as JSON Lines or CSV first"),
        [b'P', b'K', 3, 4, ..] => ("a ZIP archive or a spreadsheet", "unpack it, or save the sheet as CSV"),
        _ => return Ok(()),
    };
    Err(InputError::WrongFormat { what, way_out })
}

fn bad(raw: &[u8], message: String) -> BadRecord {
    let kept = &raw[..raw.len().min(RAW_BYTES_MAX)];
    BadRecord { raw: String::from_utf8_lossy(kept).into_owned(), message }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    pub(in crate::input) fn read(bytes: &[u8], options: &Options) -> Result<Vec<Record>, InputError> {
        open(Box::new(Cursor::new(bytes.to_vec())), "test", options)?.collect()
    }

    pub(in crate::input) fn options(format: Format) -> Options {
        Options { format, id_field: None, map: Vec::new() }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(bytes: Vec<u8>, kind in 0_usize..3) {
            let format = [Format::JsonLines, Format::Csv, Format::Lines][kind];
            if let Ok(records) = read(&bytes, &options(format)) {
                for record in records {
                    if let Ok(entry) = record.entry {
                        prop_assert!(serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&entry.json).is_ok());
                    }
                }
            }
        }
    }

    #[test]
    fn a_compressed_file_is_told_from_a_broken_one() {
        let Err(error) = read(&[0x1f, 0x8b, 8, 0], &options(Format::JsonLines)) else { panic!("accepted") };
        assert!(error.to_string().contains("gzip -dc"));
    }
}
