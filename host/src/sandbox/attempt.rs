//! One attempt: a fresh store, one call of `process`, a verdict.

use super::convert;
use super::crash;
use super::host::TOO_MANY_AT_ONCE;
use super::limits::{Exceeded, Limits};
use super::state::{GuestState, Seed};
use super::time::{Charged, CpuTime, WallTime};
use super::{Plugin, trap};
use crate::domain::{AttemptNumber, Budget, Failure, FailureClass, Item, Llm, Verdict};
use crate::heavy;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Store, UpdateDeadline, WasmCoreDump};

/// Who has run for less when a tick comes goes on: most guests are done by the next, and would otherwise queue behind all that spin.
const SHORT: Duration = Duration::from_millis(2);

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

pub type LogListener = Arc<dyn Fn(&LogLine) + Send + Sync>;

/// Told what all memories of a guest are about to come to, in bytes. On the guest's thread: it must not wait.
pub type MemoryListener = Arc<dyn Fn(usize) + Send + Sync>;

/// Who looks on while an attempt runs.
#[derive(Clone, Default)]
pub struct Watch {
    /// Told each line that is kept of the log, at once.
    pub log: Option<LogListener>,
    /// Told each time that its memories grow, from instantiation on.
    pub memory: Option<MemoryListener>,
    /// Wants a core dump of a guest that traps, by this name. The engine must have been made for it.
    pub coredump: Option<String>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("coredump", &self.coredump).finish_non_exhaustive()
    }
}

/// How an attempt ended, and what it took.
#[derive(Debug)]
pub struct AttemptReport {
    pub verdict: Verdict,
    pub log: Vec<LogLine>,
    pub cpu_time: Duration,
    pub memory_bytes: usize,
    /// If it was wanted, and the guest trapped.
    pub coredump: Option<Vec<u8>>,
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
        self.watch_attempt(job, item, attempt, budget, llm, Watch::default()).await
    }

    /// The same, with somebody who looks on.
    pub async fn watch_attempt(
        &self,
        job: &Job,
        item: &Item,
        attempt: AttemptNumber,
        budget: Budget,
        llm: Arc<dyn Llm>,
        watch: Watch,
    ) -> AttemptReport {
        let seed = Seed { item: Some(item.id.clone()), attempt };
        let mut store = self.store(GuestState::new(
            self.engine(),
            self.limits(),
            &self.given,
            job,
            seed,
            llm,
            Arc::clone(&item.blobs),
        ));
        store.data_mut().meter.told.clone_from(&watch.memory);
        store.data_mut().watch = watch;
        let mut coredump = None;
        let mut verdict = self.process(&mut store, job, item, attempt, budget, &mut coredump).await;
        if let Verdict::Failed(Failure { card: Some(card), .. }) = &mut verdict {
            card.attempt = attempt;
            self.digest().clone_into(&mut card.plugin_digest);
        }
        let state = store.into_data();
        AttemptReport {
            verdict,
            coredump,
            cpu_time: state.cpu.guest(),
            memory_bytes: state.meter.memory_bytes,
            log: finish_log(state),
        }
    }

    async fn process(
        &self,
        store: &mut Store<GuestState>,
        job: &Job,
        item: &Item,
        attempt: AttemptNumber,
        budget: Budget,
        coredump: &mut Option<Vec<u8>>,
    ) -> Verdict {
        let limits = self.limits();
        if item.json.len() + job.config.len() > limits.transfer_bytes {
            return Verdict::Failed(Exceeded::Transfer.failure(limits));
        }
        let input = convert::item_to_wit(item);
        let context = convert::context_to_wit(job, attempt, budget);
        let (cpu, wall) = store.data().clocks();
        let call = async {
            let instance = self.linked().instantiate(&mut *store).await?;
            instance.process(&mut *store, &input, &context).await
        };
        let called = bounded(limits, cpu, wall, call).await;
        if let (Some(Err(error)), Some(name)) = (&called, store.data().watch.coredump.clone()) {
            *coredump = error.downcast_ref::<WasmCoreDump>().map(|dump| dump.serialize(&mut *store, &name));
        }
        match ended(called, store) {
            Err(verdict) => verdict,
            Ok(result) => {
                let (bytes, limits) = (convert::outcome_bytes(&result), limits.clone());
                match heavy::by_size(bytes, move || convert::verdict_from_wit(result, &limits)).await {
                    Ok(Verdict::Failed(failure)) => Verdict::Failed(by_limit(failure, &store.data().refused_codes)),
                    Ok(verdict) => verdict,
                    Err(problem) => Verdict::Failed(problem.into()),
                }
            }
        }
    }

    /// A store within this plugin's limits.
    pub(super) fn store(&self, state: GuestState) -> Store<GuestState> {
        let mut store = Store::new(self.engine(), state);
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(self.limits().transfer_bytes);
        // Those of resources of its own too, of which the host keeps a table.
        store.set_max_component_handles(self.limits().handles);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            let exceeded = context.data().exceeded();
            context.data_mut().stopped = exceeded;
            Ok(if exceeded.is_some() {
                UpdateDeadline::Interrupt
            } else if context.data().cpu.since_it_gave_way() < SHORT {
                UpdateDeadline::Continue(1)
            } else {
                UpdateDeadline::Yield(1)
            })
        });
        store
    }
}

/// Runs a guest, from its instantiation on, within the limits on time. `None`: it took longer than it may.
pub(super) async fn bounded<T>(
    limits: &Limits,
    cpu: Arc<CpuTime>,
    wall: Arc<WallTime>,
    guest: impl Future<Output = wasmtime::Result<T>> + Send,
) -> Option<wasmtime::Result<T>> {
    tokio::select! {
        biased;
        called = Charged::new(guest, cpu) => Some(called),
        () = wall.expired(limits.wall_time) => None,
    }
}

/// What a guest returned; the error is how it ended instead.
pub(super) fn ended<T>(called: Option<wasmtime::Result<T>>, store: &Store<GuestState>) -> Result<T, Verdict> {
    let state = store.data();
    let exceeded = |limit: Exceeded| Verdict::Failed(crash::by_limit(limit, None, state));
    match called {
        None => Err(exceeded(Exceeded::WallTime)),
        Some(Err(error)) => Err(trap::verdict(&error, store)),
        // So that it is no matter of luck whether a tick came in between.
        Some(Ok(value)) => state.check_calls().map(|()| value).map_err(exceeded),
    }
}

/// A plugin that gives up since a limit was met fails by that limit.
fn by_limit(failure: Failure, refused: &[String]) -> Failure {
    if failure.class != FailureClass::Plugin || !refused.contains(&failure.code) {
        return failure;
    }
    let class = match failure.code.as_str() {
        "too_many_calls" => FailureClass::ItemCalls,
        "item_tokens" => FailureClass::ItemTokens,
        "item_cost" => FailureClass::ItemCost,
        TOO_MANY_AT_ONCE => FailureClass::RequestsAtOnce,
        _ => FailureClass::Plugin,
    };
    Failure { class, ..failure }
}

fn finish_log(state: GuestState) -> Vec<LogLine> {
    let mut lines = state.log.lines;
    if state.log.dropped > 0 {
        lines.push(LogLine { level: "warn", message: format!("{} more lines were dropped", state.log.dropped) });
    }
    for (level, tail) in [("stdout", &state.stdout), ("stderr", &state.stderr)] {
        for line in tail.text().lines().filter(|line| !line.trim().is_empty()) {
            lines.push(LogLine { level, message: crate::domain::sanitize_text(line, super::limits::STDIO_BYTES) });
        }
    }
    lines
}
