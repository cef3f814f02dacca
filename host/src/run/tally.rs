//! What happened in this run, counted from its events.

use crate::domain::{ErrorClass, Event, EventSink};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Counts of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TallySnapshot {
    pub done: u64,
    pub skipped: u64,
    pub failed: u64,
    /// Attempts at items that the plugin itself rejected and that were begun anew.
    pub item_retries: u64,
    /// HTTP attempts.
    pub provider_calls: u64,
    pub reused_calls: u64,
    /// Calls tried again, by why.
    pub retries: BTreeMap<ErrorClass, u64>,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// In millionths of a dollar; calls without an answer counted with what they may have cost.
    pub cost: u64,
    /// Requests that were shortened.
    pub truncated: u64,
    pub fallbacks: u64,
    pub breaker_openings: u64,
}

/// Counts, and passes every event on.
pub struct Tally {
    counts: Mutex<TallySnapshot>,
    next: Box<dyn EventSink>,
}

impl Tally {
    pub fn new(next: Box<dyn EventSink>) -> Self {
        Self { counts: Mutex::default(), next }
    }

    pub fn snapshot(&self) -> TallySnapshot {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl EventSink for Tally {
    fn emit(&self, event: Event) {
        {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            match &event {
                Event::CallRetry { class, .. } => *counts.retries.entry(*class).or_default() += 1,
                Event::CallAnswered { input_tokens, output_tokens, cost, .. } => {
                    counts.provider_calls += 1;
                    counts.cost += cost.unwrap_or(0);
                    counts.input_tokens += input_tokens;
                    counts.output_tokens += output_tokens;
                }
                Event::CallFailed { cost, .. } => {
                    counts.provider_calls += 1;
                    counts.cost += cost.unwrap_or(0);
                }
                Event::RequestCut { .. } => counts.truncated += 1,
                Event::FellBack { .. } => counts.fallbacks += 1,
                Event::BreakerChanged { to, .. } => counts.breaker_openings += u64::from(*to == "open"),
                Event::CallReused { .. } => counts.reused_calls += 1,
                Event::ItemRetry { .. } => counts.item_retries += 1,
                Event::ItemDone { .. } => counts.done += 1,
                Event::ItemSkipped { .. } => counts.skipped += 1,
                Event::ItemFailed { .. } => counts.failed += 1,
                Event::ConcurrencyChanged { .. }
                | Event::PaceLearned { .. }
                | Event::NoProgress { .. }
                | Event::GuestLog { .. } => {}
            }
        }
        self.next.emit(event);
    }
}
