//! CSV records out of bytes (RFC 4180), each bounded, with the line where it starts.
//!
//! The csv crate reads the same records (a property test holds this reader to it), but it has no bound: behind a quote
//! that is never closed it reads the rest of the file into one field without a word. Its line numbers, too, stand
//! still over blank lines and come late with CR LF. Must not know: columns, items.

use super::{LINE_BYTES_MAX, RAW_BYTES_MAX};
use std::io::{BufRead, ErrorKind};

/// One record; its buffers are used again for the next one.
#[derive(Debug, Default)]
pub(super) struct CsvRecord {
    /// Where it starts, from 1.
    pub(super) line: u64,
    /// How many fields it has, kept or not.
    pub(super) fields_count: usize,
    /// Its size as it stood. Beyond `LINE_BYTES_MAX` no fields are kept.
    pub(super) length: usize,
    /// The start of it, as it stood.
    pub(super) raw: Vec<u8>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl CsvRecord {
    /// The fields that were kept, without their quotes.
    pub(super) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        self.ends.iter().scan(0, |start, end| {
            let field = &self.bytes[*start..*end];
            *start = *end;
            Some(field)
        })
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.length > LINE_BYTES_MAX
    }

    fn clear(&mut self) {
        (self.line, self.fields_count, self.length) = (0, 0, 0);
        self.raw.clear();
        self.bytes.clear();
        self.ends.clear();
    }

    fn count(&mut self, byte: u8) {
        self.length += 1;
        if self.raw.len() < RAW_BYTES_MAX {
            self.raw.push(byte);
        }
        if self.length == LINE_BYTES_MAX + 1 {
            self.bytes = Vec::new();
            self.ends = Vec::new();
        }
    }

    fn push(&mut self, byte: u8) {
        if !self.is_too_long() {
            self.bytes.push(byte);
        }
    }

    fn end_field(&mut self, fields_max: usize) {
        self.fields_count += 1;
        if !self.is_too_long() && self.fields_count <= fields_max {
            self.ends.push(self.bytes.len());
        }
    }
}

/// What a call of [`CsvReader::read`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Record,
    End,
    /// The input ended inside quotes that were opened in this line.
    OpenQuote(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    /// A quote inside quotes: their end, or the first half of a doubled one.
    QuoteInQuoted,
}

pub(super) struct CsvReader {
    reader: Box<dyn BufRead + Send>,
    line: u64,
    /// The last byte was a CR that ended a line: an LF that follows belongs to it.
    after_cr: bool,
    quote_line: u64,
}

impl CsvReader {
    pub(super) fn new(reader: Box<dyn BufRead + Send>) -> Self {
        Self { reader, line: 1, after_cr: false, quote_line: 0 }
    }

    /// The next record that is not a blank line; of its fields at most `fields_max` are kept.
    pub(super) fn read(&mut self, record: &mut CsvRecord, fields_max: usize) -> std::io::Result<Step> {
        record.clear();
        let mut state = State::FieldStart;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                break;
            }
            let (mut used, mut ended) = (0, false);
            for &byte in buffer {
                used += 1;
                let is_end = matches!(byte, b'\r' | b'\n') && state != State::Quoted;
                if is_end || byte == b'\n' {
                    self.line += u64::from(!(byte == b'\n' && self.after_cr));
                }
                self.after_cr = byte == b'\r' && is_end;
                if is_end && record.length == 0 {
                    continue;
                }
                if is_end {
                    ended = true;
                    break;
                }
                if record.length == 0 {
                    record.line = self.line;
                }
                record.count(byte);
                let next = step(state, byte, record, fields_max);
                if next == State::Quoted && state == State::FieldStart {
                    self.quote_line = self.line;
                }
                state = next;
            }
            self.reader.consume(used);
            if ended {
                record.end_field(fields_max);
                return Ok(Step::Record);
            }
        }
        Ok(match (record.length, state) {
            (0, _) => Step::End,
            (_, State::Quoted) => Step::OpenQuote(self.quote_line),
            (_, State::FieldStart | State::Plain | State::QuoteInQuoted) => {
                record.end_field(fields_max);
                Step::Record
            }
        })
    }
}

/// A byte that does not end the record.
fn step(state: State, byte: u8, record: &mut CsvRecord, fields_max: usize) -> State {
    match (state, byte) {
        (State::FieldStart, b'"') => State::Quoted,
        (State::Quoted, b'"') => State::QuoteInQuoted,
        (State::QuoteInQuoted, b'"') | (State::Quoted, _) => {
            record.push(byte);
            State::Quoted
        }
        (State::FieldStart | State::Plain | State::QuoteInQuoted, b',') => {
            record.end_field(fields_max);
            State::FieldStart
        }
        // A quote inside a field without quotes, and text behind closed ones, are taken as they stand.
        (State::FieldStart | State::Plain | State::QuoteInQuoted, _) => {
            record.push(byte);
            State::Plain
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{BufReader, Cursor, Read};

    type Seen = Vec<(u64, Vec<Vec<u8>>)>;

    fn read(bytes: &[u8], capacity: usize) -> (Seen, Step) {
        let source = BufReader::with_capacity(capacity, Cursor::new(bytes.to_vec()));
        let mut reader = CsvReader::new(Box::new(source));
        let (mut record, mut seen) = (CsvRecord::default(), Vec::new());
        loop {
            match reader.read(&mut record, 100).unwrap() {
                Step::Record => seen.push((record.line, record.fields().map(<[u8]>::to_vec).collect())),
                end => return (seen, end),
            }
        }
    }

    fn check_lines(text: &str, expected: &[u64]) {
        let lines: Vec<u64> = read(text.as_bytes(), 64).0.into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, expected, "{text:?}");
    }

    #[test]
    fn a_record_is_named_by_the_line_where_it_starts() {
        check_lines("a\nb\nc", &[1, 2, 3]);
        check_lines("a\r\nb\r\nc\r\n", &[1, 2, 3]);
        check_lines("a\rb\rc\r", &[1, 2, 3]);
        check_lines("a\n\n\nb\r\n\r\nc\n", &[1, 4, 6]);
        check_lines("\n\n\"a\nb\r\nc\",d\r\ne", &[3, 6]);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_told_with_its_line() {
        let (seen, end) = read(b"a,b\n1,\"x\ny\"\n2,\"z\n3,4\n", 5);
        assert_eq!((seen.len(), end), (2, Step::OpenQuote(4)));
    }

    #[test]
    fn a_record_beyond_all_bounds_is_read_over_without_being_held() {
        let long = std::io::repeat(b'x').take(LINE_BYTES_MAX as u64);
        let source = Cursor::new(b"a,\"").chain(long).chain(Cursor::new(b"\ny\",z\nb,c\n"));
        let mut reader = CsvReader::new(Box::new(BufReader::with_capacity(1 << 20, source)));
        let mut record = CsvRecord::default();
        assert_eq!(reader.read(&mut record, 9).unwrap(), Step::Record);
        assert!(record.is_too_long() && record.raw.len() == RAW_BYTES_MAX && record.bytes.capacity() == 0);
        assert_eq!(reader.read(&mut record, 9).unwrap(), Step::Record);
        assert_eq!((record.line, record.fields().collect::<Vec<_>>()), (3, vec![&b"b"[..], b"c"]));
    }

    #[test]
    fn fields_beyond_the_columns_are_counted_and_not_kept() {
        let mut reader = CsvReader::new(Box::new(Cursor::new(vec![b','; 10_000])));
        let mut record = CsvRecord::default();
        reader.read(&mut record, 3).unwrap();
        assert_eq!((record.fields_count, record.fields().count()), (10_001, 3));
    }

    proptest! {
        #[test]
        fn the_csv_crate_reads_the_same_records(text in "[a,\"\\r\\n \u{e4}]{0,40}", capacity in 1_usize..9) {
            let (seen, end) = read(text.as_bytes(), capacity);
            prop_assert_eq!(&(seen.clone(), end), &read(text.as_bytes(), 64));
            let mut oracle = ::csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(text.as_bytes());
            let mut expected: Vec<Vec<Vec<u8>>> = oracle
                .byte_records()
                .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect())
                .collect();
            if let Step::OpenQuote(_) = end {
                // The crate makes a record of the rest.
                expected.pop();
            }
            let fields: Vec<_> = seen.into_iter().map(|(_, fields)| fields).collect();
            prop_assert_eq!(fields, expected);
        }
    }
}
