//! What can go wrong with a store, split by what the caller does next.

use crate::domain::sanitize_line;
use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};

/// Of what a file holds, in a message: it may be anything, since the file may be damaged or somebody else's.
const FORMAT_BYTES_MAX: usize = 300;

/// A message says what happened, to which file, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("the job `{job}` is being run by process {pid}: wait for it, or stop it with `kill -INT {pid}`")]
    Locked { job: String, pid: String },
    #[error("there is no job `{job}` in {dir}{known}", dir = dir.display())]
    NotFound { job: String, dir: PathBuf, known: String },
    #[error("there is a job `{job}` already: choose another name, or take its file as one of the inputs")]
    Exists { job: String },
    #[error("{path} is not a Sandmill store, and is left as it is: choose another --job or --store", path = path.display())]
    NotAStore { path: PathBuf },
    #[error("{path} was written by a newer sandmill (format {found}, this one knows {known}): use that version", path = path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{path} is damaged ({detail}), and is left as it is: restore it from a backup, or start over with --fresh or another --job", path = path.display())]
    Corrupt { path: PathBuf, detail: String },
    #[error("{path} holds nothing yet: its first run ended before it began; run it again", path = path.display())]
    Blank { path: PathBuf },
    #[error("cannot write {path} ({detail}): make it writable, or choose another --store", path = path.display())]
    ReadOnly { path: PathBuf, detail: String },
    #[error("the disk that holds {path} is full: free some space and run the same command again; nothing that was acknowledged is lost", path = path.display())]
    DiskFull { path: PathBuf },
    #[error("another program has locked {path} ({detail}): close it there and run the same command again; nothing that was acknowledged is lost", path = path.display())]
    Busy { path: PathBuf, detail: String },
    #[error("{path} is on a network file system ({kind}), where SQLite's locks cannot be trusted: choose a local --store", path = path.display())]
    NetworkFilesystem { path: PathBuf, kind: &'static str },
    #[error(
        "`{name}` cannot be a job's name: use 1 to 100 letters, digits, dots, dashes and underscores, not starting with a dot or a dash"
    )]
    BadJobName { name: String },
    #[error("cannot use {path}: {detail}", path = path.display())]
    Io { path: PathBuf, detail: String },
    #[error("SQLite cannot use {path}: {detail}: look at it with `sandmill job verify`", path = path.display())]
    Sqlite { path: PathBuf, detail: String },
    #[error(
        "the store holds what this version cannot read ({}): use the version that wrote it, or look at it with `sandmill job verify`",
        sanitize_line(.0, FORMAT_BYTES_MAX)
    )]
    Format(String),
    #[error("{path} is there already, and is left as it is: choose another name, or remove it first", path = path.display())]
    FileExists { path: PathBuf },
    #[error(
        "the input of item `{item}` was dropped by `sandmill job prune`: give the job's `sandmill run … --input FILE` again, which reads it anew"
    )]
    Pruned { item: String },
    #[error("{path} is not obeyed: {reason}", path = path.display())]
    Control { path: PathBuf, reason: String },
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(super) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, detail) = (path.to_path_buf(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { path, detail },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path, detail },
            Some(ErrorCode::NotADatabase) => Self::NotAStore { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly { path, detail }
            }
            Some(_) | None => Self::Sqlite { path, detail },
        }
    }

    pub(super) fn io(path: &Path, error: &std::io::Error) -> Self {
        let (path, detail) = (path.to_path_buf(), error.to_string());
        match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { path, detail }
            }
            std::io::ErrorKind::StorageFull => Self::DiskFull { path },
            _ => Self::Io { path, detail: crate::domain::reason(error) },
        }
    }
}
