//! The only place that knows what time it is.
//!
//! Everything else is handed a `Clock`, so that waits, windows and deadlines can be tested without waiting.

use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time, and the passing of it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn unix_ms(&self) -> u64;
    /// Never goes back; counts from an arbitrary start.
    fn monotonic(&self) -> Duration;
    async fn sleep(&self, wait: Duration);
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn unix_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }
}

/// A clock that moves when somebody sleeps on it, at once. It remembers every sleep.
#[derive(Debug, Clone, Default)]
pub struct SimulatedClock {
    state: Arc<Mutex<(Duration, Vec<Duration>)>>,
}

impl SimulatedClock {
    /// Every sleep so far, in order.
    pub fn sleeps(&self) -> Vec<Duration> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

#[async_trait]
impl Clock for SimulatedClock {
    fn unix_ms(&self) -> u64 {
        u64::try_from(self.monotonic().as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    async fn sleep(&self, wait: Duration) {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.0 += wait;
            state.1.push(wait);
        }
        tokio::task::yield_now().await;
    }
}

/// Tokio's clock, which tests can pause: then it moves only when everybody sleeps.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct PausedClock {
    start: tokio::time::Instant,
}

#[cfg(test)]
impl PausedClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn new() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

#[cfg(test)]
#[async_trait]
impl Clock for PausedClock {
    fn unix_ms(&self) -> u64 {
        u64::try_from(self.monotonic().as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }
}
