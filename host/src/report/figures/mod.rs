//! What a job's report tells, added up from its store in a few passes that hold no rows: `docs/report.md` names every key.

mod axis;
mod calls;
mod failures;
mod gather;
mod histogram;
mod items;
mod routes;
mod runs;
#[cfg(test)]
pub(in crate::report) mod tests;
mod top;

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

pub use calls::ErrorFigures;
pub use failures::{CrashFigures, FailureExample, FailureGroup, Failures, Rejection, failure};
pub use gather::Around;
pub use histogram::{Bar, Latency};
pub use routes::{BreakerSpan, RouteFigures, RouteNote};
pub use runs::{GenerationFigures, RunFigures};

/// Grows when a key changes its meaning; new keys alone do not change it.
pub const SCHEMA: u32 = 1;
/// What tells a report's JSON from any other.
pub const KIND: &str = "sandmill-report";

/// How a text of the input, a guest or a provider is bounded, in bytes.
const TEXT_BYTES_MAX: usize = 2_000;
/// The same of ids and names.
const NAME_BYTES_MAX: usize = 300;
/// Classes and routes that are told apart; a store that others made may name any number.
const KINDS_MAX: usize = 32;
/// Rows of a list of items.
const ITEMS_MAX: usize = 20;

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    pub kind: &'static str,
    pub schema: u32,
    /// The version of the program.
    pub sandmill: &'static str,
    pub made_ms: u64,
    pub job: JobFigures,
    pub ended: EndedFigures,
    pub commands: Commands,
    pub items: ItemFigures,
    pub calls: CallFigures,
    pub timeline: Timeline,
    pub latency: Latencies,
    /// Calls that failed, by class.
    pub errors: BTreeMap<String, ErrorFigures>,
    pub routes: Vec<RouteFigures>,
    /// When circuit breakers let nothing through, or one call that tried.
    pub breakers: Vec<BreakerSpan>,
    /// The last things that happened to routes.
    pub notes: Vec<RouteNote>,
    pub failures: Failures,
    /// The longest executions among those that ended items.
    pub slowest: Vec<SlowItem>,
    /// By cost, and by tokens where routes have no prices.
    pub dearest: Vec<DearItem>,
    pub unknown: UnknownFigures,
    pub cut: CutFigures,
    pub runs: Vec<RunFigures>,
    /// Runs that are not listed, from the middle.
    pub runs_left_out: u64,
    pub generations: Vec<GenerationFigures>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobFigures {
    pub name: String,
    pub created_ms: u64,
    /// Of the store.
    pub format: i64,
    pub bytes: u64,
    /// As `status` tells it.
    pub state: String,
    pub running: bool,
    pub paused: bool,
    pub runs: u64,
    /// While a process had it, all runs together.
    pub active_ms: u64,
}

/// How the last run ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EndedFigures {
    /// `None`: it goes on, its process died, or there was none.
    pub state: Option<String>,
    pub reason: Option<String>,
    pub exit_code: Option<i64>,
    pub at_ms: Option<u64>,
    /// Where the provider said when to come back.
    pub parked_until_ms: Option<u64>,
}

/// What can be done next; `None` where it makes no sense.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Commands {
    pub go_on: Option<String>,
    pub retry: Option<String>,
    pub export: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ItemFigures {
    pub total: u64,
    /// Done, skipped ones not among them.
    pub processed: u64,
    pub skipped: u64,
    pub failed: u64,
    pub pending: u64,
    /// (processed + skipped) / total; 1 for an empty input.
    pub success_rate: f64,
    /// Times that a plugin was run on an item.
    pub executions: u64,
    /// Items that ended by second, over the time in which the job was run.
    pub per_second: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CallFigures {
    /// HTTP attempts.
    pub provider_calls: u64,
    pub answered_calls: u64,
    pub failed_calls: u64,
    /// Sent, and then the process died: they may be billed twice.
    pub unknown_calls: u64,
    pub under_way: u64,
    /// Answers of other jobs.
    pub taken: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    #[serde(rename = "cost_dollars")]
    pub cost: Dollars,
    /// Calls on routes without prices.
    pub unpriced: u64,
}

/// Millionths of a dollar, written as dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars(pub u64);

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(as_float(self.0) / 1e6)
    }
}

/// Equal pieces of the time in which the job was run; the time between runs is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Timeline {
    /// How long a piece is.
    pub piece_ms: u64,
    pub pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Piece {
    pub start_ms: u64,
    /// How much of it a process had the job, at the end of a run.
    pub covered_ms: u64,
    /// Time was left out before it.
    pub follows_gap: bool,
    /// Items that ended in it, by how they stand now.
    pub done: u64,
    pub skipped: u64,
    pub failed: u64,
    /// Calls that ended in it.
    pub answered_calls: u64,
    /// By class.
    pub failed_calls: BTreeMap<String, u64>,
    /// Calls that were under way, on average.
    pub calls_under_way: f64,
    /// How many were let through at once at its end, by route, as far as the books tell.
    pub concurrency: BTreeMap<String, u64>,
    pub input_tokens: u64,
    pub output_tokens: u64,
    #[serde(rename = "cost_dollars")]
    pub cost: Dollars,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Latencies {
    /// Of answered calls, from the moment they were sent.
    pub calls: Latency,
    /// Of the executions that ended items, with all waiting.
    pub items: Latency,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlowItem {
    pub id: String,
    pub state: &'static str,
    pub took_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DearItem {
    pub id: String,
    pub calls: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    #[serde(rename = "cost_dollars")]
    pub cost: Dollars,
}

/// Calls that may have been billed twice.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct UnknownFigures {
    /// The most that they may have cost.
    #[serde(rename = "cost_dollars")]
    pub cost: Dollars,
    /// The most tokens that they may have taken.
    pub tokens: u64,
    /// The dearest of them.
    pub calls: Vec<UnknownCall>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnknownCall {
    pub id: String,
    pub route: String,
    pub sent_ms: u64,
    #[serde(rename = "cost_dollars")]
    pub cost: Dollars,
}

/// Requests that were shortened to fit a model's context.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CutFigures {
    pub items: u64,
    /// In the executions that ended them.
    pub requests: u64,
    /// Those with the most of them.
    pub most: Vec<CutItem>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CutItem {
    pub id: String,
    pub requests: u64,
}

#[expect(clippy::cast_precision_loss, reason = "for reading")]
pub(in crate::report) fn as_float(count: u64) -> f64 {
    count as f64
}
