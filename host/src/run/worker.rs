//! One item from its first attempt to its end: attempts, waits between them, and what is stored of each.

use super::live::Place;
use super::start::Start;
use super::{Blobs, Contract, Live};
use crate::clock::Clock;
use crate::domain::{
    AttemptNumber, Event, EventSink, Failure, FailureClass, Item, ItemId, Outcome, Retryable, Verdict,
};
use crate::failpoint;
use crate::resilience::{Halt, HaltReason, ItemSession, SessionStart, Spending, Stack};
use crate::sandbox::{AttemptReport, Job, Plugin, Watch};
use crate::store::{self, AttemptId, GenerationId, ItemEnd, PendingItem, RunId, Store, StoreError, Took};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

/// What all workers share.
pub struct Shared {
    pub plugin: Arc<Plugin>,
    pub job: Job,
    pub contract: Contract,
    pub blobs: Blobs,
    pub store: Store,
    pub stack: Arc<Stack>,
    pub halt: Arc<Halt>,
    pub clock: Arc<dyn Clock>,
    pub events: Arc<dyn EventSink>,
    pub run: RunId,
    pub generation: GenerationId,
    pub roles: Arc<[String]>,
    /// Attempts of an item in one run.
    pub attempts_max: u32,
    pub item_calls_max: u64,
    pub item_spending: Spending,
    /// What was sent and may have been billed is not asked again; its item fails.
    pub fails_unknown: bool,
    /// Instances that may be live, and when a guest that waits gives its own back.
    pub live: Arc<Live>,
    /// Items that are being run.
    pub under_way: AtomicU64,
    /// The job's, for whoever listens.
    pub span: Span,
}

/// How an item left its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemEnded {
    Done,
    Failed,
    /// It stays pending.
    Suspended,
}

/// A plugin that did not end by itself: a trap, or a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Crash {
    pub class: FailureClass,
    pub message: String,
    pub item: ItemId,
}

/// What a worker reports.
#[derive(Debug, Clone)]
pub(super) struct ItemReport {
    pub ended: ItemEnded,
    pub crash: Option<Crash>,
    pub attempts: u64,
    /// Paid answers that the plugin did not ask for again.
    pub answers_not_reused: u64,
}

/// Runs an item until it is done, failed, or the run stops.
///
/// `place` is given back when the item has succeeded, before that is durable; one that fails keeps it until then, so that a
/// stop after so many errors in a row comes before many more.
pub(super) async fn run_item(shared: &Shared, pending: PendingItem, place: OwnedSemaphorePermit) -> ItemReport {
    let _under_way = UnderWay::new(&shared.under_way);
    let PendingItem { item, has_history, has_blobs } = pending;
    let mut worker =
        Worker { shared, item, place: Some(place), room: None, crash: None, attempts: 0, answers_not_reused: 0 };
    let ended = match worker.run(has_history, has_blobs).await {
        Ok(ended) => ended,
        Err(error) => {
            shared.halt.throw(HaltReason::from(&error));
            ItemEnded::Suspended
        }
    };
    let Worker { crash, attempts, answers_not_reused, .. } = worker;
    ItemReport { ended, crash, attempts, answers_not_reused }
}

/// Counts as long as it lives.
struct UnderWay<'a>(&'a AtomicU64);

impl<'a> UnderWay<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What became of one attempt.
enum Once {
    Ended(ItemEnded),
    /// The plugin rejected an answer: the item is begun anew after a wait.
    Again {
        after: Duration,
    },
}

/// Into the attempt's span.
fn told(outcome: &'static str) {
    Span::current().record("outcome", outcome);
}

struct Worker<'a> {
    shared: &'a Shared,
    item: Item,
    place: Option<OwnedSemaphorePermit>,
    /// What the bytes of its files take up.
    room: Option<OwnedSemaphorePermit>,
    crash: Option<Crash>,
    attempts: u64,
    answers_not_reused: u64,
}

impl Worker<'_> {
    async fn run(&mut self, has_history: bool, has_blobs: bool) -> Result<ItemEnded, StoreError> {
        let mut start = Start::look(self.shared, self.item.seq, has_history).await?;
        let fit = match self.take_blobs(has_blobs).await? {
            Ok(()) => self.shared.contract.check_item(&self.item),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = fit {
            let span = self.span(start.number);
            return Box::pin(self.refuse(&start, failure).instrument(span)).await;
        }
        loop {
            if self.shared.halt.is_thrown() {
                return Ok(ItemEnded::Suspended);
            }
            let span = self.span(start.number);
            let again = match self.once(&mut start).instrument(span).await? {
                Once::Ended(ended) => return Ok(ended),
                Once::Again { after } => after,
            };
            if !self.wait(again).await {
                return Ok(ItemEnded::Suspended);
            }
            start = start.next();
        }
    }

    /// One attempt.
    fn span(&self, number: AttemptNumber) -> Span {
        let parent = &self.shared.span;
        info_span!(target: "sandmill", parent: parent, "item", item = %self.item.id, attempt = number.0, outcome = Empty)
    }

    /// The item is none that the plugin takes.
    async fn refuse(&mut self, start: &Start, failure: Failure) -> Result<ItemEnded, StoreError> {
        let attempt = self.begin(start).await?;
        self.fail(attempt, start, failure, Vec::new()).await
    }

    async fn once(&mut self, start: &mut Start) -> Result<Once, StoreError> {
        let (attempt, report) = self.attempt(start).await?;
        let logs = self.guest_log(&report);
        let ended = match report.verdict {
            Verdict::Suspended => {
                told("suspended");
                ItemEnded::Suspended
            }
            Verdict::Failed(failure) => Box::pin(self.fail(attempt, start, failure, logs)).await?,
            Verdict::Finished(outcome) => self.finish(attempt, start, outcome, logs).await?,
            Verdict::Retry(retryable) => {
                let ended_ms = self.shared.clock.unix_ms();
                self.shared.store.attempt_retry(attempt, ended_ms, &retryable).await?;
                if self.attempts < u64::from(self.shared.attempts_max) {
                    return Ok(self.rejected(retryable, start.number));
                }
                Box::pin(self.fail(attempt, start, exhausted(retryable, self.attempts), logs)).await?
            }
        };
        Ok(Once::Ended(ended))
    }

    fn rejected(&self, retryable: Retryable, number: AttemptNumber) -> Once {
        told("rejected");
        let after = retryable.after.unwrap_or(Duration::ZERO);
        let (item, attempt) = (self.item.id.clone(), number.0);
        let Retryable { code, message, .. } = retryable;
        self.shared.events.emit(Event::ItemRetry { item, attempt, code, message, wait: after });
        Once::Again { after }
    }

    /// The inner error is the item's.
    async fn take_blobs(&mut self, has_blobs: bool) -> Result<Result<(), Failure>, StoreError> {
        let shared = self.shared;
        let files = if has_blobs { shared.store.blobs(self.item.seq).await? } else { Vec::new() };
        Ok(shared.blobs.load(files).await?.map(|(blobs, room)| (self.item.blobs, self.room) = (blobs, room)))
    }

    async fn begin(&mut self, start: &Start) -> Result<AttemptId, StoreError> {
        self.attempts += 1;
        self.shared
            .store
            .enqueue_attempt(store::NewAttempt {
                item: self.item.seq,
                number: start.number,
                run: self.shared.run,
                context: start.context.clone().unwrap_or_else(|| store::context_of_budget(start.budget)),
                began_ms: self.shared.clock.unix_ms(),
            })
            .await
    }

    /// One attempt, which takes several executions if its guest gives its instance back while it waits: each replays what was answered by then.
    async fn attempt(&mut self, start: &mut Start) -> Result<(AttemptId, AttemptReport), StoreError> {
        // Closed only when the run is over.
        let mut live = self.shared.live.take(start.took.memory_bytes).await.map_err(|_| StoreError::Closed)?;
        let attempt = self.begin(start).await?;
        loop {
            let session = Arc::new(self.session(start, attempt, &live));
            // Boxed: an item whose guest gave way, one of many thousands, has no more than it needs to wait.
            let report = Box::pin(self.execute(start, &session, &live)).await;
            if report.verdict != Verdict::Suspended || !session.guest_gave_way() {
                return Ok((attempt, report));
            }
            drop(live);
            self.shared.events.emit(Event::GuestGaveWay { item: self.item.id.clone() });
            let Ok(errors) = session.ended().await else {
                // The run was halted meanwhile: the item stays pending.
                return Ok((attempt, report));
            };
            drop(session);
            Box::pin(start.again(self.shared, self.item.seq, errors)).await?;
            live = self.shared.live.take(start.took.memory_bytes).await.map_err(|_| StoreError::Closed)?;
        }
    }

    fn session(&self, start: &mut Start, attempt: AttemptId, live: &Place<'_>) -> ItemSession {
        let shared = self.shared;
        ItemSession::new(
            Arc::clone(&shared.stack),
            SessionStart {
                item: self.item.id.clone(),
                seq: self.item.seq,
                attempt,
                number: start.number,
                earlier: Arc::clone(
                    start.earlier.get_or_insert_with(|| Arc::new(start.answers.keys().copied().collect())),
                ),
                answers: std::mem::take(&mut start.answers),
                patience: live.patience(&shared.clock),
                not_again: std::mem::take(&mut start.not_again),
                told: std::mem::take(&mut start.told).with(start.errors.clone()),
                roles: Arc::clone(&shared.roles),
                calls_max: shared.item_calls_max,
                spending: shared.item_spending,
                spent: start.spent,
            },
        )
    }

    async fn execute(&mut self, start: &mut Start, session: &Arc<ItemSession>, live: &Place<'_>) -> AttemptReport {
        let shared = self.shared;
        let llm = Arc::clone(session) as Arc<dyn crate::domain::Llm>;
        let watch = Watch { memory: Some(live.listener()), ..Watch::default() };
        let (number, budget) = (start.number, start.budget);
        let mut report = shared.plugin.watch_attempt(&shared.job, &self.item, number, budget, llm, watch).await;
        if let Verdict::Finished(Outcome::Done(emissions)) = &mut report.verdict {
            report.verdict = shared.contract.verdict(std::mem::take(emissions)).await;
        }
        let (replayed, truncated) = session.replayed_and_truncated();
        start.took = Took {
            replayed,
            truncated,
            cpu: start.took.cpu + report.cpu_time,
            memory_bytes: start.took.memory_bytes.max(report.memory_bytes as u64),
        };
        start.spent = session.spent();
        start.last_request = match &report.verdict {
            Verdict::Failed(_) | Verdict::Retry(_) => session.last_request(),
            Verdict::Finished(_) | Verdict::Suspended => None,
        };
        if report.verdict != Verdict::Suspended {
            self.answers_not_reused += session.answers_not_reused();
        }
        report
    }

    fn guest_log(&self, report: &AttemptReport) -> Vec<store::GuestLogLine> {
        report
            .log
            .iter()
            .map(|line| {
                self.shared.events.emit(Event::GuestLog {
                    item: self.item.id.clone(),
                    level: line.level,
                    message: line.message.clone(),
                });
                store::GuestLogLine { level: line.level.to_owned(), message: line.message.clone() }
            })
            .collect()
    }

    /// Before the item is begun anew, with its place given to others: how long it waits is the plugin's to say. False: the run
    /// stopped meanwhile.
    async fn wait(&mut self, wait: Duration) -> bool {
        if wait.is_zero() {
            return !self.shared.halt.is_thrown();
        }
        let places = self.place.take().map(|place| Arc::clone(place.semaphore()));
        let waited = async {
            self.shared.clock.sleep(wait).await;
            match places {
                // Never closed while there are workers.
                Some(places) => places.acquire_owned().await.ok(),
                None => None,
            }
        };
        tokio::select! {
            place = waited => {
                self.place = place;
                true
            }
            () = self.shared.halt.thrown() => false,
        }
    }

    async fn finish(
        &mut self,
        attempt: AttemptId,
        start: &Start,
        outcome: Outcome,
        logs: Vec<store::GuestLogLine>,
    ) -> Result<ItemEnded, StoreError> {
        let event = match &outcome {
            Outcome::Done(_) => Event::ItemDone { item: self.item.id.clone() },
            Outcome::Skipped { reason } => Event::ItemSkipped { item: self.item.id.clone(), reason: reason.clone() },
        };
        let end = match outcome {
            Outcome::Done(emissions) => store::ItemOutcome::Done(emissions),
            Outcome::Skipped { reason } => store::ItemOutcome::Skipped { reason },
        };
        let durable = self.store_end(attempt, start, end, logs).await?;
        self.place = None;
        self.item.json = "".into();
        self.item.blobs = Arc::new([]);
        self.room = None;
        durable.wait().await?;
        failpoint::pass("outcome-after");
        told(if matches!(event, Event::ItemSkipped { .. }) { "skipped" } else { "done" });
        self.shared.events.emit(event);
        Ok(ItemEnded::Done)
    }

    async fn fail(
        &mut self,
        attempt: AttemptId,
        start: &Start,
        failure: Failure,
        logs: Vec<store::GuestLogLine>,
    ) -> Result<ItemEnded, StoreError> {
        let event = Event::ItemFailed {
            item: self.item.id.clone(),
            class: failure.class,
            code: failure.code.clone(),
            message: failure.message.clone(),
        };
        if failure.card.is_some() {
            let (class, message) = (failure.class, failure.message.clone());
            self.crash = Some(Crash { class, message, item: self.item.id.clone() });
        }
        self.store_end(attempt, start, store::ItemOutcome::Failed(failure), logs).await?.wait().await?;
        told("failed");
        self.shared.events.emit(event);
        Ok(ItemEnded::Failed)
    }

    async fn store_end(
        &self,
        attempt: AttemptId,
        start: &Start,
        end: store::ItemOutcome,
        logs: Vec<store::GuestLogLine>,
    ) -> Result<store::Durable, StoreError> {
        failpoint::pass("outcome-before");
        let executions = u32::try_from(self.attempts).unwrap_or(u32::MAX);
        self.shared
            .store
            .item_end(ItemEnd {
                item: self.item.seq,
                attempt,
                generation: self.shared.generation,
                run: self.shared.run,
                ended_ms: self.shared.clock.unix_ms(),
                attempts: start.executions.saturating_add(executions),
                took: start.took,
                last_request: start.last_request.clone(),
                end,
                logs,
            })
            .await
    }
}

fn exhausted(retryable: Retryable, attempts: u64) -> Failure {
    Failure {
        class: FailureClass::AttemptsExhausted,
        code: retryable.code,
        message: format!(
            "the plugin rejected every answer in {attempts} attempts (--max-attempts); the last time: {}",
            retryable.message
        ),
        detail: retryable.detail,
        backtrace: None,
        card: None,
    }
}
