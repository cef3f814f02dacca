//! What the process that decodes says to the one that wants the rows: a line a word, and a last one.
//!
//! | line | means |
//! |---|---|
//! | `:` | the file has been opened and its columns can be read: rows follow |
//! | `+ID⇥OBJECT` | a row that is an item; ID is a JSON string, or nothing |
//! | `-MESSAGE⇥RAW` | a row that is none, and why: JSON strings |
//! | `.` | that were all |
//! | `#TEXT` | there is something wrong with the columns: a JSON string |
//! | `!REASON` | what follows cannot be read: a JSON string |
//!
//! Who reads them believes nothing: a child that has run wild can say anything.

use super::super::columns::json_string;
use super::super::{BadRecord, Entry, LINE_BYTES_MAX, bad, json_object};
use crate::domain::{ItemId, sanitize_line};
use std::io::{self, BufRead, ErrorKind, Read, Write};

/// The longest line: an object of the largest size with its id. What a row that is none says is far shorter.
const WORD_BYTES_MAX: u64 = LINE_BYTES_MAX as u64 + (64 << 10);
/// What is kept of a message about a row, and of one about columns, in bytes.
const MESSAGE_BYTES_MAX: usize = 1_000;
const HEADER_BYTES_MAX: usize = 4_000;
/// A buffer that has grown larger is given back.
const KEPT_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    Begin,
    Row(Result<Entry, BadRecord>),
    Last(Last),
}

/// Nothing follows on it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Last {
    End,
    Header(String),
    Damaged(String),
}

impl Word {
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Begin => out.write_all(b":\n"),
            Self::Row(Ok(entry)) => {
                let id = entry.id.as_ref().map(|id| json_string(id.as_str())).unwrap_or_default();
                for part in ["+", &id, "\t", &entry.json, "\n"] {
                    out.write_all(part.as_bytes())?;
                }
                Ok(())
            }
            Self::Row(Err(bad)) => {
                writeln!(out, "-{}\t{}", json_string(bad.message.as_str()), json_string(bad.raw.as_str()))
            }
            Self::Last(Last::End) => out.write_all(b".\n"),
            Self::Last(Last::Header(text)) => writeln!(out, "#{}", json_string(text.as_str())),
            Self::Last(Last::Damaged(reason)) => writeln!(out, "!{}", json_string(reason.as_str())),
        }
    }

    /// `None`: it is no word.
    fn read(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let (kind, rest) = line.split_at_checked(1)?;
        Some(match kind {
            ":" if rest.is_empty() => Self::Begin,
            "+" => {
                let (id, json) = rest.split_once('\t')?;
                let is_object =
                    json.starts_with('{') && json.len() <= LINE_BYTES_MAX && json_object::check(json).is_ok();
                let id = if id.is_empty() { None } else { Some(ItemId::new(&text(id)?).ok()?) };
                Self::Row(Ok(is_object.then(|| Entry::new(id, json.to_owned()))?))
            }
            "-" => {
                let (message, raw) = rest.split_once('\t')?;
                let message = clean(message, MESSAGE_BYTES_MAX)?;
                Self::Row(Err(bad(text(raw)?.as_bytes(), message)))
            }
            "." if rest.is_empty() => Self::Last(Last::End),
            "#" => Self::Last(Last::Header(clean(rest, HEADER_BYTES_MAX)?)),
            "!" => Self::Last(Last::Damaged(text(rest)?)),
            _ => return None,
        })
    }
}

fn text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// For a person, who is not told nothing.
fn clean(json: &str, bytes_max: usize) -> Option<String> {
    Some(sanitize_line(&text(json)?, bytes_max)).filter(|text| !text.trim().is_empty())
}

pub(super) fn nonsense() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "what was said makes no sense")
}

/// Reads them.
pub(super) struct Words<R> {
    reader: R,
    line: Vec<u8>,
}

impl<R: BufRead> Words<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, line: Vec::new() }
    }

    /// `None`: it ends, within a word or between two. The error: it cannot be read, or is none.
    pub(super) fn next(&mut self) -> io::Result<Option<Word>> {
        self.line.clear();
        if self.line.capacity() > KEPT_BYTES_MAX {
            self.line = Vec::new();
        }
        self.reader.by_ref().take(WORD_BYTES_MAX).read_until(b'\n', &mut self.line)?;
        match self.line.split_last() {
            Some((b'\n', line)) => Word::read(line).map(Some).ok_or_else(nonsense),
            Some(_) if self.line.len() as u64 >= WORD_BYTES_MAX => Err(nonsense()),
            Some(_) | None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(words: &[Word]) -> Vec<u8> {
        let mut out = Vec::new();
        for word in words {
            word.write(&mut out).unwrap();
        }
        out
    }

    fn all(said: &[u8]) -> Vec<io::Result<Option<Word>>> {
        let mut words = Words::new(said);
        std::iter::from_fn(|| Some(words.next())).take(10).collect()
    }

    proptest! {
        #[test]
        fn what_is_said_is_understood(id in prop::option::of("\\PC{1,30}"), texts in prop::collection::vec(".{1,40}", 4)) {
            let json = serde_json::json!({ texts[0].as_str(): texts[1] }).to_string();
            let id = id.map(|id| ItemId::new(&id).unwrap());
            let raw = format!("\t\n{}", texts[2]);
            let words = [
                Word::Begin,
                Word::Row(Ok(Entry::new(id, json))),
                Word::Row(Err(BadRecord { raw, message: "row 2: \"no\"".into() })),
                Word::Last(Last::Damaged(texts[3].clone())),
                Word::Last(Last::Header("a column".into())),
                Word::Last(Last::End),
            ];
            let said = written(&words);
            let read: Vec<Word> = all(&said).into_iter().map_while(Result::unwrap).collect();
            prop_assert_eq!(&read[..], &words[..]);
            // Wherever it is cut off, what is whole counts, and that there was no more shows.
            let cut = said.len() - 1;
            let before = all(&said[..cut]).into_iter().map_while(Result::unwrap).count();
            prop_assert_eq!(before, words.len() - 1);
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_word() {
        let control = "+\"\\u0007\"\t{}";
        let deep = format!("+\t{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for line in [
            "",
            ":x",
            ".x",
            "?",
            "+{}",
            "+\t[]",
            "+\t{",
            "+\t{} {}",
            "+x\t{}",
            "-\"\"\t\"\"",
            "#1",
            "!",
            control,
            &deep,
        ] {
            let error = all(format!("{line}\n").as_bytes()).remove(0).unwrap_err();
            assert_eq!(error.to_string(), nonsense().to_string(), "{line}");
        }
        assert!(all(b"!\"\xff\"\n").remove(0).is_err(), "not UTF-8");
    }

    #[test]
    fn a_word_without_an_end_is_not_read_for_ever() {
        let mut words = Words::new(io::BufReader::new(io::repeat(b'+')));
        assert_eq!(words.next().unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(words.line.len() as u64 <= WORD_BYTES_MAX);
    }
}
