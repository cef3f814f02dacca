//! How a run stands at one moment: what is looked at, and the figures that come of it.

use super::{ClassFailures, RecentFailure};
use crate::resilience::{BreakerState, GateStatus};
use crate::run::{GuestMemory, Suspension, TallySnapshot};
use serde::Serialize;
use std::time::Duration;

/// What a run is.
#[derive(Debug, Clone, Default)]
pub struct RunFacts {
    pub job: String,
    pub plugin: String,
    pub plugin_version: String,
    /// Since the Unix epoch.
    pub started_ms: u64,
    /// Items of the job, and those that this run leaves alone: most of them had ended before.
    pub total: u64,
    pub before: u64,
    /// Of those that it leaves alone, the failed ones.
    pub before_failed: u64,
}

/// How things stand at a moment.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// What has happened in this run so far.
    pub counts: TallySnapshot,
    /// What the job has cost so far, earlier runs included, and what it may cost; in millionths of a dollar.
    pub spent: u64,
    pub spent_max: Option<u64>,
    pub routes: Vec<(String, GateStatus)>,
    pub items_in_flight: u64,
    pub instances: u64,
    pub instances_max: u64,
    /// `None`: the work has not begun.
    pub guests: Option<(Suspension, GuestMemory)>,
    pub is_paused: bool,
    /// It was asked to end: nothing new is begun.
    pub is_stopping: bool,
    /// Of the process, in bytes; `None`: the system does not say.
    pub memory: Option<u64>,
}

/// The figures of a run at one moment. Rates are those of the last minute; `None` while too little was seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Snapshot {
    pub job: String,
    pub plugin: String,
    pub plugin_version: String,
    /// When the run began and when this was so, since the Unix epoch.
    pub started_ms: u64,
    pub now_ms: u64,
    pub items: ItemFigures,
    pub items_per_second: Option<f64>,
    /// Until all items have ended, at the pace of the last minute; `None` as well where nothing moves, and
    /// while the job is paused or stopping, or the circuit breakers of all routes are open.
    pub seconds_left: Option<u64>,
    /// HTTP attempts of this run that have ended, retries among them.
    pub calls: u64,
    pub calls_per_second: Option<f64>,
    /// Calls tried again.
    pub retries: u64,
    /// Answers taken from the journal.
    pub reused: u64,
    /// Of this run, as providers counted them.
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub input_tokens_per_second: Option<f64>,
    pub output_tokens_per_second: Option<f64>,
    /// What this run has cost, and the job with all its runs, in millionths of a dollar; 0 where routes have no prices.
    pub run_cost: u64,
    pub cost: u64,
    /// What the job will have cost once all items have ended, if the rest costs as much an item as this run did; `None`: nothing
    /// is known of prices, or nothing has ended yet.
    pub cost_projected: Option<u64>,
    /// What it may cost.
    pub cost_max: Option<u64>,
    pub paused: bool,
    /// It was asked to end: what is in flight may end, nothing new is begun.
    pub stopping: bool,
    /// Plugin instances that are live, and that may be.
    pub instances: u64,
    pub instances_max: u64,
    /// `None`: nothing is known of them.
    pub guests: Option<GuestFigures>,
    /// Of the process; `None`: the system does not say.
    pub memory_bytes: Option<u64>,
    pub routes: Vec<RouteFigures>,
    /// Of this run, the most frequent class first.
    pub failures: Vec<ClassFailures>,
    /// Of this run, the last one first; no more than some.
    pub recent_failures: Vec<RecentFailure>,
}

impl Snapshot {
    /// Nothing can begin: whoever watches need not wait for it.
    pub(super) fn is_held_up(&self) -> bool {
        let is_shut =
            !self.routes.is_empty() && self.routes.iter().all(|route| route.breaker == BreakerState::Open.name());
        self.paused || self.stopping || is_shut
    }
}

/// Items of the job. `before + done + skipped + failed + pending` is `total`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ItemFigures {
    pub total: u64,
    /// Those that this run leaves alone: most of them had ended before. `before_failed`: the failed ones among them.
    pub before: u64,
    pub before_failed: u64,
    /// Ended in this run.
    pub done: u64,
    pub skipped: u64,
    pub failed: u64,
    /// Not ended, those in flight among them.
    pub pending: u64,
    pub in_flight: u64,
}

impl ItemFigures {
    /// Before this run or in it.
    pub fn ended(&self) -> u64 {
        self.before + self.done + self.skipped + self.failed
    }

    /// Pending, and not begun.
    pub fn waiting(&self) -> u64 {
        self.pending.saturating_sub(self.in_flight)
    }
}

/// When guests that wait give their instances back, and how that went so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GuestFigures {
    /// `auto`, `never`, `always`.
    pub suspend: String,
    pub suspend_after_ms: u64,
    /// What all of them shall have of memory together; `None`: what they take.
    pub memory_target_bytes: Option<u64>,
    /// What they have now, and had at most in this run, as the sandbox counts it; `None`: whoever made these figures cannot tell.
    pub memory_bytes: Option<u64>,
    pub memory_peak_bytes: u64,
    /// How often one gave its instance back in this run.
    pub gave_way: u64,
}

impl GuestFigures {
    pub(super) fn new((suspension, memory): (Suspension, GuestMemory), gave_way: u64) -> Self {
        Self {
            suspend: suspension.policy.name().to_owned(),
            suspend_after_ms: u64::try_from(suspension.after.as_millis()).unwrap_or(u64::MAX),
            memory_target_bytes: suspension.memory_target,
            memory_bytes: Some(memory.now),
            memory_peak_bytes: memory.peak,
            gave_way,
        }
    }
}

/// How a route stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RouteFigures {
    pub name: String,
    /// Calls under way, and how many may be.
    pub in_flight: u32,
    pub limit: u32,
    /// Callers that are not let through yet; `None`: whoever made these figures cannot tell.
    pub waiting: Option<u32>,
    /// `closed`, `open`, `half-open`.
    pub breaker: &'static str,
    /// Until an open breaker lets one call try.
    pub open_ms: Option<u64>,
    /// What the provider takes, by the minute, where known.
    pub requests_per_minute: Option<u64>,
    pub tokens_per_minute: Option<u64>,
}

impl RouteFigures {
    pub(super) fn new(name: &str, status: &GateStatus) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            name: name.to_owned(),
            in_flight: status.in_flight,
            limit: status.concurrency_limit,
            waiting: Some(status.waiting),
            breaker: status.breaker.name(),
            open_ms: status.open_for.map(ms),
            requests_per_minute: status.pace.0,
            tokens_per_minute: status.pace.1,
        }
    }

    pub fn is_closed(&self) -> bool {
        self.breaker == "closed"
    }
}
