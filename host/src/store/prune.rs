//! Giving back the room of what is done. The books stay whatever is dropped: every row, its tokens and its cost.

use super::files::{self, JobName, Lock};
use super::{StoreError, open, size_of};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// What is kept of items that are done or skipped, beside their books, states and outputs. Each keeps what the one before it
/// keeps; items that are pending or failed keep everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// Nothing else.
    Outputs,
    /// The answers that a replay would ask for.
    Answers,
    /// Those, and the input.
    All,
}

/// How many were dropped, and what that was worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    pub inputs: u64,
    pub answers: u64,
    /// What failed calls brought instead of an answer.
    pub bodies: u64,
    /// The size of the job's files, in bytes.
    pub before: u64,
    pub after: u64,
}

const BODIES: &str = "UPDATE call_end SET body = NULL WHERE body IS NOT NULL AND call IN (
  SELECT c.id FROM call c JOIN outcome o ON o.item = c.item WHERE o.state IN ('done', 'skipped'))";

/// Of attempts that the plugin rejected: no replay asks for them.
const SPENT: &str = "UPDATE call_end SET answer = NULL WHERE answer IS NOT NULL AND call IN (
  SELECT c.id FROM call c JOIN attempt a ON a.id = c.attempt JOIN outcome o ON o.item = c.item
  JOIN attempt last ON last.id = o.attempt WHERE o.state IN ('done', 'skipped') AND a.number < last.number)";

const ANSWERS: &str = "UPDATE call_end SET answer = NULL WHERE answer IS NOT NULL AND call IN (
  SELECT c.id FROM call c JOIN outcome o ON o.item = c.item WHERE o.state IN ('done', 'skipped'))";

const INPUTS: &str = "UPDATE item SET input = '' WHERE problem IS NULL AND input <> '' AND seq IN (
  SELECT item FROM outcome WHERE state IN ('done', 'skipped'))";

/// Drops what is not kept, in one transaction, then gives the room back. The job must not be run meanwhile. Blocks.
pub fn prune(dir: &Path, job: &JobName, keep: Keep) -> Result<Pruned, StoreError> {
    let _lock = Lock::take(dir, job)?;
    let path = files::database(dir, job);
    let before = size_of(dir, job)?;
    let mut connection = open::writer(&path)?;
    let error = |error: rusqlite::Error| StoreError::sqlite(&path, &error);
    let dropped = drop_bodies(&mut connection, keep).map_err(error)?;
    // A file that is full of what was dropped is no smaller until it is written anew; that goes through the log.
    connection.execute_batch("VACUUM").map_err(error)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(error)?;
    drop(connection);
    Ok(Pruned { before, after: size_of(dir, job)?, ..dropped })
}

fn drop_bodies(connection: &mut Connection, keep: Keep) -> rusqlite::Result<Pruned> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let run = |sql: &str| transaction.execute(sql, []).map(|rows| rows as u64);
    let bodies = run(BODIES)?;
    let (answers, inputs) = match keep {
        Keep::All => (run(SPENT)?, 0),
        Keep::Answers => (run(SPENT)?, run(INPUTS)?),
        Keep::Outputs => (run(ANSWERS)?, run(INPUTS)?),
    };
    transaction.commit()?;
    Ok(Pruned { inputs, answers, bodies, ..Pruned::default() })
}

#[cfg(test)]
mod tests {
    use super::super::{Reader, RunId, Take};
    use super::*;

    #[test]
    fn an_item_that_is_begun_again_without_its_input_is_never_handed_to_a_plugin() {
        let dir = tempfile::tempdir().unwrap();
        let job = JobName::new("j").unwrap();
        let path = files::database(dir.path(), &job);
        let connection = open::writer(&path).unwrap();
        let rows = "INSERT INTO job (id, name, created_ms, seed, arguments, input) VALUES (1, 'j', 0, 0, '{}', '{}');
             INSERT INTO item (seq, id, position, line, fingerprint, input, pass)
               VALUES (1, 'a', 0, 1, x'00', '{\"id\":\"a\"}', 1), (2, 'b', 1, 2, x'01', '{\"id\":\"b\"}', 1);
             INSERT INTO outcome (item, state, ended_ms, attempts) VALUES (1, 'skipped', 0, 1)";
        connection.execute_batch(rows).unwrap();
        drop(connection);
        let pruned = prune(dir.path(), &job, Keep::Outputs).unwrap();
        assert_eq!(pruned.inputs, 1, "that of the pending item stays");
        let reader = Reader::open(dir.path(), &job).unwrap();
        let ids = |reader: &Reader| -> Result<Vec<String>, StoreError> {
            let page = reader.pending(None, 10, &Take::PendingAndFailed, RunId(1))?;
            Ok(page.items.iter().map(|pending| pending.item.id.to_string()).collect())
        };
        assert_eq!(ids(&reader).unwrap(), ["b"]);
        assert!(reader.job().unwrap().unwrap().input.is_some());

        open::writer(&path).unwrap().execute("DELETE FROM outcome WHERE item = 1", []).unwrap();
        let error = ids(&reader).unwrap_err();
        assert!(matches!(&error, StoreError::Pruned { item } if item == "a"), "{error}");
        assert_eq!(reader.job().unwrap().unwrap().input, None, "the next run reads the input anew");
    }
}
