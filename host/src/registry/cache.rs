//! What was pulled, by its digest. A file is what its name says, or it is not used.

use super::RegistryError;
use crate::domain::Digest;
use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// For nobody but the owner.
const MODE: u32 = 0o700;

/// A folder for nobody else; made when something is kept in it.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub(super) fn new(root: &Path) -> Self {
        Self { folder: root.join("sha256") }
    }

    /// `None` where it is not kept, or no longer what it was.
    pub(super) fn get(&self, digest: &Digest, bytes_max: u64) -> Result<Option<Vec<u8>>, RegistryError> {
        let path = self.folder.join(digest.hex());
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path, &error)),
        };
        let mut bytes = Vec::new();
        file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| failed(&path, &error))?;
        // Damaged on the disk, or put there by somebody: it is pulled again, and takes this one's place.
        Ok((Digest::of(&bytes) == *digest).then_some(bytes))
    }

    /// A file that becomes part of the cache by [`Cache::keep`], and is gone if it does not.
    pub(super) fn begin(&self) -> Result<NamedTempFile, RegistryError> {
        self.make()?;
        tempfile::Builder::new()
            .prefix(".pull-")
            .tempfile_in(&self.folder)
            .map_err(|error| failed(&self.folder, &error))
    }

    /// `digest`: that of the file's content, which the caller has counted. Durable on return.
    pub(super) fn keep(&self, file: NamedTempFile, digest: &Digest) -> Result<(), RegistryError> {
        let path = self.folder.join(digest.hex());
        file.as_file().sync_all().map_err(|error| failed(&path, &error))?;
        file.persist(&path).map(drop).map_err(|error| failed(&path, &error.error))
    }

    pub(super) fn put(&self, bytes: &[u8]) -> Result<Digest, RegistryError> {
        let digest = Digest::of(bytes);
        let mut file = self.begin()?;
        file.write_all(bytes).map_err(|error| failed(&self.folder, &error))?;
        self.keep(file, &digest)?;
        Ok(digest)
    }

    fn make(&self) -> Result<(), RegistryError> {
        let made = DirBuilder::new().recursive(true).mode(MODE).create(&self.folder);
        made.map_err(|error| failed(&self.folder, &error))?;
        for folder in self.folder.ancestors().take(2) {
            let meta = folder.symlink_metadata().map_err(|error| failed(folder, &error))?;
            let is_ours = meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw();
            if !is_ours || meta.mode() & 0o077 != 0 {
                let reason = "others may write into it, or it is no folder of yours: give it to yourself with mode 0700, or set XDG_CACHE_HOME";
                return Err(RegistryError::Cache { path: folder.to_path_buf(), reason: reason.into() });
            }
        }
        Ok(())
    }
}

fn failed(path: &Path, error: &std::io::Error) -> RegistryError {
    RegistryError::Cache { path: path.to_path_buf(), reason: crate::domain::reason(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_kept_is_found_until_it_is_no_longer_what_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(&dir.path().join("plugins"));
        let digest = Digest::of(b"component");
        assert_eq!(cache.get(&digest, 100).unwrap(), None);
        assert_eq!(cache.put(b"component").unwrap(), digest);
        assert_eq!(cache.get(&digest, 100).unwrap().as_deref(), Some(&b"component"[..]));
        assert_eq!(cache.get(&digest, 5).unwrap(), None, "longer than it may be");
        let folder = dir.path().join("plugins");
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, MODE);
        std::fs::write(folder.join("sha256").join(digest.hex()), "something else").unwrap();
        assert_eq!(cache.get(&digest, 100).unwrap(), None);
        cache.put(b"component").unwrap();
        assert!(cache.get(&digest, 100).unwrap().is_some());
        assert_eq!(std::fs::read_dir(folder.join("sha256")).unwrap().count(), 1, "no file is left over");
    }

    #[test]
    fn a_folder_that_others_may_write_into_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("plugins");
        std::fs::create_dir(&root).unwrap();
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = Cache::new(&root).put(b"x").unwrap_err().to_string();
        assert!(error.contains("0700"), "{error}");
    }
}
