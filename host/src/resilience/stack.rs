//! The order of the layers, from the plugin's request to the wire, and nothing else:
//!
//! journal look-up (`session`) ▶ route and fallback ▶ context window, JSON (`ask`) ▶ retry ( gate: breaker, concurrency, limiter ▶
//! budgets ▶ ledger ( timeout ( provider ▶ structure ) ) )

use super::ask::Asking;
use super::context::{ContextSettings, Window};
use super::exchange::Question;
use super::extras::Extras;
use super::gate::{GateStatus, Surroundings};
use super::probes::Probes;
use super::purse::{Amount, Purse, Spending, dollars};
use super::retry::{Failed, Retried, Spent};
use super::retry_budget::RetryBudget;
use super::route::{LiveRoute, LiveRoutes, Routes};
use super::ways::{Choice, Ways};
use super::{Halt, HaltReason, RetrySettings};
use crate::clock::Clock;
use crate::domain::{Completion, ErrorClass, Event, EventSink, Request};
use crate::provider::ProviderError;
use crate::schema::SchemaCache;
use crate::store::{RunId, Store};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

/// How long a provider may take to tell what its model takes.
const FACTS_WAIT: Duration = Duration::from_secs(10);

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

/// The layers of one run.
pub struct Stack {
    pub(super) routes: Arc<LiveRoutes>,
    pub(super) settings: StackSettings,
    pub(super) halt: Arc<Halt>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) events: Arc<dyn EventSink>,
    pub(super) store: Store,
    /// Waited for at the end.
    pub(super) tasks: TaskTracker,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) purse: Arc<Purse>,
    pub(super) retry_budget: Mutex<RetryBudget>,
    /// That answers are held to.
    pub(super) schemas: Arc<SchemaCache>,
    calls: AtomicU64,
}

/// What a call has used up on one route; it may come back there.
#[derive(Default)]
pub(super) struct Tries {
    pub(super) spent: Spent,
    pub(super) probes: Mutex<Probes>,
    /// HTTP attempts that were answered, though not with what was wanted.
    pub(super) answered: AtomicU32,
}

/// On this route. There is one, and seldom another.
fn tries_of<'a>(all: &'a mut Vec<(Arc<LiveRoute>, Tries)>, live: &Arc<LiveRoute>) -> &'a mut Tries {
    let known = all.iter().position(|(known, _)| Arc::ptr_eq(known, live)).unwrap_or_else(|| {
        all.push((Arc::clone(live), Tries::default()));
        all.len() - 1
    });
    &mut all[known].1
}

pub(super) const fn is_about_size(error: &ProviderError) -> bool {
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
            routes: Arc::new(LiveRoutes::new(routes, &surroundings)),
            purse: Arc::new(Purse::new(settings.spending, settings.spent)),
            settings,
            halt,
            clock,
            events,
            store,
            tasks: TaskTracker::new(),
            runtime,
            retry_budget: Mutex::default(),
            schemas: Arc::default(),
            calls: AtomicU64::new(0),
        }
    }

    /// Each route's name and how it stands.
    pub fn status(&self) -> Vec<(String, GateStatus)> {
        self.routes.all().map(|live| (live.route.name.clone(), live.gate.status())).collect()
    }

    /// What the job may cost, in millionths of a dollar.
    pub fn cost_max(&self) -> Option<u64> {
        self.purse.money_max()
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

    /// One request through every layer below the journal, on what the role leads to or on what steps in for it.
    pub(super) async fn call(&self, first: &str, question: &Question) -> Retried<Completion> {
        let mut seen = vec![first.to_owned()];
        let mut ways = self.routes.ways(first, &question.extras);
        // Routes that the request does not fit.
        let mut out = BTreeSet::new();
        let mut tries = Vec::with_capacity(1);
        let sent = AtomicU32::new(0);
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
            let tries = tries_of(&mut tries, &live);
            let elsewhere = || ways.elsewhere(&live, &out);
            let asking = Asking { stack: self, live: &live, question, tries, elsewhere: &elsewhere, sent: &sent };
            match asking.run().await {
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
    fn after_quota(&self, ways: &Ways, extras: &Extras, seen: &mut Vec<String>) -> Option<Ways> {
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
        seen: &mut Vec<String>,
    ) -> Option<Ways> {
        let name = name.filter(|name| self.routes.has(name))?;
        let ways = self.routes.ways(name, extras);
        if ways.first().is_empty() || seen.iter().any(|seen| seen == name) {
            return None;
        }
        seen.push(name.to_owned());
        self.fell_back(from, name, reason);
        Some(ways)
    }

    fn fell_back(&self, from: &Ways, to: &str, reason: &'static str) {
        let from = from.first().first().map_or_else(String::new, |live| live.route.name.clone());
        self.events.emit(Event::FellBack { from, to: to.to_owned(), reason });
    }

    /// What a route's model takes: as set, as told by the provider, as learned, or as assumed.
    pub(super) async fn window(&self, live: &LiveRoute) -> Window {
        if !live.asked.initialized() {
            Box::pin(live.asked.get_or_init(|| ask_for_facts(live))).await;
        }
        live.window.get(self.settings.context.assumed)
    }

    /// How much output a request wants, and how much is kept free where it does not say.
    pub(super) fn output_wanted(&self, live: &LiveRoute, request: &Request) -> u64 {
        let default = || live.route.provider.output_by_default().map(u64::from);
        request.max_output_tokens.map(u64::from).or_else(default).unwrap_or(self.settings.context.reserve_output)
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

async fn ask_for_facts(live: &LiveRoute) {
    if live.window.wants_facts(live.route.provider.is_vendors_own()) {
        // Many providers do not tell; that this one cannot be asked now will show itself in the call.
        let facts = tokio::time::timeout(FACTS_WAIT, live.route.provider.model(&live.route.model));
        if let Ok(Ok(facts)) = facts.await {
            live.window.told(facts);
        }
    }
}
