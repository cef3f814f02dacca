//! The inputs of a merge: opened so that not a byte of them changes.

use crate::store::files::{self, JobName, Lock};
use crate::store::{StoreError, open};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// One input.
pub(super) struct Source {
    /// As it was named.
    pub(super) path: PathBuf,
    /// What SQLite attaches: the file itself, immutable, or a copy.
    pub(super) uri: String,
    /// Its place among the arguments.
    pub(super) argument: i64,
    /// When it was run last, or made if it never was.
    pub(super) last_run_ms: i64,
    pub(super) created_ms: i64,
    pub(super) seed: i64,
    pub(super) arguments: String,
    /// Nobody runs it meanwhile.
    _lock: Option<Lock>,
}

/// Copies go into `folder`.
pub(super) fn open_all(inputs: &[PathBuf], folder: &Path) -> Result<Vec<Source>, StoreError> {
    let mut seen = HashSet::new();
    let mut sources = Vec::new();
    for (argument, path) in (0..).zip(inputs) {
        let real = path.canonicalize().map_err(|error| StoreError::io(path, &error))?;
        if !seen.insert(real.clone()) {
            return Err(refused(path, "it is named twice: name each input once"));
        }
        sources.push(open(path, &real, argument, folder)?);
    }
    Ok(sources)
}

fn refused(path: &Path, detail: &str) -> StoreError {
    StoreError::Io { path: path.to_path_buf(), detail: detail.into() }
}

fn open(path: &Path, real: &Path, argument: i64, folder: &Path) -> Result<Source, StoreError> {
    if files::inspect(real)?.is_none() {
        return Err(refused(path, "it is empty: its first run ended before it began; leave it out"));
    }
    let lock = lock(real)?;
    let log = beside(real, "-wal");
    let is_log_empty = !log.metadata().is_ok_and(|meta| meta.len() > 0);
    let uri = if is_log_empty && format(real)? == open::FORMAT {
        format!("{}?immutable=1", uri(real))
    } else {
        let copy = folder.join(format!("input-{argument}.db"));
        let copied = std::fs::copy(real, &copy)
            .and_then(|_| if is_log_empty { Ok(0) } else { std::fs::copy(&log, beside(&copy, "-wal")) });
        copied.map_err(|error| StoreError::io(path, &error))?;
        drop(open::writer(&copy)?);
        uri(&copy)
    };
    read(path, uri, argument, lock)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Of a file that was brought from elsewhere there is none, and on a disk that is read-only nobody else can run it either.
fn lock(real: &Path) -> Result<Option<Lock>, StoreError> {
    let (Some(dir), Some(name)) = (real.parent(), real.file_stem().and_then(|stem| stem.to_str())) else {
        return Ok(None);
    };
    let Ok(job) = JobName::new(name) else { return Ok(None) };
    if !files::lock(dir, &job).exists() {
        return Ok(None);
    }
    match Lock::take(dir, &job) {
        Ok(lock) => Ok(Some(lock)),
        Err(StoreError::ReadOnly { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// From the header (`user_version`, <https://www.sqlite.org/fileformat.html>), so that SQLite need not make files beside it.
fn format(real: &Path) -> Result<i64, StoreError> {
    let mut header = [0; 64];
    File::open(real).and_then(|mut file| file.read_exact(&mut header)).map_err(|error| StoreError::io(real, &error))?;
    let found = i64::from(u32::from_be_bytes([header[60], header[61], header[62], header[63]]));
    if found > open::FORMAT {
        return Err(StoreError::Newer { path: real.to_path_buf(), found, known: open::FORMAT });
    }
    Ok(found)
}

/// Everything that means something in a URI is written as its number.
fn uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

fn read(path: &Path, uri: String, argument: i64, lock: Option<Lock>) -> Result<Source, StoreError> {
    let error = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&uri, flags).map_err(error)?;
    open::check_pages(&connection, path)?;
    let row = connection
        .query_row(
            "SELECT created_ms, seed, arguments, coalesce((SELECT max(started_ms) FROM run), created_ms) FROM job",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .optional()
        .map_err(error)?;
    let (created_ms, seed, arguments, last_run_ms) =
        row.ok_or_else(|| refused(path, "it holds nothing yet: its first run ended before it began; leave it out"))?;
    Ok(Source { path: path.to_path_buf(), uri, argument, last_run_ms, created_ms, seed, arguments, _lock: lock })
}
