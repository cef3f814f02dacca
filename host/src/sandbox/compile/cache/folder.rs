//! A folder that is this user's alone, held open: every file in it is named relative to that, and no link is followed.

use super::CacheError;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode, Stat, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Of what is being written. No entry is called so.
const TEMPORARY: &str = ".tmp-";
/// What others may do: write.
const WRITABLE_BY_OTHERS: RawMode = 0o022;

#[derive(Debug)]
pub(super) struct Folder {
    open: OwnedFd,
    path: PathBuf,
}

/// A file of the folder.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// Seconds and nanoseconds of its last use.
    pub(super) modified: (i64, i64),
    pub(super) is_temporary: bool,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, CacheError> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            CacheError(format!("cannot {what} {}: {error}; name another folder with --cache DIR", path.display()))
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| failed("make", &error))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|error| match error {
            // Linux says the latter of a link, too.
            Errno::LOOP | Errno::NOTDIR => CacheError(format!(
                "{} is a link or no folder, and links are not followed: name the folder itself with --cache DIR",
                path.display()
            )),
            error => failed("open", &error),
        })?;
        let folder = Self { open, path: path.to_path_buf() };
        folder.check()?;
        Ok(folder)
    }

    /// It is still this user's, and nobody else can put anything in it.
    pub(super) fn check(&self) -> Result<(), CacheError> {
        let stat = rustix::fs::fstat(&self.open).map_err(|error| self.failed("look at", &error))?;
        let path = self.path.display();
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(CacheError(format!(
                "{path} belongs to another user (number {}), who could have put anything in it: name a folder of your own with --cache DIR",
                stat.st_uid
            )));
        }
        if stat.st_mode & WRITABLE_BY_OTHERS != 0 {
            return Err(CacheError(format!(
                "others can write to {path}, and native code is taken from it: empty it and `chmod 700 {path}`, or name another folder with --cache DIR"
            )));
        }
        Ok(())
    }

    /// A whole file, whose last use is now. `None`: there is none that is this user's alone.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, CacheError> {
        // Not waiting for the other end, should it be a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mut file = match rustix::fs::openat(&self.open, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(self.failed("read", &error)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|error| self.failed("read", &error))?;
        if !is_own_file(&stat) {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or_default());
        file.read_to_end(&mut bytes).map_err(|error| self.failed("read", &error))?;
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        // Where that is not possible, it only goes earlier.
        let _ = rustix::fs::futimens(&file, &Timestamps { last_access: now, last_modification: now });
        Ok(Some(bytes))
    }

    /// Durable on return, under its own name; until then there is what was there before.
    pub(super) fn write(&self, name: &str, parts: &[&[u8]]) -> Result<(), CacheError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = format!("{TEMPORARY}{}-{nth}-{name}", std::process::id());
        let written = self.write_whole(&temporary, parts).and_then(|()| {
            rustix::fs::renameat(&self.open, &temporary, &self.open, name)?;
            rustix::fs::fsync(&self.open)?;
            Ok(())
        });
        written.map_err(|error| {
            // It may not even have been made.
            let _ = rustix::fs::unlinkat(&self.open, &temporary, AtFlags::empty());
            self.failed("write to", &error)
        })
    }

    fn write_whole(&self, name: &str, parts: &[&[u8]]) -> std::io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.open, name, flags, Mode::RUSR | Mode::WUSR)?);
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()
    }

    /// What has gone already is no error.
    pub(super) fn remove(&self, name: &str) -> Result<(), CacheError> {
        match rustix::fs::unlinkat(&self.open, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed("remove from", &error)),
        }
    }

    /// The files in it, those that go meanwhile left out.
    pub(super) fn list(&self) -> Result<Vec<Listed>, CacheError> {
        let entries = Dir::read_from(&self.open).map_err(|error| self.failed("list", &error))?;
        let mut listed = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| self.failed("list", &error))?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let stat = match rustix::fs::statat(&self.open, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => stat,
                Ok(_) | Err(Errno::NOENT) => continue,
                Err(error) => return Err(self.failed("list", &error)),
            };
            listed.push(Listed {
                name: name.to_owned(),
                bytes: u64::try_from(stat.st_size).unwrap_or_default(),
                modified: (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or_default()),
                is_temporary: name.starts_with(TEMPORARY),
            });
        }
        Ok(listed)
    }

    fn failed(&self, what: &str, error: &dyn std::fmt::Display) -> CacheError {
        CacheError(format!("cannot {what} {}: {error}", self.path.display()))
    }
}

fn is_own_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_uid == rustix::process::geteuid().as_raw()
        && stat.st_mode & WRITABLE_BY_OTHERS == 0
}
