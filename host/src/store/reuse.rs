//! Answers that were paid for elsewhere or earlier: taken over from another job, and kept when outcomes are done again.

use super::{Reader, Store, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::path::Path;
use std::sync::mpsc::sync_channel;

/// The run that attempts of another job are booked under: no run has that number.
const NO_RUN: i64 = 0;
/// Answers that are copied in one transaction.
const CHUNK: i64 = 1_000;

/// An answer of another job, with what is needed to find it again.
struct Taken {
    call: i64,
    item: String,
    context: String,
    hash: [u8; 32],
    occurrence: i64,
    route: String,
    model: String,
    intent_ms: i64,
    ended_ms: i64,
    answer: String,
}

impl Store {
    /// Makes pending what was done or skipped under another generation than this digest's; the journal keeps its answers.
    /// Returns how many items that were. Durable on return. Blocks.
    pub fn forget_other_generations(&self, digest: String) -> Result<u64, StoreError> {
        let (sender, receiver) = sync_channel(1);
        self.writer().write_blocking(Box::new(move |connection| {
            let gone = connection.execute(
                "DELETE FROM outcome WHERE state <> 'failed'
                 AND generation IN (SELECT id FROM generation WHERE digest <> ?1)",
                params![digest],
            )?;
            let _ = sender.send(gone as u64);
            Ok(())
        }))?;
        receiver.try_recv().map_err(|_| StoreError::Closed)
    }

    /// Copies the answers of the job at `path`, called `source`, to questions of items that both have and that this job has no
    /// answer to. What its plugin rejected stays there. They cost nothing here: their cost is in that job's books. Returns how
    /// many this job has from there now. Durable on return. Blocks.
    pub fn take_answers(&self, path: &Path, source: &str) -> Result<u64, StoreError> {
        let other = Reader::at(path)?;
        let mut after = 0;
        loop {
            let chunk = other.answers_to_take(after)?;
            let Some(last) = chunk.last() else { break };
            after = last.call;
            let source = source.to_owned();
            self.writer().write_blocking(Box::new(move |connection| {
                chunk.iter().try_for_each(|taken| take(connection, taken, &source))
            }))?;
        }
        let (sender, receiver) = sync_channel(1);
        let source = source.to_owned();
        self.writer().write_blocking(Box::new(move |connection| {
            let one = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
            let count = connection.query_row(
                "SELECT count(*) FROM call_end WHERE source = ?1 AND answer IS NOT NULL",
                params![source],
                |row| row.get::<_, i64>(0),
            )?;
            let ids = (
                one("SELECT coalesce(max(id), 0) + 1 FROM attempt")?,
                one("SELECT coalesce(max(id), 0) + 1 FROM call")?,
            );
            let _ = sender.send((count.cast_unsigned(), ids));
            Ok(())
        }))?;
        let (count, (attempt, call)) = receiver.try_recv().map_err(|_| StoreError::Closed)?;
        self.continue_ids(attempt, call);
        Ok(count)
    }
}

impl Reader {
    /// Answers that were not spent, of calls after `after`, in the order of their calls.
    fn answers_to_take(&self, after: i64) -> Result<Vec<Taken>, StoreError> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT c.id, i.id, c.hash, c.occurrence, c.route, c.model, c.intent_ms, e.ended_ms, e.answer,
                            (SELECT f.context FROM attempt f WHERE f.item = c.item AND f.number = a.number ORDER BY f.id LIMIT 1)
                     FROM call c JOIN call_end e ON e.call = c.id JOIN attempt a ON a.id = c.attempt JOIN item i ON i.seq = c.item
                     WHERE c.id > ?1 AND e.state IN ('answered', 'taken') AND e.answer IS NOT NULL
                       AND a.number > (SELECT coalesce(max(b.number), 0) FROM attempt b
                                       JOIN attempt_retry r ON r.attempt = b.id WHERE b.item = c.item)
                     ORDER BY c.id LIMIT ?2",
                )?
                .query_map(params![after, CHUNK], taken)?
                .collect()
        })
    }
}

fn taken(row: &Row<'_>) -> rusqlite::Result<Taken> {
    Ok(Taken {
        call: row.get(0)?,
        item: row.get(1)?,
        hash: row.get(2)?,
        occurrence: row.get(3)?,
        route: row.get(4)?,
        model: row.get(5)?,
        intent_ms: row.get(6)?,
        ended_ms: row.get(7)?,
        answer: row.get(8)?,
        context: row.get(9)?,
    })
}

/// Into the books of this job, if it has the item and not the answer.
fn take(connection: &Connection, taken: &Taken, source: &str) -> rusqlite::Result<()> {
    let item: Option<i64> = connection
        .prepare_cached("SELECT seq FROM item WHERE id = ?1")?
        .query_row(params![taken.item], |row| row.get(0))
        .optional()?;
    let Some(item) = item else { return Ok(()) };
    let is_known: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM call c JOIN call_end e ON e.call = c.id
             WHERE c.item = ?1 AND c.hash = ?2 AND c.occurrence = ?3 AND e.state IN ('answered', 'taken')
               AND e.answer IS NOT NULL)",
        )?
        .query_row(params![item, taken.hash, taken.occurrence], |row| row.get(0))?;
    if is_known {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO call (item, attempt, hash, occurrence, try, route, model, price, reserved, intent_ms)
             VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, NULL, 0, ?7)",
        )?
        .execute(params![
            item,
            attempt(connection, item, taken)?,
            taken.hash,
            taken.occurrence,
            taken.route,
            taken.model,
            taken.intent_ms
        ])?;
    connection
        .prepare_cached(
            "INSERT INTO call_end (call, ended_ms, state, answer, source) VALUES (?1, ?2, 'taken', ?3, ?4)",
        )?
        .execute(params![connection.last_insert_rowid(), taken.ended_ms, taken.answer, source])
        .map(|_| ())
}

/// The attempt that the answers of an item are booked under: of the number that is not spent, so that they are found, and with
/// the context of the first, so that the same is asked.
fn attempt(connection: &Connection, item: i64, taken: &Taken) -> rusqlite::Result<i64> {
    let number: i64 = connection
        .prepare_cached(
            "SELECT coalesce(max(a.number), 0) + 1 FROM attempt a JOIN attempt_retry r ON r.attempt = a.id WHERE a.item = ?1",
        )?
        .query_row(params![item], |row| row.get(0))?;
    let known: Option<i64> = connection
        .prepare_cached("SELECT id FROM attempt WHERE item = ?1 AND number = ?2 AND run = ?3")?
        .query_row(params![item, number, NO_RUN], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    connection
        .prepare_cached("INSERT INTO attempt (item, number, run, context, began_ms) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![item, number, NO_RUN, taken.context, taken.intent_ms])?;
    Ok(connection.last_insert_rowid())
}
