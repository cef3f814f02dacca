//! `OpenAI`'s chat completions, which most providers and every local server speak too.
//!
//! Pure, and shared with the mock provider.

mod azure;
mod media;
mod models;
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

pub(super) use azure::Azure;
pub(super) use request::{LimitField, RESERVED};

#[derive(Debug)]
pub(super) struct OpenAi {
    limit_field: LimitField,
}

impl OpenAi {
    pub(super) fn new(base: &Url) -> Self {
        Self { limit_field: LimitField::for_host(base.host_str().unwrap_or_default()) }
    }

    /// For whoever has no address.
    pub(super) const fn local() -> Self {
        Self { limit_field: LimitField::MaxTokens }
    }
}

impl Dialect for OpenAi {
    fn profile(&self) -> &'static Profile {
        &classify::OPENAI
    }

    fn address(&self, base: &Url, _model: &str) -> Url {
        extended(base, &["chat", "completions"])
    }

    fn key_headers(&self, key: &str) -> Vec<(HeaderName, String)> {
        vec![(AUTHORIZATION, format!("Bearer {key}"))]
    }

    fn encode(&self, call: &Call) -> Result<Vec<u8>, ProviderError> {
        request::encode(call, self.limit_field)
    }

    fn output_limit(&self, body: &[u8]) -> Option<u64> {
        request::output_limit(body)
    }

    fn completion(&self, answer: &Value, model_asked: &str) -> Result<Completion, Defect> {
        response::completion(answer, model_asked)
    }

    /// The list, since not every server has an address for one model.
    fn model_address(&self, base: &Url, _model: &str) -> Option<Url> {
        Some(extended(base, &["models"]))
    }

    fn model_facts(&self, answer: &Value, model: &str) -> ModelFacts {
        models::facts(answer, model)
    }

    fn models_named(&self, answer: &Value) -> Option<Vec<String>> {
        Some(models::names(answer))
    }
}
