//! Whether a folder could hold jobs: tried out with a file that is written, synced and removed, and nothing is left of it.

use super::StoreError;
use super::files::check_filesystem;
use crate::clock::Clock;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// As much as a commit of a few answers.
const TRIED_BYTES: usize = 16 << 10;

/// A folder that can be written.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where it was tried: the folder itself, or the nearest one above it that is there.
    pub tried: PathBuf,
    /// For this user.
    pub free_bytes: u64,
    /// How long it took to have something written for good.
    pub sync: Duration,
    /// What is known of its file system that may be wrong.
    pub warning: Option<String>,
}

/// Tries `dir`, which need not be there yet, and is not made.
pub fn try_place(dir: &Path, clock: &dyn Clock) -> Result<Place, StoreError> {
    let absolute = std::path::absolute(dir).map_err(|error| StoreError::io(dir, &error))?;
    let there = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let warning = check_filesystem(there)?;
    let path = there.join(format!(".sandmill-try-{}", std::process::id()));
    let began = clock.monotonic();
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).and_then(|mut file| {
        file.write_all(&[0; TRIED_BYTES])?;
        file.sync_all()
    });
    let sync = clock.monotonic().saturating_sub(began);
    if let Err(error) = std::fs::remove_file(&path)
        && written.is_ok()
    {
        return Err(StoreError::io(there, &error));
    }
    written.map_err(|error| StoreError::io(there, &error))?;
    let stat = rustix::fs::statvfs(there).map_err(|error| StoreError::io(there, &error.into()))?;
    let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
    Ok(Place { tried: there.to_path_buf(), free_bytes, sync, warning })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn a_folder_that_is_not_there_is_tried_above_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let place = try_place(&dir.path().join("a/b"), &SystemClock::new()).unwrap();
        assert_eq!(place.tried, dir.path());
        assert!(place.free_bytes > 0);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_its_place_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(try_place(&dir.path().join("file"), &SystemClock::new()).is_err());
    }
}
