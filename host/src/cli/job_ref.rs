//! What a JOB argument may be: a job's name in the folder of the store, or the path of its file.

use super::settings;
use crate::config::{self, Config};
use crate::store::{JobName, Reader, StoreError, find_job};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// A job that was named; whether it is there shows when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JobRef {
    /// The folder of its files.
    pub(super) dir: PathBuf,
    pub(super) name: JobName,
}

impl JobRef {
    /// With the settings of the folder that the command is given in.
    pub(super) fn here(text: &str, store: Option<&Path>) -> anyhow::Result<Self> {
        Self::new(text, store, &config::load(None)?)
    }

    pub(super) fn new(text: &str, store: Option<&Path>, config: &Config) -> anyhow::Result<Self> {
        let dir = settings::store_dir(store, config);
        let is_file = Path::new(text).extension().is_some_and(|extension| extension == "db");
        let is_named = || JobName::new(text).is_ok_and(|name| dir.join(format!("{name}.db")).exists());
        // A job may be called `x.db`; its file is `x.db.db` then.
        if text.contains('/') || (is_file && !is_named()) {
            return Self::of_path(Path::new(text));
        }
        Ok(Self { dir, name: JobName::new(text)? })
    }

    fn of_path(path: &Path) -> anyhow::Result<Self> {
        let stem = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".db"));
        let Some(stem) = stem else {
            bail!("{}: a job is its name, or the path of its file, which ends in .db", path.display())
        };
        let name = JobName::new(stem).with_context(|| format!("{} is no job's file", path.display()))?;
        let dir = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        Ok(Self { dir, name })
    }

    pub(super) fn open(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.dir, &self.name)
    }

    /// Its file, which is there and is not opened.
    pub(super) fn file(&self) -> Result<PathBuf, StoreError> {
        find_job(&self.dir, &self.name)
    }

    /// What names it from every folder, beside that `--store`.
    pub(super) fn anywhere(&self, store: &Path) -> anyhow::Result<String> {
        if self.dir == store {
            return Ok(self.name.to_string());
        }
        self.path_anywhere()
    }

    /// The same without a `--store`.
    pub(super) fn path_anywhere(&self) -> anyhow::Result<String> {
        let path = std::path::absolute(self.dir.join(format!("{}.db", self.name)))?;
        let text = path.to_str().with_context(|| format!("{} is no UTF-8: move it elsewhere", path.display()))?;
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str), &str>) {
        let found = JobRef::new(text, Some(Path::new("/no/such/store")), &Config::default());
        match (found, expected) {
            (Ok(found), Ok((dir, name))) => {
                assert_eq!((found.dir.as_path(), found.name.as_str()), (Path::new(dir), name));
            }
            (Err(error), Err(part)) => assert!(format!("{error:#}").contains(part), "{error:#}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn a_job_is_a_name_or_a_path() {
        check("tickets", Ok(("/no/such/store", "tickets")));
        check("v1.2", Ok(("/no/such/store", "v1.2")));
        check("tickets.db", Ok((".", "tickets")));
        check("./tickets.db", Ok((".", "tickets")));
        check("/backups/of may.db", Err("no job's file"));
        check("/backups/tickets.2026-05-01.db", Ok(("/backups", "tickets.2026-05-01")));
        check("backups/tickets", Err("ends in .db"));
        check("-x", Err("cannot be a job's name"));
    }

    #[test]
    fn what_names_it_from_anywhere_names_the_same() {
        let store = Path::new("/no/such/store");
        for text in ["tickets", "tickets.db", "./a/tickets.db", "/backups/tickets.db", "/no/such/store/tickets.db"] {
            let found = JobRef::new(text, Some(store), &Config::default()).unwrap();
            for anywhere in [found.anywhere(store).unwrap(), found.path_anywhere().unwrap()] {
                let again = JobRef::new(&anywhere, Some(store), &Config::default()).unwrap();
                assert_eq!(again.name, found.name);
                assert_eq!(again.dir, std::path::absolute(found.dir.join(".")).unwrap(), "{text}");
            }
        }
    }

    #[test]
    fn a_name_that_looks_like_a_file_is_a_name_where_there_is_such_a_job() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x.db.db"), "").unwrap();
        let found = JobRef::new("x.db", Some(dir.path()), &Config::default()).unwrap();
        assert_eq!((found.dir.as_path(), found.name.as_str()), (dir.path(), "x.db"));
    }
}
