//! Leave for one call, and what the gate learns when the call is back.

use super::breaker::{BreakerState, Sign, Ticket, Transition};
use super::concurrency::Mark;
use super::limiter::Taken;
use super::{Gate, State};
use crate::domain::{Completion, ErrorClass, Event};
use crate::provider::{ProviderError, RateLimits};
use crate::resilience::probes::About;
use crate::resilience::retry;
use std::sync::Arc;
use std::time::Duration;

/// Leave for one call. Dropped without [`Permit::settle`], it tells the gate nothing.
pub(in crate::resilience) struct Permit {
    pub(super) gate: Arc<Gate>,
    pub(super) ticket: Ticket,
    pub(super) mark: Mark,
    pub(super) taken: Taken,
    pub(super) taken_of_key: Taken,
    /// There is no other way for the caller, and nothing ever came from this provider.
    pub(super) is_last_hope: bool,
    pub(super) settled: bool,
}

impl Permit {
    /// Whether this call tries for all others: that it fails says nothing about what it asks.
    pub(in crate::resilience) fn is_probe(&self) -> bool {
        self.ticket.is_probe
    }

    /// The call is back. `about`: what its failure says.
    pub(in crate::resilience) async fn settle(
        mut self,
        result: Result<(&Completion, &RateLimits), &ProviderError>,
        about: About,
    ) {
        self.settled = true;
        let gate = Arc::clone(&self.gate);
        let now = gate.around.clock.monotonic();
        if let Some(key) = &gate.key {
            key.leave(self.taken_of_key, result.ok().map(|(completion, _)| &completion.usage), now);
        }
        let (transition, mut news, notes) = {
            let mut state = gate.state();
            let pace = state.limiter.pace();
            let news = self.account(&mut state, result, now);
            let notes = notes(&mut state, pace, result.is_ok(), now);
            let transition = self.judge(&mut state, result, about, now);
            (transition, news, notes)
        };
        gate.changed.notify_waiters();
        for event in news.drain(..) {
            gate.around.events.emit(event);
        }
        if transition.is_some() || notes.iter().any(Option::is_some) {
            Box::pin(self.write_down(transition, notes)).await;
        }
    }

    async fn write_down(&self, transition: Option<Transition>, notes: Changes) {
        let gate = &self.gate;
        if let Some(transition) = transition {
            gate.around.turned.notify_waiters();
            if self.is_last_hope && transition.to == BreakerState::Open && !gate.state().has_answered {
                let last = gate.state().last_error.clone();
                gate.around.halt.throw(gate.never_answered(&last));
            }
            gate.tell(transition).await;
        }
        for (kind, detail) in notes.into_iter().flatten() {
            gate.record(kind, &detail).await;
        }
    }

    /// What the breaker makes of it.
    fn judge(
        &self,
        state: &mut State,
        result: Result<(&Completion, &RateLimits), &ProviderError>,
        about: About,
        now: Duration,
    ) -> Option<Transition> {
        let transition = match result {
            Ok(_) => {
                state.has_answered = true;
                state.answered += 1;
                state.breaker.leave(self.ticket, Sign::Alive, None, now)
            }
            Err(error) => {
                state.has_answered |= error.status.is_some();
                state.last_error.clone_from(&error.message);
                let sign = if about == About::Call { Sign::Repeated } else { sign(error) };
                match error.retry_after {
                    Some(asked) if retry::parks(error, self.gate.settings.retry_after_max) => {
                        state.breaker.park(self.ticket, asked, now)
                    }
                    asked => state.breaker.leave(self.ticket, sign, asked, now),
                }
            }
        };
        match state.breaker.state() {
            BreakerState::Closed => state.away_since = None,
            // It is there, and told when it may be asked again.
            BreakerState::Open if state.breaker.parked_until().is_some() => state.away_since = None,
            BreakerState::Open | BreakerState::HalfOpen => {
                state.away_since.get_or_insert(now);
            }
        }
        transition
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
        let told = match result {
            Ok((completion, told)) => {
                state.limiter.settle(self.taken, &completion.usage, now);
                told
            }
            // What failed may have been counted by the provider all the same.
            Err(error) => &*error.limits,
        };
        if state.limiter.learn(told, now) {
            let (requests, tokens) = state.limiter.pace();
            news.push(Event::PaceLearned { route: route(), requests, tokens });
        }
        let changed = match result {
            Ok(_) => state.concurrency.answered(self.mark),
            Err(error) if error.class == ErrorClass::RateLimited => {
                state.limiter.rate_limited(error.retry_after, now);
                state.concurrency.rate_limited(self.mark)
            }
            Err(_) => false,
        };
        // One more is no news where there are a hundred.
        let (limit, told) = (state.concurrency.limit(), state.told_limit);
        if changed && limit.abs_diff(told).saturating_mul(10) >= told {
            state.told_limit = limit;
            news.push(Event::ConcurrencyChanged { route: route(), limit });
        }
        news
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        {
            let now = self.gate.around.clock.monotonic();
            if let Some(key) = &self.gate.key {
                key.cancel(self.taken_of_key, now);
            }
            let mut state = self.gate.state();
            state.concurrency.leave();
            state.limiter.cancel(self.taken, now);
            // With this sign nothing changes but the place of a probe.
            let _ = state.breaker.leave(self.ticket, Sign::None, None, now);
        }
        self.gate.changed.notify_waiters();
        if self.ticket.is_probe {
            self.gate.around.turned.notify_waiters();
        }
    }
}

/// Changes of how much is let through: kind and detail of each.
type Changes = [Option<(&'static str, serde_json::Value)>; 2];

/// Those that are written down.
fn notes(state: &mut State, pace: (Option<u64>, Option<u64>), is_answered: bool, now: Duration) -> Changes {
    let limit = state.concurrency.limit();
    let limit = (limit != state.noted_limit && state.limit_notes.take(now)).then(|| {
        let reason = if is_answered { "answers came" } else { "the provider limits the rate" };
        let from = std::mem::replace(&mut state.noted_limit, limit);
        ("concurrency", serde_json::json!({"from": from, "to": limit, "reason": reason}))
    });
    let told = state.limiter.pace();
    let told = (told != pace && state.pace_notes.take(now)).then(|| {
        let reason = "the provider tells its limits by the minute";
        ("pace", serde_json::json!({"from": by_minute(pace), "to": by_minute(told), "reason": reason}))
    });
    [limit, told]
}

fn by_minute((requests, tokens): (Option<u64>, Option<u64>)) -> String {
    let known = [(requests, "requests"), (tokens, "tokens")];
    let parts = known.into_iter().filter_map(|(count, what)| count.map(|count| format!("{count} {what}")));
    let text = parts.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "unknown".into() } else { text }
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
