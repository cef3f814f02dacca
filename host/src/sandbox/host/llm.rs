//! `llm`: hands requests to the host's side and answers back, with the item's wall clock stopped meanwhile.

use crate::domain::{CallEnd, Completion, Llm, LlmError, LlmErrorKind, Request as Asked};
use crate::heavy;
use crate::sandbox::bindings::v1_0::sandmill::plugin::llm::{Error, Host, Request, Response, TokenCount};
use crate::sandbox::convert::{completion_to_wit, error_to_wit, request_from_wit, token_count_to_wit};
use crate::sandbox::limits::Exceeded;
use crate::sandbox::state::GuestState;
use crate::sandbox::time::{HostWork, WallTime};
use crate::sandbox::trap;
use crate::sandbox::weight;
use std::sync::Arc;

/// The code of a refusal of more requests than are allowed in one call.
pub(in crate::sandbox) const TOO_MANY_AT_ONCE: &str = "too_many_requests_at_once";

/// Messages, parts, tools and properties that a guest hands over in one call.
const PIECES_MAX: usize = 50_000;

impl Host for GuestState {
    async fn complete(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        self.check_calls()?;
        self.call_begins("llm.complete", std::slice::from_ref(&request));
        let answer = self.ask(request).await?;
        self.call_ends();
        Ok(answer)
    }

    async fn complete_many(
        &mut self,
        requests: Vec<Request>,
    ) -> wasmtime::Result<Result<Vec<Result<Response, Error>>, Error>> {
        self.check_calls()?;
        self.call_begins("llm.complete-many", &requests);
        let answers = self.ask_many(requests).await?;
        self.call_ends();
        Ok(answers)
    }

    async fn count_tokens(&mut self, request: Request) -> wasmtime::Result<Result<TokenCount, Error>> {
        self.check_calls()?;
        self.call_begins("llm.count-tokens", &[]);
        let count = self.count(request).await?;
        self.call_ends();
        Ok(count)
    }
}

impl GuestState {
    fn call_begins(&mut self, function: &'static str, requests: &[Request]) {
        let roles = requests.iter().map(|request| request.role.as_str());
        self.calls.begin(function, roles, self.wall.elapsed());
    }

    fn call_ends(&mut self) {
        self.calls.end(self.wall.elapsed());
    }

    async fn ask(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        let request = match self.take(vec![request]).await {
            Ok(mut requests) => requests.remove(0),
            Err(error) => return Ok(Err(error_to_wit(error))),
        };
        let (llm, _waiting) = self.begin_wait();
        let answer = HostWork::new(llm.complete(request), &self.cpu).await;
        if let Ok(completion) = &answer {
            self.check_transfer(completion.bytes())?;
        }
        self.handed_over(answer.map(completion_to_wit))
    }

    async fn ask_many(
        &mut self,
        requests: Vec<Request>,
    ) -> wasmtime::Result<Result<Vec<Result<Response, Error>>, Error>> {
        if requests.len() > self.limits.requests {
            let refused = too_many(requests.len(), self.limits.requests);
            return self.handed_over(Err(refused.into()));
        }
        let requests = match self.take(requests).await {
            Ok(requests) => requests,
            Err(error) => return Ok(Err(error_to_wit(error))),
        };
        let (llm, _waiting) = self.begin_wait();
        let answers = HostWork::new(llm.complete_many(requests), &self.cpu).await;
        if let Ok(answers) = &answers {
            let completions = answers.iter().filter_map(|answer| answer.as_ref().ok());
            self.check_transfer(completions.map(Completion::bytes).sum())?;
            for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
                self.remember(error);
            }
        }
        self.handed_over(answers.map(|answers| {
            answers.into_iter().map(|answer| answer.map(completion_to_wit).map_err(error_to_wit)).collect()
        }))
    }

    async fn count(&mut self, request: Request) -> wasmtime::Result<Result<TokenCount, Error>> {
        let request = match self.take(vec![request]).await {
            Ok(mut requests) => requests.remove(0),
            Err(error) => return Ok(Err(error_to_wit(error))),
        };
        // No wait for a model: the time counts, and bounds how often the guest can have long texts counted.
        let llm = Arc::clone(&self.llm);
        let count = HostWork::new(llm.count_tokens(request), &self.cpu).await;
        self.handed_over(count.map(token_count_to_wit))
    }

    /// Checks and converts what the guest asks.
    async fn take(&mut self, requests: Vec<Request>) -> Result<Vec<Asked>, LlmError> {
        let pieces: usize = requests.iter().map(weight::pieces_of_request).sum();
        if pieces > PIECES_MAX {
            return Err(too_many_pieces(pieces));
        }
        let bytes = requests.iter().map(weight::of_request).sum();
        let (blobs, cpu) = (Arc::clone(&self.blobs), Arc::clone(&self.cpu));
        let convert = move || {
            let _works = cpu.host_works();
            requests.into_iter().map(|request| request_from_wit(request, &blobs)).collect()
        };
        heavy::by_size(bytes, convert).await
    }

    fn begin_wait(&self) -> (Arc<dyn Llm>, Waiting) {
        self.wall.wait_begins();
        (Arc::clone(&self.llm), Waiting(Arc::clone(&self.wall)))
    }

    /// The answer is kept, and found again when the item is run with a higher limit.
    fn check_transfer(&self, bytes: usize) -> Result<(), Exceeded> {
        if bytes > self.limits.transfer_bytes { Err(Exceeded::Transfer) } else { Ok(()) }
    }

    /// A suspension is no error that a guest could catch: it ends the guest.
    fn handed_over<T>(&mut self, result: Result<T, CallEnd>) -> wasmtime::Result<Result<T, Error>> {
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(CallEnd::Error(error)) => {
                self.remember(&error);
                Ok(Err(error_to_wit(error)))
            }
            Err(CallEnd::Suspended) => Err(trap::suspension(&self.engine)),
        }
    }

    /// Should the guest give up since a limit was met, it is the limit that failed the item.
    fn remember(&mut self, error: &LlmError) {
        if error.kind == LlmErrorKind::Limit && !self.refused_codes.contains(&error.code) {
            self.refused_codes.push(error.code.clone());
        }
    }
}

/// Stops the wall clock until it is dropped.
struct Waiting(Arc<WallTime>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.wait_ends();
    }
}

fn too_many_pieces(pieces: usize) -> LlmError {
    LlmError {
        kind: LlmErrorKind::Rejected,
        code: "bad_request".into(),
        message: format!(
            "{pieces} messages, parts, tools and properties in one call, and {PIECES_MAX} are allowed: join texts, or ask in groups"
        ),
        extra: Vec::new(),
    }
}

fn too_many(asked: usize, allowed: usize) -> LlmError {
    LlmError {
        kind: LlmErrorKind::Limit,
        code: TOO_MANY_AT_ONCE.into(),
        message: format!(
            "{asked} requests at once, and {allowed} are allowed: ask in groups, or raise --limit-requests"
        ),
        extra: Vec::new(),
    }
}
