//! How to reach a provider: what the operator sets.

use super::Faults;
use std::path::PathBuf;
use std::time::Duration;

/// Where answers come from.
#[derive(Debug, Clone)]
pub enum Settings {
    Http(HttpSettings),
    Mock { faults: Faults, seed: u64 },
}

/// An endpoint over HTTP.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// What it is called in messages.
    pub name: String,
    pub protocol: Protocol,
    /// Up to and including the version, such as `https://api.openai.com/v1`.
    pub base_url: String,
    pub key: KeySource,
    /// Sent with every request, beside the protocol's own; values may be secret.
    pub headers: Vec<(String, String)>,
    /// `None`: as the environment says (`HTTPS_PROXY`), and none towards this machine.
    pub proxy: Option<String>,
    /// PEM: certificates that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    pub connect_timeout: Duration,
    /// The header that carries a key for each question, the same for every try of it, so that a provider that knows it
    /// answers (and bills) a repeated question once. `OpenAI` and Anthropic document none, vLLM ignores it: some gateways
    /// know `Idempotency-Key`.
    pub idempotency_header: Option<String>,
}

/// The wire protocol, and with it how the key is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// Chat completions; the key as `Authorization: Bearer`.
    OpenAi,
    /// Chat completions at Azure; the key as `api-key`. `api_version` goes into the query; without one the base URL is
    /// that of the v1 API.
    Azure { api_version: Option<String> },
    /// Messages; the key as `x-api-key`.
    Anthropic,
    /// `generateContent`; the key as `x-goog-api-key`.
    Gemini,
}

/// Where the key comes from. Env, file and command are read when the provider is made, and once more when a key is
/// refused, since tokens expire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// No key is sent.
    None,
    Env(String),
    File(PathBuf),
    /// Program and arguments; what it prints, without white space around it, is the key.
    Command(Vec<String>),
}
