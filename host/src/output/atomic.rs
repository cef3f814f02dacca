//! A file that is there whole or not at all.

use super::OutputError;
use crate::failpoint;
use std::fs::{File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What a new file's mode starts from, before the umask.
const MODE: u32 = 0o666;

/// Written beside its place under another name, synced, then renamed. Dropped before that, it leaves no trace.
///
/// A file that is replaced hands down its mode, so that a private one stays private; through a link, the file that it
/// leads to is replaced.
#[derive(Debug)]
pub struct AtomicFile {
    file: NamedTempFile,
    /// As it was named.
    name: PathBuf,
    /// Where it goes.
    path: PathBuf,
}

impl AtomicFile {
    pub fn create(path: &Path) -> Result<Self, OutputError> {
        let failed = |error: std::io::Error| OutputError::at(path, &error);
        let place = place(path)?;
        let mode = replaced_mode(path, &place)?;
        let file = tempfile::Builder::new()
            .prefix(".sandmill-")
            .permissions(Permissions::from_mode(mode.unwrap_or(MODE)))
            .tempfile_in(folder(&place))
            .map_err(failed)?;
        if let Some(mode) = mode {
            // What the umask took away is given back.
            file.as_file().set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
        }
        Ok(Self { file, name: path.to_path_buf(), path: place })
    }

    /// Durable on return, under its own name.
    pub fn commit(self) -> Result<(), OutputError> {
        let Self { file, name, path } = self;
        put(file, &path).map_err(|error| OutputError::at(&name, &error))
    }
}

fn put(file: NamedTempFile, path: &Path) -> std::io::Result<()> {
    let (file, temporary) = file.into_parts();
    file.sync_all()?;
    failpoint::pass("output-before-rename");
    // By the C library, where the test of a power loss looks on; tempfile calls the kernel itself.
    std::fs::rename(&temporary, path)?;
    failpoint::pass("output-after-rename");
    // The name is durable once its folder is.
    File::open(folder(path))?.sync_all()
}

/// Where a link leads to.
fn place(path: &Path) -> Result<PathBuf, OutputError> {
    if !path.is_symlink() {
        return Ok(path.to_path_buf());
    }
    path.canonicalize().map_err(|error| match error.kind() {
        ErrorKind::NotFound => refused(path, "it is a link that leads nowhere: remove it, or choose another --output"),
        _ => OutputError::at(path, &error),
    })
}

/// `None`: there is nothing to replace.
fn replaced_mode(path: &Path, place: &Path) -> Result<Option<u32>, OutputError> {
    let meta = match std::fs::metadata(place) {
        Ok(meta) => meta,
        // A folder that is missing is told when the file is created in it.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OutputError::at(path, &error)),
    };
    if meta.is_dir() {
        return Err(OutputError::at(path, &ErrorKind::IsADirectory.into()));
    }
    if !meta.is_file() {
        // A rename would put a file in the place of the device.
        return Err(refused(path, "it is a pipe or a device: name a file, or - for stdout"));
    }
    if meta.permissions().readonly() {
        // A rename would not ask.
        return Err(refused(path, "it is read-only: make it writable, or choose another --output"));
    }
    Ok(Some(meta.permissions().mode() & 0o777))
}

fn refused(path: &Path, reason: &str) -> OutputError {
    OutputError::Unwritable { path: path.to_path_buf(), reason: reason.into() }
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
    use std::os::unix::fs::symlink;

    fn replace(path: &Path, text: &str) {
        let file = AtomicFile::create(path).unwrap();
        (&file).write_all(text.as_bytes()).unwrap();
        file.commit().unwrap();
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_old_file_stays_until_the_new_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        std::fs::write(&path, "old").unwrap();
        let abandoned = AtomicFile::create(&path).unwrap();
        (&abandoned).write_all(b"half").unwrap();
        drop(abandoned);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        replace(&path, "new");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_has_the_mode_of_any_new_file_and_a_replaced_one_keeps_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, new) = (dir.path().join("plain"), dir.path().join("new"));
        File::create(&plain).unwrap();
        replace(&new, "x");
        assert_eq!(mode(&new), mode(&plain));
        for kept in [0o600, 0o666] {
            std::fs::set_permissions(&plain, Permissions::from_mode(kept)).unwrap();
            replace(&plain, "x");
            assert_eq!(mode(&plain), kept);
        }
    }

    #[test]
    fn through_a_link_the_file_is_replaced_and_the_link_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::fs::write(&target, "old").unwrap();
        symlink(&target, &link).unwrap();
        replace(&link, "new");
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "new");
    }

    fn check_refused(path: &Path, part: &str) {
        let Err(error) = AtomicFile::create(path) else { panic!("accepted") };
        let error = error.to_string();
        assert!(error.contains(part) && error.contains(&*path.to_string_lossy()), "{error}");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "x").unwrap();
        std::fs::write(at("kept"), "x").unwrap();
        std::fs::set_permissions(at("kept"), Permissions::from_mode(0o444)).unwrap();
        symlink(at("none"), at("dangling")).unwrap();
        check_refused(Path::new("/nowhere/at/all"), "make it");
        check_refused(dir.path(), "it is a folder: name a file");
        check_refused(&at("file/out"), "a file stands where its folder should be");
        check_refused(&at("kept"), "read-only");
        check_refused(&at("dangling"), "leads nowhere");
        check_refused(Path::new("/dev/null"), "- for stdout");
        assert_eq!(std::fs::read_to_string(at("kept")).unwrap(), "x");
    }
}
