//! What became of each route, and what happened to it.

use super::axis::Axis;
use super::histogram::{Histogram, Latency};
use super::{Dollars, KINDS_MAX, NAME_BYTES_MAX, Piece, TEXT_BYTES_MAX};
use crate::domain::shortened;
use crate::store::{GuestsNote, RouteEvent, RunId};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, VecDeque};

/// Times of breakers that are told; the first ones.
const SPANS_MAX: usize = 200;
/// Events that are told; the last ones.
const NOTES_MAX: usize = 60;

/// A model at a route.
#[derive(Debug, Clone)]
pub struct RouteFigures {
    pub route: String,
    pub model: String,
    pub calls: u64,
    pub answered: u64,
    pub failed: u64,
    pub unknown: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost: Dollars,
    pub(super) latency: Histogram,
}

impl RouteFigures {
    pub(super) fn new(route: &str, model: &str) -> Self {
        Self {
            route: route.to_owned(),
            model: model.to_owned(),
            calls: 0,
            answered: 0,
            failed: 0,
            unknown: 0,
            input_tokens: 0,
            output_tokens: 0,
            cost: Dollars(0),
            latency: Histogram::default(),
        }
    }

    /// Of answered calls.
    pub fn latency(&self) -> Latency {
        self.latency.latency()
    }

    pub(super) fn bounded(self) -> Self {
        let name = |name: &str| shortened(name, NAME_BYTES_MAX).into_owned();
        Self { route: name(&self.route), model: name(&self.model), ..self }
    }
}

impl PartialEq for RouteFigures {
    fn eq(&self, other: &Self) -> bool {
        self.written() == other.written()
    }
}

/// As it stands in JSON.
#[derive(PartialEq, Serialize)]
struct WrittenRoute<'a> {
    route: &'a str,
    model: &'a str,
    calls: u64,
    answered: u64,
    failed: u64,
    unknown: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost_dollars: Dollars,
    p50_ms: u64,
    p99_ms: u64,
}

impl RouteFigures {
    fn written(&self) -> WrittenRoute<'_> {
        let Latency { p50_ms, p99_ms, .. } = self.latency();
        let Self { route, model, calls, answered, failed, unknown, input_tokens, output_tokens, cost, latency: _ } =
            self;
        WrittenRoute {
            route,
            model,
            calls: *calls,
            answered: *answered,
            failed: *failed,
            unknown: *unknown,
            input_tokens: *input_tokens,
            output_tokens: *output_tokens,
            cost_dollars: *cost,
            p50_ms,
            p99_ms,
        }
    }
}

impl Serialize for RouteFigures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written().serialize(serializer)
    }
}

/// A time in which a route's breaker was not closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreakerSpan {
    pub route: String,
    /// `open` or `half-open`.
    pub state: String,
    pub from_ms: u64,
    /// Until its run's end, if it came before the next change.
    pub to_ms: u64,
    pub reason: String,
}

/// Something that happened to a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteNote {
    pub at_ms: u64,
    pub route: String,
    /// `breaker`, `concurrency`, `pace` or, without a route, `job`.
    pub kind: String,
    pub from: String,
    pub to: String,
    pub reason: String,
    /// How long a breaker lets nothing through.
    pub pause_ms: Option<u64>,
}

/// What a route's events told so far.
struct Current {
    run: RunId,
    state: String,
    from_ms: u64,
    reason: String,
}

pub(super) struct Routes<'a> {
    /// When each run ended, or was seen last.
    run_ends: &'a BTreeMap<i64, u64>,
    current: BTreeMap<String, Current>,
    spans: Vec<BreakerSpan>,
    notes: VecDeque<RouteNote>,
    pub(super) openings: u64,
}

impl<'a> Routes<'a> {
    pub(super) fn new(run_ends: &'a BTreeMap<i64, u64>) -> Self {
        Self { run_ends, current: BTreeMap::new(), spans: Vec::new(), notes: VecDeque::new(), openings: 0 }
    }

    pub(super) fn add(&mut self, event: &RouteEvent<'_>, axis: &Axis, pieces: &mut [Piece]) {
        // Of no route, and no change of anything.
        if event.kind == GuestsNote::KIND {
            return;
        }
        let detail: serde_json::Value = serde_json::from_str(event.detail).unwrap_or_default();
        let text = |key: &str, most: usize| match detail.get(key) {
            Some(serde_json::Value::String(text)) => shortened(text, most).into_owned(),
            Some(serde_json::Value::Number(number)) => number.to_string(),
            Some(_) | None => String::new(),
        };
        let note = RouteNote {
            at_ms: event.at_ms,
            route: shortened(event.route, NAME_BYTES_MAX).into_owned(),
            kind: shortened(event.kind, NAME_BYTES_MAX).into_owned(),
            from: text("from", NAME_BYTES_MAX),
            to: text("to", NAME_BYTES_MAX),
            reason: text("reason", TEXT_BYTES_MAX),
            pause_ms: detail.get("pause_ms").and_then(serde_json::Value::as_u64),
        };
        match event.kind {
            "breaker" => self.turn(event.run, &note),
            "concurrency" => limit(&note, detail.get("to").and_then(serde_json::Value::as_u64), axis, pieces),
            _ => {}
        }
        if self.notes.len() == NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back(note);
    }

    /// How many calls are let through at once holds until it changes, or the run ends.
    pub(super) fn carry(pieces: &mut [Piece]) {
        let mut holds = BTreeMap::new();
        for piece in pieces {
            if piece.follows_gap {
                holds.clear();
            }
            holds.append(&mut piece.concurrency);
            piece.concurrency.clone_from(&holds);
        }
    }

    fn turn(&mut self, run: RunId, note: &RouteNote) {
        self.openings += u64::from(note.to == "open");
        if let Some(before) = self.current.remove(&note.route) {
            let until = if before.run == run { note.at_ms } else { self.end_of(before.run, note.at_ms) };
            self.close(&note.route, before, until);
        }
        if note.to != "closed" {
            let current = Current { run, state: note.to.clone(), from_ms: note.at_ms, reason: note.reason.clone() };
            self.current.insert(note.route.clone(), current);
        }
    }

    fn end_of(&self, run: RunId, most: u64) -> u64 {
        self.run_ends.get(&run.0).copied().unwrap_or(most)
    }

    fn close(&mut self, route: &str, current: Current, to_ms: u64) {
        if self.spans.len() < SPANS_MAX {
            let Current { state, from_ms, reason, .. } = current;
            self.spans.push(BreakerSpan { route: route.to_owned(), state, from_ms, to_ms: to_ms.max(from_ms), reason });
        }
    }

    /// After the last event.
    pub(super) fn finish(mut self) -> (Vec<BreakerSpan>, Vec<RouteNote>) {
        for (route, current) in std::mem::take(&mut self.current) {
            let until = self.end_of(current.run, current.from_ms);
            self.close(&route, current, until);
        }
        self.spans.sort_by_key(|span| span.from_ms);
        (self.spans, self.notes.into())
    }
}

fn limit(note: &RouteNote, to: Option<u64>, axis: &Axis, pieces: &mut [Piece]) {
    let piece = axis.place(note.at_ms).and_then(|(piece, _)| pieces.get_mut(piece));
    if let (Some(to), Some(piece)) = (to, piece)
        && (piece.concurrency.len() < KINDS_MAX || piece.concurrency.contains_key(&note.route))
    {
        piece.concurrency.insert(note.route.clone(), to);
    }
}
