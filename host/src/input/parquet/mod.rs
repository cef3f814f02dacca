//! Parquet: each row an object, decoded page by page in a process of its own.
//!
//! The `parquet` crate takes as much memory as a file says that it needs, which ends a process that has not got it, and panics on some
//! files. Therefore the program's own process never decodes: `decode` is all that knows the crate, and runs in a child (`worker`) that
//! tells what it reads word by word (`words`); an order of the rows and an end of them are part of that, so that a child that dies is
//! never taken for a shorter file.

mod decode;
mod json;
mod words;
mod worker;

pub use worker::{Decoder, work};

use super::{InputError, Options, Record, Records, open_source};
use std::fs::File;
use std::io::BufRead;
use std::path::Path;
use words::{Last, Word, Words};

pub(super) fn open(path: &Path, options: &Options, decoder: &Decoder) -> Result<Records, InputError> {
    // For its errors: what is no file is told as for every format.
    open_source(path)?;
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| super::unreadable(&name, &error))?;
    let (words, mut child) = decoder.start(file, &name, options)?;
    // Whoever reads no further drops the child with this, which ends it.
    records(words, name.clone(), move |problem| child.why_no_more(&name, problem))
}

/// Rows out of words. `why_no_more`: what a stream of them that ends without a last one, or in an error, means.
fn records<R: BufRead + Send + 'static>(
    mut words: Words<R>,
    name: String,
    mut why_no_more: impl FnMut(Option<std::io::Error>) -> InputError + Send + 'static,
) -> Result<Records, InputError> {
    match words.next() {
        Ok(Some(Word::Begin)) => {}
        Ok(Some(Word::Last(last))) => last.problem(&name).map_or(Ok(()), Err)?,
        Ok(Some(Word::Row(_))) => return Err(why_no_more(Some(words::nonsense()))),
        Ok(None) => return Err(why_no_more(None)),
        Err(error) => return Err(why_no_more(Some(error))),
    }
    let mut line = 0;
    let mut open = Some((words, why_no_more));
    Ok(Box::new(std::iter::from_fn(move || {
        let (words, why_no_more) = open.as_mut()?;
        let ended = match words.next() {
            Ok(Some(Word::Row(entry))) => {
                line += 1;
                return Some(Ok(Record { line, entry }));
            }
            Ok(Some(Word::Last(last))) => last.problem(&name),
            Ok(Some(Word::Begin)) => Some(why_no_more(Some(words::nonsense()))),
            Ok(None) => Some(why_no_more(None)),
            Err(error) => Some(why_no_more(Some(error))),
        };
        open = None;
        ended.map(Err)
    })))
}

impl Last {
    /// `None`: all rows have come.
    fn problem(self, name: &str) -> Option<InputError> {
        match self {
            Self::End => None,
            Self::Header(text) => Some(InputError::BadHeader(text)),
            Self::Damaged(reason) => Some(damaged(name, &reason)),
        }
    }
}

fn damaged(name: &str, reason: &str) -> InputError {
    let reason = crate::domain::sanitize_line(reason, 300);
    let reason = format!("it is no Parquet file, cut off or damaged ({reason}): fetch it again, or write it anew");
    InputError::Unreadable { name: name.into(), reason }
}

/// Both halves in this process, for files that a test wrote itself: nothing bounds what the first one takes.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn open_here(path: &Path, options: &Options) -> Result<Records, InputError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| super::unreadable(&name, &error))?;
    let mut said = Vec::new();
    decode::decode(file, options, &mut said).map_err(|error| super::unreadable(&name, &error))?;
    open_words(said, name)
}

/// The parent's half alone, of what a child may have said.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn open_words(said: Vec<u8>, name: String) -> Result<Records, InputError> {
    let words = Words::new(std::io::Cursor::new(said));
    records(words, name.clone(), move |problem| {
        damaged(&name, &problem.map_or_else(|| "it breaks off".to_owned(), |problem| problem.to_string()))
    })
}

#[cfg(test)]
mod tests;
