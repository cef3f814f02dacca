//! Google's `generateContent`.

mod request;
mod response;
#[cfg(test)]
mod tests;

use super::classify::{self, Profile};
use super::dialect::{Defect, Dialect, extended};
use super::{Call, ModelFacts, ProviderError};
use crate::domain::Completion;
use reqwest::Url;
use reqwest::header::HeaderName;
use serde_json::Value;

pub(super) use request::RESERVED;

/// Not every model gives its calls ids: these are ours, and are not sent.
const OWN_IDS: &str = "sandmill_call_";

#[derive(Debug)]
pub(super) struct Gemini;

impl Dialect for Gemini {
    fn profile(&self) -> &'static Profile {
        &classify::GEMINI
    }

    fn address(&self, base: &Url, model: &str) -> Url {
        extended(base, &["models", &format!("{}:generateContent", bare(model))])
    }

    fn key_headers(&self, key: &str) -> Vec<(HeaderName, String)> {
        vec![(HeaderName::from_static("x-goog-api-key"), key.to_owned())]
    }

    fn encode(&self, call: &Call) -> Result<Vec<u8>, ProviderError> {
        request::encode(call)
    }

    fn output_limit(&self, body: &[u8]) -> Option<u64> {
        request::output_limit(body)
    }

    fn completion(&self, answer: &Value, model_asked: &str) -> Result<Completion, Defect> {
        response::completion(answer, model_asked)
    }

    /// There is no header for it.
    fn exchange_id<'a>(&self, answer: &'a Value) -> Option<&'a str> {
        answer.get("responseId").and_then(Value::as_str)
    }

    fn model_address(&self, base: &Url, model: &str) -> Option<Url> {
        Some(extended(base, &["models", bare(model)]))
    }

    /// Here the output does not share the window: what is read has a limit of its own.
    fn model_facts(&self, answer: &Value, _model: &str) -> ModelFacts {
        let number = |name: &str| answer.get(name).and_then(Value::as_u64).filter(|number| *number > 0);
        ModelFacts { context: number("inputTokenLimit"), max_output: number("outputTokenLimit") }
    }
}

/// The list of models writes `models/` before each name.
fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}
