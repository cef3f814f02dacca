//! How a job stands that another process runs, as far as its store tells.

use super::error::StoreError;
use super::reader::{Reader, unsigned};
use super::types::RunId;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Attempts and calls that are looked through for those that have no end, from the newest back: many more than can be under way.
const RECENT_ROWS: i64 = 100_000;

/// What happened since a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recent {
    /// Items that ended.
    pub items: u64,
    /// Calls that ended, and tokens of those that were answered.
    pub calls: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// What is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// Items that were begun in the run and have not ended.
    pub items: u64,
    /// By name: routes of which there is something to tell.
    pub routes: BTreeMap<String, LiveRoute>,
}

/// As the run has written it down; of what it has not, `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveRoute {
    pub calls: u64,
    /// Calls that may be under way at once.
    pub limit: Option<u64>,
    /// `closed`, `open`, `half-open`; and until when an open one lets nothing through.
    pub breaker: Option<String>,
    pub open_until_ms: Option<u64>,
}

/// When guests of a run give their instances back, and how it went so far. As the run wrote it down last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GuestsNote {
    /// `auto`, `never`, `always`.
    pub policy: String,
    pub after_ms: u64,
    /// In bytes; `None`: guests take what they take.
    pub memory_target: Option<u64>,
    /// What they had at most.
    pub memory_peak: u64,
    /// How often one gave its instance back.
    pub gave_way: u64,
}

impl GuestsNote {
    /// Of the row in `route_event`.
    pub const KIND: &str = "guests";

    /// As it stands in the row, JSON.
    pub fn detail(&self) -> String {
        serde_json::json!({
            "policy": self.policy,
            "after_ms": self.after_ms,
            "memory_target": self.memory_target,
            "memory_peak": self.memory_peak,
            "gave_way": self.gave_way,
        })
        .to_string()
    }
}

impl Reader {
    /// `None`: the run wrote nothing down, or in a way that is not known here.
    pub fn guests(&self, run: RunId) -> Result<Option<GuestsNote>, StoreError> {
        let detail: Option<String> = self.query(|connection| {
            connection
                .query_row(
                    "SELECT detail FROM route_event WHERE run = ?1 AND kind = ?2 ORDER BY id DESC LIMIT 1",
                    params![run.0, GuestsNote::KIND],
                    |row| row.get(0),
                )
                .optional()
        })?;
        Ok(detail.and_then(|detail| serde_json::from_str(&detail).ok()))
    }

    pub fn recent(&self, since_ms: u64) -> Result<Recent, StoreError> {
        self.query(|connection| {
            let items = connection.query_row(
                "SELECT count(*) FROM outcome INDEXED BY outcome_item WHERE ended_ms > ?1",
                params![since_ms.cast_signed()],
                |row| unsigned(row, 0),
            )?;
            connection.query_row(
                "SELECT count(*), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0)
                 FROM call_end INDEXED BY call_end_books WHERE ended_ms > ?1 AND state <> 'taken'",
                params![since_ms.cast_signed()],
                |row| {
                    let (calls, input_tokens, output_tokens) =
                        (unsigned(row, 0)?, unsigned(row, 1)?, unsigned(row, 2)?);
                    Ok(Recent { items, calls, input_tokens, output_tokens })
                },
            )
        })
    }

    /// `run`: one that goes on.
    pub fn live(&self, run: RunId) -> Result<Live, StoreError> {
        self.query(|connection| {
            let items = connection.query_row(
                "SELECT count(DISTINCT a.item) FROM attempt a
                 WHERE a.id > (SELECT max(id) FROM attempt) - ?2 AND a.run = ?1
                   AND NOT EXISTS (SELECT 1 FROM outcome o WHERE o.item = a.item AND o.run = ?1)",
                params![run.0, RECENT_ROWS],
                |row| unsigned(row, 0),
            )?;
            let mut routes = noted(connection, run)?;
            for (route, calls) in under_way(connection)? {
                routes.entry(route).or_default().calls = calls;
            }
            Ok(Live { items, routes })
        })
    }
}

fn under_way(connection: &Connection) -> rusqlite::Result<Vec<(String, u64)>> {
    connection
        .prepare(
            "SELECT route, count(*) FROM call c
             WHERE c.id > (SELECT max(id) FROM call) - ?1 AND remote_id IS NULL
               AND NOT EXISTS (SELECT 1 FROM call_end e WHERE e.call = c.id)
             GROUP BY route",
        )?
        .query_map(params![RECENT_ROWS], |row| Ok((row.get(0)?, unsigned(row, 1)?)))?
        .collect()
}

/// What was written down last of each route.
fn noted(connection: &Connection, run: RunId) -> rusqlite::Result<BTreeMap<String, LiveRoute>> {
    let mut routes: BTreeMap<String, LiveRoute> = BTreeMap::new();
    let mut statement = connection.prepare(
        "SELECT route, kind, at_ms, detail ->> '$.to', detail ->> '$.pause_ms' FROM route_event
         WHERE id IN (SELECT max(id) FROM route_event WHERE run = ?1 AND kind IN ('breaker', 'concurrency') GROUP BY route, kind)",
    )?;
    let mut rows = statement.query(params![run.0])?;
    while let Some(row) = rows.next()? {
        let route = routes.entry(row.get(0)?).or_default();
        if row.get_ref(1)?.as_str()? == "breaker" {
            let pause: Option<i64> = row.get(4)?;
            route.open_until_ms =
                pause.map(|pause| Ok::<_, rusqlite::Error>(unsigned(row, 2)? + pause.unsigned_abs())).transpose()?;
            route.breaker = row.get(3)?;
        } else {
            route.limit = row.get::<_, Option<i64>>(3)?.map(i64::unsigned_abs);
        }
    }
    Ok(routes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{CallEndOf, CallOf, EndOf, Rows, RunOf};
    use serde_json::json;

    fn call(item: u64, route: &str) -> CallOf {
        CallOf { item, attempt: item, route: route.into(), ..CallOf::default() }
    }

    #[test]
    fn how_guests_give_way_is_as_the_run_wrote_it_down_last() {
        let dir = tempfile::tempdir().unwrap();
        let rows = Rows::new(dir.path(), "g");
        rows.run(&RunOf { started_ms: 1, ended_ms: Some(2), ..RunOf::default() });
        rows.run(&RunOf { started_ms: 3, ..RunOf::default() });
        let note = |gave_way| GuestsNote { policy: "auto".into(), after_ms: 100, gave_way, ..GuestsNote::default() };
        for (run, gave_way) in [(1, 7), (2, 0), (2, 12)] {
            rows.event(run, 1, "", GuestsNote::KIND, &serde_json::from_str(&note(gave_way).detail()).unwrap());
        }
        rows.event(2, 4, "", "job", &json!({ "from": "runs", "to": "paused" }));
        let reader = rows.reader();
        assert_eq!(reader.guests(RunId(1)).unwrap(), Some(note(7)));
        assert_eq!(reader.guests(RunId(2)).unwrap(), Some(note(12)));
        assert_eq!(reader.guests(RunId(3)).unwrap(), None);
        rows.event(2, 5, "", GuestsNote::KIND, &json!({ "gave_way": "many" }));
        assert_eq!(reader.guests(RunId(2)).unwrap(), None);
    }

    #[test]
    fn what_is_under_way_and_what_was_written_down_last_is_told_by_route() {
        let dir = tempfile::tempdir().unwrap();
        let rows = Rows::new(dir.path(), "g");
        rows.run(&RunOf { started_ms: 1, ended_ms: Some(2), ..RunOf::default() });
        rows.run(&RunOf { started_ms: 3, ..RunOf::default() });
        for item in 1..=4 {
            rows.item(&format!("i{item}"));
            rows.attempt(item, 2, 10);
        }
        // One is done; one failed in the run before, and is tried again.
        rows.end(1, &EndOf { state: "done", run: Some(2), ended_ms: 900, ..EndOf::default() });
        rows.end(2, &EndOf { state: "failed", run: Some(1), ended_ms: 2, ..EndOf::default() });
        let end =
            CallEndOf { state: "answered", ended_ms: 800, input_tokens: 70, output_tokens: 5, ..CallEndOf::default() };
        rows.call(&call(1, "fast"), Some(&end));
        rows.call(&call(2, "fast"), None);
        rows.call(&call(3, "slow"), None);
        rows.call(&call(4, "fast"), None);
        rows.event(1, 1, "old", "breaker", &json!({ "to": "open", "pause_ms": 5 }));
        rows.event(2, 100, "slow", "breaker", &json!({ "to": "half-open" }));
        rows.event(2, 200, "slow", "breaker", &json!({ "to": "open", "pause_ms": 300 }));
        rows.event(2, 100, "fast", "concurrency", &json!({ "to": 8 }));
        rows.event(2, 300, "fast", "concurrency", &json!({ "to": 16 }));
        rows.event(2, 400, "fast", "pace", &json!({ "to": "600 requests" }));
        let reader = rows.reader();
        let live = reader.live(RunId(2)).unwrap();
        let slow = LiveRoute { calls: 1, limit: None, breaker: Some("open".into()), open_until_ms: Some(500) };
        let fast = LiveRoute { calls: 2, limit: Some(16), breaker: None, open_until_ms: None };
        assert_eq!(live, Live { items: 3, routes: BTreeMap::from([("fast".into(), fast), ("slow".into(), slow)]) });
        let recent = |since| reader.recent(since).unwrap();
        assert_eq!(recent(10), Recent { items: 1, calls: 1, input_tokens: 70, output_tokens: 5 });
        assert_eq!(recent(850), Recent { items: 1, ..Recent::default() });
    }
}
