//! The rows of a job that is done, and a file of the same tables that takes them from rusqlite alone, as durably.

use anyhow::Context;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use std::collections::HashMap;
use std::path::Path;

/// A row with its table's columns.
pub(crate) type Row = Vec<Value>;
/// Rows that belong to one item, by the item's number.
pub(crate) type Rows = HashMap<i64, Vec<Row>>;

/// Items that are registered in one transaction.
const REGISTERED: usize = 1_000;
/// As the store sets them, so that neither is spared anything: the page cache in KiB, and pages of the log before it is folded into the file.
const CACHE_KIB: i64 = 32_768;
const FOLD_PAGES: i64 = 16_384;

/// What is written of a job that runs.
pub(crate) struct JobRows {
    /// In their order.
    pub(crate) items: Vec<Row>,
    pub(crate) attempts: Rows,
    pub(crate) calls: Rows,
    pub(crate) ends: Rows,
    pub(crate) outcomes: Rows,
    schema: Vec<(String, String)>,
}

impl JobRows {
    pub(crate) fn of(job: &Path) -> anyhow::Result<Self> {
        let from = Connection::open_with_flags(job, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Self {
            items: all(&from, "SELECT * FROM item ORDER BY seq")?,
            attempts: by_item(&from, "SELECT item, attempt.* FROM attempt ORDER BY id")?,
            calls: by_item(&from, "SELECT item, call.* FROM call ORDER BY id")?,
            ends: by_item(&from, "SELECT c.item, e.* FROM call_end e JOIN call c ON c.id = e.call ORDER BY e.call")?,
            outcomes: by_item(&from, "SELECT item, outcome.* FROM outcome")?,
            schema: schema(&from)?,
        })
    }

    /// Of all items, in their order.
    pub(crate) fn numbers(&self) -> Vec<i64> {
        let number = |row: &Row| match row.first() {
            Some(Value::Integer(seq)) => Some(*seq),
            _ => None,
        };
        self.items.iter().filter_map(number).collect()
    }

    /// An empty file of the same tables and indexes.
    pub(crate) fn file(&self, into: &Path) -> anyhow::Result<Connection> {
        let to = Connection::open(into)?;
        to.pragma_update(None, "journal_mode", "WAL")?;
        to.pragma_update(None, "synchronous", "FULL")?;
        to.pragma_update(None, "cache_size", -CACHE_KIB)?;
        to.pragma_update(None, "wal_autocheckpoint", FOLD_PAGES)?;
        for (name, sql) in &self.schema {
            to.execute_batch(sql).with_context(|| format!("cannot make {name}"))?;
        }
        Ok(to)
    }

    pub(crate) fn register(&self, to: &Connection) -> anyhow::Result<()> {
        self.items.chunks(REGISTERED).try_for_each(|rows| Ok(commit(to, [("item", rows)])?))
    }
}

/// Tables and their indexes; no views and triggers.
fn schema(from: &Connection) -> anyhow::Result<Vec<(String, String)>> {
    let sql = "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC";
    let mut statement = from.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn all(from: &Connection, sql: &str) -> anyhow::Result<Vec<Row>> {
    let mut statement = from.prepare(sql)?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The first column is the item's number.
fn by_item(from: &Connection, sql: &str) -> anyhow::Result<Rows> {
    let mut rows = Rows::new();
    for mut row in all(from, sql)? {
        if let Value::Integer(item) = row.remove(0) {
            rows.entry(item).or_default().push(row);
        }
    }
    Ok(rows)
}

/// One transaction; durable on return.
pub(crate) fn commit<'a>(
    to: &Connection,
    tables: impl IntoIterator<Item = (&'static str, &'a [Row])>,
) -> rusqlite::Result<()> {
    let transaction = to.unchecked_transaction()?;
    for (table, rows) in tables {
        insert(&transaction, table, rows)?;
    }
    transaction.commit()
}

/// Within a transaction of the caller's.
pub(crate) fn insert(to: &Connection, table: &str, rows: &[Row]) -> rusqlite::Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let places = vec!["?"; first.len()].join(", ");
    let mut statement = to.prepare_cached(&format!("INSERT INTO {table} VALUES ({places})"))?;
    rows.iter().try_for_each(|row| statement.execute(params_from_iter(row)).map(|_| ()))
}
