//! The one way to stdout and stderr. Whoever read them may have gone, as `head` does: then the rest is nobody's and is dropped, and
//! the command ends as it would have. What cannot be written for any other reason is remembered, and ends the program with an error.

use super::Failure;
use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use std::fmt;
use std::io::{ErrorKind, Result, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Somebody reads stdout no more.
static GONE: AtomicBool = AtomicBool::new(false);
/// Why stdout could not be written, the first time.
static TROUBLE: Mutex<Option<std::io::Error>> = Mutex::new(None);

/// A line on stdout.
macro_rules! outln {
    ($($arg:tt)*) => { $crate::cli::out::print(format_args!("{}\n", format_args!($($arg)*))) };
}

/// Text on stdout that brings its own ends of lines.
macro_rules! out {
    ($($arg:tt)*) => { $crate::cli::out::print(format_args!($($arg)*)) };
}

/// Text on stderr that brings its own ends of lines.
macro_rules! err {
    ($($arg:tt)*) => { $crate::cli::out::complain(format_args!($($arg)*)) };
}

/// A line on stderr.
macro_rules! errln {
    ($($arg:tt)*) => { $crate::cli::out::complain(format_args!("{}\n", format_args!($($arg)*))) };
}

pub(super) fn print(text: fmt::Arguments<'_>) {
    // What goes wrong is remembered by the writer.
    let _ = Stdout.write_fmt(text);
}

/// With colours where there is a terminal that wants them.
pub(super) fn print_styled(text: &str) {
    match AutoStream::choice(&std::io::stdout()) {
        ColorChoice::Never => print(format_args!("{}", strip_str(text))),
        _ => print(format_args!("{text}")),
    }
}

/// As [`print_styled`], on stderr.
pub(super) fn complain_styled(text: &str) {
    let _ = match AutoStream::choice(&std::io::stderr()) {
        ColorChoice::Never => write!(std::io::stderr().lock(), "{}", strip_str(text)),
        _ => write!(std::io::stderr().lock(), "{text}"),
    };
}

/// There is nobody to tell that stderr is gone.
pub(super) fn complain(text: fmt::Arguments<'_>) {
    let _ = std::io::stderr().lock().write_fmt(text);
}

/// Whether stdout could be written, or was left alone by its reader. To be asked once, at the end.
pub(super) fn finish() -> std::result::Result<(), Failure> {
    let _ = Stdout.flush();
    let trouble = TROUBLE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    trouble.map_or(Ok(()), |error| Err(Failure::internal(anyhow::Error::new(error).context("cannot write to stdout"))))
}

/// Stdout for whoever writes much. An error says that there is no use in going on; [`finish`] tells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if GONE.load(Ordering::Relaxed) {
            return Err(ErrorKind::BrokenPipe.into());
        }
        remember(std::io::stdout().lock().write(bytes))
    }

    fn flush(&mut self) -> Result<()> {
        if GONE.load(Ordering::Relaxed) { Ok(()) } else { remember(std::io::stdout().lock().flush()) }
    }
}

fn remember<T>(result: Result<T>) -> Result<T> {
    let Err(error) = result else { return result };
    if error.kind() == ErrorKind::Interrupted {
        return Err(error);
    }
    GONE.store(true, Ordering::Relaxed);
    if error.kind() != ErrorKind::BrokenPipe {
        let told = std::io::Error::new(error.kind(), error.to_string());
        TROUBLE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(told);
    }
    Err(error)
}
