//! Input: lines, CSV, Parquet, packed or not.

use super::memory::Counted;
use super::text::is_clean;
use sandmill::input::fuzzing::{csv_records, is_sound_json, parquet_words};
use sandmill::input::{Format, InputError, Options, Records, open};
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom, Write};

/// Records that are looked at; what swells makes more.
const RECORDS_MAX: usize = 2_000;
/// The heap that reading may take, in MiB: a line has at most 64, and stands there as read and as an item.
const LINE_MIB: usize = 300;

/// The first byte is the format, with the second bit for a mapping and the third for an id's field.
pub(crate) fn text(bytes: &[u8]) {
    let [kind, rest @ ..] = bytes else { return };
    let format = match (kind >> 3) & 3 {
        0 => Format::JsonLines,
        1 => Format::Csv,
        2 => Format::Lines,
        _ => Format::Parquet,
    };
    let options = options(format, *kind);
    let counted = Counted::start();
    check(open(Box::new(Cursor::new(rest.to_vec())), "in", &options));
    counted.check(LINE_MIB);
}

fn options(format: Format, kind: u8) -> Options {
    Options {
        format,
        id_field: (kind & 4 != 0).then(|| "key".to_owned()),
        map: if kind & 2 != 0 { vec![("text".into(), "a".into())] } else { Vec::new() },
    }
}

fn check(records: Result<Records, InputError>) {
    let records = match records {
        Ok(records) => records,
        Err(error) => return check_message(&error.to_string()),
    };
    let mut line = 0;
    for record in records.take(RECORDS_MAX) {
        match record {
            Ok(record) => {
                assert!(record.line > line, "each further than the last");
                line = record.line;
                match record.entry {
                    Ok(entry) => {
                        assert!(entry.json.starts_with('{') && is_sound_json(&entry.json), "{}", entry.json);
                        assert!(entry.id.is_none_or(|id| !id.as_str().is_empty()));
                    }
                    Err(bad) => {
                        assert!(bad.raw.len() <= 64 << 10);
                        check_message(&bad.message);
                    }
                }
            }
            Err(error) => check_message(&error.to_string()),
        }
    }
}

fn check_message(message: &str) {
    assert!(!message.is_empty() && is_clean(message), "{message:?}");
}

/// Our reader of records against the csv crate's; the first byte is how much is read at once.
pub(crate) fn csv(bytes: &[u8]) {
    let [capacity, rest @ ..] = bytes else { return };
    // Taken off before the reader by us, and by the crate's.
    let rest = rest.strip_prefix("\u{feff}".as_bytes()).unwrap_or(rest);
    if rest.starts_with("\u{feff}".as_bytes()) {
        return;
    }
    let of = |capacity: usize| {
        let reader = BufReader::with_capacity(capacity, Cursor::new(rest.to_vec()));
        csv_records(Box::new(reader), 1_000).expect("nothing fails in memory")
    };
    let read = of(usize::from(*capacity) + 1);
    assert_eq!(read, of(1 << 16), "whatever is read at once");
    assert!(read.records.windows(2).all(|two| two[0].0 < two[1].0), "lines go up");
    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(rest);
    let expected = reader.byte_records().map(|record| record.expect("nothing fails in memory"));
    let mut expected: Vec<Vec<Vec<u8>>> =
        expected.map(|record| record.iter().take(1_000).map(<[u8]>::to_vec).collect()).collect();
    if !read.is_whole {
        // The crate makes a record of what stands behind the quote that is not closed.
        expected.pop();
    }
    let fields: Vec<Vec<Vec<u8>>> = read.records.into_iter().map(|(_, fields)| fields).collect();
    assert_eq!(fields, expected);
}

/// What a process that decodes a Parquet file may say. The files themselves are tried by `tests/hostile`, through such a process: nothing
/// bounds what they make the crate take.
pub(crate) fn parquet(bytes: &[u8]) {
    let counted = Counted::start();
    check(parquet_words(bytes.to_vec()));
    counted.check(LINE_MIB);
}

/// A file of these bytes, always the same one.
pub(crate) fn with_file<T>(bytes: &[u8], read: impl FnOnce(&std::path::Path) -> T) -> T {
    thread_local! {
        static FILE: std::cell::RefCell<tempfile::NamedTempFile> =
            std::cell::RefCell::new(tempfile::NamedTempFile::new().expect("a place for files"));
    }
    FILE.with_borrow_mut(|file| {
        file.as_file().set_len(0).expect("room");
        file.seek(SeekFrom::Start(0)).expect("a file");
        file.write_all(bytes).expect("room");
        file.flush().expect("room");
        read(file.path())
    })
}

/// All that a file holds.
pub(crate) fn read_back(path: &std::path::Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("a file");
    bytes
}
