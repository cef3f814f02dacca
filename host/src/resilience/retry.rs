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
    /// Final for this attempt of the item, or for this route: used-up quota, for which another may step in, among them.
    Failed(ProviderError),
    /// The route's breaker is open, or the provider asks for a longer wait than is waited: another route may step in.
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
        /// The try stood in for all others that wait for the route, and says nothing about the call: it costs no attempt.
        is_free: bool,
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

/// 429s in a row that one call takes, while others are answered, before it counts for how long that has gone on.
const RATE_LIMITED_MIN: u32 = 60;

/// Who decides about the next try, and what it needs for that.
pub(super) struct Retry<'a> {
    pub(super) settings: &'a RetrySettings,
    pub(super) seed: u64,
    pub(super) halt: &'a Halt,
    pub(super) clock: &'a dyn Clock,
    pub(super) events: &'a dyn EventSink,
    pub(super) budget: &'a Mutex<RetryBudget>,
    pub(super) item: &'a ItemId,
    pub(super) route: &'a str,
    /// How long a call takes nothing but 429s while others are answered: beyond that it is not the pace that is wrong.
    /// (Where nobody is answered the breaker opens, and the same time parks the job.)
    pub(super) patience: Duration,
}

/// What follows a failure.
enum Next {
    Wait(Duration),
    GiveUp,
    LeaveRoute,
    Halt(HaltReason),
}

/// What a call has used up.
#[derive(Debug, Default)]
pub(super) struct Spent {
    tries: u32,
    /// Tries that count.
    attempts: u32,
    /// 429s in a row, and since when.
    rate_limited: u32,
    limited_since: Option<Duration>,
}

impl Retry<'_> {
    /// Tries until there is an answer, an error that no retry mends, no attempt left, or the run is halted.
    ///
    /// A 429 costs no attempt, nor does a try that was a probe: neither says anything about this call.
    pub(super) async fn run<T: Try>(&self, call: &T, spent: &mut Spent) -> Retried<T::Answer> {
        // Of those that fail.
        let mut random: Option<Box<ChaCha8Rng>> = None;
        loop {
            if self.halt.is_thrown() {
                return Retried::Halted;
            }
            spent.tries += 1;
            let (error, is_free) = match call.attempt(spent.tries).await {
                Ok(answer) => return Retried::Answered(answer),
                Err(Failed::Halted) => return Retried::Halted,
                Err(Failed::Open) => return Retried::Open,
                Err(Failed::ItemLimit(empty)) => return Retried::ItemLimit(empty),
                Err(Failed::Provider { error, is_free }) => (error, is_free),
            };
            let random = random.get_or_insert_with(|| Box::new(self.random()));
            match self.next(&error, is_free, spent, random) {
                Next::LeaveRoute => return Retried::Open,
                Next::GiveUp => return Retried::Failed(error),
                Next::Halt(reason) => {
                    self.halt.throw(reason);
                    return Retried::Halted;
                }
                Next::Wait(wait) => {
                    let is_attempt = !is_free && error.class != ErrorClass::RateLimited;
                    self.announce(&error, if is_attempt { spent.attempts } else { 0 }, wait);
                    if !Box::pin(self.waited(wait)).await {
                        return Retried::Halted;
                    }
                }
            }
        }
    }

    /// False: the run was halted meanwhile.
    async fn waited(&self, wait: Duration) -> bool {
        tokio::select! {
            () = self.clock.sleep(wait) => true,
            () = self.halt.thrown() => false,
        }
    }

    fn random(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed ^ fold(self.item.as_str()))
    }

    fn next(&self, error: &ProviderError, is_free: bool, spent: &mut Spent, random: &mut ChaCha8Rng) -> Next {
        if parks(error, self.settings.retry_after_max) {
            return Next::LeaveRoute;
        }
        if is_retried(error) {
            return self.again(error, is_free, spent, random);
        }
        match error.class.action() {
            // Whether another route steps in is known where routes are chosen.
            Action::ParkJob if error.class == ErrorClass::QuotaExhausted => Next::GiveUp,
            Action::ParkJob => {
                Next::Halt(HaltReason::Parked { code: error.code.clone(), message: error.message.clone() })
            }
            Action::Retry | Action::FailItem | Action::FixRequest => Next::GiveUp,
        }
    }

    fn again(&self, error: &ProviderError, is_free: bool, spent: &mut Spent, random: &mut ChaCha8Rng) -> Next {
        let now = self.clock.monotonic();
        if error.class == ErrorClass::RateLimited {
            spent.rate_limited += 1;
            let since = *spent.limited_since.get_or_insert(now);
            if spent.rate_limited > RATE_LIMITED_MIN && now.saturating_sub(since) > self.patience {
                return Next::GiveUp;
            }
            let wait = self.settings.wait_unlimited(spent.rate_limited, random);
            return Next::Wait(error.retry_after.map_or(wait, |asked| spread(asked, random)));
        }
        (spent.rate_limited, spent.limited_since) = (0, None);
        if is_free {
            // The gate lets it wait.
            return Next::Wait(Duration::ZERO);
        }
        spent.attempts += 1;
        let Some(wait) = self.settings.wait(spent.attempts, random) else { return Next::GiveUp };
        let wait = error.retry_after.map_or(wait, |asked| wait.max(spread(asked, random)));
        let hold = self.budget.lock().unwrap_or_else(PoisonError::into_inner).take(error.class, now);
        Next::Wait(wait.max(hold))
    }

    fn announce(&self, error: &ProviderError, attempt: u32, wait: Duration) {
        self.events.emit(Event::CallRetry {
            item: self.item.clone(),
            route: self.route.to_owned(),
            class: error.class,
            code: error.code.clone(),
            message: error.message.clone(),
            attempt,
            attempts_max: self.settings.attempts_max,
            wait,
        });
    }
}

/// Whether the same request is sent again.
fn is_retried(error: &ProviderError) -> bool {
    match (error.class.action(), error.should_retry) {
        // A provider that calls a failure final knows better; a 429 it cannot mean so.
        (Action::Retry, Some(false)) => error.class == ErrorClass::RateLimited,
        (Action::Retry, None | Some(true)) | (Action::FailItem | Action::FixRequest, Some(true)) => true,
        (Action::FailItem | Action::FixRequest, None | Some(false)) | (Action::ParkJob, _) => false,
    }
}

/// Whether the provider asks for a longer wait than is waited: nobody sleeps on it, the route is left alone until then.
pub(super) fn parks(error: &ProviderError, retry_after_max: Duration) -> bool {
    is_retried(error) && error.retry_after.is_some_and(|asked| asked > retry_after_max)
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
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    const PATIENCE: Duration = Duration::from_mins(30);

    struct Run {
        result: Retried<u32>,
        tries: u32,
        sleeps: Vec<Duration>,
        halt: Option<HaltReason>,
    }

    /// Fails with each of the errors in turn, then answers.
    struct Script {
        errors: Vec<ProviderError>,
        is_free: bool,
        tries: AtomicU32,
    }

    impl Try for Script {
        type Answer = u32;

        async fn attempt(&self, try_number: u32) -> Result<u32, Failed> {
            self.tries.fetch_add(1, Ordering::Relaxed);
            match self.errors.get(try_number as usize - 1) {
                Some(error) => Err(Failed::Provider { error: error.clone(), is_free: self.is_free }),
                None => Ok(try_number),
            }
        }
    }

    async fn run(errors: Vec<ProviderError>) -> Run {
        run_with(errors, false, &NoEvents).await
    }

    async fn run_with(errors: Vec<ProviderError>, is_free: bool, events: &dyn EventSink) -> Run {
        let (clock, halt) = (SimulatedClock::default(), Halt::default());
        let script = Script { errors, is_free, tries: AtomicU32::new(0) };
        let item = ItemId::new("a").unwrap();
        let retry = Retry {
            settings: &RetrySettings::default(),
            seed: 1,
            halt: &halt,
            clock: &clock,
            events,
            budget: &Mutex::default(),
            item: &item,
            route: "r",
            patience: PATIENCE,
        };
        let result = retry.run(&script, &mut Spent::default()).await;
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
        let probes = run_with(vec![error(ErrorClass::Connection, None); 30], true, &NoEvents).await;
        assert!(matches!(probes.result, Retried::Answered(31)));
    }

    #[tokio::test]
    async fn a_429_is_borne_for_a_time_rather_than_a_number_of_tries() {
        let short = run(vec![error(ErrorClass::RateLimited, Some(1)); 1_000]).await;
        assert!(matches!(short.result, Retried::Answered(1_001)));
        let long = run(vec![error(ErrorClass::RateLimited, Some(10)); 1_000]).await;
        assert!(matches!(long.result, Retried::Failed(_)));
        let waited: Duration = long.sleeps.iter().sum();
        assert!(waited > PATIENCE && waited < PATIENCE + Duration::from_secs(12), "{waited:?}");
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
        for class in [ErrorClass::Authentication, ErrorClass::ModelUnknown, ErrorClass::Permission] {
            let run = run(vec![error(class, Some(1)); 9]).await;
            assert!(matches!(run.result, Retried::Halted));
            assert!(matches!(run.halt, Some(HaltReason::Parked { .. })));
            assert_eq!(run.tries, 1);
        }
    }

    #[tokio::test]
    async fn whether_a_used_up_quota_stops_the_job_is_left_to_whoever_knows_the_other_routes() {
        let run = run(vec![error(ErrorClass::QuotaExhausted, None)]).await;
        assert!(matches!(run.result, Retried::Failed(_)));
        assert_eq!((run.tries, run.halt), (1, None));
    }

    #[tokio::test]
    async fn the_providers_wait_is_obeyed_and_a_day_leaves_the_route() {
        let short = run(vec![error(ErrorClass::RateLimited, Some(100))]).await;
        assert!(short.sleeps[0] >= Duration::from_secs(100) && short.sleeps[0] <= Duration::from_secs(110));
        let long = run(vec![error(ErrorClass::RateLimited, Some(86_400))]).await;
        assert!(long.sleeps.is_empty());
        assert!(matches!(long.result, Retried::Open));
        assert_eq!(long.halt, None);
    }

    #[derive(Default)]
    struct Announced(Mutex<Vec<(u32, Duration)>>);

    impl EventSink for Announced {
        fn emit(&self, event: Event) {
            if let Event::CallRetry { attempt, wait, .. } = event {
                self.0.lock().unwrap().push((attempt, wait));
            }
        }
    }

    async fn announced(errors: Vec<ProviderError>, is_free: bool) -> (Vec<(u32, Duration)>, u32) {
        let events = Announced::default();
        let run = run_with(errors, is_free, &events).await;
        (events.0.into_inner().unwrap(), run.tries)
    }

    proptest! {
        #[test]
        fn only_what_costs_an_attempt_is_counted_as_one(kinds in prop::collection::vec(0_usize..4, 0..40)) {
            let classes = [ErrorClass::RateLimited, ErrorClass::ServerError, ErrorClass::Timeout, ErrorClass::Garbage];
            let errors: Vec<ProviderError> = kinds.iter().map(|kind| error(classes[*kind], None)).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (said, tries) = runtime.block_on(announced(errors.clone(), false));
            let mut attempts = 0;
            for (error, (attempt, wait)) in errors.iter().zip(&said) {
                let costs = error.class != ErrorClass::RateLimited;
                attempts += u32::from(costs);
                prop_assert_eq!(*attempt, if costs { attempts } else { 0 });
                prop_assert!(*wait >= RetrySettings::default().wait_min);
            }
            prop_assert!(attempts < RetrySettings::default().attempts_max);
            prop_assert_eq!(tries as usize, said.len() + 1);
            let (free, tries) = runtime.block_on(announced(errors.clone(), true));
            prop_assert!(free.iter().all(|(attempt, _)| *attempt == 0));
            prop_assert_eq!(tries as usize, errors.len() + 1);
        }
    }
}
