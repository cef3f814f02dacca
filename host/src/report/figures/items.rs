//! What is added up of items.

use super::axis::Axis;
use super::histogram::Histogram;
use super::top::Top;
use super::{ITEMS_MAX, ItemFigures, Piece, as_float};
use crate::domain::ItemSeq;
use crate::store::{ItemSpan, ItemState};
use std::cmp::Reverse;

pub(super) struct Items<'a> {
    axis: &'a Axis,
    pub(super) counts: ItemFigures,
    pub(super) latency: Histogram,
    pub(super) slowest: Top<u64, (ItemSeq, ItemState, u64)>,
    pub(super) cut: Top<(u64, Reverse<i64>), (ItemSeq, u64)>,
    /// Failed items that can be tried again: lines that are no items cannot.
    pub(super) can_be_tried: u64,
    pub(super) shortened: u64,
    pub(super) requests_cut: u64,
}

impl<'a> Items<'a> {
    pub(super) fn new(axis: &'a Axis) -> Self {
        Self {
            axis,
            counts: ItemFigures::default(),
            latency: Histogram::default(),
            slowest: Top::new(ITEMS_MAX),
            cut: Top::new(ITEMS_MAX),
            can_be_tried: 0,
            shortened: 0,
            requests_cut: 0,
        }
    }

    pub(super) fn add(&mut self, span: ItemSpan, pieces: &mut [Piece]) {
        let ItemSpan { item, state, run, began_ms, ended_ms, truncated } = span;
        self.counts.total += 1;
        let count = match state {
            ItemState::Pending => &mut self.counts.pending,
            ItemState::Done => &mut self.counts.processed,
            ItemState::Skipped => &mut self.counts.skipped,
            ItemState::Failed => &mut self.counts.failed,
        };
        *count += 1;
        self.can_be_tried += u64::from(state == ItemState::Failed && run.is_some());
        if let Some(piece) = ended_ms.and_then(|ms| self.axis.place(ms)).and_then(|(piece, _)| pieces.get_mut(piece)) {
            match state {
                ItemState::Pending => {}
                ItemState::Done => piece.done += 1,
                ItemState::Skipped => piece.skipped += 1,
                ItemState::Failed => piece.failed += 1,
            }
        }
        if let (Some(began), Some(ended)) = (began_ms, ended_ms) {
            // A clock that was set back makes nothing longer.
            let took = ended.saturating_sub(began);
            self.latency.add(took);
            self.slowest.add(took, || (item, state, took));
        }
        if truncated > 0 {
            self.shortened += 1;
            self.requests_cut += truncated;
            self.cut.add((truncated, Reverse(item.0)), || (item, truncated));
        }
    }

    /// `active_ms`: how long the job was run.
    pub(super) fn figures(&self, executions: u64, active_ms: u64) -> ItemFigures {
        let counts = self.counts.clone();
        let good = counts.processed + counts.skipped;
        let success_rate = if counts.total == 0 { 1.0 } else { as_float(good) / as_float(counts.total) };
        let seconds = as_float(active_ms) / 1e3;
        let per_second = if active_ms == 0 { 0.0 } else { as_float(good + counts.failed) / seconds };
        ItemFigures { success_rate, executions, per_second, ..counts }
    }
}
