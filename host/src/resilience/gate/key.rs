//! What all routes on one key share: many providers count by key, whatever the model.

use super::limiter::{Limiter, LimiterSettings, Load, Taken};
use crate::domain::Usage;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// `[provider.NAME.limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLimits {
    /// The provider's name in sandmill.toml: routes with the same one share.
    pub provider: String,
    pub limits: LimiterSettings,
    /// Calls at once, of all its routes.
    pub concurrency: Option<u32>,
}

/// A key in a run.
pub(in crate::resilience) struct Key {
    state: Mutex<State>,
    concurrency: Option<u32>,
    /// A place has become free.
    pub(super) changed: Notify,
}

struct State {
    limiter: Limiter,
    in_flight: u32,
}

impl Key {
    pub(in crate::resilience) fn new(settings: &KeyLimits) -> Self {
        Self {
            state: Mutex::new(State { limiter: Limiter::new(settings.limits), in_flight: 0 }),
            concurrency: settings.concurrency,
            changed: Notify::new(),
        }
    }

    /// Takes a place. The error: not before then; `None`: not before a call is back.
    pub(super) fn enter(&self, load: Load, now: Duration) -> Result<Taken, Option<Duration>> {
        let mut state = self.state();
        if self.concurrency.is_some_and(|most| state.in_flight >= most.max(1)) {
            return Err(None);
        }
        let ready_at = state.limiter.ready_at(load, now);
        if ready_at > now {
            return Err(Some(ready_at));
        }
        state.in_flight += 1;
        Ok(state.limiter.take(load, now))
    }

    /// `usage`: where it is known; what failed may have been counted all the same. A call that never left: [`Self::cancel`].
    pub(super) fn leave(&self, taken: Taken, usage: Option<&Usage>, now: Duration) {
        {
            let mut state = self.state();
            state.in_flight = state.in_flight.saturating_sub(1);
            if let Some(usage) = usage {
                state.limiter.settle(taken, usage, now);
            }
        }
        self.changed.notify_waiters();
    }

    pub(super) fn cancel(&self, taken: Taken, now: Duration) {
        {
            let mut state = self.state();
            state.in_flight = state.in_flight.saturating_sub(1);
            state.limiter.cancel(taken, now);
        }
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
