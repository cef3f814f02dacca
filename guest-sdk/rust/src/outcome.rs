//! How an item ends: with values, with a reason why there are none, or with a failure that says what to do about it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::bindings::sandmill::plugin::types as wit;
use crate::item::pair;

/// How an item ends when all is well.
///
/// A value that cannot be written as JSON (a map whose keys are not strings) fails the item for good, with the code
/// `bad_output`.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Outcome(State);

#[derive(Debug, Clone, PartialEq)]
enum State {
    Emit(Vec<Emission>),
    Skip(String),
}

/// One value that the item yields: one line of the output.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Emission {
    /// The JSON text, or why there is none.
    value: Result<String, String>,
    name: Option<String>,
}

/// How an item ends when it does not end well.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Failure {
    kind: Kind,
    code: String,
    message: String,
    detail: Option<Value>,
    extra: Vec<wit::Pair>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Permanent,
    Retryable { after: Option<Duration> },
}

impl Outcome {
    /// One value: one line of the output.
    pub fn emit(value: impl Serialize) -> Self {
        Self(State::Emit(vec![Emission::new(value)]))
    }

    /// Any number of values, in this order. None is fine too, and is not the same as a skip.
    pub fn emit_many<V: Serialize>(values: impl IntoIterator<Item = V>) -> Self {
        Self(State::Emit(values.into_iter().map(Emission::new).collect()))
    }

    /// Emissions that have names, so that they can be told apart whatever their order.
    pub fn emissions(emissions: impl IntoIterator<Item = Emission>) -> Self {
        Self(State::Emit(emissions.into_iter().collect()))
    }

    /// The item was looked at, and there is nothing to do for it. It counts as done.
    pub fn skip(reason: impl Into<String>) -> Self {
        Self(State::Skip(reason.into()))
    }

    pub(crate) fn into_wit(self) -> Result<wit::Outcome, Failure> {
        match self.0 {
            State::Emit(emissions) => {
                emissions.into_iter().map(Emission::into_wit).collect::<Result<_, _>>().map(wit::Outcome::Emit)
            }
            State::Skip(reason) => Ok(wit::Outcome::Skip(wit::Skip { reason, extra: Vec::new() })),
        }
    }
}

impl Emission {
    pub fn new(value: impl Serialize) -> Self {
        Self { value: serde_json::to_string(&value).map_err(|error| error.to_string()), name: None }
    }

    /// A value that is JSON text already. It is handed on as it stands; the host refuses what does not parse.
    pub fn from_json(text: impl Into<String>) -> Self {
        Self { value: Ok(text.into()), name: None }
    }

    /// Unique among the emissions of the item.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    fn into_wit(self) -> Result<wit::Emission, Failure> {
        let value = self.value.map_err(|error| {
            Failure::permanent("bad_output", format!("the plugin's value cannot be written as JSON: {error}"))
        })?;
        Ok(wit::Emission { value, name: self.name, extra: Vec::new() })
    }
}

impl Failure {
    /// The same again would fail the same way. `code` is for programs, lower case words joined by underscores; `message` is
    /// for a person, and best says what would help.
    pub fn permanent(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind: Kind::Permanent, code: code.into(), message: message.into(), detail: None, extra: Vec::new() }
    }

    /// An answer was no good: run the item again from the start, and pay for it again. Not for a provider that fails; the
    /// host has already retried that.
    pub fn retryable(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind: Kind::Retryable { after: None }, ..Self::permanent(code, message) }
    }

    /// Wait at least so long before the next attempt. Says nothing on a permanent failure.
    pub fn after(mut self, wait: Duration) -> Self {
        if let Kind::Retryable { after } = &mut self.kind {
            *after = Some(wait);
        }
        self
    }

    /// Anything else worth keeping beside the failed item.
    pub fn detail(mut self, detail: impl Into<Value>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// An open-ended property: what a newer host may know. A value that has no JSON form is left out.
    pub fn extra(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.extra.extend(pair(name, value));
        self
    }

    pub fn code(&self) -> &str {
        &self.code
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, Kind::Retryable { .. })
    }

    pub(crate) fn into_wit(self) -> wit::Failure {
        let kind = match self.kind {
            Kind::Permanent => wit::FailureKind::Permanent,
            Kind::Retryable { after } => wit::FailureKind::Retryable(after.map(whole_milliseconds)),
        };
        let detail = self.detail.map(|detail| detail.to_string());
        wit::Failure { kind, code: self.code, message: self.message, detail, extra: self.extra }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

/// Rounded up: the wait is a least one.
fn whole_milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn emissions_keep_their_order_and_names() {
        let outcome = Outcome::emissions([Emission::new(1).named("one"), Emission::from_json("[2]")]);
        let Ok(wit::Outcome::Emit(emissions)) = outcome.into_wit() else { panic!("emits") };
        let seen: Vec<_> =
            emissions.iter().map(|emission| (emission.value.as_str(), emission.name.as_deref())).collect();
        assert_eq!(seen, [("1", Some("one")), ("[2]", None)]);
    }

    #[test]
    fn no_values_are_not_a_skip() {
        assert_eq!(Outcome::emit_many([0; 0]).into_wit(), Ok(wit::Outcome::Emit(vec![])));
        assert!(matches!(Outcome::skip("why").into_wit(), Ok(wit::Outcome::Skip(skip)) if skip.reason == "why"));
    }

    #[test]
    fn a_value_without_a_json_form_fails_the_item() {
        let failure = Outcome::emit(HashMap::from([((1, 2), 3)])).into_wit().expect_err("fails");
        assert_eq!(failure.code(), "bad_output");
    }

    #[test]
    fn a_wait_is_rounded_up_and_only_for_what_is_retried() {
        let failure =
            Failure::retryable("a", "b").after(Duration::from_micros(1500)).detail(json!({"c": 1})).into_wit();
        assert_eq!(failure.kind, wit::FailureKind::Retryable(Some(2)));
        assert_eq!(failure.detail.as_deref(), Some(r#"{"c":1}"#));
        assert_eq!(failure.extra, []);
        let failure = Failure::permanent("a", "b").extra("acme:team", "red").into_wit();
        assert_eq!(failure.extra, [wit::Pair { name: "acme:team".into(), value: "\"red\"".into() }]);
        let failure = Failure::permanent("a", "b").after(Duration::from_secs(1)).into_wit();
        assert_eq!(failure.kind, wit::FailureKind::Permanent);
    }
}
