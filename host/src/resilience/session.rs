//! The world of models as one attempt of one item sees it, with the journal in front: what was answered before is answered again from
//! the store, by what was asked and how often, not by when.

use super::extras::{Brought, Extras, Reserved};
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
    used: Amount,
    /// By questions that are on their way.
    aside: Amount,
    brought: Brought,
}

/// A question with its place in the attempt.
struct Question {
    request: Arc<Request>,
    hash: [u8; 32],
    occurrence: u32,
    extras: Extras,
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

    /// Where the request goes first, and what it needs leave for.
    fn route(&self, request: &Request) -> Result<(&Arc<LiveRoute>, Extras), LlmError> {
        if !self.start.roles.contains(&request.role) {
            return Err(denied(
                "unknown_role",
                format!("the plugin asks for the model role `{}`, which its manifest does not name", request.role),
            ));
        }
        let extras = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            Extras::of(request, &state.brought)
        };
        let extras = extras.map_err(|Reserved(path)| {
            denied("field_not_allowed", format!("the field `{path}` belongs to the host, and no plugin sets it"))
        })?;
        let routes = &self.stack.routes;
        let name = routes.name_of_role(&request.role).ok_or_else(no_model)?;
        match routes.named(name, |live| extras.refused_by(&live.route).is_none()) {
            Some(live) => Ok((live, extras)),
            None => Err(routes.refusal(name, &extras).map_or_else(no_model, not_allowed)),
        }
    }

    /// Gives a question its occurrence, in the order in which they are asked.
    fn question(&self, request: Request, extras: Extras) -> Result<Question, LlmError> {
        let hash = hash::request_hash(&self.stack.routes.asked_of_role(&request.role), &request);
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
        Ok(Question { request: Arc::new(request), hash, occurrence, extras })
    }

    async fn answer(&self, route: &Arc<LiveRoute>, mut question: Question) -> Result<Completion, CallEnd> {
        if let Some(completion) = self.start.answers.get(&(question.hash, question.occurrence)) {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).reused += 1;
            self.take(route, completion);
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
                self.take(route, &completion);
                Ok(completion)
            }
            Some(Retried::Failed(error)) => Err(CallEnd::Error(for_plugin(error))),
            // A task that was aborted, like a run that was halted, leaves the item pending.
            Some(Retried::Halted) | None => Err(CallEnd::Suspended),
            // The last route in a row of fallbacks waits for its breaker.
            Some(Retried::Open) => Err(denied("no_route", "no route is left to ask".to_owned()).into()),
        }
    }

    /// What the item has used up, whoever answered, and what it may send back.
    fn take(&self, route: &LiveRoute, completion: &Completion) {
        let usage = &completion.usage;
        let used = Amount {
            micro_dollars: route.route.prices.map_or(0, |(prices, _)| prices.of_answer(completion)),
            tokens: usage.input_tokens.saturating_add(usage.output_tokens),
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.used = state.used.plus(used);
        state.brought.take(completion);
    }

    /// Sets aside what the question may take, if that is left for the item.
    fn set_aside(&self, route: &LiveRoute, question: &mut Question) -> Result<Amount, LlmError> {
        let Spending { micro_dollars_max, tokens_max } = self.start.spending;
        if micro_dollars_max.is_none() && tokens_max.is_none() {
            return Ok(Amount::default());
        }
        // What is set aside must be all that it can take.
        let request = Arc::make_mut(&mut question.request);
        let asked = u64::from(*request.max_output_tokens.get_or_insert(super::OUTPUT_TOKENS_ASSUMED));
        let output = route.route.output_set().unwrap_or(asked);
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
        let call = async move { stack.call(route, &item, key, question.request, &question.extras).await };
        self.stack.tasks.spawn_on(call, &self.stack.runtime).await.ok()
    }
}

#[async_trait]
impl Llm for ItemSession {
    async fn complete(&self, request: Request) -> Result<Completion, CallEnd> {
        let (route, extras) = self.route(&request)?;
        let question = self.question(request, extras)?;
        self.answer(route, question).await
    }

    async fn complete_many(&self, requests: Vec<Request>) -> Result<Vec<Result<Completion, LlmError>>, CallEnd> {
        let questions = requests
            .into_iter()
            .map(|request| {
                let (route, extras) = self.route(&request)?;
                Ok((route, self.question(request, extras)?))
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
        let (route, _) = self.route(&request)?;
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

fn no_model() -> LlmError {
    denied("no_model", "no model is bound to this run: start it with --provider and --model".to_owned())
}

fn not_allowed((field, route): (&str, &str)) -> LlmError {
    denied(
        "field_not_allowed",
        format!("the provider's own field `{field}` is not allowed by the operator (extra_allow of route `{route}`)"),
    )
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
