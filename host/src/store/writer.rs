//! The one thread that writes: takes what is queued, one transaction, commit, then tells everybody who waits.
//!
//! What somebody waits for is committed at once, with all that is queued. What nobody waits for (the outcome of an item whose place others have by
//! now) is committed with that, or some milliseconds after the last commit: a commit costs as much as the rows of some ten short items, and
//! where it follows the last one at once, it finds two or three.

use super::StoreError;
use super::files::Lock;
use super::fold::{self, Fold};
use crate::failpoint;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, oneshot};

/// What may be queued, in units; who comes then waits.
const UNITS: u32 = 64 << 10;
/// Each write weighs one unit, and one more for each so many bytes that it brings: the queue holds at most 64 MiB, and
/// one write that is larger than that.
const UNIT_BYTES: usize = 1 << 10;
/// Writes in one transaction.
const BATCH: usize = 2_048;
/// After a commit, before another of things that nobody waits for. Some hundred items at the pace of a plugin that asks no model, and what a
/// crash takes of such a plugin's work at most.
pub(super) const SPACING: Duration = Duration::from_millis(5);

/// Something to be written, in the order in which it was handed over.
pub(super) type Work = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;
type Ack = oneshot::Sender<Result<(), StoreError>>;

enum Message {
    Write { work: Work, units: u32, ack: Option<Ack>, urgency: Urgency },
    Close,
}

/// Whether somebody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Committed as soon as can be, with all that was handed over before.
    Now,
    /// Committed with the next that is urgent, or a while after the last commit.
    Soon,
}

/// The handle to the writer's thread.
pub(super) struct Writer {
    sender: Sender<Message>,
    /// One permit a unit that may be queued, so that nobody blocks a thread to get in.
    room: std::sync::Arc<Semaphore>,
    /// To be woken while it waits for more.
    waiting: std::thread::Thread,
    thread: std::sync::Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
}

impl Writer {
    /// `spacing`: see [`SPACING`].
    pub(super) fn start(
        mut connection: Connection,
        path: &std::path::Path,
        lock: Lock,
        spacing: Duration,
    ) -> Result<Self, StoreError> {
        let fold = Fold::start(&mut connection, path, fold::Bounds::default())?;
        let (sender, receiver) = channel();
        let room = std::sync::Arc::new(Semaphore::new(UNITS as usize));
        let state = State {
            connection,
            fold,
            path: path.to_path_buf(),
            room: std::sync::Arc::clone(&room),
            failed: None,
            spacing,
            committed: None,
            _lock: lock,
        };
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || state.run(&receiver))
            .map_err(|error| StoreError::io(path, &error))?;
        let waiting = thread.thread().clone();
        Ok(Self { sender, room, waiting, thread: std::sync::Mutex::new(Some(thread)) })
    }

    /// Returns once the work stands in the queue: it will be durable no later than anything handed over after it.
    pub(super) async fn enqueue(&self, work: Work) -> Result<(), StoreError> {
        self.send(work, 0, None, Urgency::Soon).await
    }

    /// Returns once the work, which brings so many `bytes`, is durable.
    pub(super) async fn write(&self, work: Work, bytes: usize) -> Result<(), StoreError> {
        self.hand_over(work, bytes, Urgency::Now).await?.wait().await
    }

    /// Returns once the work stands in the queue; what is returned tells when it is durable.
    pub(super) async fn hand_over(&self, work: Work, bytes: usize, urgency: Urgency) -> Result<Durable, StoreError> {
        let (ack, done) = oneshot::channel();
        self.send(work, bytes, Some(ack), urgency).await?;
        Ok(Durable(done))
    }

    async fn send(&self, work: Work, bytes: usize, ack: Option<Ack>, urgency: Urgency) -> Result<(), StoreError> {
        let units = units(bytes);
        match self.room.try_acquire_many(units) {
            Ok(room) => room.forget(),
            // What is given back goes to those who wait before anybody finds it.
            Err(_) => Box::pin(self.room.acquire_many(units)).await.map_err(|_| StoreError::Closed)?.forget(),
        }
        self.queue(Message::Write { work, units, ack, urgency })
    }

    fn queue(&self, message: Message) -> Result<(), StoreError> {
        let is_urgent = !matches!(message, Message::Write { urgency: Urgency::Soon, .. });
        self.sender.send(message).map_err(|_| StoreError::Closed)?;
        if is_urgent {
            self.waiting.unpark();
        }
        Ok(())
    }

    /// For a blocking thread.
    pub(super) fn write_blocking(&self, work: Work) -> Result<(), StoreError> {
        let (ack, done) = oneshot::channel();
        // Outside the room: such a caller waits for each of its writes, and has no more than one.
        self.queue(Message::Write { work, units: 0, ack: Some(ack), urgency: Urgency::Now })?;
        done.blocking_recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Writes what is queued, folds the log into the file, and ends the thread.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(thread) = thread else { return Ok(()) };
        let _ = self.queue(Message::Close);
        thread.join().unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

/// Something that is on its way to the disk.
#[must_use = "it is not durable yet"]
pub struct Durable(oneshot::Receiver<Result<(), StoreError>>);

impl Durable {
    pub async fn wait(self) -> Result<(), StoreError> {
        self.0.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// What goes into one transaction.
#[derive(Default)]
struct Batch {
    works: Vec<Work>,
    acks: Vec<Ack>,
    units: usize,
    is_urgent: bool,
    /// The last one.
    is_last: bool,
}

impl Batch {
    fn push(&mut self, message: Message) {
        match message {
            Message::Write { work, units, ack, urgency } => {
                self.works.push(work);
                self.acks.extend(ack);
                self.units += units as usize;
                self.is_urgent |= urgency == Urgency::Now;
            }
            Message::Close => self.is_last = true,
        }
    }

    /// All that is queued, if it has room for it.
    fn take(&mut self, receiver: &Receiver<Message>) {
        while !self.is_full() {
            let Ok(message) = receiver.try_recv() else { break };
            self.push(message);
        }
    }

    fn is_full(&self) -> bool {
        self.is_last || self.works.len() >= BATCH
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(1 + bytes / UNIT_BYTES).unwrap_or(UNITS).min(UNITS)
}

struct State {
    connection: Connection,
    fold: Fold,
    path: PathBuf,
    room: std::sync::Arc<Semaphore>,
    /// After a failed commit nothing is taken any more: what follows may build on what was lost.
    failed: Option<StoreError>,
    spacing: Duration,
    /// When the last commit was done.
    committed: Option<Instant>,
    /// Freed when the thread ends.
    _lock: Lock,
}

impl State {
    fn run(mut self, receiver: &Receiver<Message>) -> Result<(), StoreError> {
        // Closed without a word only when nobody can write any more.
        while let Ok(first) = receiver.recv() {
            let mut batch = Batch::default();
            batch.push(first);
            batch.take(receiver);
            while !batch.is_urgent
                && !batch.is_full()
                && let Some(left) = self.spacing_left()
            {
                std::thread::park_timeout(left);
                batch.take(receiver);
            }
            let is_last = batch.is_last;
            self.commit(batch);
            if is_last {
                break;
            }
        }
        self.room.close();
        self.fold.end();
        if let Some(error) = self.failed {
            return Err(error);
        }
        failpoint::pass("checkpoint-before");
        let folded = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        failpoint::pass("checkpoint-after");
        folded.map_err(|error| StoreError::sqlite(&self.path, &error))
    }

    /// How long things that nobody waits for may still wait.
    #[expect(clippy::disallowed_methods, reason = "what a commit costs is real time")]
    fn spacing_left(&self) -> Option<Duration> {
        let left = self.spacing.saturating_sub(Instant::now().saturating_duration_since(self.committed?));
        (!left.is_zero()).then_some(left)
    }

    #[expect(clippy::disallowed_methods, reason = "what a commit costs is real time")]
    fn commit(&mut self, batch: Batch) {
        let Batch { works, acks, units, .. } = batch;
        let result = match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.transact(works).map_err(|error| StoreError::sqlite(&self.path, &error)),
        };
        if let Err(error) = &result {
            self.failed.get_or_insert_with(|| error.clone());
        }
        self.room.add_permits(units);
        for ack in acks {
            // Who does not wait any more has no use for the answer.
            let _ = ack.send(result.clone());
        }
        if result.is_ok() {
            self.fold.committed(&self.connection);
        }
        self.committed = Some(Instant::now());
    }

    fn transact(&mut self, works: Vec<Work>) -> rusqlite::Result<()> {
        if works.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        for work in works {
            work(&transaction)?;
            failpoint::pass("transaction-middle");
        }
        failpoint::pass("commit-before");
        transaction.commit()?;
        failpoint::pass("commit-after");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{JobName, files, open};
    use super::*;

    /// Longer than any test.
    const FOR_EVER: Duration = Duration::from_hours(24);

    fn insert(n: i64) -> Work {
        Box::new(move |connection| connection.execute("INSERT INTO seen (n) VALUES (?1)", [n]).map(|_| ()))
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_committed_with_what_somebody_does() {
        let dir = tempfile::tempdir().unwrap();
        let job = JobName::new("a").unwrap();
        let path = files::database(dir.path(), &job);
        let connection = open::writer(&path).unwrap();
        connection.execute_batch("CREATE TABLE seen (n INTEGER)").unwrap();
        let lock = Lock::take(dir.path(), &job).unwrap();
        let writer = Writer::start(connection, &path, lock, FOR_EVER).unwrap();
        let reader = open::looking(&path).unwrap();
        let seen = || reader.query_row("SELECT count(*) FROM seen", [], |row| row.get::<_, i64>(0)).unwrap();
        let soon = async |n| writer.hand_over(insert(n), 0, Urgency::Soon).await.unwrap();

        soon(1).await.wait().await.unwrap();
        assert_eq!(seen(), 1, "nothing was committed before: there is nothing to wait for");
        let (second, third) = (soon(2).await, soon(3).await);
        assert_eq!(seen(), 1);
        writer.write(insert(4), 0).await.unwrap();
        assert_eq!(seen(), 4);
        second.wait().await.unwrap();
        third.wait().await.unwrap();

        let last = soon(5).await;
        writer.close().unwrap();
        last.wait().await.unwrap();
        assert_eq!(seen(), 5);
    }
}
