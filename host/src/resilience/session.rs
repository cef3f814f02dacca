//! The world of models as one attempt of one item sees it, with the journal in front: what was answered before is answered again from
//! the store, by what was asked and how often, not by when.

use super::ledger::CallKey;
use super::purse::{Amount, Spending, dollars};
use super::retry::Retried;
use super::route::LiveRoute;
use super::stack::Stack;
use super::{HaltReason, context, hash};
use crate::domain::{
    CallEnd, Completion, Cut, ErrorClass, Event, ItemId, ItemSeq, Llm, LlmError, LlmErrorKind, Pair, Request,
    Suspended, TokenCount,
};
use crate::provider::ProviderError;
use crate::store::{AttemptId, ToldEntry, ToldFact};
use async_trait::async_trait;
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a session starts with.
pub struct SessionStart {
    pub item: ItemId,
    pub seq: ItemSeq,
    pub attempt: AttemptId,
    /// What was answered to earlier executions of this attempt: request hash and occurrence.
    pub answers: HashMap<([u8; 32], u32), Completion>,
    /// The roles that the plugin named.
    pub roles: Arc<[String]>,
    /// What earlier executions of it were told of sizes.
    pub told: Told,
    /// Questions that the attempt may ask; answers from the journal count too, so that a replay ends where the first run did.
    pub calls_max: u64,
    /// What the attempt may use, answers from the journal included.
    pub spending: Spending,
}

/// What an attempt was told of sizes, by request hash and occurrence. It is told the same again.
#[derive(Debug, Default)]
pub struct Told {
    counts: HashMap<([u8; 32], u32), TokenCount>,
    too_large: HashMap<([u8; 32], u32), LlmError>,
}

impl Told {
    pub fn new(entries: Vec<ToldEntry>) -> Self {
        let mut told = Self::default();
        for ToldEntry { hash, occurrence, fact } in entries {
            match fact {
                ToldFact::Count(count) => drop(told.counts.insert((hash, occurrence), count)),
                ToldFact::TooLarge(error) => drop(told.too_large.insert((hash, occurrence), error)),
            }
        }
        told
    }
}

/// One attempt's way to the models.
pub struct ItemSession {
    stack: Arc<Stack>,
    start: SessionStart,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    occurrences: HashMap<[u8; 32], u32>,
    asked: u64,
    reused: u64,
    /// Requests that were shortened, those of answers from the journal among them.
    cut: u64,
    /// How often the same was counted.
    counted: HashMap<[u8; 32], u32>,
    used: Amount,
    /// By questions that are on their way.
    aside: Amount,
}

/// A question with its place in the attempt.
struct Question {
    request: Arc<Request>,
    hash: [u8; 32],
    occurrence: u32,
}

impl ItemSession {
    pub fn new(stack: Arc<Stack>, start: SessionStart) -> Self {
        Self { stack, start, state: Mutex::default() }
    }

    /// Paid answers of earlier executions that this one did not ask for again.
    pub fn answers_not_reused(&self) -> u64 {
        let reused = self.state.lock().unwrap_or_else(PoisonError::into_inner).reused;
        (self.start.answers.len() as u64).saturating_sub(reused)
    }

    /// Requests that were shortened to fit their model, those of answers from the journal among them.
    pub fn requests_cut(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).cut
    }

    fn route(&self, request: &Request) -> Result<&Arc<LiveRoute>, LlmError> {
        if !self.start.roles.contains(&request.role) {
            return Err(denied(
                "unknown_role",
                format!("the plugin asks for the model role `{}`, which its manifest does not name", request.role),
            ));
        }
        let live = self.stack.routes.of_role(&request.role).ok_or_else(|| {
            denied("no_model", "no model is bound to this run: start it with --provider and --model".to_owned())
        })?;
        if let Some(field) = request.extra.iter().find(|field| !live.route.allows(&field.name)) {
            return Err(denied(
                "field_not_allowed",
                format!(
                    "the provider's own field `{}` is not allowed by the operator (extra_allow of route `{}`)",
                    field.name, live.route.name
                ),
            ));
        }
        Ok(live)
    }

    /// Gives a question its occurrence, in the order in which they are asked.
    fn question(&self, request: Request) -> Result<Question, LlmError> {
        let hash = self.hash(&request);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.asked >= self.start.calls_max {
            return Err(LlmError {
                kind: LlmErrorKind::Limit,
                code: "too_many_calls".into(),
                message: format!("an item may ask {} times (--max-item-calls)", self.start.calls_max),
                extra: Vec::new(),
            });
        }
        state.asked += 1;
        let next = state.occurrences.entry(hash).or_default();
        let occurrence = *next;
        *next += 1;
        Ok(Question { request: Arc::new(request), hash, occurrence })
    }

    async fn answer(&self, route: &Arc<LiveRoute>, question: Question) -> Result<Completion, CallEnd> {
        let key = (question.hash, question.occurrence);
        if let Some(error) = self.start.told.too_large.get(&key) {
            return Err(error.clone().into());
        }
        let end = self.answer_anew(route, question).await;
        match &end {
            Ok(completion) => self.tell_of_cut(completion),
            Err(CallEnd::Error(error)) if error.kind == LlmErrorKind::TooLarge => {
                self.record(key, ToldFact::TooLarge(error.clone())).await?;
            }
            Err(_) => {}
        }
        end
    }

    fn tell_of_cut(&self, completion: &Completion) {
        let Some(Cut { tokens_before, tokens_after, .. }) = completion.cut else { return };
        self.state.lock().unwrap_or_else(PoisonError::into_inner).cut += 1;
        self.stack.events.emit(Event::RequestCut { item: self.start.item.clone(), tokens_before, tokens_after });
    }

    /// Before the guest sees it: it follows from what this run has learned, which a replay has not, and the guest goes on by it.
    async fn record(&self, (hash, occurrence): ([u8; 32], u32), fact: ToldFact) -> Result<(), Suspended> {
        let SessionStart { seq, attempt, .. } = self.start;
        let written = self.stack.store.record_told(seq, attempt, ToldEntry { hash, occurrence, fact }).await;
        written.map_err(|error| {
            self.stack.halt.throw(HaltReason::from(&error));
            Suspended
        })
    }

    /// What a count is found again by.
    fn counting(&self, request: &Request) -> ([u8; 32], u32) {
        let hash = self.hash(request);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.counted.entry(hash).or_default();
        let occurrence = *next;
        *next += 1;
        (hash, occurrence)
    }

    fn hash(&self, request: &Request) -> [u8; 32] {
        let model = self.stack.routes.model_of_role(&request.role).unwrap_or_default();
        hash::request_hash(model, request)
    }

    async fn answer_anew(&self, route: &Arc<LiveRoute>, mut question: Question) -> Result<Completion, CallEnd> {
        if let Some(completion) = self.start.answers.get(&(question.hash, question.occurrence)) {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).reused += 1;
            self.spend(route, completion);
            self.stack.events.emit(Event::CallReused { item: self.start.item.clone() });
            return Ok(completion.clone());
        }
        if self.stack.halt.is_thrown() {
            return Err(CallEnd::Suspended);
        }
        let aside = self.set_aside(route, &mut question)?;
        let result = self.dispatch(Arc::clone(route), question).await;
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.aside = state.aside.minus(aside);
        }
        match result {
            Some(Retried::Answered(completion)) => {
                self.spend(route, &completion);
                Ok(completion)
            }
            Some(Retried::Failed(error)) => Err(CallEnd::Error(for_plugin(error))),
            // A task that was aborted, like a run that was halted, leaves the item pending.
            Some(Retried::Halted) | None => Err(CallEnd::Suspended),
            // The last route in a row of fallbacks waits for its breaker.
            Some(Retried::Open) => Err(denied("no_route", "no route is left to ask".to_owned()).into()),
        }
    }

    /// What the item has used up, whoever answered.
    fn spend(&self, route: &LiveRoute, completion: &Completion) {
        let usage = &completion.usage;
        let used = Amount {
            micro_dollars: route.route.prices.map_or(0, |(prices, _)| prices.of(usage)),
            tokens: usage.input_tokens.saturating_add(usage.output_tokens),
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.used = state.used.plus(used);
    }

    /// Sets aside what the question may take, if that is left for the item.
    fn set_aside(&self, route: &LiveRoute, question: &mut Question) -> Result<Amount, LlmError> {
        let Spending { micro_dollars_max, tokens_max } = self.start.spending;
        if micro_dollars_max.is_none() && tokens_max.is_none() {
            return Ok(Amount::default());
        }
        // What is set aside must be all that it can take.
        let request = Arc::make_mut(&mut question.request);
        let output = u64::from(*request.max_output_tokens.get_or_insert(super::OUTPUT_TOKENS_ASSUMED));
        let input = context::estimate(&question.request);
        let micro_dollars = route.route.prices.map_or(0, |(prices, _)| prices.at_most(input, output));
        let amount = Amount { micro_dollars, tokens: input.saturating_add(output) };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.used.plus(state.aside).plus(amount);
        let (code, message) = if tokens_max.is_some_and(|most| next.tokens > most) {
            ("item_tokens", format!("the item may use {} tokens (--max-item-tokens)", tokens_max.unwrap_or(0)))
        } else if micro_dollars_max.is_some_and(|most| next.micro_dollars > most) {
            ("item_cost", format!("the item may cost {} (--max-item-cost)", dollars(micro_dollars_max.unwrap_or(0))))
        } else {
            state.aside = state.aside.plus(amount);
            return Ok(amount);
        };
        Err(LlmError { kind: LlmErrorKind::Limit, code: code.into(), message, extra: Vec::new() })
    }

    /// As a task of its own, so that a guest's end does not end a call under way.
    async fn dispatch(&self, route: Arc<LiveRoute>, question: Question) -> Option<Retried<Completion>> {
        let key = CallKey {
            item: self.start.seq,
            attempt: self.start.attempt,
            hash: question.hash,
            occurrence: question.occurrence,
        };
        let (stack, item) = (Arc::clone(&self.stack), self.start.item.clone());
        let call = async move { stack.call(route, &item, key, question.request).await };
        self.stack.tasks.spawn_on(call, &self.stack.runtime).await.ok()
    }
}

#[async_trait]
impl Llm for ItemSession {
    async fn complete(&self, request: Request) -> Result<Completion, CallEnd> {
        let route = self.route(&request)?;
        let question = self.question(request)?;
        self.answer(route, question).await
    }

    async fn complete_many(&self, requests: Vec<Request>) -> Result<Vec<Result<Completion, LlmError>>, CallEnd> {
        let questions = requests
            .into_iter()
            .map(|request| {
                let route = self.route(&request)?;
                Ok((route, self.question(request)?))
            })
            .collect::<Result<Vec<_>, LlmError>>()?;
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
        let route = self.route(&request)?;
        let key = self.counting(&request);
        if let Some(count) = self.start.told.counts.get(&key) {
            return Ok(*count);
        }
        let window = self.stack.window(route).await.beside(self.stack.output_wanted(route, &request));
        let model = route.route.model.clone();
        let count =
            self.stack.runtime.spawn(context::count(model, route.route.counting, Arc::new(request), Some(window)));
        let count =
            count.await.map_err(|error| denied("cannot_count", format!("the request cannot be counted: {error}")))?;
        self.record(key, ToldFact::Count(count)).await?;
        Ok(count)
    }
}

fn denied(code: &str, message: String) -> LlmError {
    LlmError { kind: LlmErrorKind::Denied, code: code.into(), message, extra: Vec::new() }
}

/// What a plugin is told of a provider's error.
fn for_plugin(error: ProviderError) -> LlmError {
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
