//! Readers of input: one file a format, all streaming, none ever holding the whole input.
//!
//! A line that is no item is told as such and the others go on; what makes the whole input unreadable is an error. Must not know:
//! stores, plugins.

mod columns;
mod csv;
mod csv_records;
mod files;
mod files_walk;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod json_lines;
mod json_object;
mod lines;
mod mark;
mod mime;
mod packed;
mod parquet;
mod source;

use crate::domain::{BlobFile, ItemId, sanitize_line};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

pub use files::covers;
pub use json_lines::{from_line, with_map};
pub use mark::{digest, stamp};
pub use mime::mime_type;
pub use parquet::{Decoder, work};
pub use source::{open_source, spool};

/// The longest line that is read, in bytes; a longer one is no item.
const LINE_BYTES_MAX: usize = 64 << 20;
/// What is kept of a line that is no item, in bytes.
const RAW_BYTES_MAX: usize = 64 << 10;
/// What is shown of a name in a message, in bytes, and how many names.
const NAME_BYTES_MAX: usize = 100;
const NAMES_MAX: usize = 20;
/// What is looked at to tell what a file is, in bytes.
const HEAD_BYTES: u64 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// RFC 4180, with a header.
    Csv,
    /// Each line is an item `{"text": …}`.
    Lines,
    /// Each row is an item.
    Parquet,
    /// A folder or a pattern: each file is an item, its bytes a blob.
    Files,
}

impl Format {
    pub const NAMES: [&str; 5] = ["jsonl", "csv", "lines", "parquet", "files"];

    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "jsonl" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            "lines" => Some(Self::Lines),
            "parquet" => Some(Self::Parquet),
            "files" => Some(Self::Files),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::Csv => "csv",
            Self::Lines => "lines",
            Self::Parquet => "parquet",
            Self::Files => "files",
        }
    }

    /// By what is there: a folder or a pattern, else by the extension, before one of compression if there is one.
    pub fn detect(path: &Path) -> Option<Self> {
        if files::is_folder_or_pattern(path) {
            return Some(Self::Files);
        }
        Self::from_extension(path)
    }

    pub fn from_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            "txt" | "lines" => Some(Self::Lines),
            "parquet" | "pq" => Some(Self::Parquet),
            "gz" | "zst" | "zstd" => Self::from_extension(Path::new(path.file_stem()?)),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub format: Format,
    /// The field that holds the id; `None`: `id`, where a record has one.
    pub id_field: Option<String>,
    /// (field of the item, field of the record): the record's field is renamed, all at once, and one that has the new
    /// name already gives way. `id_field` is a name that holds after that.
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
    /// Absolute paths; empty but where files are the items.
    pub files: Vec<BlobFile>,
}

impl Entry {
    pub fn new(id: Option<ItemId>, json: String) -> Self {
        Self { id, json, files: Vec::new() }
    }
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
    /// The options contradict themselves, whatever the input.
    #[error("{0}")]
    BadOptions(String),
    #[error("the input is {what}: {way_out}")]
    WrongFormat { what: &'static str, way_out: String },
}

/// Records, in the order of the input.
pub type Records = Box<dyn Iterator<Item = Result<Record, InputError>> + Send>;

/// Reads what is at `path`: a file, a folder, or the files of a pattern. `decoder`: where Parquet is decoded, which is never here.
pub fn open_path(path: &Path, options: &Options, decoder: &Decoder) -> Result<Records, InputError> {
    match options.format {
        Format::JsonLines | Format::Csv | Format::Lines => {
            open(open_source(path)?, &path.display().to_string(), options)
        }
        Format::Parquet => {
            check_map(&options.map)?;
            parquet::open(path, options, decoder)
        }
        Format::Files => files::open(path, options),
    }
}

/// Reads `reader`, called `name` in messages; what is packed with gzip or zstd is unpacked.
pub fn open(reader: Box<dyn BufRead + Send>, name: &str, options: &Options) -> Result<Records, InputError> {
    check_map(&options.map)?;
    let (mut head, mut reader) = with_head(reader, name)?;
    if let Some(packing) = packed::Packing::of(&head) {
        let packed = Box::new(Cursor::new(head).chain(reader));
        let unpacked = packing.unpack(packed).map_err(|error| unreadable(name, &error))?;
        (head, reader) = with_head(Box::new(BufReader::with_capacity(source::BUFFER, unpacked)), name)?;
    }
    refuse_foreign(&head, options.format)?;
    if head.starts_with(b"\xef\xbb\xbf") {
        head.drain(..3);
    }
    let reader = Box::new(Cursor::new(head).chain(reader));
    match options.format {
        Format::JsonLines => json_lines::open(reader, name, options),
        Format::Csv => csv::open(reader, name, options),
        Format::Lines if options.map.is_empty() && options.id_field.is_none() => Ok(lines::open(reader, name)),
        Format::Lines => Err(InputError::BadOptions(
            "plain lines have no fields for --map and --id-field: leave them out, or convert the input to jsonl or csv"
                .into(),
        )),
        Format::Parquet | Format::Files => Err(InputError::BadOptions(format!(
            "{name}: {} is not read from a stream: name the path itself with --input",
            options.format.name()
        ))),
    }
}

type Reader = Box<dyn BufRead + Send>;

/// Takes off the first bytes.
fn with_head(mut reader: Reader, name: &str) -> Result<(Vec<u8>, Reader), InputError> {
    let mut head = Vec::new();
    reader.by_ref().take(HEAD_BYTES).read_to_end(&mut head).map_err(|error| unreadable(name, &error))?;
    Ok((head, reader))
}

/// That the renamings do not contradict each other.
pub fn check_map(map: &[(String, String)]) -> Result<(), InputError> {
    let (mut targets, mut sources) = (HashSet::new(), HashSet::new());
    for (to, from) in map {
        let problem = if to.is_empty() || from.is_empty() {
            "has a side without a name: write --map FIELD=COLUMN"
        } else if !targets.insert(to) {
            "fills a field that another one fills: leave one of them out"
        } else if !sources.insert(from) {
            "takes a column that another one takes, and a column can have one new name: leave one of them out"
        } else {
            continue;
        };
        return Err(InputError::BadOptions(format!("--map {}={} {problem}", shown(to), shown(from))));
    }
    Ok(())
}

/// What would be a bad record a line, or one for the whole file, is told from broken input.
fn refuse_foreign(head: &[u8], format: Format) -> Result<(), InputError> {
    let pipe = |command: &str| {
        let format = format.name();
        format!("{command} FILE | sandmill run … --input - --input-format {format}")
    };
    let (what, way_out) = match head {
        _ if packed::Packing::of(head).is_some() => {
            ("compressed twice", format!("decompress it once: {}", pipe("gzip -dc")))
        }
        // A text may begin with the same letters; a Parquet file goes on with a byte that no text has.
        [b'P', b'A', b'R', b'1', 0..=8 | 0x0e..=0x1f, ..] => (
            "a Parquet file",
            "add --input-format parquet (decompress the file first if it is compressed as a whole)".into(),
        ),
        [b'P', b'K', 3, 4, ..] => ("a ZIP archive or a spreadsheet", "unpack it, or save the sheet as CSV".into()),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            ("UTF-16", format!("convert it first: {}", pipe("iconv -f UTF-16 -t UTF-8")))
        }
        _ => return Ok(()),
    };
    Err(InputError::WrongFormat { what, way_out })
}

fn unreadable(name: &str, error: &std::io::Error) -> InputError {
    InputError::Unreadable { name: name.into(), reason: error.to_string() }
}

fn bad(raw: &[u8], message: String) -> BadRecord {
    let mut kept = String::from_utf8_lossy(&raw[..raw.len().min(RAW_BYTES_MAX)]).into_owned();
    // A byte that is not UTF-8 became three.
    kept.truncate(kept.floor_char_boundary(RAW_BYTES_MAX));
    BadRecord { raw: kept, message }
}

/// A name from the input, fit for a message.
fn shown(name: &str) -> String {
    sanitize_line(name, NAME_BYTES_MAX)
}

fn listing<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut listed: Vec<String> = names.take(NAMES_MAX + 1).map(|name| format!("`{}`", shown(name))).collect();
    if listed.len() > NAMES_MAX {
        listed[NAMES_MAX] = "…".into();
    }
    listed.join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    pub(in crate::input) fn read(bytes: &[u8], options: &Options) -> Result<Vec<Record>, InputError> {
        open(Box::new(Cursor::new(bytes.to_vec())), "test", options)?.collect()
    }

    /// Where no Parquet is read.
    pub(in crate::input) fn no_decoder() -> Decoder {
        Decoder::new("/nowhere".into(), 0)
    }

    pub(in crate::input) fn options(format: Format) -> Options {
        Options { format, id_field: None, map: Vec::new() }
    }

    fn check_bytes(bytes: &[u8], options: &Options) {
        for record in read(bytes, options).into_iter().flatten() {
            match record.entry {
                Ok(entry) => {
                    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&entry.json).unwrap();
                }
                Err(bad) => assert!(bad.raw.len() <= RAW_BYTES_MAX && !bad.message.is_empty()),
            }
        }
    }

    fn any_options() -> impl Strategy<Value = Options> {
        let format = prop::sample::select(vec![Format::JsonLines, Format::Csv, Format::Lines, Format::Parquet]);
        let map = prop::collection::vec(("[ab]", "[ab]"), 0..2);
        (format, prop::option::of("[ab]"), map).prop_map(|(format, id_field, map)| Options { format, id_field, map })
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic_and_every_item_is_an_object(bytes: Vec<u8>, options in any_options()) {
            check_bytes(&bytes, &options);
        }

        #[test]
        fn nor_do_bytes_that_look_like_the_formats(
            text in "[ab\"\\{}:,\\[\\]\\\\u0d\\r\\n\u{feff}\u{0}]{0,60}",
            options in any_options(),
        ) {
            check_bytes(text.as_bytes(), &options);
        }
    }

    fn check_refused(bytes: &[u8], format: Format, part: &str) {
        match read(bytes, &options(format)) {
            Err(error @ InputError::WrongFormat { .. }) => assert!(error.to_string().contains(part), "{error}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_of_another_kind_is_told_from_a_broken_one() {
        check_refused(
            &packed::tests::gzip(&packed::tests::gzip(b"{}")),
            Format::JsonLines,
            "gzip -dc FILE | sandmill run … --input - --input-format jsonl",
        );
        check_refused(b"PAR1\x15\x04", Format::Csv, "--input-format parquet");
        check_refused(b"\xff\xfei\0d\0", Format::Csv, "iconv -f UTF-16");
        assert_eq!(read(b"PAR1 lamp\n", &options(Format::Lines)).unwrap().len(), 1);
    }

    #[test]
    fn a_byte_order_mark_is_dropped_however_few_bytes_come_at_once() {
        let trickle = std::io::BufReader::with_capacity(1, Cursor::new("\u{feff}{\"id\":1}".as_bytes()));
        let mut records = open(Box::new(trickle), "test", &options(Format::JsonLines)).unwrap();
        assert_eq!(records.next().unwrap().unwrap().entry.unwrap().json, "{\"id\":1}");
    }

    #[test]
    fn a_format_is_told_by_the_name_under_that_of_compression() {
        let of = |name: &str| Format::from_extension(Path::new(name));
        assert_eq!(of("a/b.jsonl.gz"), Some(Format::JsonLines));
        assert_eq!(of("b.CSV.ZST"), Some(Format::Csv));
        assert_eq!(of("b.parquet"), Some(Format::Parquet));
        assert_eq!((of("b.gz"), of("b")), (None, None));
    }

    #[test]
    fn nothing_in_nothing_out() {
        for format in [Format::JsonLines, Format::Csv, Format::Lines] {
            assert!(read(b"", &options(format)).unwrap().is_empty());
            assert!(read("\u{feff}\r\n\n".as_bytes(), &options(format)).unwrap().is_empty());
        }
    }

    #[test]
    fn a_bad_record_keeps_a_bounded_start() {
        let records = read(&vec![0xc0; 2 * RAW_BYTES_MAX], &options(Format::Lines)).unwrap();
        let raw = &records[0].entry.as_ref().unwrap_err().raw;
        assert!(raw.len() <= RAW_BYTES_MAX && raw.len() > RAW_BYTES_MAX - 4);
    }

    fn check_map_refused(map: &[(&str, &str)], part: &str) {
        let map = map.iter().map(|(to, from)| ((*to).into(), (*from).into())).collect();
        match read(b"{}", &Options { map, ..options(Format::JsonLines) }) {
            Err(InputError::BadOptions(message)) => assert!(message.contains(part), "{message}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_map_that_contradicts_itself_is_refused() {
        check_map_refused(&[("a", "x"), ("a", "y")], "--map a=y fills a field that another one fills");
        check_map_refused(&[("a", "x"), ("b", "x")], "one new name");
        check_map_refused(&[("a", "")], "--map FIELD=COLUMN");
    }

    /// Gives some bytes, then an error.
    struct Broken(Option<&'static [u8]>);

    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some(bytes) = self.0.take() else { return Err(std::io::Error::other("the disk is gone")) };
            buffer[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    #[test]
    fn a_file_that_breaks_off_gives_what_came_then_one_error_then_nothing() {
        for (format, bytes) in [
            (Format::JsonLines, &b"{\"a\":\"long enough\"}\n{\"b"[..]),
            (Format::Csv, b"a,long\n1,2\n3"),
            (Format::Lines, b"a long line\nb"),
        ] {
            let reader = Box::new(std::io::BufReader::new(Broken(Some(bytes))));
            let mut records = open(reader, "in.x", &options(format)).unwrap();
            assert!(records.next().unwrap().unwrap().entry.is_ok());
            let error = records.next().unwrap().unwrap_err();
            assert_eq!(error.to_string(), "cannot read in.x: the disk is gone");
            assert!(records.next().is_none());
        }
    }
}
