//! Where the questions of one attempt come in, whoever answers them: checked against what the plugin named and what the operator allows,
//! counted, and numbered, so that a replay finds what was answered before.

use super::extras::{Brought, Extras, Reserved};
use super::hash;
use super::route::LiveRoutes;
use super::ways::Ways;
use crate::domain::{Completion, LlmError, LlmErrorKind, Request};
use crate::heavy;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Of an attempt.
pub(super) struct Desk {
    routes: Arc<LiveRoutes>,
    /// The roles that the plugin named.
    roles: Arc<[String]>,
    /// Questions that the attempt may ask.
    calls_max: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    occurrences: HashMap<[u8; 32], u32>,
    asked: u64,
    /// What was asked last.
    last: Option<Arc<Request>>,
    /// How often the same was counted.
    counted: HashMap<[u8; 32], u32>,
    brought: Brought,
}

/// A question with its place in the attempt.
pub(super) struct Asked {
    pub(super) request: Arc<Request>,
    pub(super) hash: [u8; 32],
    pub(super) occurrence: u32,
    pub(super) extras: Extras,
}

impl Desk {
    pub(super) fn new(routes: Arc<LiveRoutes>, roles: Arc<[String]>, calls_max: u64) -> Self {
        Self { routes, roles, calls_max, state: Mutex::default() }
    }

    pub(super) fn last_request(&self) -> Option<Arc<Request>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
    }

    /// What the request needs leave for, of a role that the plugin has named.
    pub(super) fn check(&self, request: &Request) -> Result<Extras, LlmError> {
        if !self.roles.contains(&request.role) {
            return Err(denied(
                "unknown_role",
                format!("the plugin asks for the model role `{}`, which its manifest does not name", request.role),
            ));
        }
        let extras = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            Extras::of(request, &state.brought)
        };
        extras.map_err(|Reserved(path)| {
            denied("field_not_allowed", format!("the field `{path}` belongs to the host, and no plugin sets it"))
        })
    }

    /// The route or group that is asked, the routes behind that name, and what the request needs leave for.
    pub(super) fn route(&self, request: &Request) -> Result<(&str, Ways, Extras), LlmError> {
        let extras = self.check(request)?;
        let no_model = || no_model(&request.role);
        let name = self.routes.name_of_role(&request.role).ok_or_else(no_model)?;
        let ways = self.routes.ways(name, &extras);
        if ways.first().is_empty() {
            return Err(self.routes.refusal(name, &extras).map_or_else(no_model, not_allowed));
        }
        Ok((name, ways, extras))
    }

    /// Gives a question its occurrence, in the order in which they are asked.
    pub(super) async fn question(&self, request: Request, extras: Extras) -> Result<Asked, LlmError> {
        self.count()?;
        let (request, hash) = self.hash(request).await;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.occurrences.entry(hash).or_default();
        let occurrence = *next;
        *next += 1;
        state.last = Some(Arc::clone(&request));
        Ok(Asked { request, hash, occurrence, extras })
    }

    /// Before anything is done about the question that takes long.
    fn count(&self) -> Result<(), LlmError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.asked >= self.calls_max {
            return Err(LlmError {
                kind: LlmErrorKind::Limit,
                code: "too_many_calls".into(),
                message: format!("an item may ask {} times (--max-item-calls)", self.calls_max),
                extra: Vec::new(),
            });
        }
        state.asked += 1;
        Ok(())
    }

    /// What an answer brings may be sent back.
    pub(super) fn take(&self, completion: &Completion) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).brought.take(completion);
    }

    /// What a count is found again by.
    pub(super) async fn counting(&self, request: Request) -> (Arc<Request>, ([u8; 32], u32)) {
        let (request, hash) = self.hash(request).await;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.counted.entry(hash).or_default();
        let occurrence = *next;
        *next += 1;
        (request, (hash, occurrence))
    }

    /// Off the guests' threads where it is long.
    async fn hash(&self, request: Request) -> (Arc<Request>, [u8; 32]) {
        let (routes, bytes) = (Arc::clone(&self.routes), request.bytes());
        heavy::by_size(bytes, move || {
            let hash = hash::request_hash(&routes.asked_of_role(&request.role), &request);
            (Arc::new(request), hash)
        })
        .await
    }
}

pub(super) fn denied(code: &str, message: String) -> LlmError {
    LlmError { kind: LlmErrorKind::Denied, code: code.into(), message, extra: Vec::new() }
}

fn no_model(role: &str) -> LlmError {
    denied(
        "no_model",
        format!(
            "no model is bound to the role `{role}`: start the run with --provider and --model, or with --route {role}=NAME"
        ),
    )
}

fn not_allowed((field, route): (&str, &str)) -> LlmError {
    denied(
        "field_not_allowed",
        format!("the provider's own field `{field}` is not allowed by the operator (extra_allow of route `{route}`)"),
    )
}
