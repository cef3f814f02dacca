//! What stands beside the sums of a report: runs and what they ran, failures by kind, items by their numbers.

use super::item_rows::ItemRow;
use super::reader::{Reader, unsigned};
use super::{GenerationId, RunRow, StoreError};
use crate::domain::ItemSeq;
use rusqlite::{OptionalExtension, params};

/// A run with what it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    pub row: RunRow,
    pub generation: GenerationId,
    /// JSON: an object of texts.
    pub tags: String,
}

/// What outcomes depend on, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationRecord {
    pub id: GenerationId,
    pub digest: String,
    pub plugin_name: String,
    pub plugin_version: String,
    pub plugin_digest: String,
    /// JSON.
    pub config: String,
    /// Empty: none.
    pub model: String,
}

/// Failed items of one class and code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedGroup {
    pub class: String,
    pub code: String,
    pub count: u64,
    /// The one that was seen first, and the one that was seen last.
    pub first: ItemSeq,
    pub last: ItemSeq,
}

/// Attempts that the plugin rejected with one code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedGroup {
    pub code: String,
    pub count: u64,
    /// One of their messages.
    pub message: String,
}

impl Reader {
    pub fn run_records(&self) -> Result<Vec<RunRecord>, StoreError> {
        let runs = self.runs()?;
        let beside: Vec<(i64, i64, String)> = self.query(|connection| {
            connection
                .prepare("SELECT id, generation, tags FROM run ORDER BY id")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect()
        })?;
        let mut beside = beside.into_iter().peekable();
        let mut records = Vec::with_capacity(runs.len());
        for row in runs {
            while beside.next_if(|(id, ..)| *id < row.id).is_some() {}
            if let Some((_, generation, tags)) = beside.next_if(|(id, ..)| *id == row.id) {
                records.push(RunRecord { row, generation: GenerationId(generation), tags });
            }
        }
        Ok(records)
    }

    pub fn generations(&self) -> Result<Vec<GenerationRecord>, StoreError> {
        self.query(|connection| {
            connection
                .prepare("SELECT id, digest, plugin_name, plugin_version, plugin_digest, config, model FROM generation ORDER BY id")?
                .query_map([], |row| {
                    Ok(GenerationRecord {
                        id: GenerationId(row.get(0)?),
                        digest: row.get(1)?,
                        plugin_name: row.get(2)?,
                        plugin_version: row.get(3)?,
                        plugin_digest: row.get(4)?,
                        config: row.get(5)?,
                        model: row.get(6)?,
                    })
                })?
                .collect()
        })
    }

    /// The most frequent kinds of failure among the items of the input, and how many kinds there are in all.
    pub fn failed_groups(&self, limit: u64) -> Result<(Vec<FailedGroup>, u64), StoreError> {
        self.query(|connection| {
            let mut kinds = 0;
            let groups = connection
                .prepare(
                    "SELECT coalesce(o.class, ''), coalesce(o.code, ''), count(*), min(o.item), max(o.item), count(*) OVER ()
                     FROM outcome x INDEXED BY outcome_item JOIN item i ON i.seq = x.item JOIN outcome o ON o.item = x.item
                     WHERE x.state = 'failed' AND i.position IS NOT NULL
                     GROUP BY 1, 2 ORDER BY count(*) DESC, 1, 2 LIMIT ?1",
                )?
                .query_map(params![limit.cast_signed()], |row| {
                    kinds = unsigned(row, 5)?;
                    Ok(FailedGroup {
                        class: row.get(0)?,
                        code: row.get(1)?,
                        count: unsigned(row, 2)?,
                        first: ItemSeq(row.get(3)?),
                        last: ItemSeq(row.get(4)?),
                    })
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok((groups, kinds))
        })
    }

    /// The most frequent codes with which the plugin rejected attempts.
    pub fn rejected_groups(&self, limit: u64) -> Result<Vec<RejectedGroup>, StoreError> {
        self.query(|connection| {
            connection
                .prepare("SELECT code, count(*), min(message) FROM attempt_retry GROUP BY code ORDER BY count(*) DESC, code LIMIT ?1")?
                .query_map(params![limit.cast_signed()], |row| {
                    Ok(RejectedGroup { code: row.get(0)?, count: unsigned(row, 1)?, message: row.get(2)? })
                })?
                .collect()
        })
    }

    /// Times that a plugin was run on an item, in all runs.
    pub fn executions(&self) -> Result<u64, StoreError> {
        self.query(|connection| {
            connection.query_row("SELECT count(*) FROM attempt WHERE run > 0", [], |row| unsigned(row, 0))
        })
    }

    /// An item's id, also of one that is no longer in the input.
    pub fn item_id(&self, item: ItemSeq) -> Result<Option<String>, StoreError> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT id FROM item WHERE seq = ?1")?
                .query_row(params![item.0], |row| row.get(0))
                .optional()
        })
    }

    /// An item of the input without its input, by its number.
    pub fn item_at(&self, item: ItemSeq) -> Result<Option<ItemRow>, StoreError> {
        self.with_snapshot(|connection| self.item_row(connection, "i.seq = :key", &item.0, false))
    }

    /// The number of the file's format.
    pub fn format(&self) -> Result<i64, StoreError> {
        self.query(|connection| connection.query_row("PRAGMA user_version", [], |row| row.get(0)))
    }
}
