//! Chat completions at Azure: the same bodies, another header for the key, and a version in the query.
//!
//! Two forms of base URL: `https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT`, which wants an `api-version`,
//! and `https://NAME.openai.azure.com/openai/v1`, which does without.

use super::{LimitField, OpenAi};
use crate::domain::Completion;
use crate::provider::classify::Profile;
use crate::provider::dialect::{Defect, Dialect};
use crate::provider::{Call, ModelFacts, ProviderError, ProviderSettingsError, address};
use reqwest::Url;
use reqwest::header::HeaderName;
use serde_json::Value;

const API_VERSION: &str = "api-version";
/// The first that knows `max_completion_tokens`, which reasoning models insist on.
const NEWER_LIMIT_SINCE: &str = "2024-09";

#[derive(Debug)]
pub(in crate::provider) struct Azure {
    api_version: Option<String>,
    chat: OpenAi,
}

impl Azure {
    pub(in crate::provider) fn new(base: &Url, api_version: Option<String>) -> Result<Self, ProviderSettingsError> {
        let in_query = base.query_pairs().find(|(name, _)| name == API_VERSION).map(|(_, value)| value.into_owned());
        let is_deployment = base.path().contains("/deployments/");
        let version = in_query.or_else(|| api_version.clone());
        if is_deployment && version.is_none() {
            return Err(address::bad(base.as_str(), "a deployment needs an API version, such as 2024-10-21"));
        }
        // The v1 API has no version, and is newer than all that have one.
        let is_older = version.is_some_and(|version| version.as_str() < NEWER_LIMIT_SINCE);
        let limit_field = if is_older { LimitField::MaxTokens } else { LimitField::MaxCompletionTokens };
        Ok(Self { api_version, chat: OpenAi { limit_field } })
    }
}

impl Dialect for Azure {
    fn profile(&self) -> &'static Profile {
        self.chat.profile()
    }

    fn address(&self, base: &Url, model: &str) -> Url {
        let mut url = self.chat.address(base, model);
        let is_told = url.query_pairs().any(|(name, _)| name == API_VERSION);
        if let Some(version) = self.api_version.as_ref().filter(|_| !is_told) {
            url.query_pairs_mut().append_pair(API_VERSION, version);
        }
        url
    }

    fn key_headers(&self, key: &str) -> Vec<(HeaderName, String)> {
        vec![(HeaderName::from_static("api-key"), key.to_owned())]
    }

    fn encode(&self, call: &Call) -> Result<Vec<u8>, ProviderError> {
        self.chat.encode(call)
    }

    fn output_limit(&self, body: &[u8]) -> Option<u64> {
        self.chat.output_limit(body)
    }

    fn completion(&self, answer: &Value, model_asked: &str) -> Result<Completion, Defect> {
        self.chat.completion(answer, model_asked)
    }

    /// Azure's list names the models that could be deployed, without their limits.
    fn model_address(&self, _base: &Url, _model: &str) -> Option<Url> {
        None
    }

    fn model_facts(&self, _answer: &Value, _model: &str) -> ModelFacts {
        ModelFacts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(base: &str, version: Option<&str>) -> Result<(String, LimitField), ProviderSettingsError> {
        let base = address::base(base)?;
        let azure = Azure::new(&base, version.map(str::to_owned))?;
        Ok((azure.address(&base, "m").into(), azure.chat.limit_field))
    }

    #[test]
    fn both_forms_of_address_are_understood() {
        let deployment = "https://n.openai.azure.com/openai/deployments/d";
        for (base, version, address, field) in [
            (
                deployment.to_owned(),
                Some("2024-10-21"),
                format!("{deployment}/chat/completions?api-version=2024-10-21"),
                LimitField::MaxCompletionTokens,
            ),
            (
                format!("{deployment}?api-version=2024-06-01"),
                Some("2024-10-21"),
                format!("{deployment}/chat/completions?api-version=2024-06-01"),
                LimitField::MaxTokens,
            ),
            (
                "https://n.openai.azure.com/openai/v1/".to_owned(),
                None,
                "https://n.openai.azure.com/openai/v1/chat/completions".to_owned(),
                LimitField::MaxCompletionTokens,
            ),
        ] {
            assert_eq!(made(&base, version).unwrap(), (address, field));
        }
        assert!(made(deployment, None).unwrap_err().to_string().contains("API version"));
    }

    #[test]
    fn the_key_has_a_header_of_its_own() {
        let base = address::base("https://n.openai.azure.com/openai/v1").unwrap();
        let headers = Azure::new(&base, None).unwrap().key_headers("k");
        assert_eq!(headers, [(HeaderName::from_static("api-key"), "k".to_owned())]);
    }
}
