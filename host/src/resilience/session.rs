//! The world of models as one attempt of one item sees it, with the journal in front: what was answered before is answered again from
//! the store, by what was asked and how often, not by when.

use super::desk::{Asked, Desk, denied};
use super::exchange::Question;
use super::ledger::CallKey;
use super::parked::{self, Parked, Patience};
use super::purse::{Amount, Empty, Purse, Spending, dollars};
use super::retry::Retried;
use super::stack::Stack;
use super::{HaltReason, context, hash};
use crate::domain::{
    AttemptNumber, CallEnd, Completion, Cut, ErrorClass, Event, ItemId, ItemSeq, Llm, LlmError, LlmErrorKind, Pair,
    Request, Suspended, TokenCount,
};
use crate::provider::ProviderError;
use crate::store::{AttemptId, ToldEntry, ToldFact};
use async_trait::async_trait;
use futures_util::future::join_all;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;
use tracing::Instrument;

/// What is kept of the last request of an item that failed.
const LAST_REQUEST_BYTES_MAX: usize = 256 << 10;

/// A question of an attempt: what was asked, and how often before.
pub type QuestionKey = ([u8; 32], u32);

/// What a session starts with.
pub struct SessionStart {
    pub item: ItemId,
    pub seq: ItemSeq,
    pub attempt: AttemptId,
    pub number: AttemptNumber,
    /// What was answered to earlier executions of this attempt: request hash and occurrence.
    pub answers: HashMap<QuestionKey, Completion>,
    /// Those of them that earlier runs were given: the others were given to this very run, before its guest gave its instance back.
    pub earlier: Arc<HashSet<QuestionKey>>,
    /// How long the guest waits for an answer before it gives its instance back; `None`: until it comes.
    pub patience: Option<Arc<dyn Patience>>,
    /// Questions that were sent by a process that died, and that shall not be asked again.
    pub not_again: HashSet<QuestionKey>,
    /// The roles that the plugin named.
    pub roles: Arc<[String]>,
    /// What earlier executions of it were told of sizes.
    pub told: Told,
    /// Questions that the attempt may ask; answers from the journal count too, so that a replay ends where the first run did.
    pub calls_max: u64,
    /// What the item may use, in all its attempts and runs.
    pub spending: Spending,
    /// What its calls took before this attempt.
    pub spent: Amount,
}

/// What an attempt was told of sizes, by request hash and occurrence. It is told the same again.
#[derive(Debug, Default)]
pub struct Told {
    pub(super) counts: HashMap<QuestionKey, TokenCount>,
    pub(super) errors: HashMap<QuestionKey, LlmError>,
}

impl Told {
    pub fn new(entries: Vec<ToldEntry>) -> Self {
        let mut told = Self::default();
        for ToldEntry { hash, occurrence, fact } in entries {
            match fact {
                ToldFact::Count(count) => drop(told.counts.insert((hash, occurrence), count)),
                ToldFact::TooLarge(error) => drop(told.errors.insert((hash, occurrence), error)),
            }
        }
        told
    }

    /// What earlier executions in this run were told of calls that failed.
    pub fn with(mut self, errors: HashMap<QuestionKey, LlmError>) -> Self {
        self.errors.extend(errors);
        self
    }
}

/// One attempt's way to the models.
pub struct ItemSession {
    stack: Arc<Stack>,
    start: SessionStart,
    desk: Desk,
    reused: AtomicU64,
    /// Answers to requests that had been shortened.
    truncated: AtomicU64,
    /// The item's own. What earlier executions took is in it from the start, so that a replayed answer adds nothing.
    purse: Arc<Purse>,
    parked: Parked,
    /// What the guest was told of calls that failed: the journal has the answers alone.
    errors: Mutex<HashMap<QuestionKey, LlmError>>,
}

impl ItemSession {
    pub fn new(stack: Arc<Stack>, start: SessionStart) -> Self {
        let purse = Arc::new(Purse::new(start.spending, start.spent));
        let desk = Desk::new(Arc::clone(&stack.routes), Arc::clone(&start.roles), start.calls_max);
        Self {
            stack,
            start,
            desk,
            reused: AtomicU64::new(0),
            truncated: AtomicU64::new(0),
            purse,
            parked: Parked::default(),
            errors: Mutex::default(),
        }
    }

    /// Paid answers of earlier executions that this one did not ask for again.
    pub fn answers_not_reused(&self) -> u64 {
        (self.start.earlier.len() as u64).saturating_sub(self.reused.load(Ordering::Relaxed))
    }

    /// What was asked last, as JSON; its start, if it is long.
    pub fn last_request(&self) -> Option<String> {
        let mut text = hash::form(&*self.desk.last_request()?);
        text.truncate(text.floor_char_boundary(LAST_REQUEST_BYTES_MAX));
        Some(text)
    }

    /// Answers so far that came from the journal, and that were given to a request that had been shortened.
    pub fn replayed_and_truncated(&self) -> (u64, u64) {
        (self.reused.load(Ordering::Relaxed), self.truncated.load(Ordering::Relaxed))
    }

    async fn answer(&self, route: &str, question: Asked) -> Result<Completion, CallEnd> {
        let key = (question.hash, question.occurrence);
        if let Some(error) = self.start.told.errors.get(&key) {
            return Err(error.clone().into());
        }
        let end = match self.start.answers.get(&key) {
            Some(completion) => {
                if self.start.earlier.contains(&key) {
                    self.reused.fetch_add(1, Ordering::Relaxed);
                    self.stack.events.emit(Event::CallReused { item: self.start.item.clone() });
                }
                Ok(completion.clone())
            }
            None => self.answer_anew(route, question).await,
        };
        match &end {
            Ok(completion) => self.take(completion),
            Err(CallEnd::Error(error)) => {
                self.errors.lock().unwrap_or_else(PoisonError::into_inner).insert(key, error.clone());
                if error.kind == LlmErrorKind::TooLarge {
                    Box::pin(self.record(key, ToldFact::TooLarge(error.clone()))).await?;
                }
            }
            Err(CallEnd::Suspended) => {}
        }
        end
    }

    /// What an answer brings, wherever it came from.
    fn take(&self, completion: &Completion) {
        self.desk.take(completion);
        self.truncated.fetch_add(u64::from(completion.cut.is_some()), Ordering::Relaxed);
        if let Some(Cut { tokens_before, tokens_after, .. }) = completion.cut {
            self.stack.events.emit(Event::RequestCut { item: self.start.item.clone(), tokens_before, tokens_after });
        }
    }

    /// Before the guest sees it: it follows from what this run has learned, which a replay has not, and the guest goes on by it.
    async fn record(&self, (hash, occurrence): QuestionKey, fact: ToldFact) -> Result<(), Suspended> {
        let SessionStart { seq, attempt, .. } = self.start;
        let written = self.stack.store.record_told(seq, attempt, ToldEntry { hash, occurrence, fact }).await;
        written.map_err(|error| {
            self.stack.halt.throw(HaltReason::from(&error));
            Suspended
        })
    }

    async fn answer_anew(&self, route: &str, question: Asked) -> Result<Completion, CallEnd> {
        if self.start.not_again.contains(&(question.hash, question.occurrence)) {
            return Err(denied(
                "call_unknown",
                "this was asked, and the process died before an answer came: it may have been billed, and is not asked again (--on-unknown fail); run it again with --on-unknown retry".to_owned(),
            )
            .into());
        }
        if self.stack.halt.is_thrown() {
            return Err(CallEnd::Suspended);
        }
        let key = (question.hash, question.occurrence);
        let call = self.dispatch(route.to_owned(), question);
        match &self.start.patience {
            None => parked::answer(call.await.ok()),
            Some(patience) => match self.parked.wait(key, call, &**patience).await {
                Some(ended) => parked::answer(ended),
                None => Err(CallEnd::Suspended),
            },
        }
    }

    /// Whether the guest gave its instance back, to be run again when what it asked has ended.
    pub fn guest_gave_way(&self) -> bool {
        self.parked.has_any()
    }

    /// Waits until what the guest asked has ended, and hands back what it was told, and is to be told, of calls that failed.
    pub async fn ended(&self) -> Result<HashMap<QuestionKey, LlmError>, CallEnd> {
        let parked = self.parked.ended().await?;
        for (key, error) in parked.iter().filter(|(_, error)| error.kind == LlmErrorKind::TooLarge) {
            Box::pin(self.record(*key, ToldFact::TooLarge(error.clone()))).await?;
        }
        let mut errors = std::mem::take(&mut *self.errors.lock().unwrap_or_else(PoisonError::into_inner));
        errors.extend(parked);
        Ok(errors)
    }

    /// What the item's calls have used up by now, answered or not.
    pub fn spent(&self) -> Amount {
        self.purse.spent()
    }

    /// As a task of its own, so that a guest's end does not end a call under way.
    fn dispatch(&self, route: String, asked: Asked) -> JoinHandle<Retried<Completion>> {
        let key = CallKey {
            item: self.start.seq,
            attempt: self.start.attempt,
            number: self.start.number,
            hash: asked.hash,
            occurrence: asked.occurrence,
        };
        let (stack, item, purse) = (Arc::clone(&self.stack), self.start.item.clone(), Arc::clone(&self.purse));
        let call = async move {
            let question = Question { item, key, request: asked.request, extras: asked.extras, purse };
            stack.call(&route, &question).await
        };
        self.stack.tasks.spawn_on(call.in_current_span(), &self.stack.runtime)
    }
}

#[async_trait]
impl Llm for ItemSession {
    async fn complete(&self, request: Request) -> Result<Completion, CallEnd> {
        let (route, _, extras) = self.desk.route(&request)?;
        let question = self.desk.question(request, extras).await?;
        self.answer(route, question).await
    }

    async fn complete_many(&self, requests: Vec<Request>) -> Result<Vec<Result<Completion, LlmError>>, CallEnd> {
        let mut questions = Vec::with_capacity(requests.len());
        for request in requests {
            let (route, _, extras) = self.desk.route(&request)?;
            questions.push((route, self.desk.question(request, extras).await?));
        }
        let ends = join_all(questions.into_iter().map(|(route, question)| self.answer(route, question))).await;
        ends.into_iter()
            .map(|end| match end {
                Ok(completion) => Ok(Ok(completion)),
                Err(CallEnd::Error(error)) => Ok(Err(error)),
                Err(CallEnd::Suspended) => Err(CallEnd::Suspended),
            })
            .collect()
    }

    async fn count_tokens(&self, request: Request) -> Result<TokenCount, CallEnd> {
        let (_, ways, _) = self.desk.route(&request)?;
        let (request, key) = self.desk.counting(request).await;
        if let Some(count) = self.start.told.counts.get(&key) {
            return Ok(*count);
        }
        let choice = ways.choose(&BTreeSet::new());
        let live = choice.ok_or_else(|| denied("no_route", "no route is left to ask".to_owned()))?.live;
        // On the network's runtime: the provider may have to be asked what its model takes.
        let stack = Arc::clone(&self.stack);
        let count = self.stack.runtime.spawn(async move {
            let window = stack.window(&live).await.beside(stack.output_wanted(&live, &request));
            context::count(live.route.model.clone(), live.route.counting, request, Some(window)).await
        });
        let count =
            count.await.map_err(|error| denied("cannot_count", format!("the request cannot be counted: {error}")))?;
        self.record(key, ToldFact::Count(count)).await?;
        Ok(count)
    }
}

/// The next call may take more than is left for the item.
pub(super) fn item_limit(empty: Empty) -> LlmError {
    let (code, message) = match empty {
        Empty::Tokens { limit, spent, wanted } => (
            "item_tokens",
            format!(
                "the item may use {limit} tokens (--max-item-tokens), {spent} are used, and the next call may use {wanted}"
            ),
        ),
        Empty::Money { limit, spent, wanted } => (
            "item_cost",
            format!(
                "the item may cost {} (--max-item-cost), {} are spent, and the next call may cost {}",
                dollars(limit),
                dollars(spent),
                dollars(wanted)
            ),
        ),
    };
    LlmError { kind: LlmErrorKind::Limit, code: code.into(), message, extra: Vec::new() }
}

/// What a plugin is told of a provider's error.
pub(super) fn for_plugin(error: ProviderError) -> LlmError {
    let kind = match error.class {
        ErrorClass::RateLimited
        | ErrorClass::Overloaded
        | ErrorClass::Timeout
        | ErrorClass::Connection
        | ErrorClass::ServerError
        | ErrorClass::Garbage => LlmErrorKind::Transient,
        ErrorClass::ContextOverflow | ErrorClass::MaxOutputTooLarge | ErrorClass::RequestTooLarge => {
            LlmErrorKind::TooLarge
        }
        ErrorClass::BadRequest => LlmErrorKind::Rejected,
        ErrorClass::Refused => LlmErrorKind::Refused,
        ErrorClass::Authentication | ErrorClass::Permission | ErrorClass::QuotaExhausted | ErrorClass::ModelUnknown => {
            LlmErrorKind::Denied
        }
    };
    let class = Pair { name: "class".into(), value: format!("\"{}\"", error.class) };
    let number = |name: &str, value: Option<u64>| Some(Pair { name: name.into(), value: value?.to_string() });
    let numbers = [number("tokens", error.overflow.input), number("limit", error.overflow.limit)];
    let extra = std::iter::once(class).chain(numbers.into_iter().flatten()).collect();
    LlmError { kind, code: error.code, message: error.message, extra }
}
