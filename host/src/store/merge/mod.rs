//! Several stores made into one: shards, interrupted runs, the same work on several machines.
//!
//! What is kept follows from the inputs, and not from their order but where that is all there is to go by:
//!
//! - An item is its id. If its content differs, the content of the store that was run last stands, and that is told; outcomes of
//!   the other content are left out, as they are when an input is edited between runs.
//! - Of several outcomes of one content, done beats skipped beats failed beats pending, and of equals the newer stands. Two
//!   outputs that differ, or one that was done here and skipped there, are told.
//! - Every run, attempt and call of every input is kept, under a new number. A run that is in two inputs, because one is a copy of
//!   the other, is one run, and its calls are counted once.
//! - An item that is in the input of one is in the input of all: a shard does not know the others' items.
//! - Positions are kept where no two items claim one, as in shards of one input. Otherwise the inputs are put one after another,
//!   in the order in which they were named, and that is told.
//!
//! Inputs are read and never written: one whose log is not folded in, or of an older format, is copied first.

mod books;
mod items;
mod source;

use super::files::{self, JobName, Lock};
use super::types::Counts;
use super::{Reader, StoreError, open};
use rusqlite::{Connection, OpenFlags, params};
use source::Source;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Conflicts that are told by their ids.
const EXAMPLES: i64 = 5;

/// What a merge found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergeReport {
    pub counts: Counts,
    pub calls: u64,
    /// Calls that were in more than one input, and are counted once.
    pub calls_shared: u64,
    /// Kinds of output among what is done: plugins, configurations, models.
    pub generations: u64,
    /// Items of one id and several contents.
    pub content_conflicts: Conflicts,
    /// Items of one content and several outputs.
    pub output_conflicts: Conflicts,
    /// Two items claimed one position: the inputs stand one after another.
    pub is_concatenated: bool,
    /// How the input that was run last is run; JSON.
    pub arguments: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conflicts {
    pub count: u64,
    /// Ids of some of them.
    pub examples: Vec<String>,
}

/// A store made of others, which goes when it is dropped unless it is kept.
pub struct Merged {
    folder: TempDir,
    report: MergeReport,
}

impl Merged {
    /// Makes it in a hidden folder in `dir`, which takes as much room as the inputs. Blocks.
    pub fn make(inputs: &[PathBuf], dir: &Path) -> Result<Self, StoreError> {
        files::create_dir(dir)?;
        let folder = tempfile::Builder::new()
            .prefix(".sandmill-merge-")
            .tempdir_in(dir)
            .map_err(|error| StoreError::io(dir, &error))?;
        let mut sources = source::open_all(inputs, folder.path())?;
        // The order of the arguments decides between stores of one moment.
        sources.sort_by_key(|source| (source.last_run_ms, source.argument));
        let path = folder.path().join("merged.db");
        let report = Merge::new(&path)?.run(&sources)?;
        Ok(Self { folder, report })
    }

    pub fn report(&self) -> &MergeReport {
        &self.report
    }

    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::at(&self.path())
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("merged.db")
    }

    /// Makes it the job `job` in `dir`, the folder that it was made in. Durable on return.
    pub fn keep(self, dir: &Path, job: &JobName, arguments: &str) -> Result<(), StoreError> {
        let (from, to) = (self.path(), files::database(dir, job));
        let _lock = Lock::take(dir, job)?;
        if to.exists() {
            return Err(StoreError::Exists { job: job.to_string() });
        }
        let connection = open::writer(&from)?;
        connection
            .execute("UPDATE job SET name = ?1, arguments = ?2", params![job.as_str(), arguments])
            .and_then(|_| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))
            .map_err(|error| StoreError::sqlite(&from, &error))?;
        drop(connection);
        let sync = |path: &Path| std::fs::File::open(path).and_then(|file| file.sync_all());
        let moved = sync(&from).and_then(|()| std::fs::rename(&from, &to)).and_then(|()| sync(dir));
        moved.map_err(|error| StoreError::io(&to, &error))
    }
}

/// The connection to what is being made, with one input at a time attached as `src`.
struct Merge {
    connection: Connection,
    path: PathBuf,
}

/// Tables that live as long as the merge. `place`: where each input has each item.
const SCRATCH: &str = "
    CREATE TEMP TABLE place (item INTEGER NOT NULL, argument INTEGER NOT NULL, position INTEGER NOT NULL);
    CREATE TEMP TABLE conflict (item INTEGER NOT NULL, kind TEXT NOT NULL, PRIMARY KEY (item, kind)) WITHOUT ROWID;
    CREATE TEMP TABLE shared (calls INTEGER NOT NULL);
    CREATE TEMP TABLE item_map (src INTEGER PRIMARY KEY, dst INTEGER NOT NULL, is_same INTEGER NOT NULL);
    CREATE TEMP TABLE generation_map (src INTEGER PRIMARY KEY, dst INTEGER NOT NULL);
    CREATE TEMP TABLE price_map (src INTEGER PRIMARY KEY, dst INTEGER NOT NULL);
    CREATE TEMP TABLE run_map (src INTEGER PRIMARY KEY, dst INTEGER NOT NULL, is_known INTEGER NOT NULL);
    CREATE TEMP TABLE attempt_map (src INTEGER PRIMARY KEY, dst INTEGER NOT NULL, is_known INTEGER NOT NULL);
    CREATE TEMP TABLE call_map (src INTEGER PRIMARY KEY, dst INTEGER NOT NULL, is_known INTEGER NOT NULL);";

impl Merge {
    fn new(path: &Path) -> Result<Self, StoreError> {
        open::writer(path)?;
        let error = |error: rusqlite::Error| StoreError::sqlite(path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(error)?;
        // What is not finished is thrown away: there is nothing to go back to.
        connection.pragma_update(None, "journal_mode", "OFF").map_err(error)?;
        connection.pragma_update(None, "synchronous", "OFF").map_err(error)?;
        connection.pragma_update(None, "cache_size", -open::CACHE_KIB).map_err(error)?;
        connection.execute_batch(SCRATCH).map_err(error)?;
        Ok(Self { connection, path: path.to_path_buf() })
    }

    /// `sources`: the one that was run first, first.
    fn run(self, sources: &[Source]) -> Result<MergeReport, StoreError> {
        // The newest first: what stands already is what stays.
        for source in sources.iter().rev() {
            self.with(source, |connection| items::take_items(connection, source.argument))?;
        }
        for source in sources {
            self.with(source, books::take_books)?;
            self.with(source, items::take_outcomes)?;
        }
        self.finish(sources).map_err(|error| StoreError::sqlite(&self.path, &error))
    }

    fn with(&self, source: &Source, take: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<(), StoreError> {
        let here = |error: rusqlite::Error| StoreError::sqlite(&self.path, &error);
        let there = |error: rusqlite::Error| StoreError::sqlite(&source.path, &error);
        self.connection.execute("ATTACH ?1 AS src", params![source.uri]).map_err(there)?;
        take(&self.connection).map_err(here)?;
        self.connection.execute("DETACH src", []).map(|_| ()).map_err(here)
    }

    fn finish(&self, sources: &[Source]) -> rusqlite::Result<MergeReport> {
        let connection = &self.connection;
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
        let is_concatenated = items::settle_positions(connection)?;
        connection.execute(
            "UPDATE outcome SET attempts = max(attempts, (SELECT count(*) FROM attempt a WHERE a.item = outcome.item AND a.run > 0))",
            [],
        )?;
        let created_ms = sources.iter().map(|source| source.created_ms).min().unwrap_or(0);
        let (seed, arguments) =
            sources.last().map_or((0, "{}".to_owned()), |source| (source.seed, source.arguments.clone()));
        connection.execute(
            "INSERT INTO job (id, name, created_ms, seed, arguments) VALUES (1, 'merged', ?1, ?2, ?3)",
            params![created_ms, seed, arguments],
        )?;
        let of_state = |state: &str| {
            number(&format!(
                "SELECT count(*) FROM outcome o JOIN item i ON i.seq = o.item WHERE i.position IS NOT NULL AND o.state = '{state}'"
            ))
        };
        Ok(MergeReport {
            counts: Counts {
                total: number("SELECT count(*) FROM item WHERE position IS NOT NULL")?,
                done: of_state("done")?,
                skipped: of_state("skipped")?,
                failed: of_state("failed")?,
            },
            calls: number(
                "SELECT count(*) FROM call c LEFT JOIN call_end e ON e.call = c.id WHERE e.state IS NOT 'taken'",
            )?,
            calls_shared: number("SELECT coalesce(sum(calls), 0) FROM shared")?,
            generations: number("SELECT count(DISTINCT generation) FROM outcome WHERE state <> 'failed'")?,
            content_conflicts: conflicts(connection, items::CONTENT)?,
            output_conflicts: conflicts(connection, items::OUTPUT)?,
            is_concatenated,
            arguments,
        })
    }
}

fn conflicts(connection: &Connection, kind: &str) -> rusqlite::Result<Conflicts> {
    let count = connection
        .query_row("SELECT count(*) FROM conflict WHERE kind = ?1", params![kind], |row| row.get::<_, i64>(0))?;
    let examples = connection
        .prepare("SELECT i.id FROM conflict c JOIN item i ON i.seq = c.item WHERE c.kind = ?1 ORDER BY i.id LIMIT ?2")?
        .query_map(params![kind, EXAMPLES], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Conflicts { count: count.cast_unsigned(), examples })
}

/// The columns of a table but those, whatever later formats add to it.
fn columns(connection: &Connection, table: &str, except: &[&str]) -> rusqlite::Result<Vec<String>> {
    let names: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info(?1, 'main')")?
        .query_map(params![table], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(names.into_iter().filter(|name| !except.contains(&name.as_str())).collect())
}

fn prefixed(columns: &[String], alias: &str) -> String {
    columns.iter().map(|name| format!("{alias}.{name}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
