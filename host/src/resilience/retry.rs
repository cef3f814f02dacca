//! The only owner of retries: decides by class, waits, tries again.

use super::ledger::Failed;
use super::{Halt, HaltReason, RetrySettings, Stack};
use crate::clock::Clock;
use crate::domain::{Action, Event, EventSink, ItemId};
use crate::provider::ProviderError;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// How a call ended after all its attempts.
#[derive(Debug)]
pub(super) enum Retried<T> {
    Answered(T),
    /// Final for this attempt of the item.
    Failed(ProviderError),
    /// The run stops; the item stays pending.
    Halted,
}

/// One HTTP attempt, to be made as often as it takes.
pub(super) trait Exchange: Sync {
    type Answer: Send;

    /// `try_number` counts from 1.
    fn exchange(&self, try_number: u32) -> impl Future<Output = Result<Self::Answer, Failed>> + Send;
}

/// Tries until there is an answer, an error that no retry mends, no attempt left, or the run is halted.
pub(super) async fn run<E: Exchange>(stack: &Stack, item: &ItemId, exchange: &E) -> Retried<E::Answer> {
    let retry = Retry {
        settings: &stack.settings.retry,
        seed: stack.settings.seed,
        halt: &stack.halt,
        clock: stack.clock.as_ref(),
        events: stack.events.as_ref(),
        item,
    };
    retry.run(exchange).await
}

struct Retry<'a> {
    settings: &'a RetrySettings,
    seed: u64,
    halt: &'a Halt,
    clock: &'a dyn Clock,
    events: &'a dyn EventSink,
    item: &'a ItemId,
}

/// What follows a failure.
enum Next {
    Wait(Duration),
    GiveUp,
    Halt(HaltReason),
}

impl Retry<'_> {
    async fn run<E: Exchange>(&self, exchange: &E) -> Retried<E::Answer> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ fold(self.item.as_str()));
        let mut attempt = 1;
        loop {
            if self.halt.is_thrown() {
                return Retried::Halted;
            }
            let error = match exchange.exchange(attempt).await {
                Ok(answer) => return Retried::Answered(answer),
                Err(Failed::Halted) => return Retried::Halted,
                Err(Failed::Provider(error)) => error,
            };
            match self.next(&error, attempt, &mut random) {
                Next::GiveUp => return Retried::Failed(error),
                Next::Halt(reason) => {
                    self.halt.throw(reason);
                    return Retried::Halted;
                }
                Next::Wait(wait) => {
                    self.announce(&error, attempt, wait);
                    tokio::select! {
                        () = self.clock.sleep(wait) => {}
                        () = self.halt.thrown() => return Retried::Halted,
                    }
                }
            }
            attempt += 1;
        }
    }

    fn next(&self, error: &ProviderError, attempt: u32, random: &mut ChaCha8Rng) -> Next {
        match error.class.action() {
            Action::ParkJob => {
                Next::Halt(HaltReason::Parked { code: error.code.clone(), message: error.message.clone() })
            }
            Action::FailItem | Action::FixRequest => Next::GiveUp,
            Action::Retry => {
                if let Some(asked) = error.retry_after
                    && asked > self.settings.retry_after_max
                {
                    return Next::Halt(self.park_until(asked, error));
                }
                match self.settings.wait(attempt, random) {
                    None => Next::GiveUp,
                    // Callers who were told the same moment come back spread out after it.
                    Some(wait) => Next::Wait(error.retry_after.map_or(wait, |asked| wait.max(asked + wait / 10))),
                }
            }
        }
    }

    fn park_until(&self, asked: Duration, error: &ProviderError) -> HaltReason {
        let asked_ms = u64::try_from(asked.as_millis()).unwrap_or(u64::MAX);
        HaltReason::ParkedUntil {
            unix_ms: self.clock.unix_ms().saturating_add(asked_ms),
            message: format!(
                "the provider asks to wait {}: {}",
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

/// Spreads the items' jitter.
fn fold(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::domain::{ErrorClass, NoEvents};
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Run {
        result: Retried<u32>,
        exchanges: u32,
        sleeps: Vec<Duration>,
        halt: Option<HaltReason>,
    }

    /// Fails with each of the errors in turn, then answers.
    struct Script {
        errors: Vec<ProviderError>,
        exchanges: AtomicU32,
    }

    impl Exchange for Script {
        type Answer = u32;

        async fn exchange(&self, try_number: u32) -> Result<u32, Failed> {
            self.exchanges.fetch_add(1, Ordering::Relaxed);
            match self.errors.get(try_number as usize - 1) {
                Some(error) => Err(Failed::Provider(error.clone())),
                None => Ok(try_number),
            }
        }
    }

    async fn run(errors: Vec<ProviderError>) -> Run {
        let (clock, halt, script) =
            (SimulatedClock::default(), Halt::default(), Script { errors, exchanges: AtomicU32::new(0) });
        let item = ItemId::new("a").unwrap();
        let retry = Retry {
            settings: &RetrySettings::default(),
            seed: 1,
            halt: &halt,
            clock: &clock,
            events: &NoEvents,
            item: &item,
        };
        let result = retry.run(&script).await;
        Run { result, exchanges: script.exchanges.into_inner(), sleeps: clock.sleeps(), halt: halt.reason() }
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
        assert_eq!((run.exchanges, run.sleeps.len()), (5, 4));
    }

    #[tokio::test]
    async fn what_no_retry_mends_fails_at_once_and_does_not_stop_the_others() {
        for class in [ErrorClass::BadRequest, ErrorClass::Refused, ErrorClass::ContextOverflow] {
            let run = run(vec![error(class, Some(1)); 9]).await;
            assert!(matches!(run.result, Retried::Failed(_)));
            assert_eq!((run.exchanges, run.halt), (1, None));
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
            assert_eq!(run.exchanges, 1);
        }
    }

    #[tokio::test]
    async fn the_providers_wait_is_obeyed_and_a_day_parks_instead() {
        let short = run(vec![error(ErrorClass::RateLimited, Some(100))]).await;
        assert!(short.sleeps[0] >= Duration::from_secs(100) && short.sleeps[0] < Duration::from_secs(110));
        let long = run(vec![error(ErrorClass::RateLimited, Some(86_400))]).await;
        assert!(long.sleeps.is_empty());
        assert!(matches!(long.halt, Some(HaltReason::ParkedUntil { unix_ms: 86_400_000, .. })));
    }
}
