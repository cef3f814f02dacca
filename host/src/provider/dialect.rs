//! What one wire protocol is, as far as HTTP is concerned: addresses, headers, bodies.
//!
//! A dialect is pure: it never sends anything, and knows neither keys nor clocks. `http` sends, `exchange` reads.

use super::classify::Profile;
use super::json::NotJson;
use super::reserved::find_reserved;
use super::{Call, Measure, ModelFacts, ProviderError};
use crate::domain::{Completion, ErrorClass, Pair, ResponseFormat, sanitize_line};
use reqwest::Url;
use reqwest::header::HeaderName;
use serde_json::Value;

/// What is told of a request that cannot be said, in bytes.
const MESSAGE_BYTES_MAX: usize = 500;
/// No exchange has so many tokens: larger numbers are mistakes, and their sums would be more than the books can hold.
const TOKENS_MAX: u64 = 1_000_000_000;

pub(super) trait Dialect: Send + Sync {
    fn profile(&self) -> &'static Profile;

    /// Where a model is asked.
    fn address(&self, base: &Url, model: &str) -> Url;

    /// The headers that carry a key.
    fn key_headers(&self, key: &str) -> Vec<(HeaderName, String)>;

    /// Beside the key's.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The body to send. The error is of the class `BadRequest`: nothing has been sent.
    fn encode(&self, call: &Call) -> Result<Vec<u8>, ProviderError>;

    /// The most tokens that the answers to a body may have, where the body says so.
    fn output_limit(&self, body: &[u8]) -> Option<u64>;

    fn measure(&self, call: &Call) -> Result<Measure, ProviderError> {
        let body = self.encode(call)?;
        Ok(Measure { body_bytes: body.len() as u64, output_tokens: self.output_limit(&body) })
    }

    /// Reads an answer whose status says success, and which holds no error.
    fn completion(&self, answer: &Value, model_asked: &str) -> Result<Completion, Defect>;

    /// The provider's name for the exchange, where it stands in the answer rather than in a header.
    fn exchange_id<'a>(&self, _answer: &'a Value) -> Option<&'a str> {
        None
    }

    /// The output that is asked for where the request says nothing, and the wire insists on a number. In tokens.
    fn output_by_default(&self) -> Option<u32> {
        None
    }

    /// Where something is said of a model; `None`: nowhere.
    fn model_address(&self, base: &Url, model: &str) -> Option<Url>;

    fn model_facts(&self, answer: &Value, model: &str) -> ModelFacts;

    /// The models that an answer from [`Self::model_address`] names, where it is a list of all.
    fn models_named(&self, _answer: &Value) -> Option<Vec<String>> {
        None
    }
}

/// Why a JSON is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Defect {
    pub(super) class: ErrorClass,
    pub(super) code: String,
    pub(super) message: String,
}

impl Defect {
    pub(super) fn garbage(code: &str, message: &str) -> Self {
        Self { class: ErrorClass::Garbage, code: code.to_owned(), message: message.to_owned() }
    }

    pub(super) fn wrong_shape() -> Self {
        Self::garbage("wrong_shape", "an answer of an unknown shape")
    }

    pub(super) fn empty() -> Self {
        Self::garbage("empty_answer", "an answer without content")
    }
}

/// Why a request cannot be said on a wire.
#[derive(Debug)]
pub(super) struct BadRequest(pub(super) String);

impl From<NotJson> for BadRequest {
    fn from(error: NotJson) -> Self {
        Self(error.to_string())
    }
}

impl From<BadRequest> for ProviderError {
    fn from(BadRequest(message): BadRequest) -> Self {
        // Names of fields, tools and parts are a plugin's.
        Self::new(ErrorClass::BadRequest, sanitize_line(&message, MESSAGE_BYTES_MAX))
    }
}

/// Fields that decide how the answer comes, which is not a plugin's business. The layer above denies them; here it is
/// made sure.
pub(super) fn check_reserved(call: &Call, reserved: &[&str]) -> Result<(), BadRequest> {
    let find = |pairs: &[Pair]| pairs.iter().find_map(|pair| find_reserved(pair, reserved));
    let of_schema = match &call.request.format {
        ResponseFormat::JsonSchema(schema) => find(&schema.extra),
        ResponseFormat::Text | ResponseFormat::Json => None,
    };
    if let Some(path) = find(&call.request.extra).or(of_schema) {
        return Err(BadRequest(format!("the field `{path}` belongs to the host: leave it out of `extra`")));
    }
    match find(&call.parameters) {
        None => Ok(()),
        Some(path) => {
            Err(BadRequest(format!("the field `{path}` belongs to the host: leave it out of the parameters")))
        }
    }
}

/// A number of tokens as operators write it: a whole number, or a float that is meant as one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded up, and saturating")]
pub(super) fn tokens(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_f64().filter(|number| *number > 0.0).map(|number| number.ceil() as u64))
}

/// A count of tokens that a provider tells; what is no number is none.
pub(super) fn counted(value: Option<&Value>) -> u64 {
    value.and_then(Value::as_u64).unwrap_or_default().min(TOKENS_MAX)
}

/// The bytes of a body.
pub(super) fn to_bytes(body: &impl serde::Serialize) -> Result<Vec<u8>, ProviderError> {
    serde_json::to_vec(body)
        .map_err(|error| ProviderError::new(ErrorClass::BadRequest, format!("cannot be written as JSON: {error}")))
}

/// What stands in an object under these names, kept as it is.
pub(super) fn pairs(object: &Value, names: &[&str]) -> Vec<Pair> {
    let present = |name: &&str| object.get(*name).filter(|value| !value.is_null()).map(|value| pair(name, value));
    names.iter().filter_map(present).collect()
}

pub(super) fn pair(name: &str, value: &Value) -> Pair {
    Pair { name: name.to_owned(), value: value.to_string() }
}

/// An address with more segments; its query stays.
pub(super) fn extended(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_that_no_books_could_add_up_are_bounded() {
        for (value, expected) in [
            (json!(3), 3),
            (json!(u64::MAX), TOKENS_MAX),
            (json!(-1), 0),
            (json!(1.5), 0),
            (json!("3"), 0),
            (json!(null), 0),
        ] {
            assert_eq!(counted(Some(&value)), expected, "{value}");
        }
        assert_eq!(counted(None), 0);
    }

    #[test]
    fn the_names_that_a_plugin_gives_its_fields_are_text_in_a_message() {
        let error = ProviderError::from(BadRequest("the field `\u{1b}[2J\u{202e}\n` is not JSON".to_owned()));
        assert_eq!(error.message, "the field ` [2J ` is not JSON");
    }
}
