//! The mock's limits by the minute: token buckets that hold one second's worth.
//!
//! Kept as the moment at which a bucket is full again (the generic cell rate algorithm), so that nothing has to be
//! refilled and no fraction is lost.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const MINUTE_NS: u64 = 60_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Requests,
    Tokens,
}

/// How a limit stands, as headers tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) counted: Counted,
    /// In a minute.
    pub(super) limit: u64,
    pub(super) remaining: u64,
    /// Until the bucket is full.
    pub(super) reset: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// For so long.
    Now { counted: Counted, limit: u64, requested: u64, wait: Duration },
    /// It is more than a whole minute has.
    Ever { limit: u64, requested: u64 },
}

#[derive(Debug)]
pub(super) struct Limiter {
    buckets: Mutex<Vec<Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    counted: Counted,
    limit: u64,
    /// When it is full again, in nanoseconds; what lies in the past is full.
    full_at: u64,
}

impl Limiter {
    /// Limits are not 0.
    pub(super) fn new(requests: Option<u64>, tokens: Option<u64>) -> Self {
        let bucket = |counted, limit: Option<u64>| limit.map(|limit| Bucket { counted, limit, full_at: 0 });
        let buckets = [bucket(Counted::Requests, requests), bucket(Counted::Tokens, tokens)];
        Self { buckets: Mutex::new(buckets.into_iter().flatten().collect()) }
    }

    /// Takes one request and its tokens, or neither.
    pub(super) fn take(&self, now: Duration, tokens: u64) -> (Vec<Level>, Result<(), Denied>) {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = |bucket: &Bucket| match bucket.counted {
            Counted::Requests => 1,
            Counted::Tokens => tokens,
        };
        let denied = buckets.iter().find_map(|bucket| bucket.denied(now, cost(bucket)));
        if denied.is_none() {
            for bucket in buckets.iter_mut() {
                bucket.full_at = bucket.full_at.max(now).saturating_add(bucket.worth(cost(bucket)));
            }
        }
        (buckets.iter().map(|bucket| bucket.level(now)).collect(), denied.map_or(Ok(()), Err))
    }
}

impl Bucket {
    /// The time in which so much comes back.
    fn worth(&self, cost: u64) -> u64 {
        (MINUTE_NS / self.limit).max(1).saturating_mul(cost)
    }

    /// One second, or one request if that takes longer.
    fn capacity(&self) -> u64 {
        self.worth(1).max(SECOND_NS)
    }

    /// What costs more than the bucket holds may go when it is full, and leaves a debt.
    fn denied(&self, now: u64, cost: u64) -> Option<Denied> {
        let Self { counted, limit, full_at } = *self;
        if cost > limit {
            return Some(Denied::Ever { limit, requested: cost });
        }
        let needed = full_at.saturating_sub(now).saturating_add(self.worth(cost).min(self.capacity()));
        let wait = Duration::from_nanos(needed.saturating_sub(self.capacity()));
        (!wait.is_zero()).then_some(Denied::Now { counted, limit, requested: cost, wait })
    }

    fn level(&self, now: u64) -> Level {
        let missing = self.full_at.saturating_sub(now);
        Level {
            counted: self.counted,
            limit: self.limit,
            remaining: self.capacity().saturating_sub(missing) / self.worth(1),
            reset: Duration::from_nanos(missing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn admitted(limiter: &Limiter, now_ms: u64, tokens: u64) -> bool {
        limiter.take(Duration::from_millis(now_ms), tokens).1.is_ok()
    }

    #[test]
    fn a_second_of_requests_may_come_at_once_and_then_as_many_as_come_back() {
        let limiter = Limiter::new(Some(600), None);
        assert!((0..10).all(|_| admitted(&limiter, 0, 0)));
        let (levels, denied) = limiter.take(Duration::ZERO, 0);
        let wait = Duration::from_millis(100);
        assert_eq!(denied, Err(Denied::Now { counted: Counted::Requests, limit: 600, requested: 1, wait }));
        let reset = Duration::from_secs(1);
        assert_eq!(levels, [Level { counted: Counted::Requests, limit: 600, remaining: 0, reset }]);
        assert!(!admitted(&limiter, 99, 0) && admitted(&limiter, 100, 0) && !admitted(&limiter, 100, 0));
    }

    #[test]
    fn a_slow_limit_lets_one_through() {
        let limiter = Limiter::new(Some(3), None);
        assert!(admitted(&limiter, 0, 0) && !admitted(&limiter, 19_999, 0) && admitted(&limiter, 20_000, 0));
    }

    #[test]
    fn many_tokens_leave_a_debt_and_too_many_never_pass() {
        let limiter = Limiter::new(None, Some(60_000));
        assert!(admitted(&limiter, 0, 5_000));
        assert!(!admitted(&limiter, 4_999, 1_000) && admitted(&limiter, 5_000, 1_000));
        let denied = limiter.take(Duration::from_hours(1), 60_001).1;
        assert_eq!(denied, Err(Denied::Ever { limit: 60_000, requested: 60_001 }));
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_and_a_seconds_worth(
            limit in 1_u64..100_000,
            asked in prop::collection::vec((0_u64..50, 1_u64..5), 1..500),
        ) {
            let limiter = Limiter::new(Some(limit), None);
            let (mut now_ms, mut passed) = (0_u64, 0_u64);
            for (pause_ms, times) in asked {
                now_ms += pause_ms;
                passed += (0..times).filter(|_| admitted(&limiter, now_ms, 0)).count() as u64;
            }
            let burst = (limit / 60).max(1);
            prop_assert!(passed <= burst + 1 + limit * now_ms / 60_000, "{passed} in {now_ms} ms");
        }
    }
}
