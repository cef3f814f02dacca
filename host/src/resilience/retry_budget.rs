//! What keeps retries from becoming a storm: a run has so many of them in reserve, and earns more by answers and by time.
//!
//! After the AWS SDKs' retry quota (500 in reserve; a retry costs 5, one after a timeout 10; an answer earns), with one difference:
//! theirs fails a call when the reserve is empty, ours waits.

use crate::domain::ErrorClass;
use std::time::Duration;

const RESERVE: f64 = 500.0;
const COST: f64 = 5.0;
const COST_OF_SILENCE: f64 = 10.0;
const EARNED_BY_AN_ANSWER: f64 = 2.0;
const EARNED_BY_A_SECOND: f64 = 10.0;

#[derive(Debug)]
pub(super) struct RetryBudget {
    /// Below zero: those who were told to wait.
    level: f64,
    at: Duration,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { level: RESERVE, at: Duration::ZERO }
    }
}

impl RetryBudget {
    pub(super) fn answered(&mut self, now: Duration) {
        self.advance(now);
        self.level = (self.level + EARNED_BY_AN_ANSWER).min(RESERVE);
    }

    /// Takes what a retry costs; how long it has to wait for that.
    pub(super) fn take(&mut self, class: ErrorClass, now: Duration) -> Duration {
        self.advance(now);
        self.level -= match class {
            ErrorClass::Timeout | ErrorClass::Connection => COST_OF_SILENCE,
            ErrorClass::RateLimited
            | ErrorClass::Overloaded
            | ErrorClass::ServerError
            | ErrorClass::Garbage
            | ErrorClass::ContextOverflow
            | ErrorClass::MaxOutputTooLarge
            | ErrorClass::RequestTooLarge
            | ErrorClass::BadRequest
            | ErrorClass::Refused
            | ErrorClass::Authentication
            | ErrorClass::Permission
            | ErrorClass::QuotaExhausted
            | ErrorClass::ModelUnknown => COST,
        };
        Duration::from_secs_f64((-self.level).max(0.0) / EARNED_BY_A_SECOND)
    }

    fn advance(&mut self, now: Duration) {
        let since = now.saturating_sub(self.at).as_secs_f64();
        self.level = (self.level + since * EARNED_BY_A_SECOND).min(RESERVE);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn now_and_then_a_failure_never_waits_and_a_storm_does() {
        let mut budget = RetryBudget::default();
        for _ in 0..10_000 {
            for _ in 0..5 {
                budget.answered(Duration::ZERO);
            }
            assert_eq!(budget.take(ErrorClass::ServerError, Duration::ZERO), Duration::ZERO);
        }
        let waits: Vec<Duration> = (0..200).map(|_| budget.take(ErrorClass::Timeout, Duration::ZERO)).collect();
        assert_eq!(waits[40], Duration::ZERO);
        assert!(waits[199] > Duration::from_mins(2), "{:?}", waits[199]);
    }

    proptest! {
        #[test]
        fn retries_stay_within_reserve_and_earnings(gaps_ms in prop::collection::vec(0_u64..2_000, 1..500)) {
            let (mut budget, mut now) = (RetryBudget::default(), Duration::ZERO);
            let mut leaves = Vec::new();
            for gap in gaps_ms {
                now += Duration::from_millis(gap);
                leaves.push(now + budget.take(ErrorClass::Overloaded, now));
            }
            let end = now.as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "some hundred")]
            let left = leaves.iter().filter(|leave| **leave <= now).count() as f64;
            prop_assert!(left * COST <= RESERVE + end * EARNED_BY_A_SECOND + COST);
        }
    }
}
