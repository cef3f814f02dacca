//! Runs, attempts, calls and what guests logged: all of it, under new numbers, and nothing twice.

use super::{columns, prefixed};
use rusqlite::{Connection, params};

/// Takes everything of the attached input, and leaves the maps from its numbers to the new ones.
pub(super) fn take_books(connection: &Connection) -> rusqlite::Result<()> {
    for map in ["item_map", "generation_map", "price_map", "run_map", "attempt_map", "call_map"] {
        connection.execute(&format!("DELETE FROM {map}"), [])?;
    }
    connection.execute(
        "INSERT INTO item_map SELECT s.seq, m.seq, s.fingerprint = m.fingerprint FROM src.item s JOIN main.item m ON m.id = s.id",
        [],
    )?;
    by_key(connection, "generation", "digest")?;
    by_key(connection, "price", "rates")?;
    take_runs(connection)?;
    take_attempts(connection)?;
    take_calls(connection)?;
    take_beside_attempts(connection, "guest_log")?;
    take_beside_attempts(connection, "told")
}

/// Rows that are what they hold.
fn by_key(connection: &Connection, table: &str, key: &str) -> rusqlite::Result<()> {
    let others = columns(connection, table, &["id"])?;
    connection.execute(
        &format!(
            "INSERT INTO main.{table} ({}) SELECT {} FROM src.{table} s WHERE TRUE ORDER BY s.id ON CONFLICT ({key}) DO NOTHING",
            others.join(", "),
            prefixed(&others, "s")
        ),
        [],
    )?;
    connection.execute(
        &format!(
            "INSERT INTO {table}_map SELECT s.id, m.id FROM src.{table} s JOIN main.{table} m ON m.{key} = s.{key}"
        ),
        [],
    )?;
    Ok(())
}

/// The numbers that are given out begin behind it.
fn last(connection: &Connection, table: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("SELECT coalesce(max(id), 0) FROM main.{table}"), [], |row| row.get(0))
}

/// Gives new numbers to all rows that the map does not have yet.
fn number(connection: &Connection, table: &str) -> rusqlite::Result<()> {
    connection.execute(
        &format!(
            "INSERT INTO {table}_map SELECT s.id, s.id + ?1, FALSE FROM src.{table} s
             WHERE NOT EXISTS (SELECT 1 FROM {table}_map m WHERE m.src = s.id)"
        ),
        params![last(connection, table)?],
    )?;
    Ok(())
}

/// One process starts one run in a millisecond. Answers that were taken from another job are booked under no run, which has
/// the number 0 in every store.
fn take_runs(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("INSERT INTO run_map VALUES (0, 0, TRUE)", [])?;
    connection.execute(
        "INSERT OR IGNORE INTO run_map SELECT s.id, m.id, TRUE FROM src.run s JOIN generation_map g ON g.src = s.generation
         JOIN main.run m ON m.pid = s.pid AND m.started_ms = s.started_ms AND m.generation = g.dst AND m.tags = s.tags",
        [],
    )?;
    number(connection, "run")?;
    let others = columns(connection, "run", &["id", "generation"])?;
    connection.execute(
        &format!(
            "INSERT INTO main.run (id, generation, {}) SELECT r.dst, g.dst, {} FROM src.run s JOIN run_map r ON r.src = s.id
             JOIN generation_map g ON g.src = s.generation WHERE NOT r.is_known",
            others.join(", "),
            prefixed(&others, "s")
        ),
        [],
    )?;
    // A copy that was taken while it ran does not know its end.
    connection.execute(
        "UPDATE main.run SET ended_ms = s.ended_ms, state = s.state, reason = s.reason, exit_code = s.exit_code, summary = s.summary
         FROM src.run s JOIN run_map r ON r.src = s.id
         WHERE main.run.id = r.dst AND r.is_known AND main.run.ended_ms IS NULL AND s.ended_ms IS NOT NULL",
        [],
    )?;
    let others = columns(connection, "route_event", &["id", "run"])?;
    let same: Vec<String> = others.iter().map(|name| format!("m.{name} IS s.{name}")).collect();
    connection.execute(
        &format!(
            "INSERT INTO main.route_event (run, {}) SELECT r.dst, {} FROM src.route_event s JOIN run_map r ON r.src = s.run
             WHERE NOT r.is_known OR NOT EXISTS (SELECT 1 FROM main.route_event m WHERE m.run = r.dst AND {}) ORDER BY s.id",
            others.join(", "),
            prefixed(&others, "s"),
            same.join(" AND ")
        ),
        [],
    )?;
    Ok(())
}

fn take_attempts(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT OR IGNORE INTO attempt_map SELECT s.id, m.id, TRUE FROM src.attempt s
         JOIN run_map r ON r.src = s.run AND r.is_known JOIN item_map i ON i.src = s.item
         JOIN main.attempt m ON m.item = i.dst AND m.run = r.dst AND m.number = s.number AND m.began_ms = s.began_ms",
        [],
    )?;
    number(connection, "attempt")?;
    let others = columns(connection, "attempt", &["id", "item", "run"])?;
    connection.execute(
        &format!(
            "INSERT INTO main.attempt (id, item, run, {}) SELECT a.dst, i.dst, r.dst, {} FROM src.attempt s
             JOIN attempt_map a ON a.src = s.id JOIN item_map i ON i.src = s.item JOIN run_map r ON r.src = s.run
             WHERE NOT a.is_known",
            others.join(", "),
            prefixed(&others, "s")
        ),
        [],
    )?;
    let others = columns(connection, "attempt_retry", &["attempt"])?;
    connection.execute(
        &format!(
            "INSERT OR IGNORE INTO main.attempt_retry (attempt, {}) SELECT a.dst, {} FROM src.attempt_retry s
             JOIN attempt_map a ON a.src = s.attempt",
            others.join(", "),
            prefixed(&others, "s")
        ),
        [],
    )?;
    Ok(())
}

fn take_calls(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT OR IGNORE INTO call_map SELECT s.id, m.id, TRUE FROM src.call s
         JOIN attempt_map a ON a.src = s.attempt AND a.is_known JOIN item_map i ON i.src = s.item
         JOIN main.call m ON m.item = i.dst AND m.attempt = a.dst AND m.hash = s.hash AND m.occurrence = s.occurrence
           AND m.try = s.try AND m.route = s.route AND m.intent_ms = s.intent_ms",
        [],
    )?;
    connection.execute(
        "INSERT INTO shared SELECT count(*) FROM call_map c LEFT JOIN src.call_end e ON e.call = c.src
         WHERE c.is_known AND e.state IS NOT 'taken'",
        [],
    )?;
    number(connection, "call")?;
    let others = columns(connection, "call", &["id", "item", "attempt", "price"])?;
    // A call without its item or its attempt would be one that no sum has: rather no merge.
    connection.execute(
        &format!(
            "INSERT INTO main.call (id, item, attempt, price, {}) SELECT c.dst, i.dst, a.dst, p.dst, {} FROM src.call s
             JOIN call_map c ON c.src = s.id LEFT JOIN item_map i ON i.src = s.item
             LEFT JOIN attempt_map a ON a.src = s.attempt LEFT JOIN price_map p ON p.src = s.price WHERE NOT c.is_known",
            others.join(", "),
            prefixed(&others, "s")
        ),
        [],
    )?;
    let others = columns(connection, "call_end", &["call"])?;
    let set: Vec<String> = others.iter().map(|name| format!("{name} = excluded.{name}")).collect();
    connection.execute(
        &format!(
            "INSERT INTO main.call_end (call, {}) SELECT c.dst, {} FROM src.call_end s JOIN call_map c ON c.src = s.call
             WHERE TRUE ON CONFLICT (call) DO UPDATE SET {} WHERE {} > {}",
            others.join(", "),
            prefixed(&others, "s"),
            set.join(", "),
            end_rank("excluded"),
            end_rank("call_end")
        ),
        [],
    )?;
    Ok(())
}

/// Of two ends of one call, the one that knows more: one store may have been left behind while it was under way.
fn end_rank(row: &str) -> String {
    format!(
        "CASE WHEN {row}.state IN ('answered', 'taken') THEN 3 + ({row}.answer IS NOT NULL) WHEN {row}.state = 'failed' THEN 2 ELSE 1 END"
    )
}

/// Rows that belong to an attempt; those of one that both stores have are the same.
fn take_beside_attempts(connection: &Connection, table: &str) -> rusqlite::Result<()> {
    let others = columns(connection, table, &["id", "item", "attempt"])?;
    connection.execute(
        &format!(
            "INSERT INTO main.{table} (item, attempt, {}) SELECT i.dst, a.dst, {} FROM src.{table} s
             JOIN item_map i ON i.src = s.item JOIN attempt_map a ON a.src = s.attempt
             WHERE NOT a.is_known OR a.dst NOT IN (SELECT attempt FROM main.{table}) ORDER BY s.id",
            others.join(", "),
            prefixed(&others, "s")
        ),
        [],
    )?;
    Ok(())
}
