//! A copy of a store as of one moment, also while a run writes it.

use super::{Reader, StoreError, open};
use rusqlite::params;
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

impl Reader {
    /// Copies the store into `to`, which must not be there yet: whole, durable and for its owner alone on return, or not
    /// there. Returns its size in bytes. A run that writes meanwhile goes on; the copy holds what was durable when it began.
    pub fn backup(&self, to: &Path) -> Result<u64, StoreError> {
        let failed = |error: std::io::Error| StoreError::io(to, &error);
        if to.symlink_metadata().is_ok() {
            return Err(StoreError::FileExists { path: to.to_path_buf() });
        }
        let folder = match to.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new()
            .prefix(".sandmill-")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder)
            .map_err(failed)?;
        // A connection of its own: one that may only query refuses to write the copy too.
        let connection = open::looking(&self.path)?;
        let name = file.path().to_str().ok_or_else(|| StoreError::Io {
            path: to.to_path_buf(),
            detail: "its folder's name is no UTF-8, which SQLite wants: choose another folder".into(),
        })?;
        connection.execute("VACUUM INTO ?1", params![name]).map_err(|error| StoreError::sqlite(to, &error))?;
        let size = file.as_file().metadata().map_err(failed)?.len();
        file.as_file().sync_all().map_err(failed)?;
        file.persist_noclobber(to).map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => StoreError::FileExists { path: to.to_path_buf() },
            _ => failed(error.error),
        })?;
        // The name is durable once its folder is.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(size)
    }
}
