//! Yardstick: the rows of a job that is done, written into a file of the same tables by rusqlite alone, in groups: the items first, then of each group
//! what is committed before its calls leave, before the answers are seen, and when the items are done.

use crate::process;
use anyhow::Context;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use std::collections::HashMap;
use std::path::Path;

/// Rows that belong to one item, by the table.
type Rows = HashMap<i64, Vec<Vec<Value>>>;

/// Items that are registered in one transaction.
const REGISTERED: usize = 1_000;

pub(crate) fn run(job: &Path, into: &Path, group: usize) -> anyhow::Result<()> {
    let from = Connection::open_with_flags(job, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let to = Connection::open(into)?;
    to.pragma_update(None, "journal_mode", "WAL")?;
    to.pragma_update(None, "synchronous", "FULL")?;
    for (name, sql) in schema(&from)? {
        to.execute_batch(&sql).with_context(|| format!("cannot make {name}"))?;
    }
    let items = all(&from, "SELECT * FROM item ORDER BY seq")?;
    let calls = by_item(&from, "SELECT item, call.* FROM call ORDER BY id")?;
    let ends = by_item(&from, "SELECT c.item, e.* FROM call_end e JOIN call c ON c.id = e.call ORDER BY e.call")?;
    let attempts = by_item(&from, "SELECT item, attempt.* FROM attempt ORDER BY id")?;
    let outcomes = by_item(&from, "SELECT item, outcome.* FROM outcome")?;
    process::tell(|| write(&to, &items, group, [&attempts, &calls, &ends, &outcomes]))
}

fn write(to: &Connection, items: &[Vec<Value>], group: usize, rows: [&Rows; 4]) -> anyhow::Result<()> {
    let [attempts, calls, ends, outcomes] = rows;
    for rows in items.chunks(REGISTERED) {
        commit(to, [("item", rows.iter().collect())])?;
    }
    let numbers: Vec<i64> = items
        .iter()
        .filter_map(|row| match row.first() {
            Some(Value::Integer(seq)) => Some(*seq),
            _ => None,
        })
        .collect();
    for group in numbers.chunks(group) {
        let of = |rows: &'_ Rows| -> Vec<Vec<Value>> {
            group.iter().filter_map(|seq| rows.get(seq)).flatten().cloned().collect()
        };
        let (attempts, calls, ends, outcomes) = (of(attempts), of(calls), of(ends), of(outcomes));
        if calls.is_empty() {
            commit(to, [("attempt", attempts.iter().collect()), ("outcome", outcomes.iter().collect())])?;
            continue;
        }
        commit(to, [("attempt", attempts.iter().collect()), ("call", calls.iter().collect())])?;
        commit(to, [("call_end", ends.iter().collect())])?;
        commit(to, [("outcome", outcomes.iter().collect())])?;
    }
    Ok(())
}

/// Tables and their indexes; no views and triggers.
fn schema(from: &Connection) -> anyhow::Result<Vec<(String, String)>> {
    let sql = "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC";
    let mut statement = from.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn all(from: &Connection, sql: &str) -> anyhow::Result<Vec<Vec<Value>>> {
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

fn commit<'a>(
    to: &Connection,
    tables: impl IntoIterator<Item = (&'static str, Vec<&'a Vec<Value>>)>,
) -> anyhow::Result<()> {
    let transaction = to.unchecked_transaction()?;
    for (table, rows) in tables {
        let Some(first) = rows.first() else { continue };
        let places = vec!["?"; first.len()].join(", ");
        let mut statement = transaction.prepare_cached(&format!("INSERT INTO {table} VALUES ({places})"))?;
        for row in rows {
            statement.execute(params_from_iter(row))?;
        }
    }
    Ok(transaction.commit()?)
}
