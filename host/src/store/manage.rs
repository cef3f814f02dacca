//! What is done to a job as a whole while nobody runs it: its size, its removal, the arguments that are stored with it.

use super::files::{self, JobName, Lock};
use super::{StoreError, open};
use rusqlite::params;
use std::path::{Path, PathBuf};

/// A job's files beside its database: what SQLite keeps, the input that came from stdin, what the run is told.
fn beside(dir: &Path, job: &JobName) -> Vec<PathBuf> {
    ["db-wal", "db-shm", "stdin", "control", "answer"].map(|end| dir.join(format!("{job}.{end}"))).to_vec()
}

/// What a job's files take, in bytes.
pub fn size_of(dir: &Path, job: &JobName) -> Result<u64, StoreError> {
    let mut sum = 0;
    for path in beside(dir, job).into_iter().chain([files::database(dir, job)]) {
        match std::fs::metadata(&path) {
            Ok(meta) => sum += meta.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io(&path, &error)),
        }
    }
    Ok(sum)
}

/// The number of the process that owns the job now, if one does.
pub fn runner_of(dir: &Path, job: &JobName) -> Result<Option<String>, StoreError> {
    files::holder(dir, job)
}

/// Removes a job with all its files, unless it is being run. A file that is not ours is left alone.
pub fn remove_job(dir: &Path, job: &JobName) -> Result<(), StoreError> {
    let lock = Lock::take(dir, job)?;
    let database = files::database(dir, job);
    files::inspect(&database)?;
    files::remove(&database)?;
    for path in beside(dir, job).into_iter().chain([files::lock(dir, job)]) {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(StoreError::io(&path, &error)),
            Ok(()) | Err(_) => {}
        }
    }
    drop(lock);
    Ok(())
}

/// Replaces the arguments of a job that is not being run with what `change` makes of them. Durable on return.
pub fn change_arguments<E: From<StoreError>>(
    dir: &Path,
    job: &JobName,
    change: impl FnOnce(&str) -> Result<String, E>,
) -> Result<(), E> {
    let _lock = Lock::take(dir, job)?;
    let path = files::database(dir, job);
    let connection = open::writer(&path)?;
    let error = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
    let stored: String = connection.query_row("SELECT arguments FROM job", [], |row| row.get(0)).map_err(error)?;
    let changed = change(&stored)?;
    connection.execute("UPDATE job SET arguments = ?1", params![changed]).map_err(error)?;
    Ok(())
}
