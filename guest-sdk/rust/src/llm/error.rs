//! What can go wrong with a question, split by what can still be done about it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::Failure;
use crate::bindings::sandmill::plugin::llm as wit;
use crate::item::extra_map;

/// Why there is no answer. Final for this attempt: the host has already retried what is worth it.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    pub kind: ErrorKind,
    /// For programs; the provider's own code where it has one.
    pub code: String,
    /// For a person. May quote the provider.
    pub message: String,
    /// Such as `tokens` and `limit` with [`ErrorKind::TooLarge`].
    pub extra: BTreeMap<String, Value>,
}

/// What can still be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The provider did not answer properly, however often it was asked.
    Transient,
    /// The request does not fit the model's context. Send less: split it.
    TooLarge,
    /// The provider, or this crate, says that the request is wrong.
    Rejected,
    /// The provider, or the model, will not answer this for reasons of policy.
    Refused,
    /// A limit of the item or of the plugin is reached.
    Limit,
    /// The plugin was not granted what it asked for.
    Denied,
    /// The batch is being stopped; what the plugin returns no longer counts.
    Cancelled,
    /// The answer came, and is not of the type that was asked for. Another attempt may do better.
    BadAnswer,
}

impl Error {
    pub(super) fn bad_answer(message: String) -> Self {
        Self { kind: ErrorKind::BadAnswer, code: "bad_answer".to_owned(), message, extra: BTreeMap::new() }
    }

    pub(super) fn bad_request(message: String) -> Self {
        Self { kind: ErrorKind::Rejected, code: "bad_request".to_owned(), message, extra: BTreeMap::new() }
    }

    pub(super) fn from_wit(error: wit::Error) -> Self {
        let kind = match error.kind {
            wit::ErrorKind::Transient => ErrorKind::Transient,
            wit::ErrorKind::TooLarge => ErrorKind::TooLarge,
            wit::ErrorKind::Rejected => ErrorKind::Rejected,
            wit::ErrorKind::Refused => ErrorKind::Refused,
            wit::ErrorKind::Limit => ErrorKind::Limit,
            wit::ErrorKind::Denied => ErrorKind::Denied,
            wit::ErrorKind::Cancelled => ErrorKind::Cancelled,
        };
        Self { kind, code: error.code, message: error.message, extra: extra_map(&error.extra) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = match error.kind {
            ErrorKind::BadAnswer => Self::retryable(error.code, error.message),
            ErrorKind::Transient
            | ErrorKind::TooLarge
            | ErrorKind::Rejected
            | ErrorKind::Refused
            | ErrorKind::Limit
            | ErrorKind::Denied
            | ErrorKind::Cancelled => Self::permanent(error.code, error.message),
        };
        if error.extra.is_empty() { failure } else { failure.detail(Value::from_iter(error.extra)) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use crate::testing::{ModelErrorKind, model_error};

    use super::*;

    #[test]
    fn an_error_of_the_host_becomes_a_permanent_failure_with_its_code() {
        let failure = Failure::from(Error::from_wit(model_error(ModelErrorKind::Limit, "calls", "no more")));
        assert_eq!((failure.code(), failure.is_retryable()), ("calls", false));
    }

    #[test]
    fn an_answer_of_the_wrong_shape_becomes_a_retryable_failure() {
        let failure = Failure::from(Error::bad_answer("no".to_owned()));
        assert_eq!((failure.code(), failure.is_retryable()), ("bad_answer", true));
    }
}
