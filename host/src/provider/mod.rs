//! Model providers: a folder per wire protocol, behind one trait.
//!
//! What protocols have in common has one owner each: `http` sends, `exchange` reads, `classify` says what a failure is,
//! `key` holds the secrets. A provider sends one request once and says what came of it. It knows nothing of retries, limits, items or stores.

mod address;
mod anthropic;
mod classify;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod corpus;
mod dialect;
mod error;
mod exchange;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gemini;
mod http;
mod json;
mod key;
mod limits;
mod mock;
mod openai;
mod overflow;
mod probe;
mod rate_headers;
mod reserved;
mod retry_after;
pub mod server;
mod settings;
mod span;
#[cfg(test)]
mod testing;
mod turns;

use crate::clock::{Clock, SystemClock};
use crate::domain::{Completion, Pair, Request};
use async_trait::async_trait;
use dialect::Dialect;
use http::HttpProvider;
use std::path::PathBuf;
use std::sync::Arc;

pub use address::masked;
pub(crate) use address::{is_loopback, is_loopback_host};
pub use error::ProviderError;
pub(crate) use http::{chain, client};
pub use key::ApiKey;
pub use limits::{Allowance, Measure, ModelFacts, Overflow, RateLimits};
pub use mock::{BadFaults, FaultHelp, Faults, MockProvider};
pub use probe::{Met, Probe};
pub use reserved::{find_reserved, reserved_parameter, spelling};
pub(crate) use retry_after::parse as wait_asked;
pub use settings::{HttpSettings, KeySource, Protocol, Settings};

/// What a provider is asked: the plugin's request and what the operator resolved around it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The model's name as the provider knows it.
    pub model: String,
    pub request: Arc<Request>,
    /// Fields of the body that the operator set for the route; they win over the plugin's.
    pub parameters: Arc<[Pair]>,
    /// Tells this question from every other, and is the same for each try; an idempotency key is made of it.
    pub identity: [u8; 32],
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub completion: Completion,
    /// The provider's own name for the exchange, where it gives one.
    pub request_id: Option<String>,
    pub limits: RateLimits,
}

/// Sends one request, once.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Cancel-safe in so far as dropping the future drops the connection; what the provider did by then is unknown.
    async fn complete(&self, call: &Call) -> Result<Answer, ProviderError>;

    /// How large the call is on the wire. The error is the one that [`Self::complete`] would end in.
    fn measure(&self, call: &Call) -> Result<Measure, ProviderError>;

    /// What the provider tells of a model; nothing where it has no such list, or does not name the model.
    async fn model(&self, name: &str) -> Result<ModelFacts, ProviderError>;

    /// Asks whether it is there, takes the key and knows a model; nothing is paid for it. `None`: there is nobody to ask.
    async fn probe(&self, _model: &str) -> Option<Probe> {
        None
    }

    /// Whether a key is sent.
    fn has_key(&self) -> bool {
        false
    }

    /// Whether it is the vendor's own service, so that what is publicly known of a model holds for it.
    fn is_vendors_own(&self) -> bool {
        false
    }

    /// The output that is asked for on a wire which insists on a number, where the request names none. In tokens.
    fn output_by_default(&self) -> Option<u32> {
        None
    }

    /// For messages: what is being talked to, such as `openai at http://127.0.0.1:8080/v1`.
    fn describe(&self) -> String;
}

/// Makes a provider from its settings, and reads the key, which may block. The error is one of the settings, for the
/// operator.
pub fn build(settings: Settings) -> Result<Arc<dyn Provider>, ProviderSettingsError> {
    Ok(match settings {
        Settings::Http(settings) => Arc::new(over_http(settings, Arc::new(SystemClock::new()))?),
        Settings::Mock { faults, seed } => Arc::new(MockProvider::new(faults, seed)),
    })
}

fn over_http(settings: HttpSettings, clock: Arc<dyn Clock>) -> Result<HttpProvider, ProviderSettingsError> {
    let base = address::base(&settings.base_url)?;
    let dialect: Box<dyn Dialect> = match &settings.protocol {
        Protocol::OpenAi => Box::new(openai::OpenAi::new(&base)),
        Protocol::Anthropic => Box::new(anthropic::Anthropic::new(&base)),
        Protocol::Gemini => Box::new(gemini::Gemini),
        Protocol::Azure { api_version } => Box::new(openai::Azure::new(&base, api_version.clone())?),
    };
    HttpProvider::new(settings, base, dialect, clock)
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
    #[error("the API key is empty: put it where key_env, key_file, key_command or --api-key-env says")]
    EmptyApiKey,
    #[error("there is no API key: {0}")]
    NoApiKey(String),
    #[error(
        "the header `{0}` cannot be sent: its name or its value holds characters that no header may hold; mend [provider.NAME] headers"
    )]
    BadHeader(String),
    #[error("the proxy is not a URL; it looks like http://127.0.0.1:3128")]
    BadProxy,
    #[error("cannot use the certificates in {}: {reason}", path.display())]
    BadCaFile { path: PathBuf, reason: String },
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
}
