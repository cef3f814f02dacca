//! Plain lines, and the bounded reading of lines that JSON Lines shares.

use super::{BadRecord, Entry, InputError, LINE_BYTES_MAX, RAW_BYTES_MAX, Record, Records, bad, unreadable};
use std::io::{BufRead, ErrorKind};

/// Each line that is not blank is an item `{"text": …}`.
pub(super) fn open(reader: Box<dyn BufRead + Send>, name: &str) -> Records {
    Box::new(LineReader::new(reader, name).map(|line| line.map(|line| line.record(|text| Ok(text_entry(text))))))
}

fn text_entry(text: &str) -> Entry {
    Entry::new(None, serde_json::json!({ "text": text }).to_string())
}

/// A line that is not blank, as it stood.
pub(super) struct Line {
    pub(super) number: u64,
    /// Without its end; only the start of one that is too long.
    bytes: Vec<u8>,
    length: usize,
}

impl Line {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn record(self, entry: impl FnOnce(&str) -> Result<Entry, BadRecord>) -> Record {
        let number = self.number;
        let entry = if self.length > LINE_BYTES_MAX {
            Err(bad(
                &self.bytes,
                format!(
                    "line {number} has {} bytes, and at most {LINE_BYTES_MAX} are read: split it, or leave it out",
                    self.length
                ),
            ))
        } else {
            match std::str::from_utf8(&self.bytes) {
                Ok(text) => entry(text),
                Err(error) => Err(bad(
                    &self.bytes,
                    format!(
                        "line {number} is not UTF-8 (byte {}): convert the file, for example with iconv",
                        error.valid_up_to() + 1
                    ),
                )),
            }
        };
        Record { line: number, entry }
    }
}

/// Reads lines without ever holding one that is too long.
pub(super) struct LineReader {
    reader: Box<dyn BufRead + Send>,
    name: String,
    number: u64,
    ended: bool,
}

impl LineReader {
    pub(super) fn new(reader: Box<dyn BufRead + Send>, name: &str) -> Self {
        Self { reader, name: name.into(), number: 0, ended: false }
    }

    /// `None` at the end.
    fn read_line(&mut self) -> std::io::Result<Option<Line>> {
        let (mut bytes, mut length) = (Vec::new(), 0);
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                break;
            }
            let newline = buffer.iter().position(|byte| *byte == b'\n');
            let part = &buffer[..newline.unwrap_or(buffer.len())];
            length += part.len();
            // Beyond the limit only the start is of use.
            let room = if length > LINE_BYTES_MAX { RAW_BYTES_MAX } else { LINE_BYTES_MAX };
            bytes.truncate(room);
            bytes.extend_from_slice(&part[..part.len().min(room - bytes.len())]);
            let taken = part.len() + usize::from(newline.is_some());
            self.reader.consume(taken);
            if newline.is_some() {
                self.number += 1;
                return Ok(Some(self.line(bytes, length)));
            }
        }
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(self.line(bytes, length)))
    }

    fn line(&self, mut bytes: Vec<u8>, length: usize) -> Line {
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        Line { number: self.number, bytes, length }
    }
}

impl Iterator for LineReader {
    type Item = Result<Line, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.read_line() {
                Ok(Some(line)) if line.bytes.iter().all(u8::is_ascii_whitespace) => {}
                Ok(Some(line)) => return Some(Ok(line)),
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(unreadable(&self.name, &error)));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::input::tests::{options, read};
    use crate::input::{Format, LINE_BYTES_MAX};

    #[test]
    fn each_line_is_an_item_and_blank_ones_are_none() {
        let records = read("\u{feff}a\r\n\n  \nb \"q\"".as_bytes(), &options(Format::Lines)).unwrap();
        let seen: Vec<(u64, String)> = records.into_iter().map(|r| (r.line, r.entry.unwrap().json)).collect();
        assert_eq!(seen, [(1, r#"{"text":"a"}"#.to_owned()), (4, r#"{"text":"b \"q\""}"#.to_owned())]);
    }

    #[test]
    fn a_line_beyond_all_bounds_is_no_item_and_the_next_one_is() {
        let mut bytes = vec![b'x'; LINE_BYTES_MAX + 1];
        bytes.extend_from_slice(b"\nok\n\xff\xfe\n");
        let records = read(&bytes, &options(Format::Lines)).unwrap();
        assert!(records[0].entry.as_ref().unwrap_err().message.contains("line 1 has"));
        assert!(records[1].entry.is_ok());
        assert!(records[2].entry.as_ref().unwrap_err().message.contains("not UTF-8"));
    }
}
