//! `llm`: hands requests to the host's side and answers back, with the item's wall clock stopped meanwhile.

use crate::domain::{CallEnd, Llm, LlmError, LlmErrorKind};
use crate::sandbox::bindings::v0_1::sandmill::plugin::llm::{Error, Host, Request, Response, TokenCount};
use crate::sandbox::convert::{completion_to_wit, error_to_wit, request_from_wit, token_count_to_wit};
use crate::sandbox::state::GuestState;
use crate::sandbox::time::WallTime;
use crate::sandbox::trap::SuspendGuest;
use std::sync::Arc;

impl Host for GuestState {
    async fn complete(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        let request = match request_from_wit(request, &self.blobs) {
            Ok(request) => request,
            Err(error) => return Ok(Err(error_to_wit(error))),
        };
        let (llm, _waiting) = self.begin_wait();
        to_guest(llm.complete(request).await.map(completion_to_wit))
    }

    async fn complete_many(
        &mut self,
        requests: Vec<Request>,
    ) -> wasmtime::Result<Result<Vec<Result<Response, Error>>, Error>> {
        if requests.len() > self.limits.many_requests {
            return Ok(Err(error_to_wit(too_many(requests.len(), self.limits.many_requests))));
        }
        let requests: Result<Vec<_>, _> =
            requests.into_iter().map(|request| request_from_wit(request, &self.blobs)).collect();
        let requests = match requests {
            Ok(requests) => requests,
            Err(error) => return Ok(Err(error_to_wit(error))),
        };
        let (llm, _waiting) = self.begin_wait();
        to_guest(llm.complete_many(requests).await.map(|answers| {
            answers.into_iter().map(|answer| answer.map(completion_to_wit).map_err(error_to_wit)).collect()
        }))
    }

    async fn count_tokens(&mut self, request: Request) -> wasmtime::Result<Result<TokenCount, Error>> {
        let request = match request_from_wit(request, &self.blobs) {
            Ok(request) => request,
            Err(error) => return Ok(Err(error_to_wit(error))),
        };
        let (llm, _waiting) = self.begin_wait();
        to_guest(llm.count_tokens(request).await.map(token_count_to_wit))
    }
}

impl GuestState {
    fn begin_wait(&self) -> (Arc<dyn Llm>, Waiting) {
        self.wall.wait_begins();
        (Arc::clone(&self.llm), Waiting(Arc::clone(&self.wall)))
    }
}

/// Stops the wall clock until it is dropped.
struct Waiting(Arc<WallTime>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.wait_ends();
    }
}

/// A suspension is no error that a guest could catch: it ends the guest.
fn to_guest<T>(result: Result<T, CallEnd>) -> wasmtime::Result<Result<T, Error>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(CallEnd::Error(error)) => Ok(Err(error_to_wit(error))),
        Err(CallEnd::Suspended) => Err(wasmtime::Error::from(SuspendGuest)),
    }
}

fn too_many(asked: usize, allowed: usize) -> LlmError {
    LlmError {
        kind: LlmErrorKind::Limit,
        code: "too_many_requests_at_once".into(),
        message: format!("{asked} requests at once, and {allowed} are allowed: ask in groups"),
        extra: Vec::new(),
    }
}
