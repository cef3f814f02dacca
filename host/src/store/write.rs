//! The handle of the process that owns a job.

use super::card::encode_card;
use super::codec;
use super::files::{self, JobName, Lock};
use super::registration::{Registration, next_pass};
use super::types::{
    AttemptId, CallId, CallOutcome, Cursor, Generation, GenerationId, ItemEnd, ItemHistory, ItemOutcome, NewAttempt,
    NewCall, NewJob, NewRouteEvent, Page, PriceId, RunEnd, RunId,
};
use super::writer::{Durable, SPACING, Urgency, Work, Writer};
use super::{Reader, StoreError, Take, control, open};
use crate::domain::{ItemSeq, Prices, Retryable};
use crate::failpoint;
use rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY;
use rusqlite::{Connection, OptionalExtension, params};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Cheap to clone; all clones are one store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Arc<Writer>,
    reader: Reader,
    path: PathBuf,
    next_attempt: AtomicI64,
    next_call: AtomicI64,
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    pub created: bool,
    pub warnings: Vec<String>,
}

impl Store {
    /// Takes the job's lock, checks and migrates its file, or makes a new one. Durable on return. Blocks.
    pub fn create_or_open(dir: &Path, job: &JobName, new: &NewJob) -> Result<(Self, Opened), StoreError> {
        files::create_dir(dir)?;
        let warnings = files::check_filesystem(dir)?.into_iter().collect();
        let lock = Lock::take(dir, job)?;
        let path = files::database(dir, job);
        let connection = open::writer(&path)?;
        let error = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
        let created = connection
            .execute(
                "INSERT INTO job (id, name, created_ms, seed, arguments) VALUES (1, ?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![job.as_str(), new.created_ms.cast_signed(), new.seed.cast_signed(), new.arguments],
            )
            .map_err(error)?
            == 1;
        let next = |table: &str| {
            let sql = format!("SELECT coalesce(max(id), 0) + 1 FROM {table}");
            connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map_err(error)
        };
        let (next_attempt, next_call) = (AtomicI64::new(next("attempt")?), AtomicI64::new(next("call")?));
        let reader = Reader::at(&path)?;
        let writer = Arc::new(Writer::start(connection, &path, lock, SPACING)?);
        let inner = Arc::new(Inner { writer, reader, path, next_attempt, next_call });
        Ok((Self { inner }, Opened { created, warnings }))
    }

    /// That no process runs the job, as of now; the lock is taken by [`Self::create_or_open`]. Blocks.
    pub fn check_free(dir: &Path, job: &JobName) -> Result<(), StoreError> {
        if files::lock(dir, job).exists() { Lock::take(dir, job).map(|_| ()) } else { Ok(()) }
    }

    /// Removes a job, if there is one that is not being run. A file that is not ours is left alone. Blocks.
    pub fn delete(dir: &Path, job: &JobName) -> Result<(), StoreError> {
        if !dir.exists() {
            return Ok(());
        }
        let _lock = Lock::take(dir, job)?;
        let path = files::database(dir, job);
        match files::inspect(&path) {
            Ok(_) => files::remove(&path).and_then(|()| control::forget(dir, job)),
            Err(error) => Err(error),
        }
    }

    /// Writes what is queued, folds the log into the file, and frees the job. Blocks.
    pub fn close(&self) -> Result<(), StoreError> {
        self.inner.writer.close()
    }

    pub fn reader(&self) -> &Reader {
        &self.inner.reader
    }

    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    pub(super) fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    /// Rows were added under ids that SQLite gave.
    pub(super) fn continue_ids(&self, attempt: i64, call: i64) {
        self.inner.next_attempt.store(attempt, Ordering::Relaxed);
        self.inner.next_call.store(call, Ordering::Relaxed);
    }

    /// How the job is run, for `resume`. Durable on return. Blocks.
    pub fn set_arguments(&self, arguments: String) -> Result<(), StoreError> {
        self.inner.writer.write_blocking(Box::new(move |connection| {
            connection.execute("UPDATE job SET arguments = ?1", params![arguments]).map(|_| ())
        }))
    }

    /// Begins a pass over the input. Until it is finished the job counts as not registered. Blocks.
    pub fn begin_registration(&self, now_ms: u64) -> Result<Registration, StoreError> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.inner.writer.write_blocking(Box::new(move |connection| {
            connection.execute("UPDATE job SET input = NULL", [])?;
            let _ = sender.send(next_pass(connection)?);
            Ok(())
        }))?;
        let pass = receiver.try_recv().map_err(|_| StoreError::Closed)?;
        Ok(Registration::new(Arc::clone(&self.inner.writer), pass, now_ms.cast_signed()))
    }

    /// Begins a run with `tags`, a JSON object, and ends every call that an earlier process left without an end as *unknown*; returns how many.
    /// Durable on return.
    pub async fn begin_run(
        &self,
        digest: String,
        generation: Generation,
        started_ms: u64,
        tags: String,
    ) -> Result<(RunId, GenerationId, u64), StoreError> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let begin = move |connection: &Connection| {
            let now = started_ms.cast_signed();
            let generation = generation_id(connection, &digest, &generation, now)?;
            let unknown = close_unknown(connection, now)?;
            connection.execute(
                "INSERT INTO run (generation, pid, started_ms, tags) VALUES (?1, ?2, ?3, ?4)",
                params![generation, std::process::id(), now, tags],
            )?;
            let _ = sender.send((RunId(connection.last_insert_rowid()), GenerationId(generation), unknown));
            failpoint::pass("run-begin");
            Ok(())
        };
        self.inner.writer.write(Box::new(begin), 0).await?;
        receiver.await.map_err(|_| StoreError::Closed)
    }

    /// Durable on return.
    pub async fn end_run(&self, run: RunId, end: RunEnd) -> Result<(), StoreError> {
        let bytes = end.summary.len();
        self.inner
            .writer
            .write(Box::new(move |connection| {
                connection
                    .execute(
                        "UPDATE run SET ended_ms = ?2, state = ?3, reason = ?4, exit_code = ?5, summary = ?6 WHERE id = ?1",
                        params![run.0, end.ended_ms.cast_signed(), end.state, end.reason, end.exit_code, end.summary],
                    )
                    .map(|_| ())
            }), bytes)
            .await
    }

    /// See [`Reader`]; off the async threads.
    pub async fn pending(
        &self,
        after: Option<Cursor>,
        limit: usize,
        take: Take,
        run: RunId,
    ) -> Result<Page, StoreError> {
        let reader = self.inner.reader.clone();
        tokio::task::spawn_blocking(move || reader.pending(after, limit, &take, run))
            .await
            .unwrap_or(Err(StoreError::Closed))
    }

    /// What is known of an item that was begun before; off the async threads.
    pub async fn history(&self, item: ItemSeq) -> Result<ItemHistory, StoreError> {
        let reader = self.inner.reader.clone();
        tokio::task::spawn_blocking(move || reader.history(item)).await.unwrap_or(Err(StoreError::Closed))
    }

    /// Durable no later than the attempt's first call or its end.
    pub async fn enqueue_attempt(&self, new: NewAttempt) -> Result<AttemptId, StoreError> {
        let id = self.inner.next_attempt.fetch_add(1, Ordering::Relaxed);
        let insert = move |connection: &Connection| {
            connection
                .prepare_cached(
                    "INSERT INTO attempt (id, item, number, run, context, began_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![id, new.item.0, new.number.0, new.run.0, new.context, new.began_ms.cast_signed()])
                .map(|_| ())
        };
        self.inner.writer.enqueue(Box::new(insert)).await?;
        Ok(AttemptId(id))
    }

    /// The intent of a call, and its attempt with it, are durable when the future is ready.
    pub fn call_intent(&self, new: NewCall) -> impl Future<Output = Result<CallId, StoreError>> + Send + '_ {
        let id = self.inner.next_call.fetch_add(1, Ordering::Relaxed);
        let insert: Work = Box::new(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO call (id, item, attempt, hash, occurrence, try, route, model, price, reserved, intent_ms,
                     reserved_tokens) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                )?
                .execute(params![
                    id,
                    new.item.0,
                    new.attempt.0,
                    new.hash,
                    new.occurrence,
                    new.try_number,
                    new.route,
                    new.model,
                    new.price.map(|price| price.0),
                    new.reserved.cast_signed(),
                    new.intent_ms.cast_signed(),
                    new.reserved_tokens.cast_signed()
                ])
                .map(|_| ())
        });
        async move {
            self.inner.writer.write(insert, 0).await?;
            Ok(CallId(id))
        }
    }

    /// How the call ended is durable when the future is ready.
    pub fn call_end(
        &self,
        call: CallId,
        ended_ms: u64,
        outcome: CallOutcome,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + '_ {
        // Made before anybody waits: many calls end at once, and each would hold what its row is made from.
        let end = write_call_end(call, ended_ms, outcome);
        async move {
            let (work, bytes) = end?;
            self.inner.writer.write(work, bytes).await
        }
    }

    /// Durable some time later: what the event tells of is no ground for anything.
    pub async fn enqueue_route_event(&self, new: NewRouteEvent) -> Result<(), StoreError> {
        let insert = move |connection: &Connection| {
            connection
                .prepare_cached(
                    "INSERT INTO route_event (run, at_ms, route, kind, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![new.run.0, new.at_ms.cast_signed(), new.route, new.kind, new.detail])
                .map(|_| ())
        };
        self.inner.writer.enqueue(Box::new(insert)).await
    }

    /// Takes prices into the books, so that calls can name them. Durable on return. Blocks.
    pub fn price(&self, prices: Prices) -> Result<PriceId, StoreError> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let text = codec::encode_prices(&prices);
        self.inner.writer.write_blocking(Box::new(move |connection| {
            connection.execute("INSERT INTO price (rates) VALUES (?1) ON CONFLICT DO NOTHING", params![text])?;
            let id = connection.query_row("SELECT id FROM price WHERE rates = ?1", params![text], |row| row.get(0))?;
            let _ = sender.send(PriceId(id));
            Ok(())
        }))?;
        receiver.try_recv().map_err(|_| StoreError::Closed)
    }

    /// The plugin rejected this attempt: its answers are spent. Durable on return.
    pub async fn attempt_retry(&self, attempt: AttemptId, ended_ms: u64, why: &Retryable) -> Result<(), StoreError> {
        let (code, message, detail) = (why.code.clone(), why.message.clone(), why.detail.clone());
        let bytes = message.len() + detail.as_ref().map_or(0, String::len);
        self.inner
            .writer
            .write(Box::new(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO attempt_retry (attempt, ended_ms, code, message, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![attempt.0, ended_ms.cast_signed(), code, message, detail])
                    .map(|_| ())
            }), bytes)
            .await
    }

    /// The item's outcome and its log are in the queue when the future is ready, and durable after [`Durable::wait`]: soon, or at once if the item
    /// failed, since that keeps its place until then.
    pub fn item_end(&self, end: ItemEnd) -> impl Future<Output = Result<Durable, StoreError>> + Send + '_ {
        let urgency = match &end.end {
            ItemOutcome::Done(_) | ItemOutcome::Skipped { .. } => Urgency::Soon,
            ItemOutcome::Failed(_) => Urgency::Now,
        };
        let end = write_item(end);
        async move {
            let (work, bytes) = end?;
            self.inner.writer.hand_over(work, bytes, urgency).await
        }
    }
}

/// The row of a call that has ended, and its bytes.
fn write_call_end(call: CallId, ended_ms: u64, outcome: CallOutcome) -> Result<(Work, usize), StoreError> {
    let ended = ended_ms.cast_signed();
    match outcome {
        CallOutcome::Answered { completion, request_id, cost } => {
            let answer = codec::encode_completion(&completion)?;
            let bytes = answer.len();
            let usage = completion.usage;
            let insert = move |connection: &Connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO call_end (call, ended_ms, state, request_id, input_tokens, output_tokens,
                         cache_read_tokens, cache_write_tokens, reasoning_tokens, cost, answer)
                         VALUES (?1, ?2, 'answered', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                    )?
                    .execute(params![
                        call.0,
                        ended,
                        request_id,
                        usage.input_tokens.cast_signed(),
                        usage.output_tokens.cast_signed(),
                        usage.cache_read_tokens.cast_signed(),
                        usage.cache_write_tokens.cast_signed(),
                        usage.reasoning_tokens.cast_signed(),
                        cost.map(u64::cast_signed),
                        answer
                    ])
                    .map(|_| ())
            };
            Ok((Box::new(insert), bytes))
        }
        CallOutcome::Failed { class, code, message, status, request_id, body, usage, lost_tokens, cost } => {
            let bytes = message.len() + body.len();
            let insert = move |connection: &Connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO call_end (call, ended_ms, state, status, class, code, message, request_id, body,
                         input_tokens, output_tokens, cost, lost_tokens)
                         VALUES (?1, ?2, 'failed', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                    )?
                    .execute(params![
                        call.0,
                        ended,
                        status,
                        class.name(),
                        code,
                        message,
                        request_id,
                        body,
                        usage.as_ref().map(|usage| usage.input_tokens.cast_signed()),
                        usage.as_ref().map(|usage| usage.output_tokens.cast_signed()),
                        cost.map(u64::cast_signed),
                        lost_tokens.cast_signed()
                    ])
                    .map(|_| ())
            };
            Ok((Box::new(insert), bytes))
        }
    }
}

/// The rows of an item that has ended, and their bytes.
fn write_item(mut end: ItemEnd) -> Result<(Work, usize), StoreError> {
    let emissions = match &mut end.end {
        // The queue holds what is written, and not what it was made from too.
        ItemOutcome::Done(emissions) => Some(codec::encode_emissions(&std::mem::take(emissions))?),
        ItemOutcome::Skipped { .. } | ItemOutcome::Failed(_) => None,
    };
    let card = match &end.end {
        ItemOutcome::Failed(failure) => failure.card.as_deref().map(encode_card).transpose()?,
        ItemOutcome::Done(_) | ItemOutcome::Skipped { .. } => None,
    };
    let bytes = end.last_request.as_ref().map_or(0, String::len)
        + emissions.as_ref().map_or(0, String::len)
        + card.as_ref().map_or(0, String::len)
        + end.logs.iter().map(|line| line.message.len()).sum::<usize>();
    let write = move |connection: &Connection| write_item_end(connection, &end, emissions.as_deref(), card.as_deref());
    Ok((Box::new(write), bytes))
}

/// Ends calls that nobody waits for any more. A million ended calls are told from those that are not by two indexes, without
/// reading an answer.
fn close_unknown(connection: &Connection, now: i64) -> rusqlite::Result<u64> {
    let last: i64 = connection.query_row("SELECT coalesce(max(id), 0) FROM call", [], |row| row.get(0))?;
    let mut ended = vec![false; usize::try_from(last).unwrap_or(0) + 1];
    let mark = |ended: &mut Vec<bool>, id: i64| {
        usize::try_from(id).ok().and_then(|id| ended.get_mut(id)).is_some_and(|seen| std::mem::replace(seen, true))
    };
    let mut statement = connection.prepare("SELECT call FROM call_end INDEXED BY call_end_books")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        mark(&mut ended, row.get(0)?);
    }
    let mut statement = connection.prepare("SELECT id FROM call INDEXED BY call_item")?;
    let mut rows = statement.query([])?;
    let mut unknown = 0;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if !mark(&mut ended, id) {
            unknown += connection.execute(
                "INSERT INTO call_end (call, ended_ms, state, cost, lost_tokens)
                 SELECT id, ?2, 'unknown', CASE WHEN price IS NULL THEN NULL ELSE reserved END, reserved_tokens FROM call
                 WHERE id = ?1 AND remote_id IS NULL",
                params![id, now],
            )? as u64;
        }
    }
    Ok(unknown)
}

fn generation_id(connection: &Connection, digest: &str, new: &Generation, now: i64) -> rusqlite::Result<i64> {
    connection.execute(
        "INSERT INTO generation (digest, plugin_name, plugin_version, plugin_digest, config, model, created_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (digest) DO NOTHING",
        params![digest, new.plugin_name, new.plugin_version, new.plugin_digest, new.config, new.model, now],
    )?;
    connection
        .query_row("SELECT id FROM generation WHERE digest = ?1", params![digest], |row| row.get(0))
        .optional()?
        .ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// What both ways to write an outcome have in common: which columns get which parameters.
macro_rules! outcome {
    () => {
        "INTO outcome (item, state, attempt, generation, run, ended_ms, attempts, emissions, reason, class, code, message, detail,
         backtrace, replayed, truncated, cpu_us, memory_bytes, last_request, card)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)"
    };
}

fn write_item_end(
    connection: &Connection,
    end: &ItemEnd,
    emissions: Option<&str>,
    card: Option<&str>,
) -> rusqlite::Result<()> {
    let (state, reason, failure) = match &end.end {
        ItemOutcome::Done(_) => ("done", None, None),
        ItemOutcome::Skipped { reason } => ("skipped", Some(reason), None),
        ItemOutcome::Failed(failure) => ("failed", None, Some(failure)),
    };
    let columns = params![
        end.item.0,
        state,
        end.attempt.0,
        end.generation.0,
        end.run.0,
        end.ended_ms.cast_signed(),
        end.attempts,
        emissions,
        reason,
        failure.map(|failure| failure.class.name()),
        failure.map(|failure| &failure.code),
        failure.map(|failure| &failure.message),
        failure.and_then(|failure| failure.detail.as_ref()),
        failure.and_then(|failure| failure.backtrace.as_ref()),
        end.took.replayed.cast_signed(),
        end.took.truncated.cast_signed(),
        i64::try_from(end.took.cpu.as_micros()).unwrap_or(i64::MAX),
        end.took.memory_bytes.cast_signed(),
        end.last_request,
        card,
    ];
    // SQLite copies aside what a row that replaces another may have to put back, whether there is another or not: few items have ended before.
    match connection.prepare_cached(concat!("INSERT ", outcome!()))?.execute(columns) {
        Err(error) if error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_CONSTRAINT_PRIMARYKEY) => {
            connection.prepare_cached(concat!("INSERT OR REPLACE ", outcome!()))?.execute(columns)?;
        }
        inserted => drop(inserted?),
    }
    for line in &end.logs {
        connection
            .prepare_cached("INSERT INTO guest_log (item, attempt, at_ms, level, message) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![end.item.0, end.attempt.0, end.ended_ms.cast_signed(), line.level, line.message])?;
    }
    Ok(())
}
