//! What happened in this run, counted from its events.

use crate::domain::{ErrorClass, Event, EventSink, ItemId};
use std::collections::{BTreeMap, HashSet};
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
    /// Items of which a request was shortened.
    pub truncated: u64,
    pub fallbacks: u64,
    /// How often a guest that waited gave its instance back.
    pub suspensions: u64,
    pub breaker_openings: u64,
}

impl TallySnapshot {
    /// Items, in whatever way.
    pub fn ended(&self) -> u64 {
        self.done + self.skipped + self.failed
    }
}

#[derive(Default)]
struct Counts {
    snapshot: TallySnapshot,
    /// Items under way that count as truncated already.
    truncated: HashSet<ItemId>,
}

/// Counts, and passes every event on.
pub struct Tally {
    counts: Mutex<Counts>,
    next: Box<dyn EventSink>,
}

impl Tally {
    pub fn new(next: Box<dyn EventSink>) -> Self {
        Self { counts: Mutex::default(), next }
    }

    pub fn snapshot(&self) -> TallySnapshot {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).snapshot.clone()
    }
}

impl EventSink for Tally {
    fn emit(&self, event: Event) {
        {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let Counts { snapshot: counts, truncated } = &mut *counts;
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
                Event::RequestCut { item, .. } => counts.truncated += u64::from(truncated.insert(item.clone())),
                Event::FellBack { .. } => counts.fallbacks += 1,
                Event::BreakerChanged { to, .. } => counts.breaker_openings += u64::from(*to == "open"),
                Event::CallReused { .. } => counts.reused_calls += 1,
                Event::GuestGaveWay { .. } => counts.suspensions += 1,
                Event::ItemRetry { .. } => counts.item_retries += 1,
                Event::ItemDone { item } => {
                    counts.done += 1;
                    truncated.remove(item);
                }
                Event::ItemSkipped { item, .. } => {
                    counts.skipped += 1;
                    truncated.remove(item);
                }
                Event::ItemFailed { item, .. } => {
                    counts.failed += 1;
                    truncated.remove(item);
                }
                Event::ConcurrencyChanged { .. }
                | Event::PaceLearned { .. }
                | Event::NoProgress { .. }
                | Event::GuestLog { .. } => {}
            }
        }
        self.next.emit(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::NoEvents;

    #[test]
    fn an_item_counts_as_truncated_once_however_many_of_its_requests_were_cut() {
        let tally = Tally::new(Box::new(NoEvents));
        let id = |name: &str| ItemId::new(name).unwrap();
        for (item, cuts, ends) in [("a", 3, true), ("b", 1, true), ("c", 0, true), ("d", 2, false)] {
            for _ in 0..cuts {
                tally.emit(Event::RequestCut { item: id(item), tokens_before: 9, tokens_after: 5 });
            }
            if ends {
                tally.emit(Event::ItemDone { item: id(item) });
            }
        }
        assert_eq!(tally.snapshot().truncated, 3);
    }
}
