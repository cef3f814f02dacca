//! One input told from another, so that an unchanged one is not registered again.

use super::files_walk::Found;
use super::{Format, InputError, files, open_source, unreadable};
use sha2::{Digest, Sha256};
use std::io::BufRead;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// SHA-256, in hexadecimal digits: of a file over its bytes; of many files over their names, sizes and times, since reading
/// them all again would take as long as registering them.
pub fn digest(path: &Path, format: Format) -> Result<String, InputError> {
    match format {
        Format::JsonLines | Format::Csv | Format::Lines | Format::Parquet => of_bytes(path),
        Format::Files => of_listing(path),
    }
}

/// What a file that nobody has written to since still has: which one it is, its size, when it was written and when anything about
/// it was changed, to the nanosecond. `None`: it is not one file, or cannot be told. A digest of a gigabyte takes seconds, this
/// does not.
pub fn stamp(path: &Path, format: Format) -> Option<String> {
    match format {
        Format::JsonLines | Format::Csv | Format::Lines | Format::Parquet => {}
        Format::Files => return None,
    }
    let meta = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(format!("{}:{}:{}", meta.dev(), meta.ino(), written(&meta)))
}

/// Size and times of a file: its contents do not change without them. A restored mtime does not hide a write, the ctime tells.
fn written(meta: &std::fs::Metadata) -> String {
    let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
    format!("{} {times:?}", meta.len())
}

fn of_bytes(path: &Path) -> Result<String, InputError> {
    let mut reader = open_source(path)?;
    let mut hasher = Sha256::new();
    loop {
        let buffer = match reader.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(&path.display().to_string(), &error)),
        };
        if buffer.is_empty() {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(buffer);
        let taken = buffer.len();
        reader.consume(taken);
    }
}

fn of_listing(path: &Path) -> Result<String, InputError> {
    let mut hasher = Sha256::new();
    // The paths of blobs are stored: a folder that was moved is registered anew.
    hasher.update(path.as_os_str().as_encoded_bytes());
    for found in files::list(path)? {
        let (name, rest) = match found? {
            Found::File { name, meta, .. } => (name, written(&meta)),
            Found::Bad { name, message } => (name, message),
        };
        for part in [name.as_bytes(), rest.as_bytes()] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Ok(hex::encode(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, FileTimes, write};

    #[test]
    fn a_stamp_stays_until_the_file_is_written_to_though_size_and_mtime_are_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.jsonl");
        write(&path, "{\"id\":1}\n").unwrap();
        let old = std::time::UNIX_EPOCH;
        let put_back =
            || File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(old));
        put_back().unwrap();
        let before = stamp(&path, Format::JsonLines).unwrap();
        assert_eq!(stamp(&path, Format::JsonLines), Some(before.clone()));
        // A file system's clock may be coarse: the write that counts is one that it dates anew.
        let changed = path.metadata().unwrap().ctime_nsec();
        while path.metadata().unwrap().ctime_nsec() == changed {
            write(&path, "{\"id\":2}\n").unwrap();
            put_back().unwrap();
        }
        assert_ne!(stamp(&path, Format::JsonLines), Some(before));
    }

    #[test]
    fn what_is_not_one_file_has_no_stamp() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(stamp(folder.path(), Format::Files), None);
        assert_eq!(stamp(folder.path(), Format::JsonLines), None);
        assert_eq!(stamp(&folder.path().join("missing"), Format::Csv), None);
    }
}
