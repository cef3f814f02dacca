//! A file that is there whole or not at all.

use super::OutputError;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What a new file's mode starts from, before the umask.
const MODE: u32 = 0o666;

/// Written beside its place under another name, synced, then renamed. Dropped before that, it leaves no trace.
#[derive(Debug)]
pub struct AtomicFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl AtomicFile {
    pub fn create(path: &Path) -> Result<Self, OutputError> {
        if path.is_dir() {
            return Err(OutputError::at(path, &std::io::ErrorKind::IsADirectory.into()));
        }
        let file = tempfile::Builder::new()
            .prefix(".sandmill-")
            .permissions(std::fs::Permissions::from_mode(MODE))
            .tempfile_in(folder(path))
            .map_err(|error| OutputError::at(path, &error))?;
        Ok(Self { file, path: path.to_path_buf() })
    }

    /// Durable on return, under its own name.
    pub fn commit(self) -> Result<(), OutputError> {
        let Self { file, path } = self;
        let synced =
            file.as_file().sync_all().and_then(|()| file.persist(&path).map_err(|error| error.error)).and_then(|_| {
                // The name is durable once its folder is.
                File::open(folder(&path))?.sync_all()
            });
        synced.map_err(|error| OutputError::at(&path, &error))
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

impl Write for &AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.as_file().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.as_file().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_file_stays_until_the_new_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        std::fs::write(&path, "old").unwrap();
        let abandoned = AtomicFile::create(&path).unwrap();
        (&abandoned).write_all(b"half").unwrap();
        drop(abandoned);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        let file = AtomicFile::create(&path).unwrap();
        (&file).write_all(b"new").unwrap();
        file.commit().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named_with_the_way_out() {
        let Err(error) = AtomicFile::create(Path::new("/nowhere/at/all")) else { panic!("accepted") };
        assert!(error.to_string().contains("/nowhere/at/all") && error.to_string().contains("make it"), "{error}");
    }
}
