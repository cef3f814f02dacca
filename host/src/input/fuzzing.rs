//! What the fuzz targets reach of this module: the reader of CSV records, what is taken for JSON, and what a process that decodes Parquet
//! says. Part of no build but theirs (`tests/fuzz`).

use super::csv_records::{CsvReader, CsvRecord, Step};
use super::{InputError, Options, Records, json_object, parquet};
use std::io::BufRead;
use std::path::Path;

/// What a CSV reader makes of bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CsvRead {
    /// Lines where records start, and their fields.
    pub records: Vec<(u64, Vec<Vec<u8>>)>,
    /// Whether the last quote was closed.
    pub is_whole: bool,
}

/// Of each record at most `fields_max` fields.
pub fn csv_records(reader: Box<dyn BufRead + Send>, fields_max: usize) -> std::io::Result<CsvRead> {
    let (mut reader, mut record, mut read) = (CsvReader::new(reader), CsvRecord::default(), CsvRead::default());
    loop {
        match reader.read(&mut record, fields_max)? {
            Step::Record => read.records.push((record.line, record.fields().map(<[u8]>::to_vec).collect())),
            Step::End => return Ok(CsvRead { is_whole: true, ..read }),
            Step::OpenQuote(_) => return Ok(read),
        }
    }
}

/// Whether a text may be an item's JSON.
pub fn is_sound_json(text: &str) -> bool {
    json_object::check(text).is_ok()
}

/// The rows that a process that decodes a Parquet file has told of, if these are its words.
pub fn parquet_words(said: Vec<u8>) -> Result<Records, InputError> {
    parquet::open_words(said, "in".into())
}

/// A Parquet file that is our own, decoded in this process.
pub fn parquet_here(path: &Path, options: &Options) -> Result<Records, InputError> {
    parquet::open_here(path, options)
}
