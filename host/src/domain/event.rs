//! What happens in a run, as it is told to whoever listens: progress, log, alerts, metrics.
//!
//! Events go forward only. Nothing that decides may depend on one.

use super::{ErrorClass, FailureClass, ItemId};
use std::time::Duration;

#[derive(Debug, Clone)]
pub enum Event {
    /// A call failed and is tried again after a wait.
    CallRetry {
        item: ItemId,
        class: ErrorClass,
        code: String,
        message: String,
        attempt: u32,
        attempts_max: u32,
        wait: Duration,
    },
    /// A provider answered, and the answer is committed.
    CallAnswered {
        item: ItemId,
        input_tokens: u64,
        output_tokens: u64,
    },
    /// A call was answered from the journal.
    CallReused {
        item: ItemId,
    },
    /// An HTTP attempt ended without an answer.
    CallFailed {
        item: ItemId,
        class: ErrorClass,
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

/// For tests, and for where nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEvents;

impl EventSink for NoEvents {
    fn emit(&self, _event: Event) {}
}
