//! The order of the layers, from the plugin's request to the wire, and nothing else:
//!
//! journal look-up (`session`) ▶ route and fallback ▶ context window, JSON (`ask`) ▶ retry ( gate: breaker, concurrency, limiter ▶
//! budgets ▶ ledger ( timeout ( provider ▶ structure ) ) )

use super::ask::Ask;
use super::context::{ContextSettings, Window};
use super::gate::{GateStatus, Surroundings};
use super::ledger::CallKey;
use super::purse::{Amount, Purse, Spending};
use super::retry::{Failed, Retried};
use super::retry_budget::RetryBudget;
use super::route::{LiveRoute, LiveRoutes, Routes};
use super::{Halt, HaltReason, RetrySettings};
use crate::clock::Clock;
use crate::domain::{Completion, ErrorClass, Event, EventSink, ItemId, Request};
use crate::store::{RunId, Store};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
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
        let (mut seen, tries) = (BTreeSet::new(), AtomicU32::new(0));
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
            let ask = Ask { stack: self, live: &live, item, key, waits, tries: &tries };
            let (result, next) = match ask.run(&request).await {
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
                if live.window.wants_facts(live.route.provider.is_vendors_own()) {
                    // Many providers do not tell; that this one cannot be asked now will show itself in the call.
                    if let Ok(Ok(facts)) =
                        tokio::time::timeout(FACTS_WAIT, live.route.provider.model(&live.route.model)).await
                    {
                        live.window.told(facts);
                    }
                }
            })
            .await;
        live.window.get(self.settings.context.assumed)
    }

    /// How much output a request wants, and how much is kept free where it does not say.
    pub(super) fn output_wanted(&self, live: &LiveRoute, request: &Request) -> u64 {
        let default = || live.route.provider.output_by_default().map(u64::from);
        request.max_output_tokens.map(u64::from).or_else(default).unwrap_or(self.settings.context.reserve_output)
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
