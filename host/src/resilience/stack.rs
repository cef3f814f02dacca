//! The order of the layers, from the plugin's request to the wire, and nothing else:
//!
//! journal look-up (`session`) ▶ route and fallback ▶ context window ▶ retry ( gate: breaker, concurrency, limiter ▶
//! budgets ▶ ledger ( timeout ( provider ▶ structure ) ) )

use super::context::{self, ContextSettings, Fitted, Window};
use super::exchange::{CallOnRoute, Question};
use super::extras::Extras;
use super::gate::{Ask, GateStatus, Surroundings};
use super::probes::Probes;
use super::purse::{Amount, Purse, Spending};
use super::retry::{Failed, Retried, Retry, Spent};
use super::retry_budget::RetryBudget;
use super::route::{LiveRoute, LiveRoutes, Routes};
use super::ways::{Choice, Ways};
use super::{Halt, HaltReason, RetrySettings};
use crate::clock::Clock;
use crate::domain::{Completion, Cut, ErrorClass, Event, EventSink, Request};
use crate::provider::{Overflow, ProviderError};
use crate::store::{RunId, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
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
    /// Tells this job from every other, one of the same name that was forgotten among them.
    pub job: String,
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

/// Whether another route can step in.
#[derive(Debug, Clone, Copy)]
struct Others {
    /// While the breaker is open.
    open: bool,
    /// Once the quota is used up.
    quota: bool,
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

/// What a call has used up on one route; it may come back there.
#[derive(Default)]
struct Tries {
    spent: Spent,
    probes: Mutex<Probes>,
}

const fn is_about_size(error: &ProviderError) -> bool {
    matches!(error.class, ErrorClass::ContextOverflow | ErrorClass::MaxOutputTooLarge)
}

impl Stack {
    pub fn new(routes: Routes, settings: StackSettings, around: StackAround) -> Self {
        let StackAround { halt, clock, events, store, run, runtime } = around;
        let surroundings = Surroundings {
            halt: Arc::clone(&halt),
            clock: Arc::clone(&clock),
            events: Arc::clone(&events),
            store: Some((store.clone(), run)),
            turned: Arc::new(Notify::new()),
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

    /// Waits until every call under way has reached the journal.
    pub async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// One request through every layer below the journal, on what the role leads to or on what steps in for it.
    pub(super) async fn call(&self, first: &str, question: &Question) -> Retried<Completion> {
        let mut seen = BTreeSet::from([first.to_owned()]);
        let mut ways = self.routes.ways(first, &question.extras);
        // Routes that the request does not fit.
        let mut out = BTreeSet::new();
        let mut tries: BTreeMap<String, Tries> = BTreeMap::new();
        loop {
            if ways.is_used_up() {
                match self.after_quota(&ways, &question.extras, &mut seen) {
                    Some(next) => {
                        ways = next;
                        continue;
                    }
                    None => return Retried::Halted,
                }
            }
            let Some(Choice { live, is_substitute }) = ways.choose(&out) else {
                return Retried::Failed(ProviderError::new(ErrorClass::ContextOverflow, "no route is left to ask"));
            };
            if is_substitute {
                self.fell_back(&ways, &live.route.name, "open");
            }
            let tries = tries.entry(live.route.name.clone()).or_default();
            let elsewhere = || ways.elsewhere(&live, &out);
            match self.call_on(&live, question, tries, &elsewhere).await {
                // Another lets calls through, or the gate will say why nobody need wait.
                Retried::Open => {}
                Retried::Failed(error) if error.class == ErrorClass::QuotaExhausted => {
                    self.routes.use_up(&live, error);
                }
                Retried::Failed(error) if is_about_size(&error) => {
                    if let Some(next) = self.step_in(
                        &ways,
                        live.route.fallback.context.as_deref(),
                        "context",
                        &question.extras,
                        &mut seen,
                    ) {
                        ways = next;
                        continue;
                    }
                    out.insert(live.route.name.clone());
                    if !ways.has_first(&out) {
                        return Retried::Failed(error);
                    }
                }
                other => return other,
            }
        }
    }

    /// What steps in for routes whose credit or quota is used up; without that, the job is parked.
    fn after_quota(&self, ways: &Ways, extras: &Extras, seen: &mut BTreeSet<String>) -> Option<Ways> {
        let named = ways.first().iter().filter_map(|live| live.route.fallback.quota.as_deref());
        for name in named {
            if let Some(next) = self.step_in(ways, Some(name), "quota", extras, seen) {
                return Some(next);
            }
        }
        let error = ways.first().iter().find_map(|live| live.used_up());
        let (code, message) = error.map_or_else(Default::default, |e| (e.code.clone(), e.message.clone()));
        self.halt.throw(HaltReason::Parked { code, message });
        None
    }

    fn step_in(
        &self,
        from: &Ways,
        name: Option<&str>,
        reason: &'static str,
        extras: &Extras,
        seen: &mut BTreeSet<String>,
    ) -> Option<Ways> {
        let name = name.filter(|name| self.routes.has(name))?;
        let ways = self.routes.ways(name, extras);
        if ways.first().is_empty() || !seen.insert(name.to_owned()) {
            return None;
        }
        self.fell_back(from, name, reason);
        Some(ways)
    }

    fn fell_back(&self, from: &Ways, to: &str, reason: &'static str) {
        let from = from.first().first().map_or_else(String::new, |live| live.route.name.clone());
        self.events.emit(Event::FellBack { from, to: to.to_owned(), reason });
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
        question: &Question,
        tries: &mut Tries,
        elsewhere: Ask<'_>,
    ) -> Retried<Completion> {
        let mut window = self.window(live).await;
        for _ in 0..=REFITS_MAX {
            let (fitted, cut) = match self.fit(live, &question.request, window).await {
                Ok(fitted) => fitted,
                Err(error) => return Retried::Failed(error),
            };
            let result = self.retry_on(live, question, &fitted, tries, elsewhere).await;
            let error = match result {
                Retried::Answered(mut completion) => {
                    if let Some(cut) = cut {
                        let (tokens_before, tokens_after) = (cut.tokens_before, cut.tokens_after);
                        self.events.emit(Event::RequestCut {
                            item: question.item.clone(),
                            tokens_before,
                            tokens_after,
                        });
                        completion.cut = Some(cut);
                    }
                    return Retried::Answered(completion);
                }
                Retried::Failed(error) if is_about_size(&error) => error,
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
        question: &Question,
        request: &Arc<Request>,
        tries: &mut Tries,
        elsewhere: Ask<'_>,
    ) -> Retried<Completion> {
        let call = CallOnRoute {
            stack: self,
            live,
            question,
            request: Arc::clone(request),
            elsewhere,
            probes: &tries.probes,
            wrong: Mutex::default(),
            answered: AtomicU32::new(0),
        };
        let retry = Retry {
            settings: &self.settings.retry,
            seed: self.settings.seed,
            halt: &self.halt,
            clock: self.clock.as_ref(),
            events: self.events.as_ref(),
            budget: &self.retry_budget,
            item: &question.item,
            patience: live.route.gate.outage_max,
        };
        retry.run(&call, &mut tries.spent).await
    }

    pub(super) fn job(&self) -> &str {
        &self.settings.job
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
