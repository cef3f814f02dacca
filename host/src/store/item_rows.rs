//! Items as they stand, with whatever is known of them: for exports and the dead letters.

use super::reader::{Reader, unsigned};
use super::selection::{FAILED_FILTER, Order, Selection, States};
use super::{StoreError, codec};
use crate::domain::{Completion, Emission};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemState {
    Pending,
    Done,
    Skipped,
    Failed,
}

impl ItemState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    pub(super) fn from_name(name: Option<&str>) -> Result<Self, StoreError> {
        match name {
            None => Ok(Self::Pending),
            Some("done") => Ok(Self::Done),
            Some("skipped") => Ok(Self::Skipped),
            Some("failed") => Ok(Self::Failed),
            Some(other) => Err(StoreError::Format(format!("an item in the state {other}"))),
        }
    }
}

/// An item of the input and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRow {
    pub seq: i64,
    pub id: String,
    /// In the input, from 0.
    pub position: u64,
    /// In the input, from 1.
    pub line: u64,
    pub state: ItemState,
    /// The item's JSON, or the line if it is no item; empty unless it was asked for.
    pub input: String,
    /// Why the line is no item.
    pub problem: Option<String>,
    /// Empty where the output is no longer kept.
    pub emissions: Vec<Emission>,
    /// Why it was skipped.
    pub reason: Option<String>,
    pub class: Option<String>,
    pub code: Option<String>,
    pub message: Option<String>,
    /// JSON, from the plugin.
    pub detail: Option<String>,
    pub backtrace: Option<String>,
    /// Executions in all runs.
    pub attempts: u64,
    pub ended_ms: Option<u64>,
    /// The digest of plugin, configuration and model.
    pub generation: Option<String>,
    /// Name and version.
    pub plugin: Option<String>,
    pub replayed: Option<u64>,
    pub truncated: Option<u64>,
    pub cpu_us: Option<u64>,
    pub memory_bytes: Option<u64>,
    /// What the plugin of a failed item asked last: JSON, or the start of it.
    pub last_request: Option<String>,
    /// Of a plugin that did not end by itself: JSON, for [`super::decode_card`].
    pub card: Option<String>,
    /// If they were asked for.
    pub books: Option<ItemBooks>,
}

/// The calls of an item in all runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemBooks {
    pub calls: u64,
    pub answered: u64,
    pub failed: u64,
    pub unknown: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub reasoning_tokens: u64,
    /// In millionths of a dollar; `None` where a call has no price.
    pub cost: Option<u64>,
    /// Those that were asked, with commas between.
    pub routes: Option<String>,
    pub models: Option<String>,
}

/// An item with its last call and what the plugin rejected, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemDetail {
    pub row: ItemRow,
    pub rejections: Vec<Rejection>,
    pub last_call: Option<CallRow>,
}

/// An attempt that the plugin rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    pub attempt: u64,
    pub ended_ms: u64,
    pub code: String,
    pub message: String,
}

/// One HTTP attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRow {
    pub attempt: u64,
    pub try_number: u64,
    /// SHA-256 of what was asked, in hexadecimal digits.
    pub hash: String,
    pub route: String,
    pub model: String,
    pub sent_ms: u64,
    pub ended_ms: Option<u64>,
    /// `None`: under way, or its process died.
    pub state: Option<String>,
    /// The job that the answer was taken from.
    pub source: Option<String>,
    pub status: Option<u64>,
    pub class: Option<String>,
    pub code: Option<String>,
    pub message: Option<String>,
    pub request_id: Option<String>,
    /// `None`: there was none, or it is no longer kept.
    pub answer: Option<Completion>,
    /// The start of what came instead of an answer.
    pub body: Option<String>,
}

const COLUMNS: &str =
    "i.seq, i.id, i.position, i.line, o.state, CASE WHEN :input THEN i.input ELSE '' END, i.problem, o.emissions,
    o.reason, o.class, o.code, o.message, o.detail, o.backtrace, coalesce(o.attempts, 0), o.ended_ms, g.digest,
    g.plugin_name || ' ' || g.plugin_version, o.replayed, o.truncated, o.cpu_us, o.memory_bytes,
    o.last_request, o.card
    FROM item i LEFT JOIN outcome o ON o.item = i.seq LEFT JOIN generation g ON g.id = o.generation";

const BOOKS: &str =
    "SELECT count(*), count(*) FILTER (WHERE e.state = 'answered'), count(*) FILTER (WHERE e.state = 'failed'),
    count(*) FILTER (WHERE e.state = 'unknown'), coalesce(sum(e.input_tokens), 0), coalesce(sum(e.output_tokens), 0),
    coalesce(sum(e.cache_read_tokens), 0), coalesce(sum(e.cache_write_tokens), 0), coalesce(sum(e.reasoning_tokens), 0),
    CASE WHEN count(*) FILTER (WHERE c.price IS NULL AND e.cost IS NULL) = 0 THEN coalesce(sum(e.cost), 0) END,
    group_concat(DISTINCT c.route), group_concat(DISTINCT c.model)
    FROM call c LEFT JOIN call_end e ON e.call = c.id WHERE c.item = ?1 AND e.state IS NOT 'taken'";

impl Reader {
    /// Calls the visitor for each item of the selection, as they stood when the walk began; its error ends the walk.
    pub fn for_each_item<E: From<StoreError>>(
        &self,
        selection: &Selection,
        mut visit: impl FnMut(ItemRow) -> Result<(), E>,
    ) -> Result<(), E> {
        self.with_snapshot(|connection| {
            let error = |error: rusqlite::Error| StoreError::sqlite(&self.path, &error);
            // Only numbers are sorted and walked over: an item's bodies are read when its turn has come.
            let mut places = connection.prepare(&places(selection)).map_err(error)?;
            let [classes, codes, since] = selection.failed.parameters();
            let parameters = named_params! { ":classes": classes, ":codes": codes, ":since": since };
            let mut places = places.query(parameters).map_err(error)?;
            while let Some(place) = places.next().map_err(error)? {
                let seq: i64 = place.get(0).map_err(error)?;
                let row = self.item_row(connection, "i.seq = :key", &seq, selection.with_input)?;
                let Some(mut row) = row else { continue };
                if selection.with_books {
                    row.books = Some(books(connection, seq).map_err(error)?);
                }
                visit(row)?;
            }
            Ok(())
        })
    }

    /// How many failed items that can be tried again, and how many lines that are no items, the filter lets through.
    pub fn count_failed(&self, filter: &super::FailedFilter) -> Result<(u64, u64), StoreError> {
        let sql = format!(
            "SELECT count(*) FILTER (WHERE i.problem IS NULL), count(*) FILTER (WHERE i.problem IS NOT NULL)
             FROM outcome o JOIN item i ON i.seq = o.item
             WHERE o.state = 'failed' AND i.position IS NOT NULL AND {FAILED_FILTER}"
        );
        let [classes, codes, since] = filter.parameters();
        self.query(|connection| {
            let parameters = named_params! { ":classes": classes, ":codes": codes, ":since": since };
            connection.query_row(&sql, parameters, |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))
        })
    }

    /// `None`: there is no such item in the input.
    pub fn item(&self, id: &str) -> Result<Option<ItemDetail>, StoreError> {
        self.with_snapshot(|connection| {
            let Some(mut row) = self.item_row(connection, "i.id = :key", &id, true)? else { return Ok(None) };
            let error = |error: rusqlite::Error| StoreError::sqlite(&self.path, &error);
            row.books = Some(books(connection, row.seq).map_err(error)?);
            let rejections = rejections(connection, row.seq).map_err(error)?;
            let last_call = match last_call(connection, row.seq).map_err(error)? {
                None => None,
                Some((call, None)) => Some(call),
                Some((call, Some(answer))) => {
                    Some(CallRow { answer: Some(codec::decode_completion(&answer)?), ..call })
                }
            };
            Ok(Some(ItemDetail { row, rejections, last_call }))
        })
    }

    pub(super) fn item_row(
        &self,
        connection: &Connection,
        condition: &str,
        key: &dyn rusqlite::ToSql,
        with_input: bool,
    ) -> Result<Option<ItemRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} WHERE {condition} AND i.position IS NOT NULL");
        let read = || {
            connection
                .prepare_cached(&sql)?
                .query_row(named_params! { ":key": key, ":input": with_input }, |row| {
                    let state: Option<String> = row.get(4)?;
                    let emissions: Option<String> = row.get(7)?;
                    Ok((item_row(row)?, state, emissions))
                })
                .optional()
        };
        let Some((row, state, emissions)) = read().map_err(|error| StoreError::sqlite(&self.path, &error))? else {
            return Ok(None);
        };
        let state = ItemState::from_name(state.as_deref())?;
        let emissions = emissions.map_or(Ok(Vec::new()), |text| codec::decode_emissions(&text))?;
        Ok(Some(ItemRow { state, emissions, ..row }))
    }
}

/// The numbers of the selected items, in their order.
fn places(selection: &Selection) -> String {
    let states = match selection.states {
        States::Done => "o.state = 'done'",
        States::Failed => "o.state = 'failed'",
        States::All => "TRUE",
    };
    let order = match selection.order {
        Order::Input => "i.position",
        Order::Completion => "o.ended_ms IS NULL, o.ended_ms, i.position",
    };
    format!(
        "SELECT i.seq FROM item i INDEXED BY item_position LEFT JOIN outcome o INDEXED BY outcome_item ON o.item = i.seq
         WHERE i.position IS NOT NULL AND {states} AND (o.state IS NOT 'failed' OR ({FAILED_FILTER})) ORDER BY {order}"
    )
}

fn item_row(row: &Row<'_>) -> rusqlite::Result<ItemRow> {
    let number = |column| row.get::<_, Option<i64>>(column).map(|number| number.map(i64::cast_unsigned));
    Ok(ItemRow {
        seq: row.get(0)?,
        id: row.get(1)?,
        position: unsigned(row, 2)?,
        line: unsigned(row, 3)?,
        state: ItemState::Pending,
        input: row.get(5)?,
        problem: row.get(6)?,
        emissions: Vec::new(),
        reason: row.get(8)?,
        class: row.get(9)?,
        code: row.get(10)?,
        message: row.get(11)?,
        detail: row.get(12)?,
        backtrace: row.get(13)?,
        attempts: unsigned(row, 14)?,
        ended_ms: number(15)?,
        generation: row.get(16)?,
        plugin: row.get(17)?,
        replayed: number(18)?,
        truncated: number(19)?,
        cpu_us: number(20)?,
        memory_bytes: number(21)?,
        last_request: row.get(22)?,
        card: row.get(23)?,
        books: None,
    })
}

fn books(connection: &Connection, item: i64) -> rusqlite::Result<ItemBooks> {
    connection.prepare_cached(BOOKS)?.query_row(params![item], |row| {
        Ok(ItemBooks {
            calls: unsigned(row, 0)?,
            answered: unsigned(row, 1)?,
            failed: unsigned(row, 2)?,
            unknown: unsigned(row, 3)?,
            input_tokens: unsigned(row, 4)?,
            output_tokens: unsigned(row, 5)?,
            cache_read_tokens: unsigned(row, 6)?,
            cache_write_tokens: unsigned(row, 7)?,
            reasoning_tokens: unsigned(row, 8)?,
            cost: row.get::<_, Option<i64>>(9)?.map(i64::cast_unsigned),
            routes: row.get(10)?,
            models: row.get(11)?,
        })
    })
}

fn rejections(connection: &Connection, item: i64) -> rusqlite::Result<Vec<Rejection>> {
    connection
        .prepare(
            "SELECT a.number, r.ended_ms, r.code, r.message FROM attempt_retry r JOIN attempt a ON a.id = r.attempt
             WHERE a.item = ?1 ORDER BY a.id",
        )?
        .query_map(params![item], |row| {
            Ok(Rejection {
                attempt: unsigned(row, 0)?,
                ended_ms: unsigned(row, 1)?,
                code: row.get(2)?,
                message: row.get(3)?,
            })
        })?
        .collect()
}

/// With its answer as it is stored.
fn last_call(connection: &Connection, item: i64) -> rusqlite::Result<Option<(CallRow, Option<String>)>> {
    connection
        .prepare(
            "SELECT a.number, c.try, lower(hex(c.hash)), c.route, c.model, c.intent_ms, e.ended_ms, e.state, e.status, e.class,
                    e.code, e.message, e.request_id, e.body, e.source, e.answer
             FROM call c JOIN attempt a ON a.id = c.attempt LEFT JOIN call_end e ON e.call = c.id
             WHERE c.item = ?1 ORDER BY c.intent_ms DESC, c.id DESC LIMIT 1",
        )?
        .query_row(params![item], |row| {
            let number = |column| row.get::<_, Option<i64>>(column).map(|number| number.map(i64::cast_unsigned));
            let call = CallRow {
                attempt: unsigned(row, 0)?,
                try_number: unsigned(row, 1)?,
                hash: row.get(2)?,
                route: row.get(3)?,
                model: row.get(4)?,
                sent_ms: unsigned(row, 5)?,
                ended_ms: number(6)?,
                state: row.get(7)?,
                status: number(8)?,
                class: row.get(9)?,
                code: row.get(10)?,
                message: row.get(11)?,
                request_id: row.get(12)?,
                body: row.get(13)?,
                source: row.get(14)?,
                answer: None,
            };
            Ok((call, row.get(15)?))
        })
        .optional()
}
