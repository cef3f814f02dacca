//! The one thread that writes: takes what is queued, one transaction, commit, then tells everybody who waits.

use super::StoreError;
use super::files::Lock;
use super::fold::{self, Fold};
use crate::failpoint;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use tokio::sync::{Semaphore, oneshot};

/// What may be queued, in units; who comes then waits.
const UNITS: u32 = 64 << 10;
/// Each write weighs one unit, and one more for each so many bytes that it brings: the queue holds at most 64 MiB, and
/// one write that is larger than that.
const UNIT_BYTES: usize = 1 << 10;
/// Writes in one transaction.
const BATCH: usize = 2_048;

/// Something to be written, in the order in which it was handed over.
pub(super) type Work = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;
type Ack = oneshot::Sender<Result<(), StoreError>>;

enum Message {
    Write { work: Work, units: u32, ack: Option<Ack> },
    Close,
}

/// The handle to the writer's thread.
pub(super) struct Writer {
    sender: Sender<Message>,
    /// One permit a unit that may be queued, so that nobody blocks a thread to get in.
    room: std::sync::Arc<Semaphore>,
    thread: std::sync::Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
}

impl Writer {
    pub(super) fn start(mut connection: Connection, path: &std::path::Path, lock: Lock) -> Result<Self, StoreError> {
        let fold = Fold::start(&mut connection, path, fold::Bounds::default())?;
        let (sender, receiver) = channel();
        let room = std::sync::Arc::new(Semaphore::new(UNITS as usize));
        let state = State {
            connection,
            fold,
            path: path.to_path_buf(),
            room: std::sync::Arc::clone(&room),
            failed: None,
            _lock: lock,
        };
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || state.run(&receiver))
            .map_err(|error| StoreError::io(path, &error))?;
        Ok(Self { sender, room, thread: std::sync::Mutex::new(Some(thread)) })
    }

    /// Returns once the work stands in the queue: it will be durable no later than anything handed over after it.
    pub(super) async fn enqueue(&self, work: Work) -> Result<(), StoreError> {
        self.send(work, 0, None).await
    }

    /// Returns once the work, which brings so many `bytes`, is durable.
    pub(super) async fn write(&self, work: Work, bytes: usize) -> Result<(), StoreError> {
        self.hand_over(work, bytes).await?.wait().await
    }

    /// Returns once the work stands in the queue; what is returned tells when it is durable.
    pub(super) async fn hand_over(&self, work: Work, bytes: usize) -> Result<Durable, StoreError> {
        let (ack, done) = oneshot::channel();
        self.send(work, bytes, Some(ack)).await?;
        Ok(Durable(done))
    }

    async fn send(&self, work: Work, bytes: usize, ack: Option<Ack>) -> Result<(), StoreError> {
        let units = units(bytes);
        self.room.acquire_many(units).await.map_err(|_| StoreError::Closed)?.forget();
        self.sender.send(Message::Write { work, units, ack }).map_err(|_| StoreError::Closed)
    }

    /// For a blocking thread.
    pub(super) fn write_blocking(&self, work: Work) -> Result<(), StoreError> {
        let (ack, done) = oneshot::channel();
        // Outside the room: such a caller waits for each of its writes, and has no more than one.
        self.sender.send(Message::Write { work, units: 0, ack: Some(ack) }).map_err(|_| StoreError::Closed)?;
        done.blocking_recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Writes what is queued, folds the log into the file, and ends the thread.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(thread) = thread else { return Ok(()) };
        let _ = self.sender.send(Message::Close);
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
}

impl Batch {
    fn push(&mut self, work: Work, units: u32, ack: Option<Ack>) {
        self.works.push(work);
        self.acks.extend(ack);
        self.units += units as usize;
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
    /// Freed when the thread ends.
    _lock: Lock,
}

impl State {
    fn run(mut self, receiver: &Receiver<Message>) -> Result<(), StoreError> {
        let mut open = true;
        while open {
            let Ok(first) = receiver.recv() else { break };
            let mut batch = Batch::default();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Write { work, units, ack } => batch.push(work, units, ack),
                    Message::Close => {
                        open = false;
                        break;
                    }
                }
                next = if batch.works.len() < BATCH { receiver.try_recv().ok() } else { None };
            }
            self.commit(batch);
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

    fn commit(&mut self, batch: Batch) {
        let Batch { works, acks, units } = batch;
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
