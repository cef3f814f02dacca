//! The world of models as one attempt of one item sees it, with the journal in front: what was answered before is answered again from
//! the store, by what was asked and how often, not by when.

use super::ledger::CallKey;
use super::purse::{Amount, Spending, dollars};
use super::retry::Retried;
use super::route::LiveRoute;
use super::stack::Stack;
use super::{context, hash};
use crate::domain::{
    CallEnd, Completion, ErrorClass, Event, ItemId, ItemSeq, Llm, LlmError, LlmErrorKind, Pair, Request, TokenCount,
};
use crate::provider::ProviderError;
use crate::store::AttemptId;
use async_trait::async_trait;
use futures_util::future::join_all;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// What a session starts with.
pub struct SessionStart {
    pub item: ItemId,
    pub seq: ItemSeq,
    pub attempt: AttemptId,
    /// What was answered to earlier executions of this attempt: request hash and occurrence.
    pub answers: HashMap<([u8; 32], u32), Completion>,
    /// Questions that were sent by a process that died, and that shall not be asked again.
    pub not_again: HashSet<([u8; 32], u32)>,
    /// The roles that the plugin named.
    pub roles: Arc<[String]>,
    /// Questions that the attempt may ask; answers from the journal count too, so that a replay ends where the first run did.
    pub calls_max: u64,
    /// What the attempt may use, answers from the journal included.
    pub spending: Spending,
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
    truncated: u64,
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

    /// Answers so far that came from the journal, and that were given to a request that had been shortened.
    pub fn replayed_and_truncated(&self) -> (u64, u64) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.reused, state.truncated)
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
        let model = self.stack.routes.model_of_role(&request.role).unwrap_or_default();
        let hash = hash::request_hash(model, &request);
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

    async fn answer(&self, route: &Arc<LiveRoute>, mut question: Question) -> Result<Completion, CallEnd> {
        if let Some(completion) = self.start.answers.get(&(question.hash, question.occurrence)) {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).reused += 1;
            self.spend(route, completion);
            self.stack.events.emit(Event::CallReused { item: self.start.item.clone() });
            return Ok(completion.clone());
        }
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
        state.truncated += u64::from(completion.cut.is_some());
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

    async fn count_tokens(&self, request: Request) -> Result<TokenCount, LlmError> {
        let route = self.route(&request)?;
        let window = self.stack.window(route).await.context;
        let model = route.route.model.clone();
        let count =
            self.stack.runtime.spawn(context::count(model, route.route.counting, Arc::new(request), Some(window)));
        count.await.map_err(|error| denied("cannot_count", format!("the request cannot be counted: {error}")))
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
