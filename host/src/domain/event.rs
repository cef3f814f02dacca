//! What happens in a run, as it is told to whoever listens: progress, log, alerts, metrics.
//!
//! Events go forward only. Nothing that decides may depend on one.

use super::{ErrorClass, FailureClass, ItemId};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone)]
pub enum Event {
    /// A call failed and is tried again after a wait.
    CallRetry {
        item: ItemId,
        route: String,
        class: ErrorClass,
        code: String,
        message: String,
        /// How many attempts that makes; 0: this failure costs none.
        attempt: u32,
        attempts_max: u32,
        wait: Duration,
    },
    /// A provider answered, and the answer is committed.
    CallAnswered {
        item: ItemId,
        route: String,
        /// From the bytes that left to the end of the answer.
        took: Duration,
        input_tokens: u64,
        output_tokens: u64,
        /// In millionths of a dollar; `None`: the route has no prices.
        cost: Option<u64>,
    },
    /// A request was shortened so that it fits the model's context.
    RequestCut {
        item: ItemId,
        tokens_before: u64,
        tokens_after: u64,
    },
    /// A call was answered from the journal.
    CallReused {
        item: ItemId,
    },
    /// A guest that waits for an answer gave its instance back; the item goes on when the answer is there.
    GuestGaveWay {
        item: ItemId,
    },
    /// An HTTP attempt ended without an answer.
    CallFailed {
        item: ItemId,
        route: String,
        took: Duration,
        class: ErrorClass,
        /// What it may have cost all the same.
        cost: Option<u64>,
    },
    /// A route's circuit breaker changed its state; `pause`: how long nothing is let through.
    BreakerChanged {
        route: String,
        from: &'static str,
        to: &'static str,
        reason: String,
        pause: Option<Duration>,
    },
    /// So many calls of a route may be under way at once from now on.
    ConcurrencyChanged {
        route: String,
        limit: u32,
    },
    /// A provider told its limits by the minute, or others than before.
    PaceLearned {
        route: String,
        requests: Option<u64>,
        tokens: Option<u64>,
    },
    /// A call goes to another route; `reason`: open, quota, context.
    FellBack {
        from: String,
        to: String,
        reason: &'static str,
    },
    /// The plugin rejected an answer; the item is begun anew.
    ItemRetry {
        item: ItemId,
        attempt: u32,
        code: String,
        message: String,
        wait: Duration,
    },
    ItemDone {
        item: ItemId,
    },
    ItemSkipped {
        item: ItemId,
        reason: String,
    },
    ItemFailed {
        item: ItemId,
        class: FailureClass,
        code: String,
        message: String,
    },
    /// Nothing has ended for so long.
    NoProgress {
        patience: Duration,
        waiting_for: String,
    },
    /// The plugin wrote to its log, stdout or stderr.
    GuestLog {
        item: ItemId,
        level: &'static str,
        message: String,
    },
}

/// Takes events; must neither block nor fail.
pub trait EventSink: Send + Sync {
    fn emit(&self, event: Event);
}

/// Each of them is told.
pub struct Listeners(pub Vec<Arc<dyn EventSink>>);

impl EventSink for Listeners {
    fn emit(&self, event: Event) {
        if let Some((last, others)) = self.0.split_last() {
            for listener in others {
                listener.emit(event.clone());
            }
            last.emit(event);
        }
    }
}

/// For tests, and for where nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEvents;

impl EventSink for NoEvents {
    fn emit(&self, _event: Event) {}
}
