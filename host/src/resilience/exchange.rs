//! One try of a call: through the gate, money set aside, into the books, over the wire, and its answer looked at.

use super::context::{self, Sent};
use super::extras::Extras;
use super::gate::{Admission, Ask, BreakerState, Load, Permit};
use super::ledger::{CallKey, Exchanged, Ledger};
use super::probes::{self, About, Probes};
use super::purse::{Amount, Empty, Purse, Reservation};
use super::retry::{Failed, Try};
use super::route::LiveRoute;
use super::{HaltReason, OUTPUT_TOKENS_ASSUMED, Stack, structure};
use crate::domain::{Completion, Cut, ErrorClass, ItemId, Request, Usage};
use crate::provider::{Call, ProviderError};
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A question, wherever it is put.
pub(super) struct Question {
    pub(super) item: ItemId,
    pub(super) key: CallKey,
    pub(super) request: Arc<Request>,
    /// What it needs leave for, wherever it goes.
    pub(super) extras: Extras,
    /// What the item may use up.
    pub(super) purse: Arc<Purse>,
}

/// What all tries of a call on one route have in common.
pub(super) struct CallOnRoute<'a> {
    pub(super) stack: &'a Stack,
    pub(super) live: &'a LiveRoute,
    pub(super) question: &'a Question,
    /// As it fits the route.
    pub(super) request: Arc<Request>,
    /// Whether another route would take the call while this one is open.
    pub(super) elsewhere: Ask<'a>,
    pub(super) probes: &'a Mutex<Probes>,
    /// How the request was shortened.
    pub(super) cut: Option<Cut>,
    /// HTTP attempts so far that the question took, wherever and in whatever form it was sent.
    pub(super) sent: &'a AtomicU32,
    /// Those of them that were answered, though not with what was wanted.
    pub(super) answered: &'a AtomicU32,
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
        let call = self.call();
        let (load, amount) = self.sizes(&call).await;
        // The item's first: who holds its share waits for no other call of the item.
        let own = self.set_aside(&self.question.purse, amount).await?.map_err(Failed::ItemLimit)?;
        match self.exchange(&call, load, amount).await {
            Ok((permit, exchanged)) => {
                own.settle(exchanged.used);
                self.end(permit, exchanged).await
            }
            Err(failed) => {
                own.release();
                Err(failed)
            }
        }
    }
}

impl CallOnRoute<'_> {
    async fn exchange(&self, call: &Call, load: Load, amount: Amount) -> Result<(Permit, Exchanged), Failed> {
        let permit = match self.live.gate.admit(load, self.elsewhere).await {
            Admission::Granted(permit) => permit,
            Admission::Open => return Err(Failed::Open),
            Admission::Halted => return Err(Failed::Halted),
        };
        self.stack.count_call()?;
        let reservation = self.set_aside(&self.stack.purse, amount).await?.map_err(|empty| {
            self.stack.halt.throw(HaltReason::Budget { message: empty.to_string() });
            Failed::Halted
        })?;
        let ledger = Ledger {
            stack: self.stack,
            route: &self.live.route,
            item: &self.question.item,
            key: self.question.key,
            call,
            cut: self.cut.as_ref(),
        };
        let try_number = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        let exchanged = ledger.exchange(try_number, amount).await.ok_or(Failed::Halted)?;
        reservation.settle(exchanged.used);
        Ok((permit, exchanged))
    }

    fn call(&self) -> Call {
        let mut request = Arc::clone(&self.request);
        if self.is_limited() && request.max_output_tokens.is_none() {
            // What is set aside must be all that it can cost.
            Arc::make_mut(&mut request).max_output_tokens = Some(OUTPUT_TOKENS_ASSUMED);
        }
        Call {
            model: self.live.route.model.clone(),
            request,
            parameters: Arc::clone(&self.live.route.parameters),
            identity: self.identity(),
        }
    }

    fn is_limited(&self) -> bool {
        self.stack.purse.has_limits() || self.question.purse.has_limits()
    }

    /// The same for each try until one is answered: whoever got a useless answer wants another, not the same again.
    fn identity(&self) -> [u8; 32] {
        let CallKey { number, hash, occurrence, .. } = self.question.key;
        let mut digest = Sha256::new();
        for text in [self.stack.job(), self.question.item.as_str()] {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        }
        let answered = self.answered.load(Ordering::Relaxed);
        for part in [number.0, occurrence, answered] {
            digest.update(part.to_le_bytes());
        }
        digest.chain_update(hash).finalize().into()
    }

    /// About how many tokens the call takes, and the most that it may take where that is limited.
    async fn sizes(&self, call: &Call) -> (Load, Amount) {
        let route = &self.live.route;
        // What cannot be encoded is told by the exchange, and nothing leaves.
        let measure = route.provider.measure(call).unwrap_or_default();
        let assumed = u64::from(call.request.max_output_tokens.unwrap_or(OUTPUT_TOKENS_ASSUMED));
        let output = measure.output_tokens.unwrap_or_else(|| {
            // A bound that nobody can read bounds nothing.
            if self.is_limited() { assumed.max(route.set.or(route.listed).max_output.unwrap_or(0)) } else { assumed }
        });
        let estimate = context::estimate(&call.request);
        let input = if self.is_limited() {
            let sent = Sent {
                request: Arc::clone(&call.request),
                model: route.model.clone(),
                counting: route.counting,
                window: self.live.window.known().context,
                body_bytes: measure.body_bytes,
            };
            Box::pin(context::at_most(sent)).await
        } else {
            estimate
        };
        let micro_dollars = route.prices.map_or(0, |(prices, _)| prices.at_most(input, output));
        (Load { input: estimate, output }, Amount { micro_dollars, tokens: input.saturating_add(output) })
    }

    async fn set_aside(&self, purse: &Arc<Purse>, amount: Amount) -> Result<Result<Reservation, Empty>, Failed> {
        if let Some(reserved) = purse.reserve_now(amount) {
            return Ok(reserved);
        }
        let waits = async {
            tokio::select! {
                reserved = purse.reserve(amount) => Ok(reserved),
                () = self.stack.halt.thrown() => Err(Failed::Halted),
            }
        };
        Box::pin(waits).await
    }

    async fn end(&self, permit: Permit, exchanged: Exchanged) -> Result<Reply, Failed> {
        let was_probe = permit.is_probe();
        match exchanged.result {
            Ok(answer) => {
                permit.settle(Ok((&answer.completion, &answer.limits)), About::Either).await;
                self.stack.answered();
                Ok(Reply::Answer(answer.completion))
            }
            Err(failure) => {
                let about = {
                    let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
                    probes.failed(&failure.error, was_probe, self.live.gate.answered())
                };
                permit.settle(Err(&failure.error), about).await;
                if failure.error.status.is_some() || failure.wrong.is_some() {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                }
                if let Some(wrong) = failure.wrong {
                    // It did answer: asking again is another question.
                    return Ok(Reply::Wrong(Box::new(failure.error), wrong));
                }
                // Nor does the failure cost an attempt that opened the breaker, or came when it was open: while the provider is
                // away nothing fails.
                let is_away = probes::may_be_the_providers(failure.error.class)
                    && self.live.gate.status().breaker != BreakerState::Closed;
                let is_free = about == About::Provider || (about == About::Either && is_away);
                Err(Failed::Provider { error: failure.error, is_free })
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
