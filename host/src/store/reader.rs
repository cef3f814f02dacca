//! Everything that is read from a store, by runs and by those who only look.

use super::selection::{FAILED_FILTER, FailedFilter, Take};
use super::types::{
    CostBy, CostRow, Counts, Cursor, FailureRow, ItemHistory, JobRow, JournalEntry, LogRow, Page, PendingItem, RunId,
    RunRow, UsageTotals,
};
use super::{StoreError, codec, files, known, open};
use crate::domain::{AttemptNumber, Emission, Item, ItemId, ItemSeq};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What a page of items may hold, in bytes of JSON; at least one item, however large.
pub(super) const PAGE_BYTES: usize = 16 << 20;

/// A connection that reads; calls block.
#[derive(Clone)]
pub struct Reader {
    pub(super) connection: Arc<Mutex<Connection>>,
    pub(super) path: PathBuf,
}

impl Reader {
    /// Opens a job that may be running elsewhere; a file of an older format is brought to this one first.
    pub fn open(dir: &Path, job: &files::JobName) -> Result<Self, StoreError> {
        let path = known::find_job(dir, job)?;
        if open::is_older(&path)? {
            // While an older version runs it, it is that version's.
            let _lock = files::Lock::take(dir, job)?;
            open::writer(&path)?;
        }
        Self::at(&path)
    }

    pub(super) fn at(path: &Path) -> Result<Self, StoreError> {
        let connection = open::reader(path)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), path: path.to_path_buf() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn query<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        read(&connection).map_err(|error| StoreError::sqlite(&self.path, &error))
    }

    /// A reader of its own, to which the job stays as it is now, while another process may write.
    pub fn as_of_now(&self) -> Result<Self, StoreError> {
        let reader = Self::at(&self.path)?;
        // The moment is that of the first reading.
        reader.query(|connection| {
            // Items may be read in an order that is not the file's.
            connection.pragma_update(None, "cache_size", -open::CACHE_KIB)?;
            connection.execute_batch("BEGIN")?;
            connection.query_row("SELECT count(*) FROM job", [], |_| Ok(()))
        })?;
        Ok(reader)
    }

    /// Reads what belongs together as of one moment, while another process may write.
    pub(super) fn with_snapshot<T, E: From<StoreError>>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if !connection.is_autocommit() {
            return read(&connection);
        }
        // It wrote nothing: dropped, it only ends.
        let transaction = connection.unchecked_transaction().map_err(|error| StoreError::sqlite(&self.path, &error))?;
        read(&transaction)
    }

    /// `None`: the process died between making the file and its first row.
    pub fn job(&self) -> Result<Option<JobRow>, StoreError> {
        self.query(|connection| {
            connection
                .query_row("SELECT name, created_ms, seed, arguments, input FROM job", [], |row| {
                    Ok(JobRow {
                        name: row.get(0)?,
                        created_ms: unsigned(row, 1)?,
                        seed: row.get::<_, i64>(2)?.cast_unsigned(),
                        arguments: row.get(3)?,
                        input: row.get(4)?,
                    })
                })
                .optional()
        })
    }

    pub fn counts(&self) -> Result<Counts, StoreError> {
        self.query(|connection| {
            connection.query_row(
                "SELECT count(*), count(*) FILTER (WHERE o.state = 'done'), count(*) FILTER (WHERE o.state = 'skipped'),
                        count(*) FILTER (WHERE o.state = 'failed')
                 FROM item i INDEXED BY item_position LEFT JOIN outcome o INDEXED BY outcome_item ON o.item = i.seq
                 WHERE i.position IS NOT NULL",
                [],
                |row| {
                    Ok(Counts {
                        total: unsigned(row, 0)?,
                        done: unsigned(row, 1)?,
                        skipped: unsigned(row, 2)?,
                        failed: unsigned(row, 3)?,
                    })
                },
            )
        })
    }

    pub fn usage(&self) -> Result<UsageTotals, StoreError> {
        self.query(|connection| {
            connection.query_row(
                "SELECT (SELECT count(*) FROM call) - count(*) FILTER (WHERE state = 'taken'), count(*) FILTER (WHERE state = 'answered'),
                        count(*) FILTER (WHERE state = 'unknown'),
                        coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cost), 0)
                 FROM call_end INDEXED BY call_end_books",
                [],
                |row| {
                    Ok(UsageTotals {
                        calls: unsigned(row, 0)?,
                        answered: unsigned(row, 1)?,
                        unknown: unsigned(row, 2)?,
                        input_tokens: unsigned(row, 3)?,
                        output_tokens: unsigned(row, 4)?,
                        cost: unsigned(row, 5)?,
                    })
                },
            )
        })
    }

    /// What calls cost, the dearest first.
    pub fn costs(&self, by: CostBy) -> Result<Vec<CostRow>, StoreError> {
        let (key, join) = match by {
            CostBy::Route => ("c.route", ""),
            CostBy::Model => ("c.model", ""),
            CostBy::Day => ("date(c.intent_ms / 1000, 'unixepoch')", ""),
            CostBy::Tag => ("t.key || '=' || t.value", "JOIN json_each(r.tags) t"),
            CostBy::Item => ("i.id", "JOIN item i ON i.seq = c.item"),
        };
        let sql = format!(
            "SELECT {key}, count(*), count(*) FILTER (WHERE e.state = 'failed'),
                    count(*) FILTER (WHERE e.state = 'unknown'), count(*) FILTER (WHERE c.price IS NULL),
                    coalesce(sum(e.input_tokens), 0), coalesce(sum(e.output_tokens), 0),
                    coalesce(sum(e.cache_read_tokens), 0), coalesce(sum(e.cost), 0), coalesce(sum(c.reserved), 0)
             FROM call c LEFT JOIN call_end e ON e.call = c.id JOIN attempt a ON a.id = c.attempt
             JOIN run r ON r.id = a.run {join} GROUP BY 1 ORDER BY sum(e.cost) DESC, 1"
        );
        self.query(|connection| {
            connection
                .prepare(&sql)?
                .query_map([], |row| {
                    Ok(CostRow {
                        key: row.get(0)?,
                        calls: unsigned(row, 1)?,
                        failed: unsigned(row, 2)?,
                        unknown: unsigned(row, 3)?,
                        unpriced: unsigned(row, 4)?,
                        input_tokens: unsigned(row, 5)?,
                        output_tokens: unsigned(row, 6)?,
                        cache_read_tokens: unsigned(row, 7)?,
                        cost: unsigned(row, 8)?,
                        reserved: unsigned(row, 9)?,
                    })
                })?
                .collect()
        })
    }

    /// Failed items by class and code, the most frequent first, with one message of each.
    pub fn failure_groups(&self) -> Result<Vec<(String, String, u64, String)>, StoreError> {
        self.query(|connection| {
            connection
                .prepare(
                    "SELECT o.class, o.code, count(*), min(o.message) FROM outcome o JOIN item i ON i.seq = o.item
                     WHERE o.state = 'failed' AND i.position IS NOT NULL GROUP BY o.class, o.code ORDER BY count(*) DESC, o.class, o.code",
                )?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, unsigned(row, 2)?, row.get(3)?)))?
                .collect()
        })
    }

    /// Failed items in the order of the input.
    pub fn failures(&self, limit: u64) -> Result<Vec<FailureRow>, StoreError> {
        self.query(|connection| {
            connection
                .prepare(
                    "SELECT i.id, i.line, o.ended_ms, o.attempts, o.class, o.code, o.message, o.backtrace
                     FROM outcome o JOIN item i ON i.seq = o.item
                     WHERE o.state = 'failed' AND i.position IS NOT NULL ORDER BY i.position LIMIT ?1",
                )?
                .query_map(params![limit.cast_signed()], |row| {
                    Ok(FailureRow {
                        id: row.get(0)?,
                        line: unsigned(row, 1)?,
                        ended_ms: unsigned(row, 2)?,
                        attempts: unsigned(row, 3)?,
                        class: row.get(4)?,
                        code: row.get(5)?,
                        message: row.get(6)?,
                        backtrace: row.get(7)?,
                    })
                })?
                .collect()
        })
    }

    pub fn runs(&self) -> Result<Vec<RunRow>, StoreError> {
        self.query(|connection| {
            connection
                .prepare(
                    "SELECT id, pid, started_ms, ended_ms, state, reason, exit_code, summary FROM run ORDER BY id",
                )?
                .query_map([], |row| {
                    Ok(RunRow {
                        id: row.get(0)?,
                        pid: row.get(1)?,
                        started_ms: unsigned(row, 2)?,
                        ended_ms: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
                        state: row.get(4)?,
                        reason: row.get(5)?,
                        exit_code: row.get(6)?,
                        summary: row.get(7)?,
                    })
                })?
                .collect()
        })
    }

    /// How many outcomes belong to another generation than this digest's.
    pub fn outcomes_of_other_generations(&self, digest: &str) -> Result<u64, StoreError> {
        self.query(|connection| {
            connection.query_row(
                "SELECT count(*) FROM outcome o JOIN generation g ON g.id = o.generation JOIN item i ON i.seq = o.item
                 WHERE g.digest <> ?1 AND o.state <> 'failed' AND i.position IS NOT NULL",
                params![digest],
                |row| unsigned(row, 0),
            )
        })
    }

    /// Calls the visitor for each finished item with an output, in the order of the input; its error ends the walk.
    pub fn for_each_done<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(&str, &[Emission]) -> Result<(), E>,
    ) -> Result<(), E> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let error = |error: rusqlite::Error| StoreError::sqlite(&self.path, &error);
        let mut statement = connection
            .prepare(
                "SELECT i.id, o.emissions FROM item i JOIN outcome o ON o.item = i.seq
                 WHERE i.position IS NOT NULL AND o.state = 'done' ORDER BY i.position",
            )
            .map_err(error)?;
        let mut rows = statement.query([]).map_err(error)?;
        while let Some(row) = rows.next().map_err(error)? {
            let id = row.get_ref(0).and_then(|id| Ok(id.as_str()?)).map_err(error)?;
            let emissions = row.get_ref(1).and_then(|text| Ok(text.as_str()?)).map_err(error)?;
            visit(id, &codec::decode_emissions(emissions)?)?;
        }
        Ok(())
    }

    /// What happened, in order of time; of one item if `item` is given.
    pub fn log(
        &self,
        item: Option<&str>,
        mut visit: impl FnMut(LogRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let error = |error: rusqlite::Error| StoreError::sqlite(&self.path, &error);
        let mut statement = connection.prepare(include_str!("log.sql")).map_err(error)?;
        let mut rows = statement.query(params![item]).map_err(error)?;
        while let Some(row) = rows.next().map_err(error)? {
            let entry =
                (|| Ok(LogRow { at_ms: unsigned(row, 0)?, kind: row.get(1)?, item: row.get(2)?, text: row.get(3)? }))();
            visit(entry.map_err(error)?)?;
        }
        Ok(())
    }

    /// A page of what is left to do, in the order of the input: at most `limit` items, and fewer where they are large. What
    /// failed counts as left if it failed before the run `run`; lines that are no items never do.
    pub(super) fn pending(
        &self,
        after: Option<Cursor>,
        limit: usize,
        take: &Take,
        run: RunId,
    ) -> Result<Page, StoreError> {
        let after = after.map_or(-1, |cursor| cursor.0);
        let (pending, failed, filter) = match take {
            Take::Pending => (true, false, FailedFilter::default()),
            Take::PendingAndFailed => (true, true, FailedFilter::default()),
            Take::Failed(filter) => (false, true, filter.clone()),
        };
        let sql = format!(
            "SELECT i.seq, i.id, i.position, i.input, EXISTS (SELECT 1 FROM attempt a WHERE a.item = i.seq),
                    EXISTS (SELECT 1 FROM item_blob b WHERE b.item = i.seq)
             FROM item i INDEXED BY item_position LEFT JOIN outcome o INDEXED BY outcome_item ON o.item = i.seq
             WHERE i.position > :after AND i.problem IS NULL
               AND ((o.item IS NULL AND :pending) OR (:failed AND o.state = 'failed' AND o.run < :run AND {FAILED_FILTER}))
             ORDER BY i.position LIMIT :limit"
        );
        let page = self.query(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let limit_row = i64::try_from(limit).unwrap_or(i64::MAX);
            let [classes, codes, since] = filter.parameters();
            let mut rows = statement.query(named_params! {
                ":after": after, ":limit": limit_row, ":pending": pending, ":failed": failed, ":run": run.0,
                ":classes": classes, ":codes": codes, ":since": since,
            })?;
            let (mut items, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let position: i64 = row.get(2)?;
                let item = pending_item(row, position)?;
                bytes += item.item.json.len();
                items.push(item);
                if items.len() >= limit || bytes >= PAGE_BYTES {
                    return Ok(Page { items, next: Some(Cursor(position)) });
                }
            }
            Ok(Page { items, next: None })
        })?;
        match page.items.iter().find(|pending| pending.item.json.is_empty()) {
            Some(pending) => Err(StoreError::Pruned { item: pending.item.id.to_string() }),
            None => Ok(page),
        }
    }

    pub(super) fn history(&self, item: ItemSeq) -> Result<ItemHistory, StoreError> {
        let (spent, executions, context, rows, unknown, (cost, tokens)) = self.query(|connection| {
            let (spent, executions): (i64, i64) = connection
                .prepare_cached(
                    "SELECT coalesce(max(CASE WHEN r.attempt IS NOT NULL THEN a.number END), 0),
                            count(*) FILTER (WHERE a.run > 0)
                     FROM attempt a LEFT JOIN attempt_retry r ON r.attempt = a.id WHERE a.item = ?1",
                )?
                .query_row(params![item.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let context: Option<String> = connection
                .prepare_cached("SELECT context FROM attempt WHERE item = ?1 AND number = ?2 ORDER BY id LIMIT 1")?
                .query_row(params![item.0, spent + 1], |row| row.get(0))
                .optional()?;
            let rows: Vec<([u8; 32], u32, String)> = connection
                .prepare_cached(
                    "SELECT c.hash, c.occurrence, e.answer FROM call c
                     JOIN call_end e ON e.call = c.id JOIN attempt a ON a.id = c.attempt
                     WHERE c.item = ?1 AND e.state IN ('answered', 'taken') AND e.answer IS NOT NULL AND a.number > ?2 ORDER BY c.id",
                )?
                .query_map(params![item.0, spent], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let unknown = connection
                .prepare_cached(
                    "SELECT c.hash, c.occurrence FROM call c JOIN call_end e ON e.call = c.id JOIN attempt a ON a.id = c.attempt
                     WHERE c.item = ?1 AND e.state = 'unknown' AND a.number > ?2
                       AND NOT EXISTS (SELECT 1 FROM call d JOIN call_end f ON f.call = d.id
                                       WHERE d.item = ?1 AND d.id > c.id AND d.hash = c.hash AND d.occurrence = c.occurrence)",
                )?
                .query_map(params![item.0, spent], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            Ok((spent, executions, context, rows, unknown, super::reader_spent::of_item(connection, item)?))
        })?;
        let answers = rows
            .into_iter()
            .map(|(hash, occurrence, answer)| {
                Ok(JournalEntry { hash, occurrence, completion: codec::decode_completion(&answer)? })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(ItemHistory {
            next_attempt: AttemptNumber(u32::try_from(spent + 1).unwrap_or(u32::MAX)),
            context,
            executions: u32::try_from(executions).unwrap_or(u32::MAX),
            answers,
            unknown,
            cost,
            tokens,
            told: self.told(item, spent)?,
        })
    }
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn pending_item(row: &Row<'_>, position: i64) -> rusqlite::Result<PendingItem> {
    let id: String = row.get(1)?;
    // What was registered was an id; a file that somebody edited may hold something else.
    let id = ItemId::new(&id)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error)))?;
    let json: String = row.get(3)?;
    let item =
        Item { seq: ItemSeq(row.get(0)?), id, index: position.cast_unsigned(), json: json.into(), blobs: Arc::new([]) };
    Ok(PendingItem { item, has_history: row.get(4)?, has_blobs: row.get(5)? })
}
