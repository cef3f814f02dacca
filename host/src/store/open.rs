//! Opening a store: checked first, then migrated, never overwritten.

use super::StoreError;
use super::files::{self, APPLICATION_ID};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Numbered, frozen once released; the format is their count.
const MIGRATIONS: [&str; 4] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
];
/// Files up to this size are checked page by page at the start.
const QUICK_CHECK_BYTES: u64 = 64 << 20;
/// How long a reader waits for a lock that a checkpoint holds.
const BUSY: Duration = Duration::from_secs(10);
/// Page cache of a connection, in KiB.
pub(super) const CACHE_KIB: i64 = 16_384;

#[expect(clippy::cast_possible_wrap, reason = "a handful")]
pub(super) const FORMAT: i64 = MIGRATIONS.len() as i64;

/// The one connection that writes.
pub(super) fn writer(path: &Path) -> Result<Connection, StoreError> {
    if files::inspect(path)?.is_none() {
        files::create_whole(path, |new| create(new, path))?;
    }
    let error = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    if !is_blank(&connection, path)? {
        check_format(&connection, path)?;
        check_pages(&connection, path)?;
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(error)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(error)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(error)?;
    // About 64 MiB of log before it is folded into the file, rather than 4. Where there is a `Fold`, that takes over.
    connection.pragma_update(None, "wal_autocheckpoint", 16_384).map_err(error)?;
    connection.pragma_update(None, "journal_size_limit", 128 << 20).map_err(error)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// The tables, in the one file. Errors name `path`, which it will be.
fn create(new: &Path, path: &Path) -> Result<(), StoreError> {
    let error = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let mut connection = connect(new, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // One that is not whole is thrown away, and one that is reaches the disk before it gets its name: that is one sync rather than twenty.
    connection.pragma_update(None, "synchronous", "OFF").map_err(error)?;
    connection.pragma_update(None, "journal_mode", "MEMORY").map_err(error)?;
    migrate(&mut connection, path)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(error)?;
    connection.close().map_err(|(_, failed)| error(failed))
}

/// A connection that reads, also while another process writes.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    files::inspect(path)?;
    let connection = looking(path)?;
    // Keeps it from writing.
    connection.pragma_update(None, "query_only", true).map_err(|error| StoreError::sqlite(path, &error))?;
    if is_blank(&connection, path)? {
        return Err(StoreError::Blank { path: path.to_path_buf() });
    }
    check_format(&connection, path)?;
    Ok(connection)
}

/// For reading, and yet not read-only where that can be: a reader of a WAL database may have to make its shared memory.
pub(super) fn looking(path: &Path) -> Result<Connection, StoreError> {
    match connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE) {
        Ok(connection) => Ok(connection),
        Err(_) => connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY),
    }
}

/// Whether the file is one of ours, of a format before this one.
pub(super) fn is_older(path: &Path) -> Result<bool, StoreError> {
    files::inspect(path)?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    Ok(!is_blank(&connection, path)? && version(&connection, path)? < FORMAT)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| StoreError::sqlite(path, &error))?;
    connection.busy_timeout(BUSY).map_err(|error| StoreError::sqlite(path, &error))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|error| StoreError::sqlite(path, &error))
}

/// What a process leaves that dies before its first commit.
fn is_blank(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
        .map(|tables| tables == 0)
        .map_err(|error| StoreError::sqlite(path, &error))
}

fn check_format(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let id: i64 = connection
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(|error| StoreError::sqlite(path, &error))?;
    if id != APPLICATION_ID {
        return Err(StoreError::NotAStore { path: path.to_path_buf() });
    }
    let found = version(connection, path)?;
    if found > FORMAT {
        return Err(StoreError::Newer { path: path.to_path_buf(), found, known: FORMAT });
    }
    Ok(())
}

pub(super) fn check_pages(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    if path.metadata().is_ok_and(|meta| meta.len() > QUICK_CHECK_BYTES) {
        return Ok(());
    }
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| StoreError::sqlite(path, &error))?;
    if verdict == "ok" { Ok(()) } else { Err(StoreError::Corrupt { path: path.to_path_buf(), detail: verdict }) }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let error = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    let done = usize::try_from(version(connection, path)?).unwrap_or(0);
    for (index, sql) in MIGRATIONS.iter().enumerate().skip(done) {
        let transaction = connection.transaction().map_err(error)?;
        transaction.execute_batch(sql).map_err(error)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(error)?;
        transaction.pragma_update(None, "user_version", i64::try_from(index + 1).unwrap_or(FORMAT)).map_err(error)?;
        transaction.commit().map_err(error)?;
    }
    Ok(())
}
