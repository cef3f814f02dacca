//! All items, calls and events of a job, one after the other: for whoever adds them up and holds none of them.

use super::item_rows::ItemState;
use super::reader::{Reader, unsigned};
use super::{RunId, StoreError};
use crate::domain::ItemSeq;
use rusqlite::{Connection, Row};

/// An item of the input and the execution that ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemSpan {
    pub item: ItemSeq,
    pub state: ItemState,
    /// `None`: pending, or a line that is no item.
    pub run: Option<RunId>,
    /// `None`: it was never begun.
    pub began_ms: Option<u64>,
    /// `None`: pending.
    pub ended_ms: Option<u64>,
    /// Requests that were shortened.
    pub truncated: u64,
}

/// An HTTP attempt, or an answer that was taken from another job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSpan<'a> {
    pub item: ItemSeq,
    /// The execution of the plugin that asked.
    pub attempt: i64,
    /// SHA-256 of what was asked, and how often the execution had asked the same before.
    pub hash: &'a [u8],
    pub occurrence: u64,
    pub route: &'a str,
    pub model: &'a str,
    pub has_price: bool,
    pub sent_ms: u64,
    /// `None`: under way, or its process died.
    pub end: Option<CallSpanEnd<'a>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSpanEnd<'a> {
    /// `answered`, `failed`, `unknown` or `taken`.
    pub state: &'a str,
    pub ended_ms: u64,
    /// Of a failed call.
    pub class: &'a str,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Of a call without an answer: the tokens that it may have taken.
    pub lost_tokens: u64,
    /// In millionths of a dollar.
    pub cost: u64,
}

/// Something that happened to a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteEvent<'a> {
    pub run: RunId,
    pub at_ms: u64,
    pub route: &'a str,
    pub kind: &'a str,
    /// JSON.
    pub detail: &'a str,
}

pub(super) const ITEMS: &str = "SELECT i.seq, o.state, o.run, a.began_ms, o.ended_ms, coalesce(o.truncated, 0)
     FROM item i INDEXED BY item_position LEFT JOIN outcome o INDEXED BY outcome_item ON o.item = i.seq
     LEFT JOIN attempt a ON a.id = o.attempt WHERE i.position IS NOT NULL";

pub(super) const CALLS: &str =
    "SELECT c.item, c.attempt, c.hash, c.occurrence, c.route, c.model, c.price IS NOT NULL, c.intent_ms, e.state, e.ended_ms,
            coalesce(e.class, ''), coalesce(e.input_tokens, 0), coalesce(e.output_tokens, 0), coalesce(e.lost_tokens, 0),
            coalesce(e.cost, 0)
     FROM call c INDEXED BY call_item LEFT JOIN call_end e INDEXED BY call_end_books ON e.call = c.id ORDER BY c.item, c.id";

impl Reader {
    /// Calls the visitor for each item of the input.
    pub fn for_each_item_span(&self, mut visit: impl FnMut(ItemSpan)) -> Result<(), StoreError> {
        self.walk(ITEMS, |row| {
            let state: Option<&str> = row.get_ref(1)?.as_str_or_null()?;
            let number = |column| row.get::<_, Option<i64>>(column).map(|number| number.map(i64::cast_unsigned));
            let span = ItemSpan {
                item: ItemSeq(row.get(0)?),
                state: match ItemState::from_name(state) {
                    Ok(state) => state,
                    Err(error) => return Ok(Err(error)),
                },
                run: row.get::<_, Option<i64>>(2)?.map(RunId),
                began_ms: number(3)?,
                ended_ms: number(4)?,
                truncated: unsigned(row, 5)?,
            };
            visit(span);
            Ok(Ok(()))
        })
    }

    /// Calls the visitor for each call; those of an item come together, in the order in which they were sent.
    pub fn for_each_call_span(&self, mut visit: impl FnMut(&CallSpan<'_>)) -> Result<(), StoreError> {
        self.walk(CALLS, |row| {
            let end = match row.get_ref(8)?.as_str_or_null()? {
                None => None,
                Some(state) => Some(CallSpanEnd {
                    state,
                    ended_ms: unsigned(row, 9)?,
                    class: row.get_ref(10)?.as_str()?,
                    input_tokens: unsigned(row, 11)?,
                    output_tokens: unsigned(row, 12)?,
                    lost_tokens: unsigned(row, 13)?,
                    cost: unsigned(row, 14)?,
                }),
            };
            visit(&CallSpan {
                item: ItemSeq(row.get(0)?),
                attempt: row.get(1)?,
                hash: row.get_ref(2)?.as_blob()?,
                occurrence: unsigned(row, 3)?,
                route: row.get_ref(4)?.as_str()?,
                model: row.get_ref(5)?.as_str()?,
                has_price: row.get(6)?,
                sent_ms: unsigned(row, 7)?,
                end,
            });
            Ok(Ok(()))
        })
    }

    /// Calls the visitor for each event, in the order in which they came.
    pub fn for_each_route_event(&self, mut visit: impl FnMut(&RouteEvent<'_>)) -> Result<(), StoreError> {
        self.walk("SELECT run, at_ms, route, kind, detail FROM route_event ORDER BY id", |row| {
            visit(&RouteEvent {
                run: RunId(row.get(0)?),
                at_ms: unsigned(row, 1)?,
                route: row.get_ref(2)?.as_str()?,
                kind: row.get_ref(3)?.as_str()?,
                detail: row.get_ref(4)?.as_str()?,
            });
            Ok(Ok(()))
        })
    }

    /// Calls the visitor with a run's number and a moment at which it still did something, for each that the books tell of.
    pub fn for_each_sign_of_life(&self, mut visit: impl FnMut(RunId, u64)) -> Result<(), StoreError> {
        let signs = [
            "SELECT run, began_ms FROM attempt WHERE run > 0",
            "SELECT a.run, c.intent_ms FROM call c JOIN attempt a ON a.id = c.attempt WHERE a.run > 0",
            "SELECT run, ended_ms FROM outcome INDEXED BY outcome_item WHERE run IS NOT NULL",
        ];
        for sql in signs {
            self.walk(sql, |row| {
                visit(RunId(row.get(0)?), unsigned(row, 1)?);
                Ok(Ok(()))
            })?;
        }
        Ok(())
    }

    /// Calls the visitor for each row.
    fn walk(
        &self,
        sql: &str,
        mut visit: impl FnMut(&Row<'_>) -> rusqlite::Result<Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        self.with_snapshot(|connection: &Connection| {
            let error = |error: rusqlite::Error| StoreError::sqlite(&self.path, &error);
            let mut statement = connection.prepare(sql).map_err(error)?;
            let mut rows = statement.query([]).map_err(error)?;
            while let Some(row) = rows.next().map_err(error)? {
                visit(row).map_err(error)??;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Rows;
    use super::*;

    /// How SQLite goes about a query.
    fn plan(reader: &Reader, sql: &str) -> String {
        let steps = |connection: &Connection| {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let steps = statement.query_map([], |row| row.get::<_, String>(3))?;
            steps.collect::<rusqlite::Result<Vec<_>>>()
        };
        reader.query(steps).unwrap().join("\n")
    }

    #[test]
    fn what_is_added_up_is_read_from_indexes_in_their_order_and_no_body_is() {
        let dir = tempfile::tempdir().unwrap();
        let reader = Rows::new(dir.path(), "x").reader();
        let (items, calls) = (plan(&reader, ITEMS), plan(&reader, CALLS));
        for (plan, index) in [
            (&items, "USING COVERING INDEX item_position"),
            (&items, "USING COVERING INDEX outcome_item"),
            (&calls, "USING INDEX call_item"),
            (&calls, "USING COVERING INDEX call_end_books"),
        ] {
            assert!(plan.contains(index), "{plan}");
        }
        assert!(!items.contains("TEMP B-TREE") && !calls.contains("TEMP B-TREE"), "{items}\n{calls}");
    }
}
