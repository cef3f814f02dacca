//! Model providers: one file per wire protocol, behind one trait.
//!
//! A provider sends one request once and says what came of it. It knows nothing of retries, limits, items or stores.

mod base64;
#[cfg(test)]
mod contract;
mod error;
mod json;
mod mock;
mod openai;
mod retry_after;
pub mod server;

use crate::clock::SystemClock;
use crate::domain::{Completion, Request};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub use error::ProviderError;
pub use mock::{BadFaults, FaultHelp, Faults, MockProvider};
pub use openai::OpenAi;

/// What a provider is asked: the plugin's request and what the operator resolved around it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The model's name as the provider knows it.
    pub model: String,
    pub request: Arc<Request>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub completion: Completion,
    /// The provider's own name for the exchange, where it gives one.
    pub request_id: Option<String>,
    /// The body as it came, for the books; empty if the provider has no wire.
    pub body: String,
}

/// Sends one request, once.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Cancel-safe in so far as dropping the future drops the connection; what the provider did by then is unknown.
    async fn complete(&self, call: &Call) -> Result<Answer, ProviderError>;

    /// For messages: what is being talked to, such as `openai at http://127.0.0.1:8080/v1`.
    fn describe(&self) -> String;
}

/// How to reach a provider.
#[derive(Debug, Clone)]
pub enum Settings {
    OpenAi {
        /// Up to and including the version, such as `https://api.openai.com/v1`.
        base_url: String,
        /// None: no `Authorization` header is sent.
        api_key: Option<ApiKey>,
        connect_timeout: Duration,
    },
    Mock {
        faults: Faults,
        seed: u64,
    },
}

/// A secret that shows itself to nobody but the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// Makes a provider from its settings. The error is one of the settings, for the operator.
pub fn build(settings: Settings) -> Result<Arc<dyn Provider>, ProviderSettingsError> {
    Ok(match settings {
        Settings::OpenAi { base_url, api_key, connect_timeout } => {
            Arc::new(OpenAi::new(&base_url, api_key, connect_timeout, Arc::new(SystemClock::new()))?)
        }
        Settings::Mock { faults, seed } => Arc::new(MockProvider::new(faults, seed)),
    })
}

/// Settings that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ProviderSettingsError {
    #[error("`{url}` is not a base URL: {reason}; it looks like https://api.openai.com/v1")]
    BadBaseUrl { url: String, reason: String },
    #[error(
        "the API key cannot be put into a header: it holds characters other than visible ASCII (a line break at its end?)"
    )]
    BadApiKey,
    #[error("the API key is empty")]
    EmptyApiKey,
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
}
