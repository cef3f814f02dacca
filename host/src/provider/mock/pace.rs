//! The mock's limits by the minute: `rpm=600`, `tpm=90000`.
//!
//! Requests may come as fast as one second's worth at once, tokens as one minute's; what was used comes back evenly.

use super::faults::Faults;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Pace {
    requests: Option<Limit>,
    tokens: Option<Limit>,
}

#[derive(Debug)]
struct Limit {
    a_minute: u64,
    capacity: f64,
    state: Mutex<(f64, Duration)>,
}

impl Pace {
    pub(super) fn new(faults: &Faults) -> Self {
        Self {
            requests: faults.rpm.map(|limit| Limit::new(limit, 60)),
            tokens: faults.tpm.map(|limit| Limit::new(limit, 1)),
        }
    }

    /// Takes one request and its tokens, or says how long that would have to wait.
    pub(super) fn take(&self, tokens: u64, now: Duration) -> Result<(), Duration> {
        if let Some(limit) = &self.requests {
            limit.take(1, now)?;
        }
        if let Some(limit) = &self.tokens {
            limit.take(tokens, now)?;
        }
        Ok(())
    }

    pub(super) fn tell(&self, now: Duration, headers: &mut HeaderMap) {
        for (limit, what) in [(&self.requests, "requests"), (&self.tokens, "tokens")] {
            let Some(limit) = limit else { continue };
            let (remaining, reset) = limit.rest(now);
            for (name, value) in [
                ("limit", limit.a_minute.to_string()),
                ("remaining", remaining.to_string()),
                ("reset", format!("{}ms", reset.as_millis())),
            ] {
                let name = HeaderName::try_from(format!("x-ratelimit-{name}-{what}"));
                if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
                    headers.insert(name, value);
                }
            }
        }
    }
}

impl Limit {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn new(limit: u64, bursts_a_minute: u64) -> Self {
        let capacity = (limit as f64 / bursts_a_minute as f64).max(1.0);
        Self { a_minute: limit, capacity, state: Mutex::new((capacity, Duration::ZERO)) }
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn rate(&self) -> f64 {
        self.a_minute as f64 / 60.0
    }

    fn level(&self, (level, at): (f64, Duration), now: Duration) -> f64 {
        (level + now.saturating_sub(at).as_secs_f64() * self.rate()).min(self.capacity)
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn take(&self, amount: u64, now: Duration) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let level = self.level(*state, now);
        let missing = (amount as f64).min(self.capacity) - level;
        if missing > 0.0 {
            return Err(Duration::from_secs_f64((missing / self.rate()).min(3_600.0)));
        }
        *state = (level - amount as f64, now);
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, rounded down")]
    fn rest(&self, now: Duration) -> (u64, Duration) {
        let level = self.level(*self.state.lock().unwrap_or_else(PoisonError::into_inner), now);
        let full = Duration::from_secs_f64(((self.capacity - level) / self.rate()).clamp(0.0, 3_600.0));
        (level.max(0.0) as u64, full)
    }
}
