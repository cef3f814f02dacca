//! Writers of output: one file a format. Must not know: stores, items' states.

mod atomic;
mod csv;
mod json_lines;
mod object;
mod parquet;
mod table;

use std::io::Write;
use std::path::{Path, PathBuf};

pub use atomic::AtomicFile;
pub use csv::Columns;
pub use object::{fields, plain};
pub use table::{Cell, Kind, Lines, TableColumn, TableWriter, open_table};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    JsonLines,
    Csv,
    Parquet,
}

impl Format {
    pub const NAMES: [&str; 3] = ["jsonl", "csv", "parquet"];

    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "jsonl" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    pub fn from_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Tells the values of one item apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    Index(u64),
    Name(&'a str),
}

/// One emitted value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    pub id: &'a str,
    /// Where the item emits several.
    pub part: Option<Part<'a>>,
    /// JSON in one line.
    pub value: &'a str,
}

#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error("cannot write {path}: {reason}", path = path.display())]
    Unwritable { path: PathBuf, reason: String },
    /// Whoever read it has gone, as `head` does.
    #[error("the reader of the output has gone")]
    Gone,
}

impl OutputError {
    fn at(path: &Path, error: &std::io::Error) -> Self {
        let reason = match error.kind() {
            std::io::ErrorKind::BrokenPipe => return Self::Gone,
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                "the disk is full: free some space and run the same command again".into()
            }
            std::io::ErrorKind::NotADirectory => {
                "a file stands where its folder should be: choose another --output".into()
            }
            std::io::ErrorKind::NotFound => "its folder does not exist: make it, or choose another --output".into(),
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                format!("{error}: make it and its folder writable, or choose another --output")
            }
            std::io::ErrorKind::IsADirectory => "it is a folder: name a file".into(),
            _ => error.to_string(),
        };
        Self::Unwritable { path: path.to_path_buf(), reason }
    }
}

/// Takes rows, one after the other.
pub trait RowWriter {
    fn write(&mut self, row: &Row<'_>) -> Result<(), OutputError>;
    /// Hands over what is still buffered.
    fn finish(&mut self) -> Result<(), OutputError>;
}

/// `columns`: for CSV, collected beforehand over all rows. `name` stands in messages.
pub fn open<'a>(
    format: Format,
    sink: Box<dyn Write + Send + 'a>,
    name: &Path,
    columns: Columns,
) -> Result<Box<dyn RowWriter + 'a>, OutputError> {
    Ok(match format {
        Format::JsonLines => Box::new(json_lines::JsonLines::new(sink, name)),
        Format::Csv => Box::new(csv::Csv::new(sink, name, columns)),
        Format::Parquet => Box::new(parquet::Rows::new(sink, name)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Error, ErrorKind};

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(Error::from(self.0))
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Of every format, be the value so small that it is written at the end, or so large that it is at once.
    fn check(kind: ErrorKind, expected: &str) {
        let formats = [Format::JsonLines, Format::Csv, Format::Parquet];
        for (format, size) in formats.into_iter().flat_map(|format| [(format, 1), (format, 1 << 20)]) {
            let value = format!("\"{}\"", "x".repeat(size));
            let row = Row { id: "a", part: None, value: &value };
            let mut columns = Columns::default();
            columns.observe(&row);
            let written = open(format, Box::new(Failing(kind)), Path::new("out.x"), columns)
                .and_then(|mut writer| writer.write(&row).and_then(|()| writer.finish()));
            let error = written.unwrap_err();
            assert_eq!(error.to_string(), expected, "{format:?}, {size} bytes");
        }
    }

    #[test]
    fn an_error_names_the_file_and_the_way_out_and_a_reader_that_left_is_told_apart() {
        check(
            ErrorKind::StorageFull,
            "cannot write out.x: the disk is full: free some space and run the same command again",
        );
        check(
            ErrorKind::ReadOnlyFilesystem,
            "cannot write out.x: read-only filesystem or storage medium: make it and its folder writable, or choose another --output",
        );
        check(ErrorKind::BrokenPipe, "the reader of the output has gone");
    }
}
