//! One attempt: a fresh store, one call of `process`, a verdict.

use super::bindings::v0_1::Processor;
use super::bindings::v0_1::sandmill::plugin::types as wit;
use super::convert::{self, OutputProblem};
use super::state::{GuestState, Seed};
use super::time::Charged;
use super::{Plugin, trap};
use crate::domain::{AttemptNumber, Budget, Failure, FailureClass, Item, Llm, Verdict};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Store, UpdateDeadline};

/// What all attempts of a job have in common.
#[derive(Debug, Clone)]
pub struct Job {
    pub name: String,
    /// Where the guest's clocks start.
    pub created_unix_ms: u64,
    /// The plugin's configuration, a JSON object.
    pub config: String,
}

/// A line that the guest logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub level: &'static str,
    pub message: String,
}

/// How an attempt ended, and what it took.
#[derive(Debug)]
pub struct AttemptReport {
    pub verdict: Verdict,
    pub log: Vec<LogLine>,
    pub cpu_time: Duration,
    pub memory_bytes: usize,
}

/// What was refused to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopCause {
    Memory,
    Table,
}

impl Plugin {
    /// Runs `process` once. Dropping the future drops the guest, wherever it stands.
    pub async fn run_attempt(
        &self,
        job: &Job,
        item: &Item,
        attempt: AttemptNumber,
        budget: Budget,
        llm: Arc<dyn Llm>,
    ) -> AttemptReport {
        let seed = Seed { item_id: item.id.as_str(), attempt };
        let mut store = self.store(GuestState::new(self.limits(), job, &seed, llm, Arc::clone(&item.blobs)));
        let verdict = self.guarded(&mut store, job, item, attempt, budget).await;
        let state = store.into_data();
        AttemptReport {
            verdict,
            cpu_time: state.cpu.spent(),
            memory_bytes: state.meter.memory_bytes,
            log: finish_log(state),
        }
    }

    /// Within the limits on processor and wall time.
    async fn guarded(
        &self,
        store: &mut Store<GuestState>,
        job: &Job,
        item: &Item,
        attempt: AttemptNumber,
        budget: Budget,
    ) -> Verdict {
        let cpu = Arc::clone(&store.data().cpu);
        let wall = Arc::clone(&store.data().wall);
        let limit = self.limits().wall_time;
        let input = convert::item_to_wit(item);
        let context = convert::context_to_wit(job, attempt, budget);
        let called = {
            let guest = Charged::new(call(self, store, &input, &context), cpu);
            tokio::select! {
                biased;
                called = guest => Some(called),
                () = wall.expired(limit) => None,
            }
        };
        match called {
            None => Verdict::Failed(Failure::new(
                FailureClass::WallTime,
                format!(
                    "the plugin ran for more than {}, models not counted: raise --limit-wall",
                    humantime::format_duration(limit)
                ),
            )),
            Some(Err(error)) => trap::verdict(&error, store),
            Some(Ok(result)) => match convert::verdict_from_wit(result, self.limits()) {
                Ok(verdict) => verdict,
                Err(OutputProblem::TooLarge(message)) => {
                    Verdict::Failed(Failure::new(FailureClass::OutputTooLarge, message))
                }
                Err(OutputProblem::Bad(message)) => Verdict::Failed(Failure::new(FailureClass::BadOutput, message)),
            },
        }
    }

    /// A store within this plugin's limits.
    pub(super) fn store(&self, state: GuestState) -> Store<GuestState> {
        let limits = self.limits().clone();
        let mut store = Store::new(self.engine(), state);
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(limits.crossing_bytes);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |context| {
            Ok(if context.data().cpu.spent() > limits.cpu_time {
                UpdateDeadline::Interrupt
            } else {
                UpdateDeadline::Yield(1)
            })
        });
        store
    }
}

type WitResult = Result<wit::Outcome, wit::Failure>;

async fn call(
    plugin: &Plugin,
    store: &mut Store<GuestState>,
    item: &wit::Item,
    context: &wit::Context,
) -> wasmtime::Result<WitResult> {
    let instance: Processor = plugin.instance_pre().instantiate_async(&mut *store).await?;
    instance.sandmill_plugin_handler().call_process(store, item, context).await
}

fn finish_log(state: GuestState) -> Vec<LogLine> {
    let mut lines = state.log.lines;
    if state.log.dropped > 0 {
        lines.push(LogLine { level: "warn", message: format!("{} more lines were dropped", state.log.dropped) });
    }
    for (level, tail) in [("stdout", &state.stdout), ("stderr", &state.stderr)] {
        for line in tail.text().lines().filter(|line| !line.trim().is_empty()) {
            lines.push(LogLine { level, message: crate::domain::sanitize_text(line, state.limits.stdio_bytes) });
        }
    }
    lines
}
