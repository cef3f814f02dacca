//! Yardstick: the rows of a job that is done, committed by rusqlite alone at a pace that is given: one thread takes what is there, one transaction, and
//! tells who waits.

use crate::job_rows::{JobRows, Row, insert};
use crate::pace;
use anyhow::{Context, anyhow};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Tables = Vec<(&'static str, Vec<Row>)>;

/// What is to be durable before `done` is told.
struct Message {
    tables: Tables,
    done: oneshot::Sender<()>,
}

/// What the two commits of each call took together: the intent with its attempt, and how it ended.
pub(crate) fn paced(runtime: &Handle, job: &Path, into: &Path, count: usize) -> anyhow::Result<Vec<Duration>> {
    let rows = JobRows::of(job)?;
    let to = rows.file(into)?;
    rows.register(&to)?;
    let numbers = rows.numbers();
    let items: Arc<[Item]> = numbers.iter().take(count).map(|seq| Item::of(&rows, *seq)).collect();
    let (sender, thread) = writer(to)?;
    let took = pace::keep(runtime, items.len(), |nth| one(sender.clone(), Arc::clone(&items), nth));
    drop(sender);
    thread.join().map_err(|_| anyhow!("the thread that writes has panicked"))??;
    took
}

/// Its rows, by when they are committed.
struct Item {
    before: Tables,
    after: Tables,
    end: Tables,
}

impl Item {
    fn of(rows: &JobRows, seq: i64) -> Self {
        let of = |rows: &crate::job_rows::Rows| rows.get(&seq).cloned().unwrap_or_default();
        Self {
            before: vec![("attempt", of(&rows.attempts)), ("call", of(&rows.calls))],
            after: vec![("call_end", of(&rows.ends))],
            end: vec![("outcome", of(&rows.outcomes))],
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is what measures")]
async fn one(sender: Sender<Message>, items: Arc<[Item]>, nth: usize) -> anyhow::Result<Duration> {
    let item = items.get(nth).context("there are fewer items than calls")?;
    let began = Instant::now();
    committed(&sender, &item.before).await?;
    committed(&sender, &item.after).await?;
    let took = began.elapsed();
    committed(&sender, &item.end).await?;
    Ok(took)
}

async fn committed(sender: &Sender<Message>, tables: &Tables) -> anyhow::Result<()> {
    let (done, told) = oneshot::channel();
    let gone = || anyhow!("the thread that writes has ended");
    sender.send(Message { tables: tables.clone(), done }).map_err(|_| gone())?;
    told.await.map_err(|_| gone())
}

type Writer = JoinHandle<rusqlite::Result<()>>;

fn writer(to: Connection) -> anyhow::Result<(Sender<Message>, Writer)> {
    let (sender, receiver) = channel();
    let thread = std::thread::Builder::new().name("writer".into()).spawn(move || write(&to, &receiver))?;
    Ok((sender, thread))
}

/// Until nobody is left who could send.
fn write(to: &Connection, receiver: &Receiver<Message>) -> rusqlite::Result<()> {
    while let Ok(first) = receiver.recv() {
        let group: Vec<Message> = std::iter::once(first).chain(receiver.try_iter()).collect();
        let transaction = to.unchecked_transaction()?;
        for (table, rows) in group.iter().flat_map(|message| &message.tables) {
            insert(&transaction, table, rows)?;
        }
        transaction.commit()?;
        for message in group {
            // Who no longer waits need not be told.
            let _ = message.done.send(());
        }
    }
    Ok(())
}
