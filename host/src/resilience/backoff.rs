//! How long to wait before a retry: exponential, with full jitter, never shorter than the provider asks.

use backon::{BackoffBuilder, ExponentialBuilder};
use rand::RngExt;
use std::time::Duration;

/// The waits between the attempts of one call.
#[derive(Debug, Clone)]
pub struct RetrySettings {
    /// Attempts of one call, the first included.
    pub attempts_max: u32,
    /// Answers that are asked for in all where JSON was asked for and something else came, the first included. Each of them may
    /// take so many attempts.
    pub json_attempts_max: u32,
    /// The least wait.
    pub wait_min: Duration,
    /// The most that is waited of our own accord.
    pub wait_max: Duration,
    /// The most that is waited because a provider says so. Beyond that the job is parked rather than slept on.
    pub retry_after_max: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            attempts_max: 5,
            json_attempts_max: 3,
            wait_min: Duration::from_secs(1),
            wait_max: Duration::from_mins(1),
            retry_after_max: Duration::from_mins(10),
        }
    }
}

impl RetrySettings {
    /// The ceilings of the waits, one for each retry: `wait_min`, doubled each time, at most `wait_max`.
    fn ceilings(&self) -> impl Iterator<Item = Duration> + use<> {
        ExponentialBuilder::default()
            .with_min_delay(self.wait_min)
            .with_max_delay(self.wait_max.max(self.wait_min))
            .with_factor(2.0)
            .with_max_times(self.attempts_max.saturating_sub(1) as usize)
            .build()
    }

    /// The wait before the retry that follows the attempt `attempt` (from 1), or `None` if that was the last.
    ///
    /// Drawn evenly from `wait_min` up to twice the attempt's ceiling, as tenacity's `wait_random_exponential(min=1, max=60)` does,
    /// so that callers who failed together do not come back together.
    pub(super) fn wait(&self, attempt: u32, random: &mut impl rand::Rng) -> Option<Duration> {
        let ceiling = self.ceilings().nth(attempt.checked_sub(1)? as usize)?;
        Some(self.draw(ceiling, random))
    }

    /// The same for what may be tried as often as it takes: from some time on, the waits are those of the last attempt.
    pub(super) fn wait_unlimited(&self, attempt: u32, random: &mut impl rand::Rng) -> Duration {
        let last = self.ceilings().last().unwrap_or(self.wait_min);
        let ceiling = self.ceilings().nth(attempt.saturating_sub(1) as usize).unwrap_or(last);
        self.draw(ceiling, random)
    }

    fn draw(&self, ceiling: Duration, random: &mut impl rand::Rng) -> Duration {
        let most = (ceiling * 2).min(self.wait_max).max(self.wait_min);
        random.random_range(self.wait_min..=most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    proptest! {
        #[test]
        fn every_wait_lies_within_its_bounds_and_attempts_end(
            seed: u64, attempts in 1_u32..20, min_ms in 1_u64..2_000, max_ms in 1_u64..100_000
        ) {
            let settings = RetrySettings {
                attempts_max: attempts,
                wait_min: Duration::from_millis(min_ms),
                wait_max: Duration::from_millis(max_ms),
                ..RetrySettings::default()
            };
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            for attempt in 1..attempts {
                let wait = settings.wait(attempt, &mut random).unwrap();
                prop_assert!(wait >= settings.wait_min);
                prop_assert!(wait <= settings.wait_max.max(settings.wait_min));
            }
            prop_assert_eq!(settings.wait(attempts, &mut random), None);
            prop_assert_eq!(settings.wait(0, &mut random), None);
        }
    }

    #[test]
    fn the_spread_grows_with_the_attempts_up_to_the_maximum() {
        let settings = RetrySettings { attempts_max: 10, ..RetrySettings::default() };
        let longest = |attempt| {
            let mut random = ChaCha8Rng::seed_from_u64(7);
            (0..2_000).filter_map(|_| settings.wait(attempt, &mut random)).max().unwrap().as_secs_f64()
        };
        assert!((1.9..=2.0).contains(&longest(1)));
        assert!((7.8..=8.0).contains(&longest(3)));
        assert!((59.0..=60.0).contains(&longest(9)));
    }
}
