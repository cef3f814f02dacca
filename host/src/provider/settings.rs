//! How to reach a provider: what the operator sets.

use super::{ApiKey, Faults, ProviderSettingsError};
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

impl KeySource {
    /// Reads the key; white space around it is dropped. Blocks.
    pub(super) fn read(&self) -> Result<Option<ApiKey>, ProviderSettingsError> {
        let missing = |reason: String| ProviderSettingsError::NoApiKey(reason);
        let text = match self {
            Self::None => return Ok(None),
            Self::Env(name) => std::env::var(name).map_err(|_| missing(format!("the environment has no {name}")))?,
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|error| missing(format!("{}: {error}", path.display())))?
            }
            Self::Command(words) => {
                let [program, arguments @ ..] = words.as_slice() else {
                    return Err(missing("the command for it is empty".into()));
                };
                let output = std::process::Command::new(program)
                    .args(arguments)
                    .stdin(std::process::Stdio::null())
                    .output()
                    .map_err(|error| missing(format!("`{program}`: {error}")))?;
                if !output.status.success() {
                    return Err(missing(format!("`{program}` ended with {}", output.status)));
                }
                String::from_utf8_lossy(&output.stdout).into_owned()
            }
        };
        Ok(Some(ApiKey::new(text.trim().to_owned())))
    }
}
