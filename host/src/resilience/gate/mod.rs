//! The gate of a route: whoever wants to call goes through it, one after the other.
//!
//! It asks the breaker, the concurrency and the limiter, and waits for them as long as it takes: waiting here costs no attempt
//! and fails nobody. It gives up only with the run, or when the outage has lasted longer than the operator allows.

mod breaker;
mod concurrency;
mod limiter;

use super::{Halt, HaltReason};
use crate::clock::Clock;
use crate::domain::{Completion, ErrorClass, Event, EventSink};
use crate::provider::{ProviderError, RateLimits};
use crate::store::{NewRouteEvent, RunId, Store};
use breaker::{Breaker, Pass, Sign, Ticket, Transition};
use concurrency::{Concurrency, Mark};
use limiter::Limiter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

pub use breaker::{BreakerSettings, BreakerState};
pub use concurrency::ConcurrencySettings;
pub use limiter::LimiterSettings;

/// How a route's calls are let through.
#[derive(Debug, Clone)]
pub struct GateSettings {
    pub breaker: BreakerSettings,
    pub concurrency: ConcurrencySettings,
    pub limits: LimiterSettings,
    /// How long the provider may be away before the job is parked.
    pub outage_max: Duration,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            breaker: BreakerSettings::default(),
            concurrency: ConcurrencySettings::Adaptive { ceiling: 256 },
            limits: LimiterSettings::default(),
            outage_max: Duration::from_hours(6),
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
}

/// How a route stands, for those who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateStatus {
    pub breaker: BreakerState,
    /// Until the breaker lets one call try.
    pub open_for: Option<Duration>,
    pub in_flight: u32,
    pub concurrency_limit: u32,
    /// Requests and tokens by the minute, where known.
    pub pace: (Option<u64>, Option<u64>),
}

pub(super) struct Gate {
    route: String,
    settings: GateSettings,
    around: Surroundings,
    state: Mutex<State>,
    /// First come, first served.
    turnstile: Semaphore,
    changed: Notify,
}

struct State {
    breaker: Breaker,
    concurrency: Concurrency,
    limiter: Limiter,
    /// Whether anything at all came from the provider.
    has_answered: bool,
    /// Since when it is away.
    away_since: Option<Duration>,
}

/// What came of asking to be let through.
pub(super) enum Admission {
    Granted(Permit),
    /// The breaker is open, and the caller does not want to wait for it.
    Open,
    /// The run stops.
    Halted,
}

/// Leave for one call. Dropped without [`Permit::settle`], it tells the gate nothing.
pub(super) struct Permit {
    gate: Arc<Gate>,
    ticket: Ticket,
    mark: Mark,
    tokens: u64,
    settled: bool,
}

enum Step {
    Go(Permit, Option<Transition>),
    Wait(Option<Duration>),
    Halt(HaltReason),
    Open,
}

impl Gate {
    pub(super) fn new(route: &str, settings: GateSettings, around: Surroundings) -> Self {
        let state = State {
            breaker: Breaker::new(settings.breaker.clone()),
            concurrency: Concurrency::new(settings.concurrency),
            limiter: Limiter::new(settings.limits),
            has_answered: false,
            away_since: None,
        };
        Self {
            route: route.to_owned(),
            settings,
            around,
            state: Mutex::new(state),
            turnstile: Semaphore::new(1),
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
            concurrency_limit: state.concurrency.limit(),
            pace: state.limiter.pace(),
        }
    }

    /// Whether a call would have to wait for the breaker.
    pub(super) fn is_open(&self) -> bool {
        let now = self.around.clock.monotonic();
        matches!(self.state().breaker.pass(now), Pass::Until(_) | Pass::AfterProbe)
    }

    /// Waits until a call of about so many tokens may leave. `waits`: also for an open breaker.
    pub(super) async fn admit(self: &Arc<Self>, tokens: u64, waits: bool) -> Admission {
        let halt = &self.around.halt;
        let turn = tokio::select! {
            turn = self.turnstile.acquire() => turn,
            () = halt.thrown() => return Admission::Halted,
        };
        loop {
            // Asked for before looking, so that no change is missed.
            let changed = self.changed.notified();
            let until = match self.step(tokens, waits) {
                Step::Go(permit, transition) => {
                    drop(turn);
                    if let Some(transition) = transition {
                        self.tell(transition).await;
                    }
                    return Admission::Granted(permit);
                }
                Step::Open => return Admission::Open,
                Step::Halt(reason) => {
                    halt.throw(reason);
                    return Admission::Halted;
                }
                Step::Wait(until) => until,
            };
            tokio::select! {
                () = self.sleep_until(until) => {}
                () = changed => {}
                () = halt.thrown() => return Admission::Halted,
            }
        }
    }

    fn step(self: &Arc<Self>, tokens: u64, waits: bool) -> Step {
        let now = self.around.clock.monotonic();
        let mut state = self.state();
        let pass = state.breaker.pass(now);
        if !matches!(pass, Pass::Through) {
            let given_up_at = state.away_since.unwrap_or(now) + self.settings.outage_max;
            if now >= given_up_at {
                return Step::Halt(self.outage());
            }
            match pass {
                Pass::Until(_) | Pass::AfterProbe if !waits => return Step::Open,
                Pass::Until(until) => return Step::Wait(Some(until.min(given_up_at))),
                Pass::AfterProbe => return Step::Wait(Some(given_up_at)),
                Pass::Through | Pass::Probe => {}
            }
        }
        if !state.concurrency.has_room() && pass != Pass::Probe {
            return Step::Wait(None);
        }
        let ready_at = state.limiter.ready_at(tokens, now);
        if ready_at > now {
            return Step::Wait(Some(ready_at));
        }
        state.limiter.take(tokens, now);
        let mark = state.concurrency.enter();
        let (ticket, transition) = state.breaker.enter(now);
        drop(state);
        Step::Go(Permit { gate: Arc::clone(self), ticket, mark, tokens, settled: false }, transition)
    }

    fn outage(&self) -> HaltReason {
        HaltReason::Parked {
            code: "outage".into(),
            message: format!(
                "route `{}`: the provider was away for {} (--max-outage): run the same command again when it is back",
                self.route,
                humantime::format_duration(self.settings.outage_max)
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

    /// To whoever listens, and into the books.
    async fn tell(&self, transition: Transition) {
        let Transition { from, to, reason, pause } = transition;
        if let Some((store, run)) = &self.around.store {
            let detail = serde_json::json!({
                "from": from.name(),
                "to": to.name(),
                "reason": reason,
                "pause_ms": pause.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
            });
            let event = NewRouteEvent {
                run: *run,
                at_ms: self.around.clock.unix_ms(),
                route: self.route.clone(),
                kind: "breaker",
                detail: detail.to_string(),
            };
            if let Err(error) = store.enqueue_route_event(event).await {
                self.around.halt.throw(HaltReason::from(&error));
            }
        }
        self.around.events.emit(Event::BreakerChanged {
            route: self.route.clone(),
            from: from.name(),
            to: to.name(),
            reason,
            pause,
        });
    }
}

impl Permit {
    /// Whether this call tries for all others: that it fails says nothing about what it asks.
    pub(super) fn is_probe(&self) -> bool {
        self.ticket.is_probe
    }

    /// The call is back.
    pub(super) async fn settle(mut self, result: Result<(&Completion, &RateLimits), &ProviderError>) {
        self.settled = true;
        let gate = Arc::clone(&self.gate);
        let now = gate.around.clock.monotonic();
        let (transition, mut news) = {
            let mut state = gate.state();
            let news = self.account(&mut state, result, now);
            let (sign, asked) = match result {
                Ok(_) => (Sign::Alive, None),
                Err(error) => (sign(error), error.retry_after),
            };
            state.has_answered |= result.is_ok() || result.is_err_and(|error| error.status.is_some());
            let transition = state.breaker.leave(self.ticket, sign, asked, now);
            match state.breaker.state() {
                BreakerState::Closed => state.away_since = None,
                BreakerState::Open | BreakerState::HalfOpen => {
                    state.away_since.get_or_insert(now);
                }
            }
            (transition, news)
        };
        gate.changed.notify_waiters();
        for event in news.drain(..) {
            gate.around.events.emit(event);
        }
        if let Some(transition) = transition {
            gate.opened_on_arrival(&transition, result.err());
            gate.tell(transition).await;
        }
    }

    fn account(
        &self,
        state: &mut State,
        result: Result<(&Completion, &RateLimits), &ProviderError>,
        now: Duration,
    ) -> Vec<Event> {
        let route = || self.gate.route.clone();
        let mut news = Vec::new();
        state.concurrency.leave();
        let (told, used) = match result {
            Ok((completion, told)) => (told, completion.usage.input_tokens + completion.usage.output_tokens),
            // What failed may have been counted by the provider all the same.
            Err(error) => (&*error.limits, self.tokens),
        };
        state.limiter.settle(self.tokens, used, now);
        if state.limiter.learn(told, now) {
            let (requests, tokens) = state.limiter.pace();
            news.push(Event::PaceLearned { route: route(), requests, tokens });
        }
        let changed = match result {
            Ok(_) => state.concurrency.answered(),
            Err(error) if error.class == ErrorClass::RateLimited => {
                state.limiter.rate_limited(error.retry_after, now);
                state.concurrency.rate_limited(self.mark)
            }
            Err(_) => false,
        };
        if changed {
            news.push(Event::ConcurrencyChanged { route: route(), limit: state.concurrency.limit() });
        }
        news
    }
}

impl Gate {
    /// A provider from which nothing ever came is not away: it is not there.
    fn opened_on_arrival(&self, transition: &Transition, error: Option<&ProviderError>) {
        if transition.to != BreakerState::Open || self.state().has_answered {
            return;
        }
        let last = error.map(|error| error.message.clone()).unwrap_or_default();
        self.around.halt.throw(HaltReason::Parked {
            code: "never_answered".into(),
            message: format!(
                "route `{}`: nothing ever came from the provider ({}): {last}; check its address and the network",
                self.route, transition.reason
            ),
        });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        {
            let now = self.gate.around.clock.monotonic();
            let mut state = self.gate.state();
            state.concurrency.leave();
            state.limiter.settle(self.tokens, 0, now);
            // With this sign nothing changes but the place of a probe.
            let _ = state.breaker.leave(self.ticket, Sign::None, None, now);
        }
        self.gate.changed.notify_waiters();
    }
}

/// What an error says about the provider, rather than about the request.
fn sign(error: &ProviderError) -> Sign {
    match error.class {
        ErrorClass::RateLimited => Sign::RateLimited,
        // Anthropic's 529 and Groq's 498 speak of the service as a whole; a 503 may be one machine's.
        ErrorClass::Overloaded if matches!(error.status, Some(498 | 529)) => Sign::Overloaded,
        ErrorClass::Overloaded | ErrorClass::Timeout | ErrorClass::ServerError => Sign::Fault,
        ErrorClass::Connection => Sign::Unreachable,
        ErrorClass::Garbage
        | ErrorClass::ContextOverflow
        | ErrorClass::MaxOutputTooLarge
        | ErrorClass::RequestTooLarge
        | ErrorClass::BadRequest
        | ErrorClass::Refused
        | ErrorClass::Authentication
        | ErrorClass::Permission
        | ErrorClass::QuotaExhausted
        | ErrorClass::ModelUnknown => Sign::Alive,
    }
}

#[cfg(test)]
mod tests;
