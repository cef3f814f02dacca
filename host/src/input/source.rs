//! Where input comes from: a file, or stdin kept in a file so that the job can be resumed.

use super::InputError;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub(super) const BUFFER: usize = 256 << 10;

/// Opens a file for reading. A pipe or a device is refused: a job reads its input more than once, and again on resume.
pub fn open_source(path: &Path) -> Result<Box<dyn BufRead + Send>, InputError> {
    let unreadable = |reason: String| InputError::Unreadable { name: path.display().to_string(), reason };
    // Asked before it is opened: opening a pipe waits for a writer.
    let kind = std::fs::metadata(path).map_err(|error| unreadable(reason(&error)))?.file_type();
    if kind.is_dir() {
        return Err(unreadable(
            "it is a folder, and a file is wanted: name one of its files, or say --input-format files".into(),
        ));
    }
    if !kind.is_file() {
        return Err(unreadable("it is a pipe or a device, and can be read only once: feed it to --input -".into()));
    }
    let file = File::open(path).map_err(|error| unreadable(reason(&error)))?;
    Ok(Box::new(BufReader::with_capacity(BUFFER, file)))
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file: check the path".into(),
        ErrorKind::PermissionDenied => format!("{error}: make it readable for this user"),
        _ => error.to_string(),
    }
}

/// Copies `from` into `path`, for its owner alone; durable on return, and whole or not at all.
pub fn spool(from: impl Read, path: &Path) -> Result<(), InputError> {
    let partial = path.with_extension("partial");
    copy(from, &partial, path).map_err(|error| {
        // What is left of it would only take up room; that it cannot be removed is not what went wrong.
        let _ = std::fs::remove_file(&partial);
        let reason = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                format!("it cannot be kept in {}: the disk is full: free some space", path.display())
            }
            _ => format!("it cannot be kept in {}: {error}", path.display()),
        };
        InputError::Unreadable { name: "stdin".into(), reason }
    })
}

fn copy(mut from: impl Read, partial: &Path, path: &Path) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(partial)?;
    std::io::copy(&mut from, &mut file)?;
    file.sync_all()?;
    std::fs::rename(partial, path)?;
    // The name is durable once its folder is.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn check_refused(path: &Path, part: &str) {
        let Err(error) = open_source(path) else { panic!("accepted") };
        assert!(error.to_string().contains(part) && error.to_string().contains(&*path.to_string_lossy()), "{error}");
    }

    #[test]
    fn what_cannot_be_read_again_is_refused_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        check_refused(dir.path(), "it is a folder");
        check_refused(&dir.path().join("none"), "no such file: check the path");
        check_refused(Path::new("/dev/null"), "--input -");
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(ErrorKind::StorageFull.into())
        }
    }

    #[test]
    fn stdin_is_kept_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.stdin");
        spool(Cursor::new(b"one"), &path).unwrap();
        let error = spool(Cursor::new(b"two").chain(Broken), &path).unwrap_err();
        assert!(error.to_string().contains("free some space"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
