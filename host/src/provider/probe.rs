//! Whether an endpoint is there, takes the key and knows a model: found out by one question about its models, which costs nothing.

use super::{ModelFacts, ProviderError};
use crate::domain::ErrorClass;
use std::time::Duration;

/// Of a list of models so many names are told.
pub(super) const NAMES_MAX: usize = 1_000;

/// What came of the question.
#[derive(Debug, Clone)]
pub struct Probe {
    /// How long the answer took.
    pub took: Duration,
    /// How far the provider's clock is ahead of ours, in milliseconds; it tells whole seconds.
    pub ahead_ms: Option<i64>,
    pub met: Met,
}

/// Whom one met there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Met {
    /// It knows the model, and tells so much of it.
    Knows(ModelFacts),
    /// It has no such model, but these, as far as it names any.
    Lacks(Vec<String>),
    /// It answers, and tells nothing of models.
    Silent,
    /// It refused, or was not there.
    Failed(Box<ProviderError>),
}

impl Met {
    /// What an answer means that is no success. `lists`: all models were asked for, rather than one of them.
    pub(super) fn failure(error: ProviderError, lists: bool) -> Self {
        match error.class {
            ErrorClass::ModelUnknown if !lists => Self::Lacks(Vec::new()),
            // There is no such list there, or it is told to nobody with this key.
            ErrorClass::ModelUnknown
            | ErrorClass::BadRequest
            | ErrorClass::Garbage
            | ErrorClass::Refused
            | ErrorClass::ContextOverflow
            | ErrorClass::MaxOutputTooLarge
            | ErrorClass::RequestTooLarge => Self::Silent,
            ErrorClass::Permission
            | ErrorClass::RateLimited
            | ErrorClass::Overloaded
            | ErrorClass::Timeout
            | ErrorClass::Connection
            | ErrorClass::ServerError
            | ErrorClass::Authentication
            | ErrorClass::QuotaExhausted => Self::Failed(Box::new(error)),
        }
    }
}
