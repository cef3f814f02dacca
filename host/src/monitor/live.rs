//! The monitor: hears events, looks once a second, and tells everybody who asks.

use super::failures::Failures;
use super::history::History;
use super::{GuestFigures, ItemFigures, Paces, Point, Progress, RouteFigures, RunFacts, Snapshot, Standing};
use crate::clock::Clock;
use crate::domain::{Event, EventSink};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The live figures of one run.
pub struct Monitor {
    facts: RunFacts,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Something has changed that nobody should wait for.
    turned: Notify,
    newest: watch::Sender<Arc<Snapshot>>,
}

#[derive(Debug, Default)]
struct State {
    failures: Failures,
    paces: Paces,
    history: History,
}

impl Monitor {
    pub fn new(facts: RunFacts, clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::new(State::default());
        let monitor = Self { facts, clock, state, turned: Notify::new(), newest: watch::Sender::default() };
        // Before the first look it is known at least what the run is.
        monitor.newest.send_replace(Arc::new(monitor.snapshot(&Standing::default())));
        monitor
    }

    /// The newest figures, and each that follow: whoever is slow misses some, and holds up nobody.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.newest.subscribe()
    }

    /// How it went so far, in order of time.
    pub fn history(&self) -> Vec<Point> {
        self.state().history.points()
    }

    /// Looks once a second, and at once when a circuit breaker has changed, until it is dropped.
    pub async fn follow(&self, look: impl Fn() -> Standing) {
        loop {
            // Asked for before looking, so that no change is missed.
            let turned = self.turned.notified();
            self.look(&look());
            tokio::select! {
                () = self.clock.sleep(LOOK_EVERY) => {}
                () = turned => {}
            }
        }
    }

    /// So things stand: figures are made of it, and everybody is told.
    pub fn look(&self, standing: &Standing) {
        let now = self.clock.monotonic();
        let counts = &standing.counts;
        let progress = Progress {
            items: counts.ended(),
            calls: counts.provider_calls,
            input_tokens: counts.input_tokens,
            output_tokens: counts.output_tokens,
        };
        self.state().paces.saw(now, progress);
        let snapshot = self.snapshot(standing);
        self.state().history.saw(now, &snapshot);
        self.newest.send_replace(Arc::new(snapshot));
    }

    fn snapshot(&self, standing: &Standing) -> Snapshot {
        let (facts, counts, state) = (&self.facts, &standing.counts, self.state());
        let ended = counts.ended();
        let pending = facts.total.saturating_sub(facts.before + ended);
        let mut snapshot = Snapshot {
            job: facts.job.clone(),
            plugin: facts.plugin.clone(),
            plugin_version: facts.plugin_version.clone(),
            started_ms: facts.started_ms,
            now_ms: self.clock.unix_ms(),
            items: ItemFigures {
                total: facts.total,
                before: facts.before,
                before_failed: facts.before_failed,
                done: counts.done,
                skipped: counts.skipped,
                failed: counts.failed,
                pending,
                // One whose outcome is counted already is on its way out.
                in_flight: standing.items_in_flight.min(pending),
            },
            calls: counts.provider_calls,
            retries: counts.retries.values().sum(),
            reused: counts.reused_calls,
            input_tokens: counts.input_tokens,
            output_tokens: counts.output_tokens,
            run_cost: counts.cost,
            cost: standing.spent,
            cost_projected: projected(standing.spent, counts.cost, ended, pending),
            cost_max: standing.spent_max,
            paused: standing.is_paused,
            stopping: standing.is_stopping,
            instances: standing.instances,
            instances_max: standing.instances_max,
            guests: standing.guests.map(|guests| GuestFigures::new(guests, counts.suspensions)),
            memory_bytes: standing.memory,
            routes: standing.routes.iter().map(|(name, status)| RouteFigures::new(name, status)).collect(),
            failures: state.failures.by_class(),
            recent_failures: state.failures.recent(),
            ..Snapshot::default()
        };
        state.paces.reckon(&mut snapshot);
        snapshot
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a job will have cost if the items that are pending cost as much as those that have `ended`, which cost `of_run`; all in millionths of
/// a dollar. `None`: nothing is known of prices, or nothing has ended yet.
pub fn projected(spent: u64, of_run: u64, ended: u64, pending: u64) -> Option<u64> {
    if of_run == 0 || ended == 0 {
        return None;
    }
    let rest = u128::from(of_run) * u128::from(pending) / u128::from(ended);
    Some(spent.saturating_add(u64::try_from(rest).unwrap_or(u64::MAX)))
}

impl EventSink for Monitor {
    fn emit(&self, event: Event) {
        match event {
            Event::ItemFailed { item, class, code, message } => {
                let at_ms = self.clock.unix_ms();
                self.state().failures.add(&item, class, &code, &message, at_ms);
            }
            Event::BreakerChanged { .. } => self.turned.notify_one(),
            Event::CallRetry { .. }
            | Event::CallAnswered { .. }
            | Event::RequestCut { .. }
            | Event::CallReused { .. }
            | Event::GuestGaveWay { .. }
            | Event::CallFailed { .. }
            | Event::ConcurrencyChanged { .. }
            | Event::PaceLearned { .. }
            | Event::FellBack { .. }
            | Event::ItemRetry { .. }
            | Event::ItemDone { .. }
            | Event::ItemSkipped { .. }
            | Event::NoProgress { .. }
            | Event::GuestLog { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
