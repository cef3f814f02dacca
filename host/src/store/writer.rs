//! The one thread that writes: takes what is queued, one transaction, commit, then tells everybody who waits.

use super::StoreError;
use super::files::Lock;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use tokio::sync::{Semaphore, oneshot};

/// Writes that may be queued; who comes then waits.
const QUEUE: usize = 4_096;
/// Writes in one transaction.
const BATCH: usize = 2_048;

/// Something to be written, in the order in which it was handed over.
pub(super) type Work = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;
type Ack = oneshot::Sender<Result<(), StoreError>>;

enum Message {
    Write(Work, Option<Ack>),
    Close,
}

/// The handle to the writer's thread.
pub(super) struct Writer {
    sender: SyncSender<Message>,
    /// One permit a place in the queue, so that nobody blocks a thread to get in.
    places: std::sync::Arc<Semaphore>,
    thread: std::sync::Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, path: &std::path::Path, lock: Lock) -> Result<Self, StoreError> {
        // Twice the places: a permit is given back when its work is taken up, and Close needs none.
        let (sender, receiver) = sync_channel(2 * QUEUE);
        let places = std::sync::Arc::new(Semaphore::new(QUEUE));
        let state = State {
            connection,
            path: path.to_path_buf(),
            places: std::sync::Arc::clone(&places),
            failed: None,
            _lock: lock,
        };
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || state.run(&receiver))
            .map_err(|error| StoreError::io(path, &error))?;
        Ok(Self { sender, places, thread: std::sync::Mutex::new(Some(thread)) })
    }

    /// Returns once the work stands in the queue: it will be durable no later than anything handed over after it.
    pub(super) async fn enqueue(&self, work: Work) -> Result<(), StoreError> {
        self.send(work, None).await
    }

    /// Returns once the work is durable.
    pub(super) async fn write(&self, work: Work) -> Result<(), StoreError> {
        let (ack, done) = oneshot::channel();
        self.send(work, Some(ack)).await?;
        done.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn send(&self, work: Work, ack: Option<Ack>) -> Result<(), StoreError> {
        self.places.acquire().await.map_err(|_| StoreError::Closed)?.forget();
        self.sender.send(Message::Write(work, ack)).map_err(|_| StoreError::Closed)
    }

    /// For a blocking thread.
    pub(super) fn write_blocking(&self, work: Work) -> Result<(), StoreError> {
        let (ack, done) = oneshot::channel();
        loop {
            if let Ok(place) = self.places.try_acquire() {
                place.forget();
                break;
            }
            std::thread::yield_now();
        }
        self.sender.send(Message::Write(work, Some(ack))).map_err(|_| StoreError::Closed)?;
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

struct State {
    connection: Connection,
    path: PathBuf,
    places: std::sync::Arc<Semaphore>,
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
            let mut batch = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Write(work, ack) => batch.push((work, ack)),
                    Message::Close => {
                        open = false;
                        break;
                    }
                }
                next = if batch.len() < BATCH { receiver.try_recv().ok() } else { None };
            }
            self.commit(batch);
        }
        self.places.close();
        if let Some(error) = self.failed {
            return Err(error);
        }
        let folded = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        folded.map_err(|error| StoreError::sqlite(&self.path, &error))
    }

    fn commit(&mut self, batch: Vec<(Work, Option<Ack>)>) {
        self.places.add_permits(batch.len());
        let (works, acks): (Vec<Work>, Vec<Option<Ack>>) = batch.into_iter().unzip();
        let result = match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.transact(works).map_err(|error| StoreError::sqlite(&self.path, &error)),
        };
        if let Err(error) = &result {
            self.failed.get_or_insert_with(|| error.clone());
        }
        for ack in acks.into_iter().flatten() {
            // Who does not wait any more has no use for the answer.
            let _ = ack.send(result.clone());
        }
    }

    fn transact(&mut self, works: Vec<Work>) -> rusqlite::Result<()> {
        if works.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        for work in works {
            work(&transaction)?;
        }
        transaction.commit()
    }
}
