//! Anthropic's Messages API, which vLLM, llama.cpp and several gateways speak too.

mod request;
mod response;
#[cfg(test)]
mod tests;

use super::classify::{self, Profile};
use super::dialect::{Defect, Dialect, extended};
use super::{Call, ModelFacts, ProviderError};
use crate::domain::Completion;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderName};
use serde_json::Value;

pub(super) use request::RESERVED;

/// The version that every server knows.
const VERSION: &[(&str, &str)] = &[("anthropic-version", "2023-06-01")];

#[derive(Debug)]
pub(super) struct Anthropic {
    is_own_host: bool,
}

impl Anthropic {
    pub(super) fn new(base: &Url) -> Self {
        Self { is_own_host: base.host_str() == Some("api.anthropic.com") }
    }
}

impl Dialect for Anthropic {
    fn profile(&self) -> &'static Profile {
        &classify::ANTHROPIC
    }

    fn address(&self, base: &Url, _model: &str) -> Url {
        extended(base, &["messages"])
    }

    /// vLLM, and several gateways, want a bearer even here.
    fn key_headers(&self, key: &str) -> Vec<(HeaderName, String)> {
        let own = (HeaderName::from_static("x-api-key"), key.to_owned());
        if self.is_own_host { vec![own] } else { vec![own, (AUTHORIZATION, format!("Bearer {key}"))] }
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        VERSION
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

    fn output_by_default(&self) -> Option<u32> {
        Some(request::MAX_TOKENS)
    }

    fn model_address(&self, base: &Url, model: &str) -> Option<Url> {
        Some(extended(base, &["models", model]))
    }

    /// Null where nothing is known.
    fn model_facts(&self, answer: &Value, _model: &str) -> ModelFacts {
        let number = |name: &str| answer.get(name).and_then(Value::as_u64).filter(|number| *number > 0);
        ModelFacts { context: number("max_input_tokens"), max_output: number("max_tokens") }
    }
}
