//! Folding the log into the file, beside the thread that writes.
//!
//! SQLite folds the log within the commit that makes it long, and everybody who waits for an answer to be durable waits for two
//! syncs of a file of gigabytes as well. A thread of its own does the same while commits go on. What was committed meanwhile
//! is little; that is left to the writer, since the log can begin anew only when all of it has been folded.

use super::{StoreError, open};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// In pages of 4 KiB.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// In the log when folding begins.
    begin: u32,
    /// What is left for the writer.
    rest: u32,
    /// The log grows no longer than this while it is being folded: then the disk is slower than the batch, and the writer waits for it.
    most: u32,
}

impl Default for Bounds {
    /// 64, 4 and 512 MiB.
    fn default() -> Self {
        Self { begin: 16_384, rest: 1_024, most: 131_072 }
    }
}

/// Rounds in which the rest has to become small. Each takes what was committed during the one before.
const ROUNDS: u32 = 5;

/// The writer's end.
pub(super) struct Fold {
    /// Pages in the log after the last commit, as SQLite tells.
    pages: Arc<AtomicU32>,
    /// None once the thread is to end.
    begin: Option<Sender<()>>,
    done: Receiver<()>,
    thread: Option<JoinHandle<()>>,
    under_way: bool,
    bounds: Bounds,
    /// Where the next folding begins: later than usual while a reader holds on to what is in the log.
    begin_at: u32,
}

impl Fold {
    /// Takes over from SQLite, which folds no more by itself on `connection`.
    pub(super) fn start(connection: &mut Connection, path: &Path, bounds: Bounds) -> Result<Self, StoreError> {
        let error = |error: rusqlite::Error| StoreError::sqlite(path, &error);
        let pages = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&pages);
        connection
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
                told.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
                Ok(())
            }))
            .map_err(error)?;
        let beside = open::looking(path)?;
        beside.pragma_update(None, "synchronous", "FULL").map_err(error)?;
        let (begin, begins) = channel();
        let (tell_done, done) = channel();
        let seen = Arc::clone(&pages);
        let thread = std::thread::Builder::new()
            .name("store-fold".into())
            .spawn(move || {
                while begins.recv().is_ok() {
                    fold_most(&beside, &seen, bounds.rest);
                    if tell_done.send(()).is_err() {
                        break;
                    }
                }
            })
            .map_err(|error| StoreError::io(path, &error))?;
        let begin_at = bounds.begin;
        Ok(Self { pages, begin: Some(begin), done, thread: Some(thread), under_way: false, bounds, begin_at })
    }

    /// After each commit.
    pub(super) fn committed(&mut self, connection: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if !self.under_way {
            if pages >= self.begin_at {
                self.under_way = self.begin.as_ref().is_some_and(|begin| begin.send(()).is_ok());
            }
            return;
        }
        let ended = if pages < self.bounds.most { self.done.try_recv().is_ok() } else { self.done.recv().is_ok() };
        if ended {
            self.under_way = false;
            let left = passive(connection).is_none_or(|folded| folded < pages);
            self.begin_at = if left { pages.saturating_add(self.bounds.begin / 4) } else { self.bounds.begin };
        }
    }

    /// Ends the thread.
    pub(super) fn end(&mut self) {
        self.begin = None;
        if let Some(thread) = self.thread.take() {
            // It does nothing that panics.
            let _ = thread.join();
        }
    }
}

fn fold_most(connection: &Connection, pages: &AtomicU32, rest: u32) {
    for _ in 0..ROUNDS {
        match passive(connection) {
            Some(folded) if pages.load(Ordering::Relaxed).saturating_sub(folded) > rest => {}
            Some(_) | None => break,
        }
    }
}

/// How many pages of the log are in the file now; none if that cannot be told. What cannot be folded stays in the log, where it is as safe, and
/// a log that cannot grow fails the next commit, which says why.
fn passive(connection: &Connection) -> Option<u32> {
    let folded = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(2)).ok()?;
    u32::try_from(folded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const SMALL: Bounds = Bounds { begin: 64, rest: 8, most: 256 };
    /// More than any one of these commits writes.
    const COMMIT_PAGES: u32 = 64;

    struct Written {
        connection: Connection,
        fold: Fold,
        rows: i64,
        most_pages: u32,
        /// How often the log began anew.
        begun: u32,
    }

    impl Written {
        fn new(path: &Path) -> Self {
            let mut connection = open::writer(path).unwrap();
            connection.execute_batch("CREATE TABLE filler (id INTEGER PRIMARY KEY, text BLOB)").unwrap();
            let fold = Fold::start(&mut connection, path, SMALL).unwrap();
            Self { connection, fold, rows: 0, most_pages: 0, begun: 0 }
        }

        fn commits(&mut self, count: u32) {
            for _ in 0..count {
                let before = self.fold.pages.load(Ordering::Relaxed);
                self.rows += 1;
                self.connection.execute("INSERT INTO filler VALUES (?1, zeroblob(60000))", [self.rows]).unwrap();
                let pages = self.fold.pages.load(Ordering::Relaxed);
                self.begun += u32::from(pages < before);
                self.most_pages = self.most_pages.max(pages);
                self.fold.committed(&self.connection);
            }
        }
    }

    fn store() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j.db");
        (dir, path)
    }

    #[test]
    fn the_log_begins_anew_while_commits_go_on_and_stays_within_its_bound() {
        let (_dir, path) = store();
        let mut written = Written::new(&path);
        written.commits(400);
        assert!(written.begun >= 2, "{}", written.begun);
        assert!(written.most_pages <= SMALL.most + COMMIT_PAGES, "{}", written.most_pages);
        written.fold.end();
        drop(written);
        let rows: i64 = open::reader(&path)
            .unwrap()
            .query_row("SELECT count(*) FROM filler WHERE length(text) = 60000", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 400);
    }

    #[test]
    fn a_reader_that_holds_on_to_the_log_delays_its_folding_and_no_commit() {
        let (_dir, path) = store();
        let mut written = Written::new(&path);
        written.commits(1);
        let reader = open::reader(&path).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        let seen: i64 = reader.query_row("SELECT count(*) FROM filler", [], |row| row.get(0)).unwrap();
        written.commits(200);
        assert_eq!(written.begun, 0);
        let still: i64 = reader.query_row("SELECT count(*) FROM filler", [], |row| row.get(0)).unwrap();
        assert_eq!((seen, still), (1, 1));
        drop(reader);
        written.commits(200);
        assert!(written.begun >= 1);
        written.fold.end();
    }
}
