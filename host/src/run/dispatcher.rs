//! Owns a run: hands out items, counts what comes back, and decides when to stop.

use super::lanes::{Flown, Lanes, until_long};
use super::places::Places;
use super::traps::Traps;
use super::worker::{ItemEnded, ItemReport, Shared, run_item};
use super::{Control, Ending, Orders, Phase, Shutdown};
use crate::resilience::HaltReason;
use crate::store::{Cursor, Page, PendingItem, StoreError, Take};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet};
use tokio_util::task::AbortOnDropHandle;

/// What is in flight.
type Flight = JoinSet<Flown<ItemReport>>;
/// A page of items that is being read.
type Ahead = AbortOnDropHandle<Result<Page, StoreError>>;

/// Items that are read from the store at once, while as many are worked through.
const PAGE: usize = 1_000;
/// Items whose outcome is on its way to the disk, or that wait to be begun anew, beyond those in flight: a commit takes as long as
/// some hundred short items, a plugin may ask for a wait of an hour, and nobody should wait for either. What they bring is bounded in bytes by the
/// store.
const SETTLING_MAX: usize = 4_096;
/// How long calls under way may take to reach the journal once guests were interrupted.
const INTERRUPTED_CALLS_GRACE: Duration = Duration::from_secs(2);

/// How a run works through its items.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// Items in flight at first. One that has succeeded, and only waits for its outcome to be durable, is not.
    pub concurrency: usize,
    /// 0: never stop.
    pub consecutive_errors_max: u32,
    /// Items that may crash the plugin with none done in between. 0: never stop.
    pub traps_max: u32,
    /// The share of failed items at which the run stops, and how many must have ended before it is looked at.
    pub error_rate_max: Option<(f64, u64)>,
    pub take: Take,
    /// How long what is in flight may take after the first signal.
    pub grace: Duration,
}

/// What a run amounts to, beside what its events say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunTotals {
    pub attempts: u64,
    pub answers_not_reused: u64,
    /// The most that live guests had of memory together, in bytes.
    pub guest_memory_peak: u64,
}

/// The state of a run; nobody else changes it.
pub struct Dispatcher {
    shared: Arc<Shared>,
    settings: RunSettings,
    quick: Handle,
    long: Handle,
    shutdown: Shutdown,
    control: Control,
    /// For items in flight.
    places: Places,
    /// Plugin instances that may be live.
    live: usize,
    queue: VecDeque<PendingItem>,
    /// What comes after the queue, read while that is worked through; `None`: nothing does.
    ahead: Option<Ahead>,
    consecutive_errors: u32,
    traps: Traps,
    failed: u64,
    ended: u64,
    totals: RunTotals,
}

impl Dispatcher {
    pub fn new(
        shared: Arc<Shared>,
        settings: RunSettings,
        lanes: &Lanes,
        shutdown: Shutdown,
        control: Control,
    ) -> Self {
        let places = Places::new(settings.concurrency);
        // Nothing is under way yet.
        let live = shared.live.free();
        let quick = lanes.quick().clone();
        let ahead = read(&shared, &settings, None, &quick);
        Self {
            shared,
            settings,
            quick,
            long: lanes.long().clone(),
            shutdown,
            control,
            places,
            live,
            queue: VecDeque::new(),
            ahead: Some(ahead),
            consecutive_errors: 0,
            traps: Traps::default(),
            failed: 0,
            ended: 0,
            totals: RunTotals::default(),
        }
    }

    /// Runs until nothing is pending or something stops it. When it returns, no guest and no call is under way. Dropped before, it ends all.
    pub async fn run(mut self) -> (Ending, RunTotals) {
        // Among the guests: an item that ends, and the one that follows it, are told of without waking a thread.
        let lane = self.quick.clone();
        let run = async move {
            let ending = match self.work().await {
                Ok(ending) => ending,
                Err(error) => HaltReason::from(&error).into(),
            };
            self.totals.guest_memory_peak = self.shared.live.memory().peak;
            (ending, self.totals)
        };
        AbortOnDropHandle::new(lane.spawn(run)).await.unwrap_or_else(|error| {
            (Ending::Broken { message: format!("the dispatcher failed: {error}") }, RunTotals::default())
        })
    }

    async fn work(&mut self) -> Result<Ending, StoreError> {
        let mut flight = Flight::new();
        let stopped_by = loop {
            if let Some(ending) = self.must_stop() {
                break Some(ending);
            }
            let orders = self.obey();
            self.fill(&mut flight).await?;
            if flight.is_empty() && !(orders.paused && self.has_more()) {
                break None;
            }
            let phase = self.shutdown.phase();
            let wants_more = self.wants_more(&flight);
            tokio::select! {
                joined = flight.join_next(), if !flight.is_empty() => self.land(joined, &mut flight),
                () = self.places.one_is_free(), if wants_more => {}
                () = self.shared.halt.thrown() => {}
                () = self.shutdown.changed_from(phase) => {}
                () = self.control.changed_from(orders) => {}
            }
            while let Some(joined) = flight.try_join_next() {
                self.land(Some(joined), &mut flight);
            }
        };
        self.drain(&mut flight, stopped_by.is_some()).await;
        Ok(self.ending(stopped_by))
    }

    /// What is asked takes hold.
    fn obey(&mut self) -> Orders {
        let orders = self.control.orders();
        self.places.resize(orders.concurrency);
        self.shared.live.grow(orders.live.saturating_sub(self.live));
        self.live = self.live.max(orders.live);
        orders
    }

    /// Why nothing new may begin.
    fn must_stop(&self) -> Option<Ending> {
        match self.shutdown.phase() {
            Phase::Running => {}
            Phase::Draining { signal } | Phase::Interrupting { signal } => return Some(Ending::Interrupted { signal }),
        }
        if let Some(reason) = self.shared.halt.reason() {
            return Some(reason.into());
        }
        // It says more than that so many have failed.
        if let Some(ending) = self.traps.ending(self.settings.traps_max) {
            return Some(ending);
        }
        let most = self.settings.consecutive_errors_max;
        if most > 0 && self.consecutive_errors >= most {
            return Some(Ending::ConsecutiveErrors { count: most });
        }
        let (failed, ended) = (self.failed, self.ended);
        let is_too_much = |(share, after): (f64, u64)| ended >= after.max(1) && is_larger(failed, ended, share);
        self.settings.error_rate_max.is_some_and(is_too_much).then_some(Ending::ErrorRate { failed, ended })
    }

    async fn fill(&mut self, flight: &mut Flight) -> Result<(), StoreError> {
        while self.wants_more(flight) {
            let Some(place) = self.places.take() else { return Ok(()) };
            let Some(pending) = self.next().await? else { return Ok(()) };
            let shared = Arc::clone(&self.shared);
            let task = Box::pin(async move { run_item(&shared, pending, place).await });
            flight.spawn_on(until_long(task), &self.quick);
        }
        Ok(())
    }

    fn wants_more(&self, flight: &Flight) -> bool {
        let orders = self.control.orders();
        !orders.paused && self.has_more() && flight.len() < orders.concurrency + SETTLING_MAX
    }

    fn has_more(&self) -> bool {
        !self.queue.is_empty() || self.ahead.is_some()
    }

    async fn next(&mut self) -> Result<Option<PendingItem>, StoreError> {
        if self.queue.is_empty()
            && let Some(ahead) = self.ahead.take()
        {
            let page = ahead.await.unwrap_or(Err(StoreError::Closed))?;
            self.queue = page.items.into();
            self.ahead = page.next.map(|next| read(&self.shared, &self.settings, Some(next), &self.quick));
        }
        Ok(self.queue.pop_front())
    }

    fn land(&mut self, joined: Option<Result<Flown<ItemReport>, JoinError>>, flight: &mut Flight) {
        if let Some(Ok(Flown::Long(task))) = joined {
            flight.spawn_on(async move { Flown::Ended(task.await) }, &self.long);
        } else {
            self.account(joined);
        }
    }

    fn account(&mut self, joined: Option<Result<Flown<ItemReport>, JoinError>>) {
        match joined {
            // One that is not resumed stays pending.
            None | Some(Ok(Flown::Long(_))) => {}
            Some(Ok(Flown::Ended(report))) => {
                self.totals.attempts += report.attempts;
                self.totals.answers_not_reused += report.answers_not_reused;
                if let Some(crash) = report.crash {
                    self.traps.count(crash);
                }
                match report.ended {
                    ItemEnded::Done => {
                        self.consecutive_errors = 0;
                        self.traps = Traps::default();
                        self.ended += 1;
                    }
                    ItemEnded::Failed => {
                        self.consecutive_errors += 1;
                        self.failed += 1;
                        self.ended += 1;
                    }
                    ItemEnded::Suspended => {}
                }
            }
            Some(Err(error)) if error.is_cancelled() => {}
            // A panic in a worker is our fault: the item stays pending, and the run must not claim to be well.
            Some(Err(error)) => {
                self.shared.halt.throw(HaltReason::Store { message: format!("an item's task failed: {error}") });
            }
        }
    }

    /// Lets what is in flight finish, within the grace period and until the next signal.
    async fn drain(&mut self, flight: &mut Flight, stopped: bool) {
        let grace = tokio::time::sleep(self.settings.grace);
        tokio::pin!(grace);
        let mut interrupted = false;
        while !flight.is_empty() {
            let phase = self.shutdown.phase();
            if matches!(phase, Phase::Interrupting { .. }) {
                interrupted = true;
                break;
            }
            tokio::select! {
                joined = flight.join_next() => self.land(joined, flight),
                () = &mut grace, if stopped => { interrupted = true; break; }
                () = self.shutdown.changed_from(phase) => {}
            }
        }
        flight.abort_all();
        while let Some(joined) = flight.join_next().await {
            self.account(Some(joined));
        }
        if interrupted {
            // Those that wait before a retry would wait on.
            self.shared.halt.throw(HaltReason::Interrupted);
            let _ = tokio::time::timeout(INTERRUPTED_CALLS_GRACE, self.shared.stack.drained()).await;
        } else {
            self.shared.stack.drained().await;
        }
    }

    /// A reason from within that came up while draining counts too; a signal goes before it.
    fn ending(&self, stopped_by: Option<Ending>) -> Ending {
        match stopped_by {
            Some(ending) => ending,
            None => self.must_stop().unwrap_or(Ending::Finished),
        }
    }
}

/// Begins to read the page after `cursor`.
fn read(shared: &Shared, settings: &RunSettings, cursor: Option<Cursor>, lane: &Handle) -> Ahead {
    let (store, take, run) = (shared.store.clone(), settings.take.clone(), shared.run);
    AbortOnDropHandle::new(lane.spawn(async move { store.pending(cursor, PAGE, take, run).await }))
}

#[expect(clippy::cast_precision_loss, reason = "a share that a person typed")]
fn is_larger(failed: u64, ended: u64, share: f64) -> bool {
    failed as f64 > share * ended as f64
}
