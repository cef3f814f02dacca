//! `[provider.NAME]`, `[route.NAME]`, `[breaker]`: whom to ask, and how.

use super::{duration, fraction};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// `[provider.NAME]`: an endpoint and the key to it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// `openai` (the default), `azure`, `anthropic`, `gemini` or `mock`.
    pub protocol: Option<String>,
    /// Up to and including the version.
    pub base_url: Option<String>,
    /// The environment variable, the file or the command that gives the key; at most one of them.
    pub key_env: Option<String>,
    pub key_file: Option<PathBuf>,
    pub key_command: Option<Vec<String>>,
    /// Azure's, such as `2024-10-21`; without it the base URL is that of the v1 API.
    pub api_version: Option<String>,
    /// `http://127.0.0.1:3128`; without it as `HTTPS_PROXY` says.
    pub proxy: Option<String>,
    /// PEM: certificates that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Sent with every request.
    pub headers: BTreeMap<String, String>,
    /// Of the key: what all routes on this provider share.
    pub limits: RouteLimits,
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Option<Duration>,
    /// `Idempotency-Key`: sent with a key for each question, the same for every try; without it none is sent.
    pub idempotency_header: Option<String>,
    /// The mock provider's.
    pub faults: Option<String>,
}

/// `[route.NAME]`: a model at a provider, and how it is used.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// The name of a `[provider.NAME]`, or `openai`, `anthropic`, `gemini`, `mock`.
    pub provider: Option<String>,
    pub model: Option<String>,
    /// Routes that the load is spread over; then nothing else may be set.
    pub members: Vec<String>,
    /// Fields of the request's body; they win over the plugin's.
    pub parameters: toml::Table,
    /// The provider's own fields that plugins may set.
    pub extra_allow: Vec<String>,
    pub limits: RouteLimits,
    pub prices: Option<RoutePrices>,
    /// What the model takes in all, and what it writes at most, in tokens.
    pub context: Option<u64>,
    pub max_output: Option<u64>,
    /// How long one exchange may take.
    #[serde(deserialize_with = "duration")]
    pub timeout: Option<Duration>,
    pub fallback: RouteFallback,
}

/// `[route.NAME.limits]`, and `[provider.NAME.limits]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteLimits {
    /// Requests, and tokens read and written, in a minute.
    pub rpm: Option<u64>,
    pub tpm: Option<u64>,
    /// Calls at once, at most; how many it really are is found out.
    pub concurrency: Option<u32>,
}

/// `[route.NAME.prices]`, in dollars for a million tokens.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutePrices {
    pub input: f64,
    pub output: f64,
    pub cache_read: Option<f64>,
    pub cache_write: Option<f64>,
    /// The part of the output that is reasoning.
    pub reasoning: Option<f64>,
    /// Of the tiers in which calls may be served.
    pub standard: Option<TierPrices>,
    pub flex: Option<TierPrices>,
    pub priority: Option<TierPrices>,
    pub batch: Option<TierPrices>,
}

/// `[route.NAME.prices.TIER]`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierPrices {
    pub input: f64,
    pub output: f64,
    pub cache_read: Option<f64>,
    pub cache_write: Option<f64>,
    pub reasoning: Option<f64>,
}

/// `[route.NAME.fallback]`: the routes that step in, by why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteFallback {
    pub open: Option<String>,
    pub quota: Option<String>,
    pub context: Option<String>,
}

/// `[breaker]`, of every route.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    pub overloaded_after: Option<u32>,
    pub connections_after: Option<u32>,
    #[serde(deserialize_with = "fraction")]
    pub fault_share: Option<f64>,
    /// How many calls the share is of, and how many there have to be.
    pub window: Option<usize>,
    pub calls_min: Option<usize>,
    /// 429s without an answer between them: so many, over so long.
    pub rate_limited_after: Option<u32>,
    #[serde(deserialize_with = "duration")]
    pub rate_limited_for: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub pause: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub pause_max: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub max_outage: Option<Duration>,
}
