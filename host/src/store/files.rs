//! A job's files: their names, the lock, and what must hold before SQLite may touch them.

use super::StoreError;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The type of a page of SQLite's that is the only one of its table.
const TABLE_LEAF: u8 = 0x0D;

const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(5);

/// "SMIL", in the header of every store.
pub(super) const APPLICATION_ID: i64 = 0x534D_494C;

/// A job's name, fit for a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobName(String);

impl JobName {
    pub fn new(name: &str) -> Result<Self, StoreError> {
        let fits = (1..=100).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            && !name.starts_with(['.', '-']);
        if fits {
            Ok(Self(name.to_owned()))
        } else {
            Err(StoreError::BadJobName { name: crate::domain::sanitize_line(name, 100) })
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for JobName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn database(dir: &Path, job: &JobName) -> PathBuf {
    dir.join(format!("{job}.db"))
}

pub(super) fn lock(dir: &Path, job: &JobName) -> PathBuf {
    dir.join(format!("{job}.lock"))
}

/// The jobs of a folder, by name.
pub fn list_jobs(dir: &Path) -> Result<Vec<JobName>, StoreError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io(dir, &error)),
    };
    let mut jobs = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| StoreError::io(dir, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "db")
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            && let Ok(job) = JobName::new(name)
        {
            jobs.push(job);
        }
    }
    jobs.sort();
    Ok(jobs)
}

/// Makes the folder, and those above it, for its owner alone. Durable on return.
pub(super) fn create_dir(dir: &Path) -> Result<(), StoreError> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| StoreError::io(dir, &error))?;
    missing.into_iter().try_for_each(sync_name)
}

/// A name, or that it is gone, is durable once the folder that holds it is.
fn sync_name(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| StoreError::io(folder, &error))
}

/// Held while a run owns the store.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    pub(super) fn take(dir: &Path, job: &JobName) -> Result<Self, StoreError> {
        let path = lock(dir, job);
        loop {
            let taken = Self::take_file(&path, job)?;
            // Whoever removes a job removes its lock with it; one that nobody finds any more locks nothing.
            let own = taken.file.metadata().map_err(|error| StoreError::io(&path, &error))?;
            match std::fs::metadata(&path) {
                Ok(found) if (own.dev(), own.ino()) == (found.dev(), found.ino()) => return Ok(taken),
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::io(&path, &error));
                }
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn take_file(path: &Path, job: &JobName) -> Result<Self, StoreError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| StoreError::io(path, &error))?;
        match try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                return Err(StoreError::Locked { job: job.to_string(), pid: pid.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io(path, &error)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", std::process::id()));
        written.map_err(|error| StoreError::io(path, &error))?;
        Ok(Self { file })
    }
}

/// Those who only look whether somebody has the lock have it themselves for an instant; they are waited for.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            result => return result,
        }
    }
    file.try_lock()
}

/// The process that holds a job's lock, as it wrote itself down; `None`: nobody does.
pub(super) fn holder(dir: &Path, job: &JobName) -> Result<Option<String>, StoreError> {
    let path = lock(dir, job);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io(&path, &error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(|error| StoreError::io(&path, &error))?;
            Ok(Some(pid.trim().to_owned()))
        }
        Err(TryLockError::Error(error)) => Err(StoreError::io(&path, &error)),
    }
}

/// What a file is, judged by its own bytes: SQLite must not get the chance to write into a file that is not ours.
pub(super) fn inspect(path: &Path) -> Result<Option<()>, StoreError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io(path, &error)),
    };
    let length = file.metadata().map_err(|error| StoreError::io(path, &error))?.len();
    if length == 0 {
        // SQLite itself leaves an empty file when a process dies before its first commit.
        return Ok(None);
    }
    let mut header = [0; 105];
    if file.read_exact(&mut header).is_err() || &header[..16] != b"SQLite format 3\0" {
        return Err(StoreError::NotAStore { path: path.to_path_buf() });
    }
    let id = i64::from(u32::from_be_bytes([header[68], header[69], header[70], header[71]]));
    let page = match u64::from(u16::from_be_bytes([header[16], header[17]])) {
        1 => 65_536,
        size => size,
    };
    // A process that died before its first commit, or whose first commit is still in the log, leaves one page without an
    // id and without a table (its cells are counted in the two bytes behind the type of the page and its first free block).
    let is_blank = id == 0 && length <= page && header[100] == TABLE_LEAF && header[103..105] == [0, 0];
    if id != APPLICATION_ID && !is_blank {
        return Err(StoreError::NotAStore { path: path.to_path_buf() });
    }
    Ok(Some(()))
}

/// Makes the database's file with the right mode; SQLite gives its log the same.
fn create_private(path: &Path) -> Result<(), StoreError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(|_| ())
        .map_err(|error| StoreError::io(path, &error))
}

/// File systems over a network, by the magic number in `statfs` (Linux: `linux/magic.h`). The first kind is refused, the second warned of.
#[cfg(target_os = "linux")]
pub(super) fn check_filesystem(dir: &Path) -> Result<Option<String>, StoreError> {
    const REFUSED: [(u32, &str); 5] =
        [(0x6969, "NFS"), (0x517B, "SMB"), (0xFF53_4D42, "CIFS"), (0xFE53_4D42, "SMB2"), (0x5346_414F, "AFS")];
    const WARNED: [(u32, &str); 3] = [(0x6573_5546, "FUSE"), (0x0102_1997, "9P"), (0x00C3_6400, "Ceph")];
    let stat = rustix::fs::statfs(dir).map_err(|error| StoreError::io(dir, &error.into()))?;
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "a magic number of 32 bits")]
    let magic = stat.f_type as u32;
    if let Some((_, kind)) = REFUSED.iter().find(|(number, _)| *number == magic) {
        return Err(StoreError::NetworkFilesystem { path: dir.to_path_buf(), kind });
    }
    Ok(WARNED.iter().find(|(number, _)| *number == magic).map(|(_, kind)| {
        format!("{} is on {kind}: if that is a network file system, choose a local --store", dir.display())
    }))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn check_filesystem(_dir: &Path) -> Result<Option<String>, StoreError> {
    Ok(None)
}

/// Removes a job. The lock must be held.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    // The file goes first, and for good: without its log it may be damaged.
    remove_if_there(path)?;
    sync_name(path)?;
    remove_logs(path)
}

/// What SQLite keeps beside a file. Durable on return.
fn remove_logs(path: &Path) -> Result<(), StoreError> {
    for suffix in ["-wal", "-shm", "-journal"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        remove_if_there(Path::new(&file))?;
    }
    sync_name(path)
}

fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io(path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A store's file has its name only when it is whole on disk: of one that is half written, [`inspect`] could not tell whose
/// it is. `make` fills it under the name that it is handed.
pub(super) fn create_whole(path: &Path, make: impl FnOnce(&Path) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    // Of a process that died here.
    remove(&new)?;
    let in_place = || {
        create_private(&new)?;
        make(&new)?;
        File::open(&new).and_then(|file| file.sync_all()).map_err(|error| StoreError::io(path, &error))?;
        // A log that lies at its place is another file's, and would be read into this one.
        remove_logs(path)?;
        std::fs::rename(&new, path).map_err(|error| StoreError::io(path, &error))?;
        sync_name(path)
    };
    in_place().inspect_err(|_| {
        // What went wrong is told; what is left of it goes with the next attempt at the latest.
        let _ = remove(&new);
    })
}
