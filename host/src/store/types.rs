//! What goes into a store and comes out of it.

use crate::domain::{
    AttemptNumber, BlobFile, Completion, Emission, ErrorClass, Failure, Fingerprint, Item, ItemId, ItemSeq, Usage,
};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunId(pub i64);
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GenerationId(pub i64);
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptId(pub i64);
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(pub i64);
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PriceId(pub i64);

/// What a job starts with, if it does not exist yet.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub created_ms: u64,
    pub seed: u64,
    /// JSON.
    pub arguments: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    pub name: String,
    pub created_ms: u64,
    pub seed: u64,
    /// JSON.
    pub arguments: String,
    /// JSON: the mark of the input that was last registered in full.
    pub input: Option<String>,
}

/// Plugin, configuration and model: what outcomes depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    pub plugin_name: String,
    pub plugin_version: String,
    pub plugin_digest: String,
    /// JSON.
    pub config: String,
    /// Empty: none.
    pub model: String,
}

#[derive(Debug, Clone)]
pub struct NewItem {
    pub id: ItemId,
    pub line: u64,
    pub position: u64,
    pub fingerprint: Fingerprint,
    pub input: String,
    /// The line is no item, and why: it is registered as failed.
    pub problem: Option<String>,
    pub blobs: Vec<BlobFile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    New,
    Unchanged,
    /// Same id, new content: the item is pending again.
    Changed,
    /// The id came before in this registration; nothing was written.
    Duplicate {
        first_line: u64,
    },
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RegistrationReport {
    pub new: u64,
    pub unchanged: u64,
    pub changed: u64,
    /// In the store, and no longer in the input.
    pub vanished: u64,
}

#[derive(Debug, Clone)]
pub struct PendingItem {
    pub item: Item,
    /// It was begun before.
    pub has_history: bool,
    /// Files belong to it.
    pub has_blobs: bool,
}

/// A place in the order of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub(super) i64);

#[derive(Debug, Clone)]
pub struct Page {
    pub items: Vec<PendingItem>,
    /// `None`: that was the last page.
    pub next: Option<Cursor>,
}

/// What is known of an item that was begun before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemHistory {
    /// 1 + the number of attempts that the plugin rejected.
    pub next_attempt: AttemptNumber,
    /// What the guest was handed when an attempt of this number was begun for the first time.
    pub context: Option<String>,
    pub executions: u32,
    pub answers: Vec<JournalEntry>,
    /// Questions that were sent and of whose answer nothing is known: request hash and occurrence.
    pub unknown: Vec<([u8; 32], u32)>,
    /// What all its calls took: millionths of a dollar, and tokens; of those without an answer what they may have taken.
    pub cost: u64,
    pub tokens: u64,
    /// What the guest was told of sizes.
    pub told: Vec<super::ToldEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    pub hash: [u8; 32],
    pub occurrence: u32,
    pub completion: Completion,
}

#[derive(Debug, Clone)]
pub struct NewAttempt {
    pub item: ItemSeq,
    pub number: AttemptNumber,
    pub run: RunId,
    /// JSON.
    pub context: String,
    pub began_ms: u64,
}

#[derive(Debug, Clone)]
pub struct NewCall {
    pub item: ItemSeq,
    pub attempt: AttemptId,
    pub hash: [u8; 32],
    pub occurrence: u32,
    pub try_number: u32,
    pub route: String,
    pub model: String,
    pub price: Option<PriceId>,
    /// The most that it may cost, in millionths of a dollar, and the most tokens.
    pub reserved: u64,
    pub reserved_tokens: u64,
    pub intent_ms: u64,
}

/// Something that happened to a route.
#[derive(Debug, Clone)]
pub struct NewRouteEvent {
    pub run: RunId,
    pub at_ms: u64,
    pub route: String,
    pub kind: &'static str,
    /// JSON.
    pub detail: String,
}

#[derive(Debug, Clone)]
pub enum CallOutcome {
    Answered {
        completion: Completion,
        request_id: Option<String>,
        /// In millionths of a dollar.
        cost: Option<u64>,
    },
    Failed {
        class: ErrorClass,
        code: String,
        message: String,
        status: Option<u16>,
        request_id: Option<String>,
        body: String,
        /// Where the provider answered, and the answer was none.
        usage: Option<Usage>,
        /// Tokens that it may have taken although nothing came of it.
        lost_tokens: u64,
        cost: Option<u64>,
    },
}

#[derive(Debug, Clone)]
pub struct GuestLogLine {
    pub level: String,
    pub message: String,
}

#[derive(Debug, Clone)]
pub enum ItemOutcome {
    Done(Vec<Emission>),
    Skipped { reason: String },
    Failed(Failure),
}

/// What the execution that ended an item took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Took {
    /// Answers from the journal.
    pub replayed: u64,
    /// Answers to requests that were shortened.
    pub truncated: u64,
    /// Processor time of the guest.
    pub cpu: Duration,
    /// The most memory that it had.
    pub memory_bytes: u64,
}

#[derive(Debug, Clone)]
pub struct ItemEnd {
    pub item: ItemSeq,
    pub attempt: AttemptId,
    pub generation: GenerationId,
    pub run: RunId,
    pub ended_ms: u64,
    /// Executions in all runs.
    pub attempts: u32,
    pub took: Took,
    /// What the plugin asked last, where the item failed.
    pub last_request: Option<String>,
    pub end: ItemOutcome,
    pub logs: Vec<GuestLogLine>,
}

#[derive(Debug, Clone)]
pub struct RunEnd {
    pub ended_ms: u64,
    pub state: String,
    pub reason: String,
    pub exit_code: i32,
    /// JSON.
    pub summary: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub total: u64,
    pub done: u64,
    pub skipped: u64,
    pub failed: u64,
}

impl Counts {
    pub fn pending(&self) -> u64 {
        self.total.saturating_sub(self.done + self.skipped + self.failed)
    }
}

/// Calls and tokens of all runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageTotals {
    pub calls: u64,
    pub answered: u64,
    pub unknown: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// In millionths of a dollar; of calls without an answer what they may have cost.
    pub cost: u64,
}

/// What sums of costs are by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostBy {
    Route,
    Model,
    /// In UTC.
    Day,
    Tag,
    Item,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CostRow {
    pub key: String,
    pub calls: u64,
    pub failed: u64,
    pub unknown: u64,
    /// Calls on a route without prices.
    pub unpriced: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    /// In millionths of a dollar.
    pub cost: u64,
    /// The most that all calls could have cost.
    pub reserved: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    pub id: i64,
    pub pid: i64,
    pub started_ms: u64,
    pub ended_ms: Option<u64>,
    pub state: Option<String>,
    pub reason: Option<String>,
    pub exit_code: Option<i64>,
    pub summary: Option<String>,
}

/// A failed item, as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureRow {
    pub id: String,
    pub line: u64,
    pub ended_ms: u64,
    pub attempts: u64,
    pub class: String,
    pub code: String,
    pub message: String,
    pub backtrace: Option<String>,
}

/// One thing that happened, for `log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    pub at_ms: u64,
    /// `run`, `call`, `retry`, `failed`, or a guest's level.
    pub kind: String,
    /// Empty for what concerns the run.
    pub item: String,
    pub text: String,
}
