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
    /// A limit of the item or of the plugin is reached, or the model's output ended before its answer (`answer_cut`).
    Limit,
    /// The plugin was not granted what it asked for.
    Denied,
    /// The batch is being stopped; what the plugin returns no longer counts.
    Cancelled,
    /// The answer came, and is not of the type that was asked for. Another attempt may do better.
    BadAnswer,
}

impl Error {
    /// An answer that parses and is still not what was asked for, such as a number out of its range.
    pub fn bad_answer(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::BadAnswer,
            code: "bad_answer".to_owned(),
            message: message.into(),
            extra: BTreeMap::new(),
        }
    }

    /// The answer stopped where the model's output ends, and is none.
    pub(super) fn cut(message: String) -> Self {
        Self { kind: ErrorKind::Limit, code: "answer_cut".to_owned(), message, extra: BTreeMap::new() }
    }

    pub(super) fn refused(code: &str, message: String) -> Self {
        Self { kind: ErrorKind::Refused, code: code.to_owned(), message, extra: BTreeMap::new() }
    }

    pub(super) fn too_large(code: &str, message: String, tokens: u64, limit: u64) -> Self {
        let extra = BTreeMap::from([("tokens".to_owned(), tokens.into()), ("limit".to_owned(), limit.into())]);
        Self { kind: ErrorKind::TooLarge, code: code.to_owned(), message, extra }
    }

    /// Of [`ErrorKind::TooLarge`]: which share of the text would fit, with room for the answer, for
    /// [`text::split`](crate::text::split). Half, where the error has no numbers.
    pub fn share_that_fits(&self) -> f64 {
        let number = |name: &str| self.extra.get(name).and_then(Value::as_f64);
        match (number("limit"), number("tokens")) {
            (Some(limit), Some(tokens)) if tokens > limit && limit > 0.0 => (limit / tokens * 0.7).clamp(0.01, 0.5),
            _ => 0.5,
        }
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
    fn the_share_that_fits_follows_from_the_numbers() {
        let share = |tokens, limit| Error::too_large("a", String::new(), tokens, limit).share_that_fits();
        assert!((share(1_000, 500) - 0.35).abs() < 1e-9);
        assert!((share(1_000, 1) - 0.01).abs() < 1e-9);
        assert!((Error::bad_answer(String::new()).share_that_fits() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn an_answer_of_the_wrong_shape_becomes_a_retryable_failure() {
        let failure = Failure::from(Error::bad_answer("no".to_owned()));
        assert_eq!((failure.code(), failure.is_retryable()), ("bad_answer", true));
    }
}
