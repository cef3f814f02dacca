//! One try of a call: through the gate, money set aside, into the books, over the wire, and its answer looked at.

use super::gate::{Admission, Permit};
use super::ledger::{CallKey, Exchanged, Ledger};
use super::purse::Amount;
use super::retry::{Failed, Try};
use super::route::LiveRoute;
use super::{HaltReason, Stack, structure};
use crate::domain::{Completion, Cut, ErrorClass, ItemId, Request, Usage};
use crate::provider::{Call, ProviderError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What all tries of a call on one route have in common.
pub(super) struct CallOnRoute<'a> {
    pub(super) stack: &'a Stack,
    pub(super) live: &'a LiveRoute,
    pub(super) item: &'a ItemId,
    pub(super) key: CallKey,
    pub(super) request: Arc<Request>,
    /// About how many tokens the request has.
    pub(super) input_tokens: u64,
    /// Waits for an open breaker, rather than leave it to another route.
    pub(super) waits: bool,
    /// How the request was shortened.
    pub(super) cut: Option<Cut>,
    /// HTTP attempts so far that the question took, in whatever form it was sent.
    pub(super) tries: &'a AtomicU32,
}

/// What the provider said.
pub(super) enum Reply {
    Answer(Completion),
    /// Something, and not what had been asked for.
    Wrong(Box<ProviderError>, structure::Wrong),
}

impl Try for CallOnRoute<'_> {
    type Answer = Reply;

    async fn attempt(&self, _try_number: u32) -> Result<Reply, Failed> {
        let request = self.request();
        let output_tokens = u64::from(request.max_output_tokens.unwrap_or(super::OUTPUT_TOKENS_ASSUMED));
        let tokens = self.input_tokens.saturating_add(output_tokens);
        let permit = match self.live.gate.admit(tokens, self.waits).await {
            Admission::Granted(permit) => permit,
            Admission::Open => return Err(Failed::Open),
            Admission::Halted => return Err(Failed::Halted),
        };
        self.stack.count_call()?;
        let reservation = self.reserve(tokens, output_tokens).await?;
        let call =
            Call { model: self.live.route.model.clone(), request, parameters: Arc::clone(&self.live.route.parameters) };
        let ledger = Ledger {
            stack: self.stack,
            route: &self.live.route,
            item: self.item,
            key: self.key,
            call: &call,
            cut: self.cut.as_ref(),
        };
        let try_number = self.tries.fetch_add(1, Ordering::Relaxed) + 1;
        let exchanged = ledger.exchange(try_number, reservation.amount()).await.ok_or(Failed::Halted)?;
        reservation.settle(exchanged.used);
        self.end(permit, exchanged).await
    }
}

impl CallOnRoute<'_> {
    fn request(&self) -> Arc<Request> {
        let mut request = Arc::clone(&self.request);
        if self.stack.purse.has_limits() && request.max_output_tokens.is_none() {
            // What is set aside must be all that it can cost.
            Arc::make_mut(&mut request).max_output_tokens = Some(super::OUTPUT_TOKENS_ASSUMED);
        }
        request
    }

    async fn reserve(&self, tokens: u64, output_tokens: u64) -> Result<super::purse::Reservation, Failed> {
        let prices = self.live.route.prices.map(|(prices, _)| prices);
        let micro_dollars = prices.map_or(0, |prices| prices.at_most(self.input_tokens, output_tokens));
        let reserved = tokio::select! {
            reserved = self.stack.purse.reserve(Amount { micro_dollars, tokens }) => reserved,
            () = self.stack.halt.thrown() => return Err(Failed::Halted),
        };
        reserved.map_err(|empty| {
            self.stack.halt.throw(HaltReason::Budget { message: empty.to_string() });
            Failed::Halted
        })
    }

    async fn end(&self, permit: Permit, exchanged: Exchanged) -> Result<Reply, Failed> {
        let was_probe = permit.is_probe();
        match exchanged.result {
            Ok(answer) => {
                permit.settle(Ok((&answer.completion, &answer.limits))).await;
                self.stack.answered();
                Ok(Reply::Answer(answer.completion))
            }
            Err(failure) => {
                permit.settle(Err(&failure.error)).await;
                match failure.wrong {
                    // It did answer: asking again is another question.
                    Some(wrong) => Ok(Reply::Wrong(Box::new(failure.error), wrong)),
                    None => Err(Failed::Provider { error: failure.error, was_probe }),
                }
            }
        }
    }
}

/// What a call without an answer may have cost: nothing if the provider refused it, all that was set aside if the answer
/// was lost on the way.
pub(super) fn billed(error: &ProviderError, usage: Option<&Usage>) -> Billed {
    if usage.is_some() {
        return Billed::AsUsed;
    }
    match error.class {
        // A request that never left costs nothing.
        ErrorClass::Connection if error.code == "connect_failed" => Billed::Nothing,
        ErrorClass::Timeout | ErrorClass::Garbage | ErrorClass::Connection => Billed::Unknown,
        ErrorClass::RateLimited
        | ErrorClass::Overloaded
        | ErrorClass::ServerError
        | ErrorClass::ContextOverflow
        | ErrorClass::MaxOutputTooLarge
        | ErrorClass::RequestTooLarge
        | ErrorClass::BadRequest
        | ErrorClass::Refused
        | ErrorClass::Authentication
        | ErrorClass::Permission
        | ErrorClass::QuotaExhausted
        | ErrorClass::ModelUnknown => Billed::Nothing,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Billed {
    Nothing,
    AsUsed,
    Unknown,
}
