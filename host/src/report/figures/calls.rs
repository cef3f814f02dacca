//! What is added up of calls, which come item by item.

use super::axis::Axis;
use super::histogram::Histogram;
use super::routes::RouteFigures;
use super::top::Top;
use super::{CallFigures, ITEMS_MAX, KINDS_MAX, NAME_BYTES_MAX, Piece, as_float};
use crate::domain::{ItemSeq, shortened};
use crate::store::{CallSpan, CallSpanEnd};
use serde::Serialize;
use std::collections::BTreeMap;

/// Failed calls of one item that may be asked again; more than are ever under way at once.
const WAITING_MAX: usize = 1_024;
/// The name of all others.
const OTHERS: &str = "(others)";

/// Calls that failed with one class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ErrorFigures {
    pub calls: u64,
    /// How many of them were followed by another try in the same execution.
    pub retried: u64,
    /// From their ends until that try was sent: pauses, and waiting for the route.
    pub waited_ms: u64,
    pub waited_max_ms: u64,
}

/// A call that may have been billed twice.
pub(super) struct Unknown {
    pub(super) item: ItemSeq,
    pub(super) route: String,
    pub(super) sent_ms: u64,
    pub(super) cost: u64,
}

/// The calls of an item.
#[derive(Debug, Clone, Copy)]
pub(super) struct ItemBooks {
    pub(super) item: ItemSeq,
    pub(super) calls: u64,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) cost: u64,
}

/// A call that failed, until its question is asked again.
struct Waiting {
    attempt: i64,
    occurrence: u64,
    hash: Vec<u8>,
    class: String,
    ended_ms: u64,
}

/// Calls that began and ended in a piece, and how far into it, all together.
#[derive(Clone, Copy, Default)]
struct Flow {
    begun: u64,
    begun_at: u64,
    ended: u64,
    ended_at: u64,
}

pub(super) struct Calls<'a> {
    axis: &'a Axis,
    flows: Vec<Flow>,
    waiting: Vec<Waiting>,
    item: Option<ItemBooks>,
    pub(super) sums: CallFigures,
    pub(super) latency: Histogram,
    pub(super) errors: BTreeMap<String, ErrorFigures>,
    pub(super) routes: Vec<RouteFigures>,
    pub(super) dearest: Top<(u64, u64), ItemBooks>,
    pub(super) unknown: Top<u64, Unknown>,
    pub(super) unknown_cost: u64,
    pub(super) unknown_tokens: u64,
}

impl<'a> Calls<'a> {
    pub(super) fn new(axis: &'a Axis) -> Self {
        Self {
            axis,
            flows: vec![Flow::default(); axis.len()],
            waiting: Vec::new(),
            item: None,
            sums: CallFigures::default(),
            latency: Histogram::default(),
            errors: BTreeMap::new(),
            routes: Vec::new(),
            dearest: Top::new(ITEMS_MAX),
            unknown: Top::new(ITEMS_MAX),
            unknown_cost: 0,
            unknown_tokens: 0,
        }
    }

    pub(super) fn add(&mut self, call: &CallSpan<'_>, pieces: &mut [Piece]) {
        if call.end.as_ref().is_some_and(|end| end.state == "taken") {
            self.sums.taken += 1;
            return;
        }
        if self.item.is_none_or(|item| item.item != call.item) {
            self.end_item();
            let none = ItemBooks { item: call.item, calls: 0, input_tokens: 0, output_tokens: 0, cost: 0 };
            self.item = Some(none);
        }
        self.settle_waiting(call);
        self.sums.provider_calls += 1;
        self.sums.unpriced += u64::from(!call.has_price);
        if let Some(item) = &mut self.item {
            item.calls += 1;
        }
        let route = route_of(&mut self.routes, call);
        route.calls += 1;
        let Some(end) = &call.end else {
            self.sums.under_way += 1;
            return;
        };
        let took = end.ended_ms.saturating_sub(call.sent_ms);
        match end.state {
            "answered" => {
                self.sums.answered_calls += 1;
                route.answered += 1;
                route.latency.add(took);
                self.latency.add(took);
            }
            "unknown" => {
                self.sums.unknown_calls += 1;
                route.unknown += 1;
            }
            _ => {
                self.sums.failed_calls += 1;
                route.failed += 1;
            }
        }
        route.input_tokens += end.input_tokens;
        route.output_tokens += end.output_tokens;
        route.cost.0 += end.cost;
        self.count(call, end, pieces);
    }

    /// What an ended call adds to sums, to its item, to its class and to the timeline.
    fn count(&mut self, call: &CallSpan<'_>, end: &CallSpanEnd<'_>, pieces: &mut [Piece]) {
        self.sums.input_tokens += end.input_tokens;
        self.sums.output_tokens += end.output_tokens;
        self.sums.cost.0 += end.cost;
        if let Some(item) = &mut self.item {
            item.input_tokens += end.input_tokens;
            item.output_tokens += end.output_tokens;
            item.cost += end.cost;
        }
        if end.state == "unknown" {
            // Its end is the start of a later run, and says nothing of when it was under way.
            self.unknown_cost += end.cost;
            self.unknown_tokens += end.lost_tokens;
            self.unknown.add(end.cost, || Unknown {
                item: call.item,
                route: shortened(call.route, NAME_BYTES_MAX).into_owned(),
                sent_ms: call.sent_ms,
                cost: end.cost,
            });
            if let Some((piece, _)) = self.axis.place(call.sent_ms)
                && let Some(piece) = pieces.get_mut(piece)
            {
                piece.cost.0 += end.cost;
            }
            return;
        }
        self.flow(call.sent_ms, end.ended_ms.max(call.sent_ms));
        let class = (end.state == "failed").then(|| class_of(&mut self.errors, end.class));
        if let Some((piece, _)) = self.axis.place(end.ended_ms)
            && let Some(piece) = pieces.get_mut(piece)
        {
            piece.input_tokens += end.input_tokens;
            piece.output_tokens += end.output_tokens;
            piece.cost.0 += end.cost;
            match &class {
                None => piece.answered_calls += 1,
                Some(class) => match piece.failed_calls.get_mut(class) {
                    Some(count) => *count += 1,
                    None => {
                        piece.failed_calls.insert(class.clone(), 1);
                    }
                },
            }
        }
        if let Some(class) = class {
            if let Some(figures) = self.errors.get_mut(&class) {
                figures.calls += 1;
            }
            if self.waiting.len() == WAITING_MAX {
                self.waiting.swap_remove(0);
            }
            self.waiting.push(Waiting {
                attempt: call.attempt,
                occurrence: call.occurrence,
                hash: call.hash.to_vec(),
                class,
                ended_ms: end.ended_ms,
            });
        }
    }

    /// If the call asks once more what failed before it.
    fn settle_waiting(&mut self, call: &CallSpan<'_>) {
        let is_again = |waiting: &Waiting| {
            waiting.attempt == call.attempt && waiting.occurrence == call.occurrence && waiting.hash == call.hash
        };
        let Some(at) = self.waiting.iter().position(is_again) else { return };
        let waiting = self.waiting.swap_remove(at);
        if let Some(figures) = self.errors.get_mut(&waiting.class) {
            let waited = call.sent_ms.saturating_sub(waiting.ended_ms);
            figures.retried += 1;
            figures.waited_ms += waited;
            figures.waited_max_ms = figures.waited_max_ms.max(waited);
        }
    }

    fn flow(&mut self, sent_ms: u64, ended_ms: u64) {
        if let Some((piece, at)) = self.axis.place(sent_ms)
            && let Some(flow) = self.flows.get_mut(piece)
        {
            flow.begun += 1;
            flow.begun_at += at;
        }
        if let Some((piece, at)) = self.axis.place(ended_ms)
            && let Some(flow) = self.flows.get_mut(piece)
        {
            flow.ended += 1;
            flow.ended_at += at;
        }
    }

    fn end_item(&mut self) {
        self.waiting.clear();
        if let Some(item) = self.item.take() {
            self.dearest.add((item.cost, item.input_tokens + item.output_tokens), || item);
        }
    }

    /// After the last call.
    pub(super) fn finish(&mut self, pieces: &mut [Piece]) {
        self.end_item();
        let mut under_way: u64 = 0;
        for (nth, (flow, piece)) in self.flows.iter().zip(pieces).enumerate() {
            let length = self.axis.covered_ms(nth);
            // Each that is under way at the start stays to the end, and so does each that begins, but for those that end.
            let all = (under_way + flow.begun) * length;
            let missing = flow.begun_at + flow.ended * length - flow.ended_at.min(flow.ended * length);
            piece.calls_under_way = as_float(all.saturating_sub(missing)) / as_float(length);
            under_way = (under_way + flow.begun).saturating_sub(flow.ended);
        }
    }
}

fn class_of(errors: &mut BTreeMap<String, ErrorFigures>, class: &str) -> String {
    let class = if errors.contains_key(class) || errors.len() < KINDS_MAX { class } else { OTHERS };
    let class = shortened(class, NAME_BYTES_MAX).into_owned();
    errors.entry(class.clone()).or_default();
    class
}

fn route_of<'r>(routes: &'r mut Vec<RouteFigures>, call: &CallSpan<'_>) -> &'r mut RouteFigures {
    let at = |routes: &[RouteFigures], route: &str, model: &str| {
        routes.iter().position(|known| known.route == route && known.model == model)
    };
    let place = match at(routes, call.route, call.model) {
        Some(place) => place,
        None if routes.len() < KINDS_MAX => {
            routes.push(RouteFigures::new(call.route, call.model));
            routes.len() - 1
        }
        None => at(routes, OTHERS, "").unwrap_or_else(|| {
            routes.push(RouteFigures::new(OTHERS, ""));
            routes.len() - 1
        }),
    };
    &mut routes[place]
}
