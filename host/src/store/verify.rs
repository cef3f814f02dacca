//! Whether a store is whole: its pages, the rows that its rows name, what its JSON says, its sums.

use super::{Reader, StoreError, codec};
use rusqlite::Connection;

/// Rows that are named in one finding.
const EXAMPLES: usize = 3;

/// What was looked at, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// For a person, the gravest first; empty: the store is whole.
    pub problems: Vec<String>,
    pub items: u64,
    pub calls: u64,
    /// Answers that were read.
    pub answers: u64,
}

/// Each query finds what must not be: a column that names the row.
const RULES: [(&str, &str); 28] = [
    ("outcomes of items that are not there", "SELECT item FROM outcome WHERE item NOT IN (SELECT seq FROM item)"),
    (
        "outcomes whose attempt is not there, or another item's",
        "SELECT o.item FROM outcome o LEFT JOIN attempt a ON a.id = o.attempt
         WHERE o.attempt IS NOT NULL AND a.item IS NOT o.item",
    ),
    (
        "outcomes whose generation is not there",
        "SELECT item FROM outcome WHERE generation IS NOT NULL AND generation NOT IN (SELECT id FROM generation)",
    ),
    (
        "outcomes whose run is not there",
        "SELECT item FROM outcome WHERE run IS NOT NULL AND run NOT IN (SELECT id FROM run)",
    ),
    ("outcomes of an unknown state", "SELECT item FROM outcome WHERE state NOT IN ('done', 'skipped', 'failed')"),
    ("done items without an output", "SELECT item FROM outcome WHERE state = 'done' AND emissions IS NULL"),
    (
        "failed items without a class, code or message",
        "SELECT item FROM outcome WHERE state = 'failed' AND (class IS NULL OR code IS NULL OR message IS NULL)",
    ),
    ("attempts at items that are not there", "SELECT id FROM attempt WHERE item NOT IN (SELECT seq FROM item)"),
    (
        "attempts in runs that are not there",
        "SELECT id FROM attempt WHERE run <> 0 AND run NOT IN (SELECT id FROM run)",
    ),
    (
        "calls in no run whose answers were not taken from another job",
        "SELECT c.id FROM call c JOIN attempt a ON a.id = c.attempt LEFT JOIN call_end e ON e.call = c.id
         WHERE a.run = 0 AND e.state IS NOT 'taken'",
    ),
    (
        "rejections of attempts that are not there",
        "SELECT attempt FROM attempt_retry WHERE attempt NOT IN (SELECT id FROM attempt)",
    ),
    (
        "calls whose attempt is not there, or another item's",
        "SELECT c.id FROM call c LEFT JOIN attempt a ON a.id = c.attempt WHERE a.item IS NOT c.item",
    ),
    (
        "calls whose prices are not there",
        "SELECT id FROM call WHERE price IS NOT NULL AND price NOT IN (SELECT id FROM price)",
    ),
    ("ends of calls that are not there", "SELECT call FROM call_end WHERE call NOT IN (SELECT id FROM call)"),
    (
        "calls of an unknown state",
        "SELECT call FROM call_end WHERE state NOT IN ('answered', 'failed', 'unknown', 'taken')",
    ),
    (
        "answers that were taken from nowhere, or are in the books twice",
        "SELECT call FROM call_end WHERE state = 'taken'
         AND (source IS NULL OR input_tokens IS NOT NULL OR coalesce(cost, 0) <> 0)",
    ),
    ("answered calls without tokens", "SELECT call FROM call_end WHERE state = 'answered' AND input_tokens IS NULL"),
    ("runs whose generation is not there", "SELECT id FROM run WHERE generation NOT IN (SELECT id FROM generation)"),
    ("runs whose summary is no JSON", "SELECT id FROM run WHERE summary IS NOT NULL AND NOT json_valid(summary)"),
    ("generations whose configuration is no JSON", "SELECT id FROM generation WHERE NOT json_valid(config)"),
    (
        "sizes that were told to attempts that are not there, or another item's",
        "SELECT t.id FROM told t LEFT JOIN attempt a ON a.id = t.attempt WHERE a.item IS NOT t.item",
    ),
    ("sizes that were told and are no JSON", "SELECT id FROM told WHERE NOT json_valid(fact)"),
    ("tags of runs that are no JSON", "SELECT id FROM run WHERE NOT json_valid(tags)"),
    ("log lines of items that are not there", "SELECT id FROM guest_log WHERE item NOT IN (SELECT seq FROM item)"),
    ("blobs of items that are not there", "SELECT item FROM item_blob WHERE item NOT IN (SELECT seq FROM item)"),
    (
        "items whose input is no JSON",
        "SELECT id FROM item WHERE problem IS NULL AND input <> '' AND NOT json_valid(input)",
    ),
    (
        "items without an input that are not done",
        "SELECT i.id FROM item i LEFT JOIN outcome o ON o.item = i.seq
         WHERE i.position IS NOT NULL AND i.problem IS NULL AND i.input = ''
         AND coalesce(o.state, '') NOT IN ('done', 'skipped') AND (SELECT input FROM job) IS NOT NULL",
    ),
    (
        "items that share a place in the input",
        "SELECT min(id) FROM item WHERE position IS NOT NULL AND (SELECT input FROM job) IS NOT NULL
         GROUP BY position HAVING count(*) > 1",
    ),
];

/// The counts once by the indexes, and once by the tables.
const COUNTS: &str = "SELECT
  (SELECT count(*) FROM item i INDEXED BY item_position LEFT JOIN outcome o INDEXED BY outcome_item ON o.item = i.seq
   WHERE i.position IS NOT NULL AND o.state IS ?1),
  (SELECT count(*) FROM item i NOT INDEXED LEFT JOIN outcome o NOT INDEXED ON o.item = i.seq
   WHERE i.position IS NOT NULL AND o.state IS ?1)";

impl Reader {
    /// Reads all of it, as of one moment. Blocks, and takes as long as reading the file does.
    pub fn verify(&self) -> Result<Verdict, StoreError> {
        self.query(|connection| {
            // One moment for all that follows.
            let moment = connection.unchecked_transaction()?;
            let mut verdict = Verdict::default();
            pages(&moment, &mut verdict.problems)?;
            for (what, sql) in RULES {
                breaches(&moment, what, sql, &mut verdict.problems)?;
            }
            answers(&moment, &mut verdict)?;
            outputs(&moment, &mut verdict.problems)?;
            sums(&moment, &mut verdict)?;
            Ok(verdict)
        })
    }
}

fn pages(connection: &Connection, problems: &mut Vec<String>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA integrity_check(20)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let verdict: String = row.get(0)?;
        if verdict != "ok" {
            problems.push(format!("the file is damaged: {verdict}"));
        }
    }
    Ok(())
}

fn breaches(connection: &Connection, what: &str, sql: &str, problems: &mut Vec<String>) -> rusqlite::Result<()> {
    let mut found = Found::default();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        found.add(|| match row.get_ref(0) {
            Ok(rusqlite::types::ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            Ok(value) => value.as_i64().map_or_else(|_| "?".into(), |id| id.to_string()),
            Err(error) => error.to_string(),
        });
    }
    found.tell(what, problems);
    Ok(())
}

fn answers(connection: &Connection, verdict: &mut Verdict) -> rusqlite::Result<()> {
    let (mut unreadable, mut unequal) = (Found::default(), Found::default());
    let mut statement = connection.prepare(
        "SELECT call, answer, input_tokens, output_tokens, state FROM call_end
         WHERE state IN ('answered', 'taken') AND answer IS NOT NULL",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (call, text): (i64, String) = (row.get(0)?, row.get(1)?);
        verdict.answers += 1;
        match codec::decode_completion(&text) {
            Err(error) => unreadable.add(|| format!("{call} ({error})")),
            Ok(completion) => {
                let booked = (row.get::<_, Option<i64>>(2)?, row.get::<_, Option<i64>>(3)?);
                let usage = &completion.usage;
                // What a taken one took is in the books of the job that paid for it.
                let is_paid_here = row.get_ref(4)?.as_str()? == "answered";
                if is_paid_here
                    && booked != (Some(usage.input_tokens.cast_signed()), Some(usage.output_tokens.cast_signed()))
                {
                    unequal.add(|| call.to_string());
                }
            }
        }
    }
    unreadable.tell("calls whose answer cannot be read", &mut verdict.problems);
    unequal.tell("calls whose tokens are not those of their answer", &mut verdict.problems);
    Ok(())
}

fn outputs(connection: &Connection, problems: &mut Vec<String>) -> rusqlite::Result<()> {
    let mut unreadable = Found::default();
    let mut statement =
        connection.prepare("SELECT item, emissions FROM outcome WHERE state = 'done' AND emissions IS NOT NULL")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (item, text): (i64, String) = (row.get(0)?, row.get(1)?);
        if let Err(error) = codec::decode_emissions(&text) {
            unreadable.add(|| format!("{item} ({error})"));
        }
    }
    unreadable.tell("items whose output cannot be read", problems);
    Ok(())
}

fn sums(connection: &Connection, verdict: &mut Verdict) -> rusqlite::Result<()> {
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
    verdict.items = count("SELECT count(*) FROM item NOT INDEXED")?;
    verdict.calls = count("SELECT count(*) FROM call NOT INDEXED")?;
    for state in [Some("done"), Some("skipped"), Some("failed"), None] {
        let (indexed, counted): (i64, i64) =
            connection.query_row(COUNTS, [state], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if indexed != counted {
            let state = state.unwrap_or("pending");
            verdict.problems.push(format!(
                "the counts do not add up: {indexed} items are {state} by the index, {counted} by the table"
            ));
        }
    }
    Ok(())
}

/// How often a rule is broken, with the first few rows that break it.
#[derive(Default)]
struct Found {
    count: u64,
    examples: Vec<String>,
}

impl Found {
    fn add(&mut self, row: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(row());
        }
    }

    fn tell(self, what: &str, problems: &mut Vec<String>) {
        if self.count > 0 {
            let more = if self.count > self.examples.len() as u64 { ", …" } else { "" };
            problems.push(format!("{} {what}: {}{more}", self.count, self.examples.join(", ")));
        }
    }
}
