//! What a provider call ends in when it ends in no answer.

use super::{Overflow, RateLimits};
use crate::domain::ErrorClass;
use std::time::Duration;

/// One failed exchange, classified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct ProviderError {
    pub class: ErrorClass,
    /// The provider's own code or type where it gives one, else the class's name.
    pub code: String,
    /// For a person: status, the provider's words (bounded, without control characters), and the way out where one is known.
    pub message: String,
    pub status: Option<u16>,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// What the provider says of trying again, against what the class would say.
    pub should_retry: Option<bool>,
    /// What the provider's headers tell of its limits.
    pub limits: Box<RateLimits>,
    /// The numbers of an overflow, as the provider gives them.
    pub overflow: Overflow,
    pub request_id: Option<String>,
    /// The start of the body as it came (bounded), for the books.
    pub body: String,
}

impl ProviderError {
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            class,
            code: class.name().to_owned(),
            message: message.into(),
            status: None,
            retry_after: None,
            should_retry: None,
            limits: Box::default(),
            overflow: Overflow::default(),
            request_id: None,
            body: String::new(),
        }
    }
}
