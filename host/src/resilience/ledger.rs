//! The books: one row an HTTP attempt, its intent committed right before the bytes leave, then how it ended.
//!
//! It stands innermost, after every wait, so that a call without an end is one that really was on its way.

use super::exchange::{Billed, billed};
use super::purse::Amount;
use super::{HaltReason, Route, Stack, span, structure};
use crate::domain::{AttemptNumber, Cut, ErrorClass, Event, ItemId, ItemSeq, Tier, Usage};
use crate::failpoint;
use crate::provider::{Answer, Call, ProviderError};
use crate::store::{self, AttemptId, CallId};
use std::time::Duration;
use tracing::Instrument;

/// Which question of which attempt a call answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallKey {
    pub(super) item: ItemSeq,
    pub(super) attempt: AttemptId,
    /// The same for each execution of the attempt.
    pub(super) number: AttemptNumber,
    pub(super) hash: [u8; 32],
    pub(super) occurrence: u32,
}

/// What came of one HTTP attempt; it is on disk.
pub(super) struct Exchanged {
    pub(super) result: Result<Box<Answer>, Box<NoAnswer>>,
    /// What it cost, or may have cost.
    pub(super) used: Amount,
}

/// Why there is no answer.
pub(super) struct NoAnswer {
    pub(super) error: ProviderError,
    /// There was one, and it was not what had been asked for.
    pub(super) wrong: Option<structure::Wrong>,
    usage: Option<Usage>,
    served: Option<Tier>,
}

pub(super) struct Ledger<'a> {
    pub(super) stack: &'a Stack,
    pub(super) route: &'a Route,
    pub(super) item: &'a ItemId,
    pub(super) key: CallKey,
    pub(super) call: &'a Call,
    /// How the request was shortened: part of the answer, so that a replay tells it too.
    pub(super) cut: Option<&'a Cut>,
}

impl Ledger<'_> {
    /// Intent, exchange, end. `None`: the store no longer takes anything, and the run has been halted.
    pub(super) async fn exchange(&self, try_number: u32, reserved: Amount) -> Option<Exchanged> {
        let span = span::of_call(self.route, try_number);
        let exchanged = self.booked(try_number, reserved).instrument(span.clone()).await?;
        span::ended(&span, &exchanged, self.route.prices.is_some());
        Some(exchanged)
    }

    async fn booked(&self, try_number: u32, reserved: Amount) -> Option<Exchanged> {
        let id = self.intend(try_number, reserved).await?;
        failpoint::pass("call-intended");
        let began = self.stack.clock.monotonic();
        let result = self.ask().await;
        let took = self.stack.clock.monotonic().saturating_sub(began);
        failpoint::pass("call-arrived");
        let used = self.used(&result, reserved);
        self.close(id, &result, used).await?;
        failpoint::pass("call-committed");
        self.tell(&result, used, took);
        Some(Exchanged { result, used })
    }

    async fn ask(&self) -> Result<Box<Answer>, Box<NoAnswer>> {
        let plain = |error: ProviderError| Box::new(NoAnswer { error, wrong: None, usage: None, served: None });
        let answered = tokio::time::timeout(self.route.timeout, self.route.provider.complete(self.call)).await;
        let mut answer = Box::new(answered.unwrap_or_else(|_| Err(self.timed_out())).map_err(plain)?);
        match structure::check_elsewhere(&self.stack.schemas, &self.call.request, &answer.completion).await {
            Ok(()) => {
                answer.completion.cut = self.cut.cloned();
                Ok(answer)
            }
            Err((error, wrong)) => {
                let served = Tier::of_answer(&answer.completion);
                let usage = Some(answer.completion.usage);
                Err(Box::new(NoAnswer { error: *error, wrong: Some(wrong), usage, served }))
            }
        }
    }

    fn used(&self, result: &Result<Box<Answer>, Box<NoAnswer>>, reserved: Amount) -> Amount {
        let of_usage = |usage: &Usage, served: Option<Tier>| Amount {
            micro_dollars: self.route.prices.map_or(0, |(prices, _)| prices.of(usage, served)),
            tokens: usage.input_tokens.saturating_add(usage.output_tokens),
        };
        match result {
            Ok(answer) => of_usage(&answer.completion.usage, Tier::of_answer(&answer.completion)),
            Err(failure) => match (billed(&failure.error, failure.usage.as_ref()), &failure.usage) {
                (Billed::AsUsed, Some(usage)) => of_usage(usage, failure.served),
                (Billed::Unknown, _) => reserved,
                (Billed::Nothing | Billed::AsUsed, _) => Amount::default(),
            },
        }
    }

    fn cost(&self, used: Amount) -> Option<u64> {
        self.route.prices.map(|_| used.micro_dollars)
    }

    fn timed_out(&self) -> ProviderError {
        ProviderError::new(
            ErrorClass::Timeout,
            format!("no answer within {} (--timeout)", humantime::format_duration(self.route.timeout)),
        )
    }

    async fn intend(&self, try_number: u32, reserved: Amount) -> Option<CallId> {
        let CallKey { item, attempt, hash, occurrence, .. } = self.key;
        let intent = self.stack.store.call_intent(store::NewCall {
            item,
            attempt,
            hash,
            occurrence,
            try_number,
            route: self.route.name.clone(),
            model: self.route.model.clone(),
            price: self.route.prices.map(|(_, id)| id),
            reserved: reserved.micro_dollars,
            reserved_tokens: reserved.tokens,
            intent_ms: self.stack.clock.unix_ms(),
        });
        self.or_halt(intent.await)
    }

    async fn close(&self, id: CallId, result: &Result<Box<Answer>, Box<NoAnswer>>, used: Amount) -> Option<()> {
        let cost = self.cost(used);
        let end = match result {
            Ok(answer) => store::CallOutcome::Answered {
                completion: answer.completion.clone(),
                request_id: answer.request_id.clone(),
                cost,
            },
            Err(failure) => failed(failure, used, cost),
        };
        let ended_ms = self.stack.clock.unix_ms();
        self.or_halt(self.stack.store.call_end(id, ended_ms, end).await)
    }

    fn tell(&self, result: &Result<Box<Answer>, Box<NoAnswer>>, used: Amount, took: Duration) {
        let (item, route, cost) = (self.item.clone(), self.route.name.clone(), self.cost(used));
        self.stack.events.emit(match result {
            Ok(answer) => Event::CallAnswered {
                item,
                route,
                took,
                input_tokens: answer.completion.usage.input_tokens,
                output_tokens: answer.completion.usage.output_tokens,
                cost,
            },
            Err(failure) => Event::CallFailed { item, route, took, class: failure.error.class, cost },
        });
    }

    fn or_halt<T>(&self, result: Result<T, store::StoreError>) -> Option<T> {
        result.map_err(|error| self.stack.halt.throw(HaltReason::from(&error))).ok()
    }
}

/// For the books.
fn failed(failure: &NoAnswer, used: Amount, cost: Option<u64>) -> store::CallOutcome {
    let NoAnswer { error, usage, .. } = failure;
    store::CallOutcome::Failed {
        class: error.class,
        code: error.code.clone(),
        message: error.message.clone(),
        status: error.status,
        request_id: error.request_id.clone(),
        body: error.body.clone(),
        usage: usage.clone(),
        lost_tokens: match billed(error, usage.as_ref()) {
            Billed::Unknown => used.tokens,
            Billed::Nothing | Billed::AsUsed => 0,
        },
        cost,
    }
}
