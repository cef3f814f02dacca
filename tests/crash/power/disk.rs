//! What a disk may hold after its power failed: what was synced, and of the rest any part, in sectors, in any order.

use rand::{Rng, RngExt};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Written whole or not at all, which SQLite relies on.
const SECTOR: usize = 512;

/// One thing that the process did; see tests/powerloss/shim.c.
pub(super) struct Record {
    pub(super) kind: u8,
    inode: u64,
    offset: u64,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn read_log(mut log: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    // The last record of a process that was killed may be cut short; it tells of nothing that anybody saw.
    while log.len() >= 21 {
        let number = |at: usize| u64::from_ne_bytes(log[at..at + 8].try_into().unwrap());
        let length = u32::from_ne_bytes(log[17..21].try_into().unwrap()) as usize;
        let Some(bytes) = log.get(21..21 + length) else { break };
        records.push(Record { kind: log[0], inode: number(1), offset: number(9), bytes: bytes.to_vec() });
        log = &log[21 + length..];
    }
    records
}

enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Cut { length: usize },
}

#[derive(Default)]
struct File {
    synced: Vec<u8>,
    since: Vec<Change>,
}

#[derive(Clone)]
enum NameChange {
    Add { name: String, file: Option<usize> },
    Remove { name: String },
    Rename { from: String, to: String, file: Option<usize> },
}

/// Names of files and, without one, of folders.
type Names = BTreeMap<String, Option<usize>>;

#[derive(Default)]
struct Folder {
    synced: Names,
    since: Vec<NameChange>,
    now: Names,
}

/// A folder and what is in it, as a disk with a cache has it.
pub(super) struct Disk {
    root: PathBuf,
    files: Vec<File>,
    by_inode: HashMap<u64, usize>,
    /// By their path below the root, which is itself the empty one.
    folders: BTreeMap<String, Folder>,
}

impl Disk {
    pub(super) fn new(root: &Path) -> Self {
        let folders = BTreeMap::from([(String::new(), Folder::default())]);
        Self { root: root.to_path_buf(), files: Vec::new(), by_inode: HashMap::new(), folders }
    }

    pub(super) fn apply(&mut self, record: &Record) {
        let text = || String::from_utf8(record.bytes.clone()).unwrap();
        match record.kind {
            b'C' => {
                self.files.push(File::default());
                let file = self.files.len() - 1;
                self.by_inode.insert(record.inode, file);
                let (folder, name) = self.place(&text());
                self.change(&folder, NameChange::Add { name, file: Some(file) });
            }
            b'M' => {
                let path = text();
                let (folder, name) = self.place(&path);
                self.change(&folder, NameChange::Add { name, file: None });
                self.folders.insert(self.below(&path), Folder::default());
            }
            b'U' => {
                let (folder, name) = self.place(&text());
                self.change(&folder, NameChange::Remove { name });
            }
            b'R' => {
                let both = text();
                let (from, to) = both.split_once('\0').unwrap();
                let ((folder, from), (other, to)) = (self.place(from), self.place(to));
                assert_eq!(folder, other, "nothing is renamed from one folder into another");
                let file = self.folders[&folder].now[&from];
                self.change(&folder, NameChange::Rename { from, to, file });
            }
            b'D' => {
                let folder = self.folders.get_mut(&self.below(&text())).unwrap();
                folder.synced = folder.now.clone();
                folder.since.clear();
            }
            b'W' => {
                let offset = usize::try_from(record.offset).unwrap();
                self.file(record.inode).since.push(Change::Write { offset, bytes: record.bytes.clone() });
            }
            b'T' => {
                let length = usize::try_from(record.offset).unwrap();
                self.file(record.inode).since.push(Change::Cut { length });
            }
            b'S' => {
                let file = self.file(record.inode);
                for change in std::mem::take(&mut file.since) {
                    change.apply(&mut file.synced);
                }
            }
            _ => {}
        }
    }

    fn file(&mut self, inode: u64) -> &mut File {
        &mut self.files[self.by_inode[&inode]]
    }

    fn below(&self, path: &str) -> String {
        Path::new(path).strip_prefix(&self.root).unwrap().to_str().unwrap().to_owned()
    }

    fn place(&self, path: &str) -> (String, String) {
        let below = self.below(path);
        match below.rsplit_once('/') {
            Some((folder, name)) => (folder.to_owned(), name.to_owned()),
            None => (String::new(), below),
        }
    }

    fn change(&mut self, folder: &str, change: NameChange) {
        let folder = self.folders.get_mut(folder).unwrap();
        change.clone().apply(&mut folder.now);
        folder.since.push(change);
    }

    /// Without a loss: path and content of each file.
    pub(super) fn kept_whole(&self) -> BTreeMap<String, Vec<u8>> {
        let content = |file: &File| {
            let mut content = file.synced.clone();
            file.since.iter().for_each(|change| change.apply(&mut content));
            content
        };
        let files: Vec<Vec<u8>> = self.files.iter().map(content).collect();
        self.collect("", &|folder: &Folder| folder.now.clone(), &|file| files[file].clone())
    }

    /// With one.
    pub(super) fn kept_after_a_loss(&self, random: &mut impl Rng) -> BTreeMap<String, Vec<u8>> {
        let files: Vec<Vec<u8>> = self.files.iter().map(|file| file.after_a_loss(random)).collect();
        let names: BTreeMap<&String, Names> =
            self.folders.iter().map(|(path, folder)| (path, folder.after_a_loss(random))).collect();
        let names_of = |wanted: &Folder| {
            let (path, _) = self.folders.iter().find(|(_, folder)| std::ptr::eq(*folder, wanted)).unwrap();
            names[path].clone()
        };
        self.collect("", &names_of, &|file| files[file].clone())
    }

    fn collect(
        &self,
        path: &str,
        names: &dyn Fn(&Folder) -> Names,
        content: &dyn Fn(usize) -> Vec<u8>,
    ) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        for (name, file) in names(&self.folders[path]) {
            let below = if path.is_empty() { name } else { format!("{path}/{name}") };
            match file {
                Some(file) => {
                    found.insert(below, content(file));
                }
                None => found.extend(self.collect(&below, names, content)),
            }
        }
        found
    }
}

/// How much of what was not synced survives: nothing, all, or some.
fn share(random: &mut impl Rng) -> f64 {
    [0.0, 0.2, 0.5, 0.8, 1.0][random.random_range(0..5)]
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(content, *offset, bytes),
            Self::Cut { length } => content.resize(*length, 0),
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if content.len() < offset + bytes.len() {
        content.resize(offset + bytes.len(), 0);
    }
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}

impl File {
    fn after_a_loss(&self, random: &mut impl Rng) -> Vec<u8> {
        let mut content = self.synced.clone();
        let share = share(random);
        for change in &self.since {
            match change {
                Change::Cut { .. } => {
                    if random.random_bool(share) {
                        change.apply(&mut content);
                    }
                }
                Change::Write { offset, bytes } => {
                    let mut at = 0;
                    while at < bytes.len() {
                        let end = bytes.len().min(at + SECTOR - (offset + at) % SECTOR);
                        if random.random_bool(share) {
                            put(&mut content, offset + at, &bytes[at..end]);
                        }
                        at = end;
                    }
                }
            }
        }
        content
    }
}

impl NameChange {
    fn apply(self, names: &mut Names) {
        match self {
            Self::Add { name, file } => {
                names.insert(name, file);
            }
            Self::Remove { name } => {
                names.remove(&name);
            }
            Self::Rename { from, to, file } => {
                names.remove(&from);
                names.insert(to, file);
            }
        }
    }
}

impl Folder {
    fn after_a_loss(&self, random: &mut impl Rng) -> Names {
        let mut names = self.synced.clone();
        let share = share(random);
        for change in &self.since {
            if random.random_bool(share) {
                change.clone().apply(&mut names);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn record(kind: u8, inode: u64, offset: u64, bytes: impl AsRef<[u8]>) -> Record {
        Record { kind, inode, offset, bytes: bytes.as_ref().to_vec() }
    }

    /// What a hundred losses after these records leave of `/r/f`.
    fn losses(records: &[Record]) -> Vec<Option<Vec<u8>>> {
        let mut disk = Disk::new(Path::new("/r"));
        for record in records {
            disk.apply(record);
        }
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        (0..100).map(|_| disk.kept_after_a_loss(&mut random).remove("f")).collect()
    }

    #[test]
    fn what_was_synced_stays_and_of_the_rest_any_part_may_be_lost() {
        let synced = || {
            vec![
                record(b'C', 1, 0, "/r/f"),
                record(b'W', 1, 0, [1; 1024]),
                record(b'S', 1, 0, ""),
                record(b'D', 9, 0, "/r"),
            ]
        };
        assert!(losses(&synced()).iter().all(|file| file.as_deref() == Some(&[1; 1024][..])));
        let mut torn = synced();
        torn.push(record(b'W', 1, 0, [2; 1024]));
        let torn = losses(&torn);
        for (first, second) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
            let content = [[first; 512], [second; 512]].concat();
            assert!(torn.iter().any(|file| file.as_deref() == Some(&content[..])), "{first} and {second}");
        }
    }

    #[test]
    fn a_name_that_was_not_synced_may_be_missing_and_a_rename_may_not_have_happened() {
        let unsynced = losses(&[record(b'C', 1, 0, "/r/f"), record(b'W', 1, 0, "x"), record(b'S', 1, 0, "")]);
        assert!(unsynced.iter().any(Option::is_none) && unsynced.iter().any(Option::is_some));
        let renamed = losses(&[
            record(b'C', 1, 0, "/r/f"),
            record(b'W', 1, 0, "old"),
            record(b'S', 1, 0, ""),
            record(b'D', 9, 0, "/r"),
            record(b'C', 2, 0, "/r/g"),
            record(b'W', 2, 0, "new"),
            record(b'S', 2, 0, ""),
            record(b'R', 0, 0, "/r/g\0/r/f"),
        ]);
        for content in ["old", "new"] {
            assert!(renamed.iter().any(|file| file.as_deref() == Some(content.as_bytes())), "{content}");
        }
    }
}
