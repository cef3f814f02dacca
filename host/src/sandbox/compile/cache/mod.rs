//! Native code of components that were compiled before, so that the next start takes no time.
//!
//! Always holds: only the process of a run writes here, what a compile worker of its own handed it; an entry has its name only when it is
//! whole on disk; what is read belongs to this user alone and has the checksum that it was written with. Whatever is wrong with the
//! cache, the run goes on without it. It does not protect from whoever can write as this user: a checksum is no signature.

mod entry;
mod folder;

pub(super) use entry::{Key, Whole};

use folder::{Folder, Listed};
use std::path::Path;

/// What is kept at most, in bytes: some thirty Pythons.
pub const CACHE_BYTES_MAX: u64 = 2 << 30;
/// Leftovers of a process that died while it wrote are older than this, compared with what was written just now.
const LEFTOVER_SECONDS: i64 = 3_600;

/// Why the cache cannot be used, with the way out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CacheError(String);

/// What the cache has under a key.
pub(super) enum Found {
    Whole(Whole),
    Nothing,
    /// It had something that cannot be used, and has it no more.
    Damaged,
}

/// A folder of compiled components.
#[derive(Debug)]
pub struct Cache {
    folder: Folder,
    bytes_max: u64,
}

impl Cache {
    /// Makes the folder if there is none, for this user alone.
    ///
    /// Refused is one that somebody else has, or could write to, and one that is a link.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Self, CacheError> {
        Ok(Self { folder: Folder::open(path)?, bytes_max })
    }

    /// What was kept under a key, now the last to go.
    pub(super) fn get(&self, key: &Key) -> Result<Found, CacheError> {
        self.folder.check()?;
        let Some(bytes) = self.folder.read(key.name())? else { return Ok(Found::Nothing) };
        if let Some(whole) = Whole::check(key, bytes) {
            return Ok(Found::Whole(whole));
        }
        self.remove(key)?;
        Ok(Found::Damaged)
    }

    /// Keeps native code, and gives up what was not used for the longest time where there is too much.
    ///
    /// Durable on return. An artefact that is larger than the whole cache is not kept.
    pub(super) fn put(&self, key: &Key, artefact: &[u8]) -> Result<(), CacheError> {
        if artefact.len() as u64 > self.bytes_max {
            return Ok(());
        }
        self.folder.check()?;
        self.folder.write(key.name(), &[&entry::header(key, artefact), artefact])?;
        self.evict(key)
    }

    pub(super) fn remove(&self, key: &Key) -> Result<(), CacheError> {
        self.folder.remove(key.name())
    }

    /// Other processes may do the same at the same time: what has gone has gone.
    fn evict(&self, newest: &Key) -> Result<(), CacheError> {
        let mut listed = self.folder.list()?;
        let now = listed.iter().find(|file| file.name == newest.name()).map_or(0, |file| file.modified.0);
        for file in listed.iter().filter(|file| file.is_temporary && now - file.modified.0 > LEFTOVER_SECONDS) {
            self.folder.remove(&file.name)?;
        }
        listed.retain(|file| entry::is_name(&file.name));
        for name in surplus(listed, self.bytes_max, newest.name()) {
            self.folder.remove(&name)?;
        }
        Ok(())
    }
}

/// The files that have to go so that the others are no more than `bytes_max`: those whose last use lies longest back.
fn surplus(mut files: Vec<Listed>, bytes_max: u64, keep: &str) -> Vec<String> {
    files.sort_by_key(|file| file.modified);
    let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let mut going = Vec::new();
    for file in files {
        if bytes <= bytes_max {
            break;
        }
        if file.name != keep {
            bytes -= file.bytes;
            going.push(file.name);
        }
    }
    going
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    fn key(nth: u8) -> Key {
        Key::named(&format!("{}-{}", hex::encode([nth; 32]), hex::encode([nth; 16])))
    }

    fn cache(bytes_max: u64) -> (tempfile::TempDir, PathBuf, Cache) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sandmill/compiled");
        let cache = Cache::open(&path, bytes_max).unwrap();
        (dir, path, cache)
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Got {
        Artefact(Vec<u8>),
        Nothing,
        Damaged,
    }

    fn get(cache: &Cache, nth: u8) -> Got {
        match cache.get(&key(nth)).unwrap() {
            Found::Whole(whole) => Got::Artefact(whole.artefact().to_vec()),
            Found::Nothing => Got::Nothing,
            Found::Damaged => Got::Damaged,
        }
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_kept_is_found_again_and_is_this_users_alone() {
        let (_dir, path, cache) = cache(1 << 20);
        assert_eq!(get(&cache, 1), Got::Nothing);
        cache.put(&key(1), b"native").unwrap();
        assert_eq!(get(&cache, 1), Got::Artefact(b"native".to_vec()));
        assert_eq!(get(&cache, 2), Got::Nothing);
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o700));
        assert_eq!(mode(&path.join(key(1).name())), 0o600);
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_damaged_entry_is_removed_whatever_byte_was_changed() {
        let (_dir, path, cache) = cache(1 << 20);
        cache.put(&key(1), b"native code").unwrap();
        let file = path.join(key(1).name());
        let whole = std::fs::read(&file).unwrap();
        let check = |bytes: &[u8]| {
            std::fs::write(&file, bytes).unwrap();
            assert_eq!(get(&cache, 1), Got::Damaged);
            assert!(!file.exists());
            assert_eq!(get(&cache, 1), Got::Nothing);
        };
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            check(&bytes);
            check(&whole[..at]);
        }
        check(&[whole.as_slice(), b"x"].concat());
        // Another component's, under this one's name.
        cache.put(&key(2), b"other").unwrap();
        check(&std::fs::read(path.join(key(2).name())).unwrap());
    }

    #[test]
    fn a_folder_that_others_could_write_to_is_refused_at_any_time() {
        let (_dir, path, cache) = cache(1 << 20);
        cache.put(&key(1), b"native").unwrap();
        for open in [0o770, 0o707, 0o777] {
            set_mode(&path, open);
            let says = Cache::open(&path, 1 << 20).unwrap_err().to_string();
            assert!(says.contains("chmod 700"), "{says}");
            assert!(cache.get(&key(1)).is_err() && cache.put(&key(2), b"x").is_err());
        }
        set_mode(&path, 0o700);
        assert!(matches!(get(&cache, 1), Got::Artefact(_)));
        set_mode(&path.join(key(1).name()), 0o622);
        assert_eq!(get(&cache, 1), Got::Nothing, "neither is a file");
    }

    #[test]
    fn no_link_is_followed() {
        let (dir, path, cache) = cache(1 << 20);
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        let says = Cache::open(&link, 1 << 20).unwrap_err().to_string();
        assert!(says.contains("is a link"), "{says}");
        cache.put(&key(1), b"native").unwrap();
        std::fs::rename(path.join(key(1).name()), dir.path().join("elsewhere")).unwrap();
        symlink(dir.path().join("elsewhere"), path.join(key(1).name())).unwrap();
        assert_eq!(get(&cache, 1), Got::Nothing);
        cache.put(&key(1), b"again").unwrap();
        assert_eq!(get(&cache, 1), Got::Artefact(b"again".to_vec()), "the link itself is replaced");
        assert!(std::fs::read(dir.path().join("elsewhere")).unwrap().ends_with(b"native"));
    }

    #[test]
    fn what_is_no_folder_or_cannot_be_made_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(Cache::open(&dir.path().join("file"), 1).is_err());
        assert!(Cache::open(&dir.path().join("file/below"), 1).is_err());
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes_first() {
        let (_dir, path, cache) = cache(900);
        let age = |nth: u8, seconds: u64| {
            let file = std::fs::File::open(path.join(key(nth).name())).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            file.set_times(std::fs::FileTimes::new().set_modified(time)).unwrap();
        };
        for nth in 1..=3 {
            cache.put(&key(nth), &[nth; 200]).unwrap();
            age(nth, u64::from(nth));
        }
        assert!(matches!(get(&cache, 1), Got::Artefact(_)), "used again");
        cache.put(&key(4), &[4; 200]).unwrap();
        assert_eq!(get(&cache, 2), Got::Nothing);
        for nth in [1, 3, 4] {
            assert!(matches!(get(&cache, nth), Got::Artefact(_)), "{nth}");
        }
        cache.put(&key(5), &[5; 2_000]).unwrap();
        assert_eq!(get(&cache, 5), Got::Nothing, "larger than all of it");
    }

    #[test]
    fn leftovers_go_and_what_is_not_ours_stays() {
        let (_dir, path, cache) = cache(1);
        let old = std::fs::File::create(path.join(".tmp-old")).unwrap();
        old.set_times(std::fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH)).unwrap();
        std::fs::write(path.join(".tmp-being-written"), "").unwrap();
        std::fs::write(path.join("a letter"), "dear").unwrap();
        cache.put(&key(1), b"n").unwrap();
        let mut left: Vec<String> =
            std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, [".tmp-being-written", key(1).name(), "a letter"]);
    }

    #[test]
    fn many_at_once_leave_whole_entries() {
        let (_dir, path, _) = cache(1);
        std::thread::scope(|scope| {
            for thread in 0..8_u8 {
                let path = &path;
                scope.spawn(move || {
                    let cache = Cache::open(path, 40_000).unwrap();
                    for nth in 0..40_u8 {
                        let nth = nth.wrapping_mul(thread + 1) % 8;
                        match get(&cache, nth) {
                            Got::Artefact(bytes) => assert_eq!(bytes, [nth; 9_000]),
                            Got::Nothing => cache.put(&key(nth), &[nth; 9_000]).unwrap(),
                            Got::Damaged => panic!("an entry was damaged"),
                        }
                    }
                });
            }
        });
        let bytes: u64 = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert!(bytes <= 40_000 + 9_100, "{bytes}");
    }
}
