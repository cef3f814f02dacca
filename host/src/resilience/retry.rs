//! The only owner of retries: decides by class, waits, tries again.

use super::purse::Empty;
use super::retry_budget::RetryBudget;
use super::{Halt, HaltReason, RetrySettings};
use crate::clock::Clock;
use crate::domain::{Action, ErrorClass, Event, EventSink, ItemId};
use crate::provider::ProviderError;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How a call ended after all its tries.
#[derive(Debug)]
pub(super) enum Retried<T> {
    Answered(T),
    /// Final for this attempt of the item, or for this route.
    Failed(ProviderError),
    /// The route's breaker is open, and another route may step in.
    Open,
    /// The item has used up what it may.
    ItemLimit(Empty),
    /// The run stops; the item stays pending.
    Halted,
}

/// Why a try gave no answer.
#[derive(Debug)]
pub(super) enum Failed {
    Provider {
        error: ProviderError,
        /// The try stood in for all others that wait for the route.
        was_probe: bool,
    },
    Open,
    ItemLimit(Empty),
    Halted,
}

/// One HTTP attempt, to be made as often as it takes.
pub(super) trait Try: Sync {
    type Answer: Send;

    /// `try_number` counts from 1.
    fn attempt(&self, try_number: u32) -> impl Future<Output = Result<Self::Answer, Failed>> + Send;
}

/// 429s that one call takes while others are answered: with so many it is not the pace that is wrong.
const RATE_LIMITED_MAX: u32 = 60;

/// Who decides about the next try, and what it needs for that.
pub(super) struct Retry<'a> {
    pub(super) settings: &'a RetrySettings,
    pub(super) seed: u64,
    pub(super) halt: &'a Halt,
    pub(super) clock: &'a dyn Clock,
    pub(super) events: &'a dyn EventSink,
    pub(super) budget: &'a Mutex<RetryBudget>,
    pub(super) item: &'a ItemId,
    /// Another route steps in when this one's quota is used up: the job need not stop.
    pub(super) has_quota_fallback: bool,
}

/// What follows a failure.
enum Next {
    Wait(Duration),
    GiveUp,
    Halt(HaltReason),
}

/// What a call has used up.
#[derive(Default)]
struct Spent {
    /// Tries that count.
    attempts: u32,
    rate_limited: u32,
}

impl Retry<'_> {
    /// Tries until there is an answer, an error that no retry mends, no attempt left, or the run is halted.
    ///
    /// A 429 costs no attempt, nor does a try that was a probe: neither says anything about this call.
    pub(super) async fn run<T: Try>(&self, call: &T) -> Retried<T::Answer> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ fold(self.item.as_str()));
        let mut spent = Spent::default();
        let mut try_number = 1;
        loop {
            if self.halt.is_thrown() {
                return Retried::Halted;
            }
            let (error, was_probe) = match call.attempt(try_number).await {
                Ok(answer) => return Retried::Answered(answer),
                Err(Failed::Halted) => return Retried::Halted,
                Err(Failed::Open) => return Retried::Open,
                Err(Failed::ItemLimit(empty)) => return Retried::ItemLimit(empty),
                Err(Failed::Provider { error, was_probe }) => (error, was_probe),
            };
            match self.next(&error, was_probe, &mut spent, &mut random) {
                Next::GiveUp => return Retried::Failed(error),
                Next::Halt(reason) => {
                    self.halt.throw(reason);
                    return Retried::Halted;
                }
                Next::Wait(wait) => {
                    self.announce(&error, spent.attempts, wait);
                    tokio::select! {
                        () = self.clock.sleep(wait) => {}
                        () = self.halt.thrown() => return Retried::Halted,
                    }
                }
            }
            try_number += 1;
        }
    }

    fn next(&self, error: &ProviderError, was_probe: bool, spent: &mut Spent, random: &mut ChaCha8Rng) -> Next {
        match (error.class.action(), error.should_retry) {
            (Action::ParkJob, _) if error.class == ErrorClass::QuotaExhausted && self.has_quota_fallback => {
                Next::GiveUp
            }
            (Action::ParkJob, _) => {
                Next::Halt(HaltReason::Parked { code: error.code.clone(), message: error.message.clone() })
            }
            (Action::FailItem | Action::FixRequest, None | Some(false)) => Next::GiveUp,
            // A provider that calls a failure final knows better; a 429 it cannot mean so.
            (Action::Retry, Some(false)) if error.class != ErrorClass::RateLimited => Next::GiveUp,
            (Action::Retry, _) | (Action::FailItem | Action::FixRequest, Some(true)) => {
                self.again(error, was_probe, spent, random)
            }
        }
    }

    fn again(&self, error: &ProviderError, was_probe: bool, spent: &mut Spent, random: &mut ChaCha8Rng) -> Next {
        if let Some(asked) = error.retry_after
            && asked > self.settings.retry_after_max
        {
            return Next::Halt(self.park_until(asked, error));
        }
        let now = self.clock.monotonic();
        if error.class == ErrorClass::RateLimited {
            spent.rate_limited += 1;
            if spent.rate_limited > RATE_LIMITED_MAX {
                return Next::GiveUp;
            }
            let wait = self.settings.wait_unlimited(spent.rate_limited, random);
            return Next::Wait(error.retry_after.map_or(wait, |asked| spread(asked, random)));
        }
        if was_probe {
            // The gate lets it wait.
            return Next::Wait(Duration::ZERO);
        }
        spent.attempts += 1;
        let Some(wait) = self.settings.wait(spent.attempts, random) else { return Next::GiveUp };
        let wait = error.retry_after.map_or(wait, |asked| wait.max(spread(asked, random)));
        let hold = self.budget.lock().unwrap_or_else(PoisonError::into_inner).take(error.class, now);
        Next::Wait(wait.max(hold))
    }

    fn park_until(&self, asked: Duration, error: &ProviderError) -> HaltReason {
        let asked_ms = u64::try_from(asked.as_millis()).unwrap_or(u64::MAX);
        HaltReason::ParkedUntil {
            unix_ms: self.clock.unix_ms().saturating_add(asked_ms),
            message: format!(
                "the provider asks to wait {}, longer than --retry-after-max: {}",
                humantime::format_duration(Duration::from_secs(asked.as_secs())),
                error.message
            ),
        }
    }

    fn announce(&self, error: &ProviderError, attempt: u32, wait: Duration) {
        self.events.emit(Event::CallRetry {
            item: self.item.clone(),
            class: error.class,
            code: error.code.clone(),
            message: error.message.clone(),
            attempt,
            attempts_max: self.settings.attempts_max,
            wait,
        });
    }
}

/// Callers who were told the same moment come back after it, spread over a tenth of the wait.
fn spread(asked: Duration, random: &mut ChaCha8Rng) -> Duration {
    asked + asked.mul_f64(random.random_range(0.0..=0.1))
}

/// Spreads the items' jitter.
fn fold(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::domain::NoEvents;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Run {
        result: Retried<u32>,
        tries: u32,
        sleeps: Vec<Duration>,
        halt: Option<HaltReason>,
    }

    /// Fails with each of the errors in turn, then answers.
    struct Script {
        errors: Vec<ProviderError>,
        was_probe: bool,
        tries: AtomicU32,
    }

    impl Try for Script {
        type Answer = u32;

        async fn attempt(&self, try_number: u32) -> Result<u32, Failed> {
            self.tries.fetch_add(1, Ordering::Relaxed);
            match self.errors.get(try_number as usize - 1) {
                Some(error) => Err(Failed::Provider { error: error.clone(), was_probe: self.was_probe }),
                None => Ok(try_number),
            }
        }
    }

    async fn run(errors: Vec<ProviderError>) -> Run {
        run_with(errors, false, false).await
    }

    async fn run_with(errors: Vec<ProviderError>, was_probe: bool, has_quota_fallback: bool) -> Run {
        let (clock, halt) = (SimulatedClock::default(), Halt::default());
        let script = Script { errors, was_probe, tries: AtomicU32::new(0) };
        let item = ItemId::new("a").unwrap();
        let retry = Retry {
            settings: &RetrySettings::default(),
            seed: 1,
            halt: &halt,
            clock: &clock,
            events: &NoEvents,
            budget: &Mutex::default(),
            item: &item,
            has_quota_fallback,
        };
        let result = retry.run(&script).await;
        Run { result, tries: script.tries.into_inner(), sleeps: clock.sleeps(), halt: halt.reason() }
    }

    fn error(class: ErrorClass, retry_after: Option<u64>) -> ProviderError {
        ProviderError { retry_after: retry_after.map(Duration::from_secs), ..ProviderError::new(class, "m") }
    }

    #[tokio::test]
    async fn what_a_retry_can_mend_is_tried_again_until_it_works() {
        let run = run(vec![error(ErrorClass::ServerError, None), error(ErrorClass::Timeout, None)]).await;
        assert!(matches!(run.result, Retried::Answered(3)));
        assert_eq!(run.sleeps.len(), 2);
    }

    #[tokio::test]
    async fn five_attempts_and_no_more() {
        let run = run(vec![error(ErrorClass::Garbage, None); 9]).await;
        assert!(matches!(run.result, Retried::Failed(_)));
        assert_eq!((run.tries, run.sleeps.len()), (5, 4));
    }

    #[tokio::test]
    async fn neither_a_429_nor_a_probe_costs_an_attempt() {
        let limited = run(vec![error(ErrorClass::RateLimited, None); 30]).await;
        assert!(matches!(limited.result, Retried::Answered(31)));
        let probes = run_with(vec![error(ErrorClass::Connection, None); 30], true, false).await;
        assert!(matches!(probes.result, Retried::Answered(31)));
    }

    #[tokio::test]
    async fn a_429_that_never_ends_is_not_repeated_for_ever() {
        let run = run(vec![error(ErrorClass::RateLimited, Some(1)); 1_000]).await;
        assert!(matches!(run.result, Retried::Failed(_)));
        assert_eq!(run.tries, RATE_LIMITED_MAX + 1);
    }

    #[tokio::test]
    async fn what_the_provider_says_of_trying_again_counts() {
        let with = |class, should_retry| ProviderError { should_retry: Some(should_retry), ..error(class, None) };
        assert_eq!(run(vec![with(ErrorClass::ServerError, false); 9]).await.tries, 1);
        assert_eq!(run(vec![with(ErrorClass::BadRequest, true)]).await.tries, 2);
        assert_eq!(run(vec![with(ErrorClass::RateLimited, false)]).await.tries, 2);
    }

    #[tokio::test]
    async fn what_no_retry_mends_fails_at_once_and_does_not_stop_the_others() {
        for class in
            [ErrorClass::BadRequest, ErrorClass::Refused, ErrorClass::ContextOverflow, ErrorClass::RequestTooLarge]
        {
            let run = run(vec![error(class, Some(1)); 9]).await;
            assert!(matches!(run.result, Retried::Failed(_)));
            assert_eq!((run.tries, run.halt), (1, None));
        }
    }

    #[tokio::test]
    async fn what_concerns_the_whole_job_parks_it_after_one_call() {
        for class in
            [ErrorClass::Authentication, ErrorClass::ModelUnknown, ErrorClass::QuotaExhausted, ErrorClass::Permission]
        {
            let run = run(vec![error(class, Some(1)); 9]).await;
            assert!(matches!(run.result, Retried::Halted));
            assert!(matches!(run.halt, Some(HaltReason::Parked { .. })));
            assert_eq!(run.tries, 1);
        }
    }

    #[tokio::test]
    async fn a_used_up_quota_does_not_stop_a_job_that_has_another_route() {
        let run = run_with(vec![error(ErrorClass::QuotaExhausted, None)], false, true).await;
        assert!(matches!(run.result, Retried::Failed(_)));
        assert_eq!(run.halt, None);
    }

    #[tokio::test]
    async fn the_providers_wait_is_obeyed_and_a_day_parks_instead() {
        let short = run(vec![error(ErrorClass::RateLimited, Some(100))]).await;
        assert!(short.sleeps[0] >= Duration::from_secs(100) && short.sleeps[0] <= Duration::from_secs(110));
        let long = run(vec![error(ErrorClass::RateLimited, Some(86_400))]).await;
        assert!(long.sleeps.is_empty());
        assert!(matches!(long.halt, Some(HaltReason::ParkedUntil { unix_ms: 86_400_000, .. })));
    }
}
