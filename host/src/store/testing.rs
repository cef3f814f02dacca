//! Stores for tests of other modules, made row by row.

use super::reader::Reader;
use super::{codec, open};
use crate::domain::{CrashCard, Prices};
use rusqlite::{Connection, ToSql, params};
use std::path::{Path, PathBuf};

/// A store that is being made; everything is as the writer would have left it.
pub(crate) struct Rows {
    connection: Connection,
    path: PathBuf,
}

/// A run; times in milliseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunOf {
    pub(crate) started_ms: u64,
    /// `None`: its process died.
    pub(crate) ended_ms: Option<u64>,
    pub(crate) reason: String,
    pub(crate) summary: Option<String>,
    pub(crate) tags: String,
}

/// How an item ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct EndOf {
    pub(crate) state: &'static str,
    pub(crate) attempt: Option<u64>,
    pub(crate) run: Option<u64>,
    pub(crate) ended_ms: u64,
    pub(crate) truncated: u64,
    pub(crate) class: String,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) card: Option<CrashCard>,
}

/// A call that was sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallOf {
    pub(crate) item: u64,
    pub(crate) attempt: u64,
    pub(crate) hash: u8,
    pub(crate) occurrence: u64,
    pub(crate) route: String,
    pub(crate) model: String,
    pub(crate) has_price: bool,
    pub(crate) sent_ms: u64,
}

/// How it ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallEndOf {
    pub(crate) state: &'static str,
    pub(crate) ended_ms: u64,
    pub(crate) class: String,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) lost_tokens: u64,
    pub(crate) cost: u64,
}

impl Rows {
    /// With a job that was made at 1 and a generation whose texts are `text`.
    pub(crate) fn new(dir: &Path, text: &str) -> Self {
        let path = dir.join("j.db");
        let connection = open::writer(&path).unwrap();
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        let rows = Self { connection, path };
        rows.insert("INSERT INTO job VALUES (1, 'j', 1, 0, '{}', NULL)", &[]);
        rows.insert(
            "INSERT INTO generation (id, digest, plugin_name, plugin_version, plugin_digest, config, model, created_ms)
             VALUES (1, ?1, ?1, ?1, ?1, ?1, ?1, 1)",
            &[&text],
        );
        let prices = codec::encode_prices(&Prices::default());
        rows.insert("INSERT INTO price VALUES (1, ?1)", &[&prices]);
        rows
    }

    fn insert(&self, sql: &str, parameters: &[&dyn ToSql]) {
        self.connection.prepare_cached(sql).unwrap().execute(parameters).unwrap();
    }

    pub(crate) fn run(&self, run: &RunOf) {
        let state = run.ended_ms.map(|_| "finished");
        let (reason, code) = (run.ended_ms.map(|_| &run.reason), run.ended_ms.map(|_| 0));
        self.insert(
            "INSERT INTO run (generation, pid, started_ms, ended_ms, state, reason, exit_code, summary, tags)
             VALUES (1, 1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                run.started_ms.cast_signed(),
                run.ended_ms.map(u64::cast_signed),
                state,
                reason,
                code,
                run.summary,
                run.tags
            ],
        );
    }

    /// Numbered from 1, in the order of the input.
    pub(crate) fn item(&self, id: &str) {
        self.insert(
            "INSERT INTO item (id, position, line, fingerprint, input, pass)
             VALUES (?1, (SELECT count(*) FROM item), 1, x'00', '{}', 1)",
            params![id],
        );
    }

    /// Numbered from 1.
    pub(crate) fn attempt(&self, item: u64, run: u64, began_ms: u64) {
        self.insert(
            "INSERT INTO attempt (item, number, run, context, began_ms) VALUES (?1, 1, ?2, '{}', ?3)",
            params![item.cast_signed(), run.cast_signed(), began_ms.cast_signed()],
        );
    }

    pub(crate) fn reject(&self, attempt: u64, code: &str, message: &str) {
        self.insert(
            "INSERT INTO attempt_retry (attempt, ended_ms, code, message) VALUES (?1, 1, ?2, ?3)",
            params![attempt.cast_signed(), code, message],
        );
    }

    pub(crate) fn end(&self, item: u64, end: &EndOf) {
        let card = end.card.as_ref().map(|card| super::encode_card(card).unwrap());
        self.insert(
            "INSERT INTO outcome (item, state, attempt, generation, run, ended_ms, attempts, class, code, message, truncated, card)
             VALUES (?1, ?2, ?3, 1, ?4, ?5, 1, ?6, ?7, ?8, ?9, ?10)",
            params![
                item.cast_signed(),
                end.state,
                end.attempt.map(u64::cast_signed),
                end.run.map(u64::cast_signed),
                end.ended_ms.cast_signed(),
                end.class,
                end.code,
                end.message,
                end.truncated.cast_signed(),
                card
            ],
        );
    }

    /// Numbered from 1.
    pub(crate) fn call(&self, call: &CallOf, end: Option<&CallEndOf>) {
        self.insert(
            "INSERT INTO call (item, attempt, hash, occurrence, try, route, model, price, reserved, intent_ms)
             VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7, 0, ?8)",
            params![
                call.item.cast_signed(),
                call.attempt.cast_signed(),
                [call.hash; 32],
                call.occurrence.cast_signed(),
                call.route,
                call.model,
                call.has_price.then_some(1),
                call.sent_ms.cast_signed()
            ],
        );
        let Some(end) = end else { return };
        self.insert(
            "INSERT INTO call_end (call, ended_ms, state, class, input_tokens, output_tokens, lost_tokens, cost)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                self.connection.last_insert_rowid(),
                end.ended_ms.cast_signed(),
                end.state,
                end.class,
                end.input_tokens.cast_signed(),
                end.output_tokens.cast_signed(),
                end.lost_tokens.cast_signed(),
                end.cost.cast_signed()
            ],
        );
    }

    pub(crate) fn event(&self, run: u64, at_ms: u64, route: &str, kind: &str, detail: &serde_json::Value) {
        self.insert(
            "INSERT INTO route_event (run, at_ms, route, kind, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![run.cast_signed(), at_ms.cast_signed(), route, kind, detail.to_string()],
        );
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::at(&self.path).unwrap()
    }
}
