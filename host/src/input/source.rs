//! Where input comes from: a file, or stdin kept in a file so that the job can be resumed.

use super::InputError;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const BUFFER: usize = 256 << 10;

/// Opens a file for reading.
pub fn open_source(path: &Path) -> Result<Box<dyn BufRead + Send>, InputError> {
    let unreadable = |reason: String| InputError::Unreadable { name: path.display().to_string(), reason };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        return Err(unreadable("it is a folder, and a file is wanted".into()));
    }
    Ok(Box::new(BufReader::with_capacity(BUFFER, file)))
}

/// Copies `from` into `path`, for its owner alone, synced and whole or not at all.
pub fn spool(mut from: impl Read, path: &Path) -> Result<(), InputError> {
    let partial = path.with_extension("partial");
    let copied = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        std::io::copy(&mut from, &mut file)?;
        file.flush()?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    })();
    copied.map_err(|error| InputError::Unreadable {
        name: "stdin".into(),
        reason: format!("it cannot be kept in {}: {error}", path.display()),
    })
}
