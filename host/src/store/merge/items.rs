//! Items, their places and their outcomes: which of several stands.

use super::{columns, prefixed};
use rusqlite::{Connection, params};

/// Kinds of conflicts.
pub(super) const CONTENT: &str = "content";
pub(super) const OUTPUT: &str = "output";

/// Takes the items that no newer input had, and notes where each stands in this one.
pub(super) fn take_items(connection: &Connection, argument: i64) -> rusqlite::Result<()> {
    let last: i64 = connection.query_row("SELECT coalesce(max(seq), 0) FROM item", [], |row| row.get(0))?;
    let others = columns(connection, "item", &["seq", "pass"])?;
    connection.execute(
        &format!(
            "INSERT INTO main.item ({}, pass) SELECT {}, 1 FROM src.item s WHERE TRUE ORDER BY s.seq ON CONFLICT (id) DO NOTHING",
            others.join(", "),
            prefixed(&others, "s")
        ),
        [],
    )?;
    // In the input of one is in the input of all: a shard does not know the others' items.
    connection.execute(
        "UPDATE main.item SET position = s.position FROM src.item s
         WHERE main.item.id = s.id AND main.item.position IS NULL AND s.position IS NOT NULL",
        [],
    )?;
    // What one was pruned of, another may have kept.
    connection.execute(
        "UPDATE main.item SET input = s.input FROM src.item s
         WHERE main.item.id = s.id AND main.item.fingerprint = s.fingerprint
           AND main.item.input = '' AND main.item.problem IS NULL AND s.input <> ''",
        [],
    )?;
    let others = columns(connection, "item_blob", &["item"])?;
    connection.execute(
        &format!(
            "INSERT INTO main.item_blob (item, {}) SELECT m.seq, {} FROM src.item_blob b JOIN src.item s ON s.seq = b.item
             JOIN main.item m ON m.id = s.id WHERE m.seq > ?1",
            others.join(", "),
            prefixed(&others, "b")
        ),
        params![last],
    )?;
    connection.execute(
        "INSERT OR IGNORE INTO conflict SELECT m.seq, ?1 FROM src.item s JOIN main.item m ON m.id = s.id
         WHERE m.fingerprint <> s.fingerprint",
        params![CONTENT],
    )?;
    connection.execute(
        "INSERT INTO place SELECT m.seq, ?1, s.position FROM src.item s JOIN main.item m ON m.id = s.id
         WHERE s.position IS NOT NULL",
        params![argument],
    )?;
    Ok(())
}

/// Takes the outcomes that are better than what stands, or as good and not older. The maps must be those of this input.
pub(super) fn take_outcomes(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT OR IGNORE INTO conflict SELECT i.dst, ?1 FROM src.outcome o JOIN item_map i ON i.src = o.item
         JOIN main.outcome m ON m.item = i.dst
         WHERE i.is_same AND ((o.state = 'done' AND m.state = 'done' AND o.emissions <> m.emissions)
           OR (o.state = 'done' AND m.state = 'skipped') OR (o.state = 'skipped' AND m.state = 'done'))",
        params![OUTPUT],
    )?;
    let others = columns(connection, "outcome", &["item", "attempt", "generation", "run"])?;
    let set: Vec<String> =
        others.iter().map(String::as_str).chain(["attempt", "generation", "run"]).map(replaced).collect();
    connection.execute(
        &format!(
            "INSERT INTO main.outcome (item, attempt, generation, run, {})
             SELECT i.dst, a.dst, g.dst, r.dst, {} FROM src.outcome o JOIN item_map i ON i.src = o.item
             LEFT JOIN attempt_map a ON a.src = o.attempt LEFT JOIN generation_map g ON g.src = o.generation
             LEFT JOIN run_map r ON r.src = o.run WHERE i.is_same
             ON CONFLICT (item) DO UPDATE SET {} WHERE ({}, excluded.ended_ms) >= ({}, outcome.ended_ms)",
            others.join(", "),
            prefixed(&others, "o"),
            set.join(", "),
            rank("excluded"),
            rank("outcome")
        ),
        [],
    )?;
    Ok(())
}

fn replaced(column: &str) -> String {
    format!("{column} = excluded.{column}")
}

/// An output that is no longer kept is less than one that is.
fn rank(row: &str) -> String {
    format!("CASE {row}.state WHEN 'done' THEN 3 + ({row}.emissions IS NOT NULL) WHEN 'skipped' THEN 2 ELSE 1 END")
}

/// Whether the inputs had to be put one after another.
pub(super) fn settle_positions(connection: &Connection) -> rusqlite::Result<bool> {
    let is_claimed_twice = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM place GROUP BY position HAVING min(item) <> max(item))",
        [],
        |row| row.get(0),
    )?;
    if is_claimed_twice {
        // Of a group with min(), SQLite gives the other columns of the row that has it.
        connection.execute(
            "UPDATE item SET position = p.position FROM (
               SELECT item, row_number() OVER (ORDER BY argument, position) - 1 AS position
               FROM (SELECT item, min(argument) AS argument, position FROM place GROUP BY item)) p
             WHERE p.item = item.seq AND item.position IS NOT NULL",
            [],
        )?;
    }
    Ok(is_claimed_twice)
}
