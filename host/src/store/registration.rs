//! The input, registered: one pass over all of it, in transactions of many rows. Durable as a whole only when it is finished; one that
//! was cut short is done again by the next run.

use super::blobs;
use super::types::{Added, NewItem, RegistrationReport};
use super::{StoreError, writer::Writer};
use crate::failpoint;
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// Rows in one transaction, or bytes: enough that its commit costs nothing beside them.
const CHUNK: usize = 5_000;
const CHUNK_BYTES: usize = 16 << 20;

/// One pass over the input.
pub struct Registration {
    pub(super) writer: Arc<Writer>,
    pub(super) pass: i64,
    pub(super) now_ms: i64,
    buffer: Vec<NewItem>,
    buffer_bytes: usize,
    results: std::collections::VecDeque<Added>,
    report: RegistrationReport,
}

impl Registration {
    pub(super) fn new(writer: Arc<Writer>, pass: i64, now_ms: i64) -> Self {
        Self {
            writer,
            pass,
            now_ms,
            buffer: Vec::with_capacity(CHUNK),
            buffer_bytes: 0,
            results: std::collections::VecDeque::new(),
            report: RegistrationReport::default(),
        }
    }

    /// Takes an item; what became of it is told by [`Self::settled`], in the order in which items were taken.
    pub fn add(&mut self, item: NewItem) -> Result<(), StoreError> {
        self.buffer_bytes += item.input.len();
        self.buffer.push(item);
        if self.buffer.len() >= CHUNK || self.buffer_bytes >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    /// The next result that is known, if one is.
    pub fn settled(&mut self) -> Option<Added> {
        self.results.pop_front()
    }

    /// Writes what is buffered. Durable on return.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let items = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.buffer_bytes = 0;
        let (pass, now_ms) = (self.pass, self.now_ms);
        let (sender, receiver) = sync_channel(1);
        self.writer.write_blocking(Box::new(move |connection| {
            let added =
                items.iter().map(|item| add(connection, item, pass, now_ms)).collect::<rusqlite::Result<Vec<_>>>()?;
            // The receiver waits for the acknowledgement, after this.
            let _ = sender.send(added);
            Ok(())
        }))?;
        failpoint::pass("registration-chunk");
        for added in receiver.try_recv().map_err(|_| StoreError::Closed)? {
            match added {
                Added::New => self.report.new += 1,
                Added::Unchanged => self.report.unchanged += 1,
                Added::Changed => self.report.changed += 1,
                Added::Duplicate { .. } => {}
            }
            self.results.push_back(added);
        }
        Ok(())
    }

    /// Marks the registration as complete; items that it did not see leave the input. Durable on return.
    pub fn finish(mut self, source: &str) -> Result<RegistrationReport, StoreError> {
        self.flush()?;
        let (pass, source) = (self.pass, source.to_owned());
        failpoint::pass("registration-mark-before");
        let (sender, receiver) = sync_channel(1);
        self.writer.write_blocking(Box::new(move |connection| {
            let vanished = connection
                .execute("UPDATE item SET position = NULL WHERE pass <> ?1 AND position IS NOT NULL", params![pass])?;
            connection.execute("UPDATE job SET input = ?1", params![source])?;
            let _ = sender.send(vanished);
            Ok(())
        }))?;
        failpoint::pass("registration-mark-after");
        let vanished = receiver.try_recv().map_err(|_| StoreError::Closed)?;
        Ok(RegistrationReport { vanished: vanished as u64, ..self.report })
    }
}

fn add(connection: &Connection, item: &NewItem, pass: i64, now_ms: i64) -> rusqlite::Result<Added> {
    let fingerprint = item.fingerprint.0;
    let (position, line) = (item.position.cast_signed(), item.line.cast_signed());
    let inserted = connection
        .prepare_cached(
            "INSERT INTO item (id, position, line, fingerprint, input, problem, pass) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![item.id.as_str(), position, line, fingerprint, item.input, item.problem, pass])?;
    if inserted == 1 {
        let seq = connection.last_insert_rowid();
        blobs::write(connection, seq, &item.blobs)?;
        fail_at_once(connection, seq, item, now_ms)?;
        return Ok(Added::New);
    }
    let (seq, known, seen, first_line): (i64, [u8; 32], i64, i64) = connection
        .prepare_cached("SELECT seq, fingerprint, pass, line FROM item WHERE id = ?1")?
        .query_row(params![item.id.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    if seen == pass {
        return Ok(Added::Duplicate { first_line: first_line.cast_unsigned() });
    }
    if known == fingerprint {
        connection
            .prepare_cached(
                // What was pruned comes back if it is to be done again.
                "UPDATE item SET position = ?2, line = ?3, pass = ?4,
                        input = CASE WHEN input = '' AND NOT EXISTS (SELECT 1 FROM outcome WHERE item = ?1) THEN ?5 ELSE input END
                 WHERE seq = ?1",
            )?
            .execute(params![seq, position, line, pass, item.input])?;
        if !item.blobs.is_empty() {
            // The same bytes may lie elsewhere now.
            blobs::replace(connection, seq, &item.blobs)?;
        }
        return Ok(Added::Unchanged);
    }
    connection
        .prepare_cached(
            "UPDATE item SET position = ?2, line = ?3, fingerprint = ?4, input = ?5, problem = ?6, pass = ?7 WHERE seq = ?1",
        )?
        .execute(params![seq, position, line, fingerprint, item.input, item.problem, pass])?;
    connection.prepare_cached("DELETE FROM outcome WHERE item = ?1")?.execute(params![seq])?;
    blobs::replace(connection, seq, &item.blobs)?;
    fail_at_once(connection, seq, item, now_ms)?;
    Ok(Added::Changed)
}

/// A line that is no item has failed before anything ran.
fn fail_at_once(connection: &Connection, seq: i64, item: &NewItem, now_ms: i64) -> rusqlite::Result<()> {
    let Some(problem) = &item.problem else { return Ok(()) };
    let class = crate::domain::FailureClass::BadInput.name();
    connection
        .prepare_cached(
            "INSERT INTO outcome (item, state, ended_ms, attempts, class, code, message) VALUES (?1, 'failed', ?2, 0, ?3, ?3, ?4)",
        )?
        .execute(params![seq, now_ms, class, problem])?;
    Ok(())
}

/// The number of the next pass.
pub(super) fn next_pass(connection: &Connection) -> rusqlite::Result<i64> {
    let last: Option<i64> =
        connection.query_row("SELECT max(pass) FROM item", [], |row| row.get(0)).optional()?.flatten();
    Ok(last.unwrap_or(0) + 1)
}
