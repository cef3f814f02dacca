//! The books: one row an HTTP attempt, its intent committed right before the bytes leave, then how it ended.
//!
//! It stands innermost, after every wait, so that a call without an end is one that really was on its way.

use super::{HaltReason, Route, Stack, structure};
use crate::domain::{Completion, ErrorClass, Event, ItemId, ItemSeq};
use crate::provider::{Answer, Call, ProviderError};
use crate::store::{self, AttemptId, CallId};

/// Which question of which attempt a call answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallKey {
    pub(super) item: ItemSeq,
    pub(super) attempt: AttemptId,
    pub(super) hash: [u8; 32],
    pub(super) occurrence: u32,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    Provider(ProviderError),
    /// The run stops.
    Halted,
}

pub(super) struct Ledger<'a> {
    pub(super) stack: &'a Stack,
    pub(super) route: &'a Route,
    pub(super) item: &'a ItemId,
    pub(super) key: CallKey,
    pub(super) call: &'a Call,
}

impl Ledger<'_> {
    /// Intent, exchange, end. When this returns an answer, it is on disk.
    pub(super) async fn exchange(&self, try_number: u32) -> Result<Completion, Failed> {
        let id = self.intend(try_number).await?;
        let outcome = self.ask().await;
        self.close(id, &outcome).await?;
        match outcome {
            Ok(answer) => {
                self.stack.events.emit(Event::CallAnswered {
                    item: self.item.clone(),
                    input_tokens: answer.completion.usage.input_tokens,
                    output_tokens: answer.completion.usage.output_tokens,
                });
                Ok(answer.completion)
            }
            Err(error) => {
                self.stack.events.emit(Event::CallFailed { item: self.item.clone(), class: error.class });
                Err(Failed::Provider(error))
            }
        }
    }

    async fn ask(&self) -> Result<Answer, ProviderError> {
        let answer = tokio::time::timeout(self.route.timeout, self.route.provider.complete(self.call))
            .await
            .unwrap_or_else(|_| Err(self.timed_out()))?;
        structure::check(&self.call.request, &answer.completion)?;
        Ok(answer)
    }

    fn timed_out(&self) -> ProviderError {
        ProviderError::new(
            ErrorClass::Timeout,
            format!("no answer within {} (--timeout)", humantime::format_duration(self.route.timeout)),
        )
    }

    async fn intend(&self, try_number: u32) -> Result<CallId, Failed> {
        let CallKey { item, attempt, hash, occurrence } = self.key;
        self.stack
            .store
            .call_intent(store::NewCall {
                item,
                attempt,
                hash,
                occurrence,
                try_number,
                route: self.route.name.clone(),
                intent_ms: self.stack.clock.unix_ms(),
            })
            .await
            .map_err(|error| self.store_failed(&error))
    }

    async fn close(&self, id: CallId, outcome: &Result<Answer, ProviderError>) -> Result<(), Failed> {
        let end = match outcome {
            Ok(answer) => store::CallOutcome::Answered {
                completion: answer.completion.clone(),
                request_id: answer.request_id.clone(),
            },
            Err(error) => store::CallOutcome::Failed {
                class: error.class,
                code: error.code.clone(),
                message: error.message.clone(),
                status: error.status,
                request_id: error.request_id.clone(),
                body: error.body.clone(),
            },
        };
        let ended_ms = self.stack.clock.unix_ms();
        self.stack.store.call_end(id, ended_ms, end).await.map_err(|error| self.store_failed(&error))
    }

    fn store_failed(&self, error: &store::StoreError) -> Failed {
        self.stack.halt.throw(HaltReason::Store { message: error.to_string() });
        Failed::Halted
    }
}
