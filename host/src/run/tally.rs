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
                Event::CallAnswered { input_tokens, output_tokens, .. } => {
                    counts.provider_calls += 1;
                    counts.input_tokens += input_tokens;
                    counts.output_tokens += output_tokens;
                }
                Event::CallFailed { .. } => counts.provider_calls += 1,
                Event::CallReused { .. } => counts.reused_calls += 1,
                Event::ItemRetry { .. } => counts.item_retries += 1,
                Event::ItemDone { .. } => counts.done += 1,
                Event::ItemSkipped { .. } => counts.skipped += 1,
                Event::ItemFailed { .. } => counts.failed += 1,
                Event::GuestLog { .. } => {}
            }
        }
        self.next.emit(event);
    }
}
