//! Calls that outlive the guest that asked: it gave its instance back meanwhile, and is run again once they have ended.

use super::desk::denied;
use super::retry::Retried;
use super::session::{QuestionKey, for_plugin, item_limit};
use crate::domain::{CallEnd, Completion, LlmError};
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a guest waits for an answer with its instance kept.
#[async_trait]
pub trait Patience: Send + Sync {
    /// Returns when it shall give the instance back.
    async fn runs_out(&self);
}

type Call = JoinHandle<Retried<Completion>>;

/// Of one session.
#[derive(Default)]
pub(super) struct Parked {
    calls: Mutex<Vec<(QuestionKey, Call)>>,
    /// The guest goes: all that it waits for is parked, though one wait alone was too long.
    goes: CancellationToken,
}

impl Parked {
    /// The call's end, or nothing: it is parked, and the guest goes.
    pub(super) async fn wait(
        &self,
        key: QuestionKey,
        mut call: Call,
        patience: &dyn Patience,
    ) -> Option<Option<Retried<Completion>>> {
        tokio::select! {
            biased;
            ended = &mut call => return Some(ended.ok()),
            () = self.goes.cancelled() => {}
            () = patience.runs_out() => self.goes.cancel(),
        }
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push((key, call));
        None
    }

    pub(super) fn has_any(&self) -> bool {
        self.goes.is_cancelled()
    }

    /// Waits for all of them. What was answered stands in the journal; the errors are those that the guest is to be told.
    pub(super) async fn ended(&self) -> Result<HashMap<QuestionKey, LlmError>, CallEnd> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner));
        let mut errors = HashMap::new();
        for (key, call) in calls {
            match answer(call.await.ok()) {
                Ok(_) => {}
                Err(CallEnd::Error(error)) => drop(errors.insert(key, error)),
                Err(CallEnd::Suspended) => return Err(CallEnd::Suspended),
            }
        }
        Ok(errors)
    }
}

/// What the guest is told of a call; `None`: its task was aborted.
pub(super) fn answer(ended: Option<Retried<Completion>>) -> Result<Completion, CallEnd> {
    match ended {
        Some(Retried::Answered(completion)) => Ok(completion),
        Some(Retried::Failed(error)) => Err(CallEnd::Error(for_plugin(error))),
        Some(Retried::ItemLimit(empty)) => Err(item_limit(empty).into()),
        // A task that was aborted, like a run that was halted, leaves the item pending.
        Some(Retried::Halted) | None => Err(CallEnd::Suspended),
        // The way is looked for until there is one.
        Some(Retried::Open) => Err(denied("no_route", "no route is left to ask".to_owned()).into()),
    }
}
