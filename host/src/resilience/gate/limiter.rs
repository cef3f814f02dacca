//! Requests and tokens by the minute: reserved before a call leaves, settled when it is back.
//!
//! Two token buckets over the run's monotonic time. Not a rate-limiting crate: those give nothing back once the real use is
//! known, and cannot learn another limit while they work. Must not know: who waits, and for what.

use crate::provider::{Allowance, RateLimits};
use std::time::Duration;

/// Limits by the minute, as the operator sets them; they go before what the provider tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimiterSettings {
    pub requests: Option<u64>,
    pub tokens: Option<u64>,
}

/// What is used of a limit, so that clocks that differ do not cost refusals.
const USED_SHARE: f64 = 0.98;
/// How much may leave at once, in seconds of the rate. Providers enforce limits on requests over short spans; tokens
/// come in lumps.
const REQUESTS_BURST_S: f64 = 0.5;
const TOKENS_BURST_S: f64 = 15.0;
const MINUTE: Duration = Duration::from_mins(1);
/// A reset beyond this tells that a limit is one by the hour or day: it is not a pace.
const RESET_MAX: Duration = Duration::from_secs(90);

#[derive(Debug)]
pub(super) struct Limiter {
    requests: Bucket,
    tokens: Bucket,
    /// Nothing leaves before.
    hold_until: Duration,
}

impl Limiter {
    pub(super) fn new(settings: LimiterSettings) -> Self {
        Self {
            requests: Bucket::new(settings.requests, REQUESTS_BURST_S),
            tokens: Bucket::new(settings.tokens, TOKENS_BURST_S),
            hold_until: Duration::ZERO,
        }
    }

    /// Requests and tokens by the minute that are kept to, where they are known.
    pub(super) fn pace(&self) -> (Option<u64>, Option<u64>) {
        (self.requests.limit, self.tokens.limit)
    }

    /// When a call of so many tokens may leave; nothing is taken by asking.
    pub(super) fn ready_at(&self, tokens: u64, now: Duration) -> Duration {
        now.max(self.hold_until).max(self.requests.ready_at(1, now)).max(self.tokens.ready_at(tokens, now))
    }

    pub(super) fn take(&mut self, tokens: u64, now: Duration) {
        self.requests.take(1, now);
        self.tokens.take(tokens, now);
    }

    /// What was really used comes in the place of what was reserved.
    pub(super) fn settle(&mut self, reserved: u64, used: u64, now: Duration) {
        self.tokens.give_back(reserved, used, now);
    }

    /// True: a limit has become known, or another.
    pub(super) fn learn(&mut self, told: &RateLimits, now: Duration) -> bool {
        let tokens = match (told.tokens.limit, told.input_tokens.limit) {
            (None, Some(_)) => &told.input_tokens,
            _ => &told.tokens,
        };
        let requests = self.requests.learn(&told.requests, now);
        self.tokens.learn(tokens, now) || requests
    }

    /// A 429 came. Where the pace is known it was only a little too fast; where it is not, all wait as long as one was
    /// asked to.
    pub(super) fn rate_limited(&mut self, asked: Option<Duration>, now: Duration) {
        if self.requests.limit.is_some() || self.tokens.limit.is_some() {
            self.requests.drain(now);
        } else if let Some(asked) = asked {
            self.hold_until = self.hold_until.max(now + asked.min(MINUTE));
        }
    }
}

#[derive(Debug)]
struct Bucket {
    /// By the minute; `None`: no limit is known.
    limit: Option<u64>,
    is_set: bool,
    burst_s: f64,
    level: f64,
    at: Duration,
}

impl Bucket {
    fn new(limit: Option<u64>, burst_s: f64) -> Self {
        let mut bucket = Self { limit, is_set: limit.is_some(), burst_s, level: 0.0, at: Duration::ZERO };
        bucket.level = bucket.capacity();
        bucket
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn rate(&self) -> f64 {
        self.limit.map_or(f64::INFINITY, |limit| limit.max(1) as f64 * USED_SHARE / 60.0)
    }

    fn capacity(&self) -> f64 {
        (self.rate() * self.burst_s).max(1.0)
    }

    /// What is there now.
    fn level(&self, now: Duration) -> f64 {
        let since = now.saturating_sub(self.at).as_secs_f64();
        (self.level + since * self.rate()).min(self.capacity())
    }

    /// More than the bucket holds is let through when it is full: it would never fit.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn ready_at(&self, amount: u64, now: Duration) -> Duration {
        if self.limit.is_none() {
            return now;
        }
        let missing = (amount as f64).min(self.capacity()) - self.level(now);
        if missing <= 0.0 {
            return now;
        }
        // Rounded up, so that it is there when the time has come.
        now + Duration::from_secs_f64((missing / self.rate()).min(3_600.0)) + Duration::from_micros(10)
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn take(&mut self, amount: u64, now: Duration) {
        if self.limit.is_some() {
            self.level = self.level(now) - amount as f64;
            self.at = now;
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn give_back(&mut self, reserved: u64, used: u64, now: Duration) {
        if self.limit.is_some() {
            self.level = (self.level(now) + reserved as f64 - used as f64).min(self.capacity());
            self.at = now;
        }
    }

    fn drain(&mut self, now: Duration) {
        if self.limit.is_some() {
            self.level = self.level(now).min(0.0);
            self.at = now;
        }
    }

    fn learn(&mut self, told: &Allowance, now: Duration) -> bool {
        let Some(limit) = told.limit.filter(|limit| *limit > 0) else { return false };
        if self.is_set || told.reset.is_some_and(|reset| reset > RESET_MAX) {
            return false;
        }
        let is_new = self.limit != Some(limit);
        if is_new {
            let level = if self.limit.is_some() { self.level(now) } else { 0.0 };
            self.limit = Some(limit);
            self.level = level.min(self.capacity());
            self.at = now;
        }
        if told.remaining == Some(0) {
            self.drain(now);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(limit: u64) -> RateLimits {
        RateLimits { requests: Allowance { limit: Some(limit), ..Allowance::default() }, ..RateLimits::default() }
    }

    #[test]
    fn without_limits_nothing_waits() {
        let mut limiter = Limiter::new(LimiterSettings::default());
        for _ in 0..1_000 {
            limiter.take(1 << 40, Duration::ZERO);
        }
        assert_eq!(limiter.ready_at(1 << 40, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn what_the_provider_tells_is_kept_to_and_what_is_set_goes_before_it() {
        let mut limiter = Limiter::new(LimiterSettings::default());
        assert!(limiter.learn(&told(600), Duration::ZERO));
        assert!(!limiter.learn(&told(600), Duration::ZERO));
        let wait = limiter.ready_at(1, Duration::ZERO);
        assert!(wait > Duration::from_millis(100) && wait < Duration::from_millis(104), "{wait:?}");
        let mut limiter = Limiter::new(LimiterSettings { requests: Some(60), tokens: None });
        assert!(!limiter.learn(&told(600), Duration::ZERO));
        assert_eq!(limiter.pace(), (Some(60), None));
    }

    #[test]
    fn a_limit_by_the_day_is_no_pace() {
        let mut limits = told(200);
        limits.requests.reset = Some(Duration::from_mins(7));
        let mut limiter = Limiter::new(LimiterSettings::default());
        assert!(!limiter.learn(&limits, Duration::ZERO));
        assert_eq!(limiter.ready_at(1, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn what_was_reserved_and_not_used_comes_back() {
        let mut limiter = Limiter::new(LimiterSettings { requests: None, tokens: Some(60_000) });
        let now = Duration::ZERO;
        limiter.take(14_000, now);
        assert!(limiter.ready_at(1_000, now) > now);
        limiter.settle(14_000, 2_000, now);
        assert_eq!(limiter.ready_at(1_000, now), now);
        limiter.settle(0, 100_000, now);
        assert!(limiter.ready_at(1, now) > Duration::from_mins(1));
    }

    #[test]
    fn a_429_without_a_known_pace_holds_all_and_with_one_only_the_burst() {
        let mut limiter = Limiter::new(LimiterSettings::default());
        limiter.rate_limited(Some(Duration::from_secs(5)), Duration::ZERO);
        assert_eq!(limiter.ready_at(1, Duration::ZERO), Duration::from_secs(5));
        let mut limiter = Limiter::new(LimiterSettings { requests: Some(600), tokens: None });
        limiter.rate_limited(Some(Duration::from_secs(5)), Duration::ZERO);
        assert!(limiter.ready_at(1, Duration::ZERO) < Duration::from_millis(110));
    }

    proptest! {
        #[test]
        fn no_span_of_time_holds_more_than_its_share_and_a_burst(
            limit in 1_u64..100_000, gaps_us in prop::collection::vec(0_u64..200_000, 1..300)
        ) {
            let mut limiter = Limiter::new(LimiterSettings { requests: Some(limit), tokens: None });
            let (mut now, mut sent) = (Duration::ZERO, 0_u32);
            for gap in gaps_us {
                now += Duration::from_micros(gap);
                if limiter.ready_at(1, now) <= now {
                    limiter.take(1, now);
                    sent += 1;
                }
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let most = limit as f64 / 60.0 * (now.as_secs_f64() + REQUESTS_BURST_S) + 1.0;
                prop_assert!(f64::from(sent) <= most);
            }
        }

        #[test]
        fn whoever_waits_as_long_as_told_may_go(limit in 1_u64..10_000, amounts in prop::collection::vec(1_u64..20_000, 1..50)) {
            let mut limiter = Limiter::new(LimiterSettings { requests: Some(limit), tokens: Some(limit * 100) });
            let mut now = Duration::ZERO;
            for amount in amounts {
                let mut rounds = 0;
                while limiter.ready_at(amount, now) > now {
                    now = limiter.ready_at(amount, now);
                    rounds += 1;
                    prop_assert!(rounds < 60, "it waits for ever");
                }
                limiter.take(amount, now);
            }
        }
    }
}
