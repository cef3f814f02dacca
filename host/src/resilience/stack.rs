//! The order of the layers, from the plugin's request to the wire, and nothing else:
//!
//! journal look-up (`session`) ▶ route and fallback ▶ context window ▶ retry ( gate: breaker, concurrency, limiter ▶
//! budgets ▶ ledger ( timeout ( provider ▶ structure ) ) )

use super::context::{self, ContextSettings, Fitted, Window};
use super::exchange::CallOnRoute;
use super::gate::{GateStatus, Surroundings};
use super::ledger::CallKey;
use super::purse::{Amount, Purse, Spending, dollars};
use super::retry::{Failed, Retried, Retry};
use super::retry_budget::RetryBudget;
use super::route::{LiveRoute, LiveRoutes, Routes};
use super::{Halt, HaltReason, RetrySettings};
use crate::clock::Clock;
use crate::domain::{Completion, Cut, ErrorClass, Event, EventSink, ItemId, Request};
use crate::provider::{Overflow, ProviderError};
use crate::store::{RunId, Store};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// How long a provider may take to tell what its model takes.
const FACTS_WAIT: Duration = Duration::from_secs(10);
/// How often a request is made smaller because the provider says that it is too long.
const REFITS_MAX: usize = 4;

/// What all calls of a run share.
pub struct StackSettings {
    pub retry: RetrySettings,
    /// Provider calls of this run, retries included; `None`: no limit.
    pub calls_max: Option<u64>,
    pub context: ContextSettings,
    pub spending: Spending,
    /// What earlier runs of the job spent.
    pub spent: Amount,
    /// For jitter.
    pub seed: u64,
}

/// What surrounds the stack.
pub struct StackAround {
    pub halt: Arc<Halt>,
    pub clock: Arc<dyn Clock>,
    pub events: Arc<dyn EventSink>,
    pub store: Store,
    pub run: RunId,
    /// The network's runtime: calls outlive the guests that wait for them.
    pub runtime: tokio::runtime::Handle,
}

/// The layers of one run.
pub struct Stack {
    pub(super) routes: LiveRoutes,
    settings: StackSettings,
    pub(super) halt: Arc<Halt>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) events: Arc<dyn EventSink>,
    pub(super) store: Store,
    /// Waited for at the end.
    pub(super) tasks: TaskTracker,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) purse: Arc<Purse>,
    retry_budget: Mutex<RetryBudget>,
    calls: AtomicU64,
}

impl Stack {
    pub fn new(routes: Routes, settings: StackSettings, around: StackAround) -> Self {
        let StackAround { halt, clock, events, store, run, runtime } = around;
        let surroundings = Surroundings {
            halt: Arc::clone(&halt),
            clock: Arc::clone(&clock),
            events: Arc::clone(&events),
            store: Some((store.clone(), run)),
        };
        Self {
            routes: LiveRoutes::new(routes, &surroundings),
            purse: Arc::new(Purse::new(settings.spending, settings.spent)),
            settings,
            halt,
            clock,
            events,
            store,
            tasks: TaskTracker::new(),
            runtime,
            retry_budget: Mutex::default(),
            calls: AtomicU64::new(0),
        }
    }

    /// Each route's name and how it stands.
    pub fn status(&self) -> Vec<(String, GateStatus)> {
        self.routes.all().map(|live| (live.route.name.clone(), live.gate.status())).collect()
    }

    /// By this job, earlier runs included.
    pub fn spent(&self) -> Amount {
        self.purse.spent()
    }

    /// The job may cost so much from now on, in millionths of a dollar; where more is spent, that ends the run.
    pub fn limit_cost(&self, micro_dollars: u64) {
        if let Some(spent) = self.purse.limit_money(micro_dollars) {
            let message = format!(
                "the job may cost {} (set max-cost), and {} are spent: run it again with a larger --max-cost",
                dollars(micro_dollars),
                dollars(spent)
            );
            self.halt.throw(HaltReason::Budget { message });
        }
    }

    /// Waits until every call under way has reached the journal.
    pub async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// One request through every layer below the journal, on the role's route or on those that step in for it.
    pub(super) async fn call(
        &self,
        first: Arc<LiveRoute>,
        item: &ItemId,
        key: CallKey,
        request: Arc<Request>,
    ) -> Retried<Completion> {
        let mut live = first;
        let mut seen = BTreeSet::new();
        loop {
            seen.insert(live.route.name.clone());
            let fallback = &live.route.fallback;
            if live.is_used_up()
                && let Some(next) = self.step_in(&live, fallback.quota.as_deref(), "quota", &seen)
            {
                live = next;
                continue;
            }
            let waits = fallback.open.as_ref().is_none_or(|name| seen.contains(name));
            let (result, next) = match self.call_on(&live, item, key, &request, waits).await {
                Retried::Open => (Retried::Open, self.step_in(&live, fallback.open.as_deref(), "open", &seen)),
                Retried::Failed(error) if error.class == ErrorClass::QuotaExhausted => {
                    live.use_up();
                    (Retried::Failed(error), self.step_in(&live, fallback.quota.as_deref(), "quota", &seen))
                }
                Retried::Failed(error)
                    if matches!(error.class, ErrorClass::ContextOverflow | ErrorClass::MaxOutputTooLarge) =>
                {
                    (Retried::Failed(error), self.step_in(&live, fallback.context.as_deref(), "context", &seen))
                }
                other => (other, None),
            };
            match next {
                Some(next) => live = next,
                None => return result,
            }
        }
    }

    fn step_in(
        &self,
        from: &LiveRoute,
        name: Option<&str>,
        reason: &'static str,
        seen: &BTreeSet<String>,
    ) -> Option<Arc<LiveRoute>> {
        let next = self.routes.named(name?)?;
        if seen.contains(&next.route.name) {
            return None;
        }
        self.events.emit(Event::FellBack { from: from.route.name.clone(), to: next.route.name.clone(), reason });
        Some(Arc::clone(next))
    }

    /// What a route's model takes: as set, as told by the provider, as learned, or as assumed.
    pub(super) async fn window(&self, live: &LiveRoute) -> Window {
        live.asked
            .get_or_init(async || {
                if live.window.get().is_none() {
                    // Many providers do not tell; that this one cannot be asked now will show itself in the call.
                    if let Ok(Ok(facts)) =
                        tokio::time::timeout(FACTS_WAIT, live.route.provider.model(&live.route.model)).await
                    {
                        live.window.told(facts);
                    }
                }
            })
            .await;
        let assumed = Window { context: self.settings.context.assumed, max_output: live.route.max_output };
        live.window.get().unwrap_or(assumed)
    }

    /// Fits the request to the model, and fits it anew as often as the provider says that it is too long after all.
    async fn call_on(
        &self,
        live: &LiveRoute,
        item: &ItemId,
        key: CallKey,
        request: &Arc<Request>,
        waits: bool,
    ) -> Retried<Completion> {
        let mut window = self.window(live).await;
        for _ in 0..=REFITS_MAX {
            let (fitted, cut) = match self.fit(live, request, window).await {
                Ok(fitted) => fitted,
                Err(error) => return Retried::Failed(error),
            };
            let result = self.retry_on(live, item, key, &fitted, waits).await;
            let error = match result {
                Retried::Answered(mut completion) => {
                    if let Some(cut) = cut {
                        let (tokens_before, tokens_after) = (cut.tokens_before, cut.tokens_after);
                        self.events.emit(Event::RequestCut { item: item.clone(), tokens_before, tokens_after });
                        completion.cut = Some(cut);
                    }
                    return Retried::Answered(completion);
                }
                Retried::Failed(error)
                    if matches!(error.class, ErrorClass::ContextOverflow | ErrorClass::MaxOutputTooLarge) =>
                {
                    error
                }
                other => return other,
            };
            let output = u64::from(fitted.max_output_tokens.unwrap_or(super::OUTPUT_TOKENS_ASSUMED));
            let input = context::estimate(&fitted);
            match live.window.overflowed(window, error.overflow, input, output) {
                Some(next) => window = next,
                None => return Retried::Failed(error),
            }
        }
        Retried::Failed(ProviderError::new(
            ErrorClass::ContextOverflow,
            format!("the request was made smaller {REFITS_MAX} times, and the provider still calls it too long"),
        ))
    }

    async fn fit(
        &self,
        live: &LiveRoute,
        request: &Arc<Request>,
        window: Window,
    ) -> Result<(Arc<Request>, Option<Cut>), ProviderError> {
        let (asked, model) = (Arc::clone(request), live.route.model.clone());
        let settings = self.settings.context.clone();
        let counting = live.route.counting;
        let fitted = tokio::task::spawn_blocking(move || {
            context::fit(&asked, &context::Counter::of_model(&model, counting), window, &settings)
        })
        .await;
        match fitted {
            Ok(Fitted::Whole) => Ok((Arc::clone(request), None)),
            Ok(Fitted::Changed { request, cut }) => Ok((Arc::new(*request), cut)),
            Ok(Fitted::TooLong { tokens, limit }) => {
                let overflow = Overflow { limit: Some(limit), input: Some(tokens), ..Overflow::default() };
                let message = format!(
                    "the request has about {tokens} tokens, and {limit} fit the context of {} beside its answer: split it, or let it be cut (--on-overflow truncate)",
                    live.route.model
                );
                Err(ProviderError { overflow, ..ProviderError::new(ErrorClass::ContextOverflow, message) })
            }
            Err(error) => {
                Err(ProviderError::new(ErrorClass::BadRequest, format!("the request cannot be counted: {error}")))
            }
        }
    }

    async fn retry_on(
        &self,
        live: &LiveRoute,
        item: &ItemId,
        key: CallKey,
        request: &Arc<Request>,
        waits: bool,
    ) -> Retried<Completion> {
        let call = CallOnRoute {
            stack: self,
            live,
            item,
            key,
            request: Arc::clone(request),
            input_tokens: context::estimate(request),
            waits,
            wrong: Mutex::default(),
        };
        let retry = Retry {
            settings: &self.settings.retry,
            seed: self.settings.seed,
            halt: &self.halt,
            clock: self.clock.as_ref(),
            events: self.events.as_ref(),
            budget: &self.retry_budget,
            item,
            has_quota_fallback: live.route.fallback.quota.is_some(),
        };
        retry.run(&call).await
    }

    pub(super) fn answered(&self) {
        let now = self.clock.monotonic();
        self.retry_budget.lock().unwrap_or_else(PoisonError::into_inner).answered(now);
    }

    /// Counted when the bytes leave.
    pub(super) fn count_call(&self) -> Result<(), Failed> {
        let Some(most) = self.settings.calls_max else {
            self.calls.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        let admitted =
            self.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |calls| (calls < most).then(|| calls + 1));
        if admitted.is_ok() {
            return Ok(());
        }
        self.halt.throw(HaltReason::Budget {
            message: format!("{most} provider calls were allowed in this run (--max-calls)"),
        });
        Err(Failed::Halted)
    }
}
