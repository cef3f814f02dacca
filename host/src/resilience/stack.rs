//! The order of the layers, from the plugin's request to the wire, and nothing else:
//!
//! journal look-up (`session`) ▶ budget ▶ retry ( ledger ( timeout ( provider ▶ structure ) ) )
//!
//! To come, each in its place: fallback and the context window before retry; concurrency, limiter and breaker between retry and ledger.

use super::ledger::{CallKey, Failed, Ledger};
use super::retry::{self, Retried};
use super::{Halt, HaltReason, RetrySettings};
use crate::clock::Clock;
use crate::domain::{Completion, EventSink, ItemId, Request};
use crate::provider::{Call, Provider};
use crate::store::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Where a model role leads.
#[derive(Clone)]
pub struct Route {
    pub name: String,
    pub model: String,
    pub provider: Arc<dyn Provider>,
    /// How long one exchange may take, from the first byte sent to the last received.
    pub timeout: Duration,
    /// What the model can take in all, in tokens, where that is known.
    pub window: Option<u64>,
}

/// What all calls of a run share.
pub struct StackSettings {
    pub retry: RetrySettings,
    /// Provider calls of this run, retries included; `None`: no limit.
    pub calls_max: Option<u64>,
    /// For jitter.
    pub seed: u64,
}

/// The layers of one run.
pub struct Stack {
    pub(super) route: Option<Route>,
    pub(super) settings: StackSettings,
    pub(super) halt: Arc<Halt>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) events: Arc<dyn EventSink>,
    pub(super) store: Store,
    /// Calls outlive the guests that wait for them; they run here, on the network's runtime, and are waited for at the end.
    pub(super) tasks: TaskTracker,
    pub(super) runtime: tokio::runtime::Handle,
    calls: AtomicU64,
}

impl Stack {
    pub fn new(
        route: Option<Route>,
        settings: StackSettings,
        halt: Arc<Halt>,
        clock: Arc<dyn Clock>,
        events: Arc<dyn EventSink>,
        store: Store,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        Self {
            route,
            settings,
            halt,
            clock,
            events,
            store,
            tasks: TaskTracker::new(),
            runtime,
            calls: AtomicU64::new(0),
        }
    }

    /// HTTP attempts of this run so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Waits until every call under way has reached the journal.
    pub async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// One request through every layer below the journal.
    pub(super) async fn call(
        &self,
        route: &Route,
        item: &ItemId,
        key: CallKey,
        request: Arc<Request>,
    ) -> Retried<Completion> {
        let call = Call { model: route.model.clone(), request, parameters: Arc::new([]) };
        retry::run(self, item, &Admitted(Ledger { stack: self, route, item, key, call: &call })).await
    }

    /// The budget: counted when the bytes leave.
    fn admit(&self) -> Result<(), Failed> {
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

/// The budget around the ledger.
struct Admitted<'a>(Ledger<'a>);

impl retry::Exchange for Admitted<'_> {
    type Answer = Completion;

    async fn exchange(&self, try_number: u32) -> Result<Completion, Failed> {
        self.0.stack.admit()?;
        self.0.exchange(try_number).await
    }
}
