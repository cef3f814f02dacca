//! The gate of a route: whoever wants to call goes through it, one after the other.
//!
//! It asks the breaker, the concurrency and the limiter, and waits for them as long as it takes: waiting here costs no attempt
//! and fails nobody. It gives up only with the run, or when the outage has lasted longer than the operator allows.

mod breaker;
mod concurrency;
mod key;
mod limiter;
mod notes;
mod permit;

use super::{Halt, HaltReason, RetrySettings};
use crate::clock::Clock;
use crate::domain::{Event, EventSink};
use crate::store::{NewRouteEvent, RunId, Store};
use breaker::{Breaker, Pass, Transition};
use concurrency::Concurrency;
use limiter::{Limiter, Taken};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore};

pub use breaker::{BreakerSettings, BreakerState};
pub use concurrency::ConcurrencySettings;
pub(super) use key::Key;
pub use key::KeyLimits;
pub use limiter::LimiterSettings;
pub(super) use limiter::Load;
pub use notes::Notes;
pub(super) use permit::Permit;

/// How a route's calls are let through.
#[derive(Debug, Clone)]
pub struct GateSettings {
    pub breaker: BreakerSettings,
    pub concurrency: ConcurrencySettings,
    pub limits: LimiterSettings,
    /// How long the provider may be away before the job is parked.
    pub outage_max: Duration,
    /// The longest wait that a provider may ask for; one that asks for more is left alone until then.
    pub retry_after_max: Duration,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            breaker: BreakerSettings::default(),
            concurrency: ConcurrencySettings::Adaptive { ceiling: 256 },
            limits: LimiterSettings::default(),
            outage_max: Duration::from_hours(6),
            retry_after_max: RetrySettings::default().retry_after_max,
        }
    }
}

/// What a run's gates share.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) halt: Arc<Halt>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) events: Arc<dyn EventSink>,
    pub(super) store: Option<(Store, RunId)>,
    /// A breaker of any route has changed: whoever waits looks for another way.
    pub(super) turned: Arc<Notify>,
}

/// How a route stands, for those who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateStatus {
    pub breaker: BreakerState,
    /// Until the breaker lets one call try.
    pub open_for: Option<Duration>,
    pub in_flight: u32,
    /// Callers that are not let through yet.
    pub waiting: u32,
    pub concurrency_limit: u32,
    /// Requests and tokens by the minute, where known.
    pub pace: (Option<u64>, Option<u64>),
}

pub(super) struct Gate {
    route: String,
    settings: GateSettings,
    around: Surroundings,
    /// What it shares with other routes.
    key: Option<Arc<Key>>,
    state: Mutex<State>,
    /// Callers that are not let through yet.
    waiting: AtomicU32,
    /// First come, first served, among those who have to wait.
    turnstile: Semaphore,
    queued: AtomicU32,
    changed: Notify,
}

struct State {
    breaker: Breaker,
    concurrency: Concurrency,
    limiter: Limiter,
    /// Whether anything at all came from the provider; and how many answers.
    has_answered: bool,
    answered: u64,
    /// What it said when it last failed.
    last_error: String,
    /// Since when it is away.
    away_since: Option<Duration>,
    /// How many calls were let through at once, as it was written down last, and what else was.
    noted_limit: u32,
    /// As whoever listens was told last.
    told_limit: u32,
    limit_notes: Notes,
    pace_notes: Notes,
}

/// What came of asking to be let through.
pub(super) enum Admission {
    Granted(Permit),
    /// The breaker is open, and another route would let the caller through.
    Open,
    /// The run stops.
    Halted,
}

/// How a route stands towards those who could take another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It lets calls through, or one that tries.
    Usable,
    /// One may try then.
    From(Duration),
    /// One is trying.
    Probing,
    /// Nobody waits for it: it never answered, is away for too long, or asks to be left alone.
    Lost,
}

/// Whether there is another way for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elsewhere {
    Now,
    /// Perhaps from then on; `None`: from when a call is back.
    Later(Option<Duration>),
    Nowhere,
}

/// Asked whenever a caller would have to wait for the breaker. It locks other gates, and is never called under a lock.
pub(super) type Ask<'a> = &'a (dyn Fn() -> Elsewhere + Sync);

enum Step {
    Go(Permit, Option<Transition>),
    Wait(Option<Duration>),
    Halt(HaltReason),
    Open,
}

impl Gate {
    pub(super) fn new(route: &str, settings: GateSettings, key: Option<Arc<Key>>, around: Surroundings) -> Self {
        let mut state = State {
            breaker: Breaker::new(settings.breaker.clone()),
            concurrency: Concurrency::new(settings.concurrency),
            limiter: Limiter::new(settings.limits),
            has_answered: false,
            answered: 0,
            last_error: String::new(),
            away_since: None,
            noted_limit: 0,
            told_limit: 0,
            limit_notes: Notes::default(),
            pace_notes: Notes::default(),
        };
        (state.noted_limit, state.told_limit) = (state.concurrency.limit(), state.concurrency.limit());
        Self {
            route: route.to_owned(),
            settings,
            around,
            key,
            state: Mutex::new(state),
            waiting: AtomicU32::new(0),
            turnstile: Semaphore::new(1),
            queued: AtomicU32::new(0),
            changed: Notify::new(),
        }
    }

    pub(super) fn status(&self) -> GateStatus {
        let state = self.state();
        let now = self.around.clock.monotonic();
        GateStatus {
            breaker: state.breaker.state(),
            open_for: state.breaker.open_until().map(|until| until.saturating_sub(now)),
            in_flight: state.concurrency.in_flight(),
            waiting: self.waiting.load(Ordering::Relaxed),
            concurrency_limit: state.concurrency.limit(),
            pace: state.limiter.pace(),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let now = self.around.clock.monotonic();
        let state = self.state();
        let pass = state.breaker.pass(now);
        match pass {
            Pass::Through | Pass::Probe => Standing::Usable,
            Pass::Until(_) | Pass::AfterProbe if self.loss(&state, pass, now).is_some() => Standing::Lost,
            Pass::Until(until) => Standing::From(until),
            Pass::AfterProbe => Standing::Probing,
        }
    }

    /// How busy it is, in thousandths of what it takes; those who wait count like those who were let through.
    pub(super) fn load(&self) -> u64 {
        let state = self.state();
        let callers = u64::from(state.concurrency.in_flight()) + u64::from(self.waiting.load(Ordering::Relaxed));
        callers * 1_000 / u64::from(state.concurrency.limit().max(1))
    }

    /// Calls that were answered so far.
    pub(super) fn answered(&self) -> u64 {
        self.state().answered
    }

    /// Waits until a call may leave, or until another route would let it through.
    pub(super) async fn admit(self: &Arc<Self>, load: Load, elsewhere: Ask<'_>) -> Admission {
        let _waiting = Waiting::new(&self.waiting);
        // Not by taking the turnstile: whoever finds that taken for a moment would queue for it, all others behind, and from then on calls would
        // leave one after the other.
        if self.queued.load(Ordering::Relaxed) == 0
            && let Ok(admission) = self.ended(self.step(load, elsewhere), elsewhere).await
        {
            return admission;
        }
        // Few calls wait here, and none of those that do not wait has to carry what waiting takes.
        Box::pin(self.queue(load, elsewhere)).await
    }

    async fn queue(self: &Arc<Self>, load: Load, elsewhere: Ask<'_>) -> Admission {
        let _queued = Waiting::new(&self.queued);
        let halt = &self.around.halt;
        let turn = self.turnstile.acquire();
        tokio::pin!(turn);
        let _turn = loop {
            // Asked for before looking, so that no change is missed.
            let turned = self.around.turned.notified();
            if self.standing() != Standing::Usable && elsewhere() == Elsewhere::Now {
                return Admission::Open;
            }
            tokio::select! {
                turn = &mut turn => break turn,
                () = turned => {}
                () = halt.thrown() => return Admission::Halted,
            }
        };
        loop {
            let (changed, turned) = (self.changed.notified(), self.around.turned.notified());
            let key_changed = self.key.as_ref().map(|key| key.changed.notified());
            let until = match self.ended(self.step(load, elsewhere), elsewhere).await {
                Ok(admission) => return admission,
                Err(until) => until,
            };
            tokio::select! {
                () = self.sleep_until(until) => {}
                () = changed => {}
                () = turned => {}
                () = or_never(key_changed) => {}
                () = halt.thrown() => return Admission::Halted,
            }
        }
    }

    /// What a step leads to, or until when to wait.
    async fn ended(&self, step: Step, elsewhere: Ask<'_>) -> Result<Admission, Option<Duration>> {
        match step {
            Step::Go(mut permit, transition) => {
                // Not under the lock: others ask this gate the same.
                let is_new = !self.state().has_answered;
                permit.is_last_hope = is_new && elsewhere() == Elsewhere::Nowhere;
                if let Some(transition) = transition {
                    Box::pin(self.tell(transition)).await;
                }
                Ok(Admission::Granted(permit))
            }
            Step::Open => Ok(Admission::Open),
            Step::Halt(reason) => {
                self.around.halt.throw(reason);
                Ok(Admission::Halted)
            }
            Step::Wait(until) => Err(until),
        }
    }

    fn step(self: &Arc<Self>, load: Load, elsewhere: Ask<'_>) -> Step {
        let now = self.around.clock.monotonic();
        let mut state = self.state();
        let pass = state.breaker.pass(now);
        let until = match pass {
            Pass::Until(until) => Some(Some(until)),
            Pass::AfterProbe => Some(None),
            Pass::Through | Pass::Probe => None,
        };
        let loss = self.loss(&state, pass, now);
        if until.is_some() || loss.is_some() {
            let given_up_at = state.away_since.map(|since| since + self.settings.outage_max);
            drop(state);
            match (elsewhere(), loss, until) {
                (Elsewhere::Now, _, Some(_)) => return Step::Open,
                (Elsewhere::Later(at), _, Some(until)) => return Step::Wait(earlier(until, at)),
                (Elsewhere::Nowhere, Some(reason), _) => return Step::Halt(reason),
                (Elsewhere::Nowhere, None, Some(until)) => return Step::Wait(earlier(until, given_up_at)),
                // Whoever may try does, however long it was away.
                (_, _, None) => state = self.state(),
            }
        }
        if !state.concurrency.has_room() && pass != Pass::Probe {
            return Step::Wait(None);
        }
        let ready_at = state.limiter.ready_at(load, now);
        if ready_at > now {
            return Step::Wait(Some(ready_at));
        }
        let taken_of_key = match self.key.as_ref().map(|key| key.enter(load, now)) {
            None => Taken::default(),
            Some(Ok(taken)) => taken,
            Some(Err(until)) => return Step::Wait(until),
        };
        let taken = state.limiter.take(load, now);
        let mark = state.concurrency.enter();
        let (ticket, transition) = state.breaker.enter(now);
        drop(state);
        let gate = Arc::clone(self);
        Step::Go(Permit { gate, ticket, mark, taken, taken_of_key, is_last_hope: false, settled: false }, transition)
    }

    /// Why nobody need wait for the route, if that is so.
    fn loss(&self, state: &State, pass: Pass, now: Duration) -> Option<HaltReason> {
        if let (Some(until), Pass::Until(_)) = (state.breaker.parked_until(), pass) {
            let left = until.saturating_sub(now);
            let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            return Some(HaltReason::ParkedUntil {
                unix_ms: self.around.clock.unix_ms().saturating_add(left_ms),
                message: format!(
                    "route `{}`: the provider asks to wait {}, longer than --retry-after-max: {}",
                    self.route,
                    humantime::format_duration(Duration::from_secs(left.as_secs())),
                    state.last_error
                ),
            });
        }
        if matches!(pass, Pass::Until(_)) && !state.has_answered {
            return Some(self.never_answered(&state.last_error));
        }
        let is_given_up = state.away_since.is_some_and(|since| now >= since + self.settings.outage_max);
        (is_given_up && pass != Pass::Through).then(|| HaltReason::Parked {
            code: "outage".into(),
            message: format!(
                "route `{}`: the provider was away for {} (--max-outage), and said last: {}; run the same command again when it is back",
                self.route,
                humantime::format_duration(self.settings.outage_max),
                state.last_error
            ),
        })
    }

    /// A provider from which nothing ever came is not away: it is not there.
    fn never_answered(&self, last: &str) -> HaltReason {
        HaltReason::Parked {
            code: "never_answered".into(),
            message: format!(
                "route `{}`: nothing ever came from the provider: {last}; check its address and the network",
                self.route
            ),
        }
    }

    async fn sleep_until(&self, until: Option<Duration>) {
        match until {
            Some(until) => self.around.clock.sleep(until.saturating_sub(self.around.clock.monotonic())).await,
            None => std::future::pending().await,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Into the books.
    async fn record(&self, kind: &'static str, detail: &serde_json::Value) {
        let Some((store, run)) = &self.around.store else { return };
        let event = NewRouteEvent {
            run: *run,
            at_ms: self.around.clock.unix_ms(),
            route: self.route.clone(),
            kind,
            detail: detail.to_string(),
        };
        if let Err(error) = store.enqueue_route_event(event).await {
            self.around.halt.throw(HaltReason::from(&error));
        }
    }

    /// To whoever listens, and into the books.
    async fn tell(&self, transition: Transition) {
        let Transition { from, to, reason, pause } = transition;
        let detail = serde_json::json!({
            "from": from.name(),
            "to": to.name(),
            "reason": reason,
            "pause_ms": pause.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
        });
        self.record("breaker", &detail).await;
        self.around.events.emit(Event::BreakerChanged {
            route: self.route.clone(),
            from: from.name(),
            to: to.name(),
            reason,
            pause,
        });
    }
}

async fn or_never(change: Option<Notified<'_>>) {
    match change {
        Some(change) => change.await,
        None => std::future::pending().await,
    }
}

/// Counts a caller for as long as it lives.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
