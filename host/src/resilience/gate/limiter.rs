//! Requests and tokens by the minute: reserved before a call leaves, settled when it is back.
//!
//! Token buckets over the run's monotonic time. Not a rate-limiting crate: those give nothing back once the real use is
//! known, and cannot learn another limit while they work. Must not know: who waits, and for what.

use crate::domain::Usage;
use crate::provider::{Allowance, RateLimits};
use std::time::Duration;

/// Limits by the minute, as the operator sets them; they go before what the provider tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimiterSettings {
    pub requests: Option<u64>,
    /// Read and written together.
    pub tokens: Option<u64>,
}

/// About how many tokens a call reads, and how many it may write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::resilience) struct Load {
    pub(in crate::resilience) input: u64,
    pub(in crate::resilience) output: u64,
}

/// What was reserved for a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taken {
    tokens: u64,
    input: u64,
    output: u64,
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
/// How long all wait after a 429 that names no time, where the pace of requests is not known.
const HOLD: Duration = Duration::from_secs(1);
/// How much the last answer counts in the mean, and what is reserved above that.
const MEAN_WEIGHT: f64 = 0.1;
const MEAN_MARGIN: f64 = 1.25;

#[derive(Debug)]
pub(super) struct Limiter {
    requests: Bucket,
    tokens: Bucket,
    /// Apart, where the provider counts them so (Anthropic): then `tokens` knows only what the operator set.
    input: Bucket,
    output: Bucket,
    /// Of the answers so far. Output has a limit of its own where what is written counts, not what may be.
    output_mean: Option<f64>,
    /// Nothing leaves before.
    hold_until: Duration,
}

impl Limiter {
    pub(super) fn new(settings: LimiterSettings) -> Self {
        Self {
            requests: Bucket::new(settings.requests, REQUESTS_BURST_S),
            tokens: Bucket::new(settings.tokens, TOKENS_BURST_S),
            input: Bucket::new(None, TOKENS_BURST_S),
            output: Bucket::new(None, TOKENS_BURST_S),
            output_mean: None,
            hold_until: Duration::ZERO,
        }
    }

    /// Requests and tokens by the minute that are kept to, where they are known.
    pub(super) fn pace(&self) -> (Option<u64>, Option<u64>) {
        (self.requests.limit, self.tokens.limit.or(self.input.limit))
    }

    /// When a call may leave; nothing is taken by asking.
    pub(super) fn ready_at(&self, load: Load, now: Duration) -> Duration {
        let Taken { tokens, input, output } = self.share(load);
        let buckets = [(&self.requests, 1), (&self.tokens, tokens), (&self.input, input), (&self.output, output)];
        let ready = buckets.into_iter().map(|(bucket, amount)| bucket.ready_at(amount, now)).max();
        now.max(self.hold_until).max(ready.unwrap_or(now))
    }

    pub(super) fn take(&mut self, load: Load, now: Duration) -> Taken {
        let taken = self.share(load);
        self.requests.take(1, now);
        self.tokens.take(taken.tokens, now);
        self.input.take(taken.input, now);
        self.output.take(taken.output, now);
        taken
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of counts, rounded up")]
    fn share(&self, Load { input, output }: Load) -> Taken {
        let expected = self.output_mean.map_or(output, |mean| output.min((mean * MEAN_MARGIN).ceil() as u64));
        Taken { tokens: input.saturating_add(output), input, output: expected }
    }

    /// What was really used comes in the place of what was reserved.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub(super) fn settle(&mut self, taken: Taken, usage: &Usage, now: Duration) {
        let written = usage.output_tokens;
        self.tokens.give_back(taken.tokens, usage.input_tokens.saturating_add(written), now);
        // What is read from a cache does not count there (Anthropic, "Rate limits").
        self.input.give_back(taken.input, usage.input_tokens.saturating_sub(usage.cache_read_tokens), now);
        self.output.give_back(taken.output, written, now);
        let mean = self.output_mean.unwrap_or(written as f64);
        self.output_mean = Some(mean + (written as f64 - mean) * MEAN_WEIGHT);
    }

    /// The call never left.
    pub(super) fn cancel(&mut self, taken: Taken, now: Duration) {
        self.tokens.give_back(taken.tokens, 0, now);
        self.input.give_back(taken.input, 0, now);
        self.output.give_back(taken.output, 0, now);
    }

    /// True: a limit has become known, or another.
    pub(super) fn learn(&mut self, told: &RateLimits, now: Duration) -> bool {
        let requests = self.requests.learn(&told.requests, now);
        // Where both are told, the sum is only the tighter one of the two again.
        let is_apart = told.input_tokens.limit.is_some() || told.output_tokens.limit.is_some();
        let tokens = if is_apart {
            let input = self.input.learn(&told.input_tokens, now);
            self.output.learn(&told.output_tokens, now) || input
        } else {
            self.tokens.learn(&told.tokens, now)
        };
        requests || tokens
    }

    /// A 429 came. Where the pace of requests is known it was only a little too fast; where it is not, all wait as long as
    /// one was asked to.
    pub(super) fn rate_limited(&mut self, asked: Option<Duration>, now: Duration) {
        let knows_tokens = [&self.tokens, &self.input, &self.output].iter().any(|bucket| bucket.limit.is_some());
        for bucket in [&mut self.requests, &mut self.tokens, &mut self.input, &mut self.output] {
            bucket.drain(now);
        }
        if self.requests.limit.is_some() {
            return;
        }
        // How many tokens there really are is not known so well that it would do to count them.
        let hold = asked.map_or(if knows_tokens { HOLD } else { Duration::ZERO }, |asked| asked.min(MINUTE));
        self.hold_until = self.hold_until.max(now + hold);
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

    fn allowance(limit: u64) -> Allowance {
        Allowance { limit: Some(limit), ..Allowance::default() }
    }

    fn told(limit: u64) -> RateLimits {
        RateLimits { requests: allowance(limit), ..RateLimits::default() }
    }

    const fn load(input: u64, output: u64) -> Load {
        Load { input, output }
    }

    fn usage(input_tokens: u64, output_tokens: u64) -> Usage {
        Usage { input_tokens, output_tokens, ..Usage::default() }
    }

    #[test]
    fn without_limits_nothing_waits() {
        let mut limiter = Limiter::new(LimiterSettings::default());
        for _ in 0..1_000 {
            limiter.take(load(1 << 40, 0), Duration::ZERO);
        }
        assert_eq!(limiter.ready_at(load(1 << 40, 0), Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn what_the_provider_tells_is_kept_to_and_what_is_set_goes_before_it() {
        let mut limiter = Limiter::new(LimiterSettings::default());
        assert!(limiter.learn(&told(600), Duration::ZERO));
        assert!(!limiter.learn(&told(600), Duration::ZERO));
        let wait = limiter.ready_at(load(1, 0), Duration::ZERO);
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
        assert_eq!(limiter.ready_at(load(1, 0), Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn what_was_reserved_and_not_used_comes_back() {
        let mut limiter = Limiter::new(LimiterSettings { requests: None, tokens: Some(60_000) });
        let now = Duration::ZERO;
        let taken = limiter.take(load(10_000, 4_000), now);
        assert!(limiter.ready_at(load(1_000, 0), now) > now);
        limiter.settle(taken, &usage(1_500, 500), now);
        assert_eq!(limiter.ready_at(load(1_000, 0), now), now);
        let taken = limiter.take(load(0, 0), now);
        limiter.settle(taken, &usage(100_000, 0), now);
        assert!(limiter.ready_at(load(1, 0), now) > Duration::from_mins(1));
    }

    #[test]
    fn input_and_output_that_are_told_apart_are_counted_apart() {
        let mut limiter = Limiter::new(LimiterSettings::default());
        let (input_tokens, output_tokens) = (allowance(60_000), allowance(6_000));
        // The tighter one of the two comes again as the sum.
        let told = RateLimits { tokens: allowance(6_000), input_tokens, output_tokens, ..RateLimits::default() };
        assert!(limiter.learn(&told, Duration::ZERO));
        assert_eq!(limiter.pace(), (None, Some(60_000)));
        let full = Duration::from_mins(1);
        // 14,000 read and 1,000 written: each fits its own bucket of a quarter of a minute, and not the sum's.
        let taken = limiter.take(load(14_000, 1_000), full);
        assert_eq!(limiter.ready_at(load(100, 100), full), full);
        limiter.settle(taken, &usage(100, 1_400), full);
        assert_eq!(limiter.ready_at(load(14_000, 0), full), full, "the input came back");
        assert!(limiter.ready_at(load(0, 1_000), full) > full, "the output is used up");
    }

    #[test]
    fn what_is_reserved_of_an_output_limit_follows_what_is_written() {
        let mut limiter = Limiter::new(LimiterSettings::default());
        limiter.learn(&RateLimits { output_tokens: allowance(8_000), ..RateLimits::default() }, Duration::ZERO);
        let full = Duration::from_mins(1);
        let taken = limiter.take(load(0, 1_900), full);
        assert!(limiter.ready_at(load(0, 4_096), full) > full, "nothing is known of the answers");
        limiter.settle(taken, &usage(0, 50), full);
        for _ in 0..10 {
            assert_eq!(limiter.ready_at(load(0, 4_096), full), full);
            limiter.take(load(0, 4_096), full);
        }
    }

    #[test]
    fn what_is_read_from_a_cache_does_not_count_where_input_is_counted_apart() {
        let mut limiter = Limiter::new(LimiterSettings::default());
        limiter.learn(&RateLimits { input_tokens: allowance(60_000), ..RateLimits::default() }, Duration::ZERO);
        let full = Duration::from_mins(1);
        let taken = limiter.take(load(14_000, 10), full);
        limiter.settle(taken, &Usage { cache_read_tokens: 13_900, ..usage(14_000, 10) }, full);
        assert_eq!(limiter.ready_at(load(14_000, 10), full), full);
    }

    #[test]
    fn a_429_without_a_known_pace_holds_all_and_with_one_only_the_burst() {
        let mut limiter = Limiter::new(LimiterSettings::default());
        limiter.rate_limited(Some(Duration::from_secs(5)), Duration::ZERO);
        assert_eq!(limiter.ready_at(load(1, 0), Duration::ZERO), Duration::from_secs(5));
        let mut limiter = Limiter::new(LimiterSettings { requests: Some(600), tokens: None });
        limiter.rate_limited(Some(Duration::from_secs(5)), Duration::ZERO);
        assert!(limiter.ready_at(load(1, 0), Duration::ZERO) < Duration::from_millis(110));
    }

    #[test]
    fn a_429_where_only_a_pace_of_tokens_is_known_holds_all() {
        for (asked, hold) in [(None, HOLD), (Some(Duration::from_secs(5)), Duration::from_secs(5))] {
            let mut limiter = Limiter::new(LimiterSettings { requests: None, tokens: Some(600_000) });
            assert_eq!(limiter.ready_at(load(1, 0), Duration::ZERO), Duration::ZERO);
            limiter.rate_limited(asked, Duration::ZERO);
            assert_eq!(limiter.ready_at(load(1, 0), Duration::ZERO), hold);
        }
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
                if limiter.ready_at(load(1, 0), now) <= now {
                    limiter.take(load(1, 0), now);
                    sent += 1;
                }
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let most = limit as f64 / 60.0 * (now.as_secs_f64() + REQUESTS_BURST_S) + 1.0;
                prop_assert!(f64::from(sent) <= most);
            }
        }

        #[test]
        fn whoever_waits_as_long_as_told_may_go(
            limit in 1_u64..10_000,
            steps in prop::collection::vec((1_u64..20_000, 0_u64..5_000, 0_u64..5_000, any::<bool>()), 1..50),
        ) {
            let mut limiter = Limiter::new(LimiterSettings { requests: Some(limit), tokens: Some(limit * 100) });
            let (input_tokens, output_tokens) = (allowance(limit * 80), allowance(limit * 20));
            limiter.learn(&RateLimits { input_tokens, output_tokens, ..RateLimits::default() }, Duration::ZERO);
            let mut now = Duration::ZERO;
            for (input, output, written, limited) in steps {
                let mut rounds = 0;
                while limiter.ready_at(load(input, output), now) > now {
                    now = limiter.ready_at(load(input, output), now);
                    rounds += 1;
                    prop_assert!(rounds < 90, "it waits for ever");
                }
                let taken = limiter.take(load(input, output), now);
                if limited {
                    limiter.rate_limited(None, now);
                    limiter.cancel(taken, now);
                } else {
                    limiter.settle(taken, &usage(input, written.min(output)), now);
                }
            }
        }
    }
}
