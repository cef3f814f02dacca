//! `sandmill.toml`: what an operator sets once rather than on every command line. Flags go before it.
//!
//! Read from the working directory or `--config`, never from a plugin's folder; paths in it are relative to its own. An unknown key is an error that
//! lists the known ones.

mod alert;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod grants;
mod limits;
mod routes;
mod suggest;
mod telemetry;

use crate::domain::reason;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use alert::{Alert, CommandChannel, EmailChannel, SecretPlace, SlackChannel, WebhookChannel};
pub use grants::{GivenTable, GrantsTable, NeedsTable};
pub use limits::{Dollars, Limit, Limits, Size, Time};
pub use routes::{Breaker, Provider, Route, RouteFallback, RouteLimits, RoutePrices, TierPrices};
pub use suggest::{did_you_mean, did_you_mean_path, with_suggestion};
pub use telemetry::Telemetry;

/// The file in the working directory.
pub const DEFAULT_FILE: &str = "sandmill.toml";

/// In place of the cache's folder.
pub const NO_CACHE: &str = "off";

/// As it is written; nothing is required.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub provider: BTreeMap<String, Provider>,
    pub route: BTreeMap<String, Route>,
    /// `[model.NAME]`: figures that go before those that the program knows; `catalog` reads them.
    pub model: BTreeMap<String, toml::Table>,
    pub run: Run,
    pub retry: Retry,
    pub breaker: Breaker,
    pub context: Context,
    pub limits: Limits,
    pub trust: Trust,
    /// `[grants.PLUGIN]`: by how the plugin is named, a path relative to the file's folder or `oci://REGISTRY/NAME`.
    pub grants: BTreeMap<String, GivenTable>,
    pub sandbox: Sandbox,
    pub input: Input,
    pub alert: Alert,
    pub telemetry: Telemetry,
}

/// `[trust]`: which plugins may run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trust {
    /// Public keys of minisign, whose signatures count.
    pub keys: Vec<String>,
    pub require_signed: Option<bool>,
    /// By `plugin.lock`.
    pub require_pinned: Option<bool>,
    /// Hosts, with their ports if need be, that are asked without TLS.
    pub insecure_registries: Vec<String>,
}

/// `[run]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    pub store: Option<PathBuf>,
    /// The route that is asked if no flag says otherwise.
    pub route: Option<String>,
    pub concurrency: Option<usize>,
    /// Instances that may be live at once.
    pub max_instances: Option<u32>,
    /// `auto`, `never` or `always`.
    pub suspend: Option<String>,
    /// How long a guest waits for an answer before it may give its instance back.
    #[serde(deserialize_with = "duration")]
    pub suspend_after: Option<Duration>,
    /// What all live instances shall have together: bytes, or with a unit; 0: as much as they take.
    #[serde(deserialize_with = "bytes")]
    pub memory_target: Option<u64>,
    pub max_attempts: Option<u32>,
    pub max_consecutive_errors: Option<u32>,
    /// Items that may crash the plugin with none done in between; 0: never stop.
    pub max_traps: Option<u32>,
    /// How long nothing may move before it is said; `0s`: never.
    #[serde(deserialize_with = "duration")]
    pub watchdog: Option<Duration>,
    /// Where figures are served: a port of this machine, or an address with its port.
    pub metrics: Option<String>,
    /// Where the live page is served, in the same form; and whether other machines may reach it.
    pub dashboard: Option<String>,
    pub dashboard_allow_remote: Option<bool>,
    /// `text` or `json`: what is said on stderr.
    pub log_format: Option<String>,
}

/// `[retry]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    pub attempts: Option<u32>,
    /// Answers that are asked for where JSON was asked for and something else came.
    pub json_attempts: Option<u32>,
    #[serde(deserialize_with = "duration")]
    pub wait_min: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub wait_max: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub retry_after_max: Option<Duration>,
}

/// `[context]`: what is done with requests that are too long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Context {
    /// `truncate`, `truncate-middle` or `error`.
    pub on_overflow: Option<String>,
    /// Tokens kept free for an answer.
    pub reserve_output: Option<u64>,
    /// The last messages, which are never dropped.
    pub keep_last: Option<usize>,
    /// The context of a model of which nothing is known.
    pub assumed: Option<u64>,
}

/// `[sandbox]`: how plugins are made ready.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// The folder in which compiled plugins are kept, or `off`.
    pub cache: Option<PathBuf>,
    /// Processor time that compiling a component may take.
    #[serde(deserialize_with = "duration")]
    pub compile_cpu: Option<Duration>,
    /// Address space that it may take: bytes, or with a unit.
    #[serde(deserialize_with = "bytes")]
    pub compile_memory: Option<u64>,
}

/// `[input]`: how items are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Input {
    /// Address space that decoding a Parquet file may take: bytes, or with a unit.
    #[serde(deserialize_with = "bytes")]
    pub parquet_memory: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {reason}", path = .path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{path}: {reason}", path = .path.display())]
    Bad { path: PathBuf, reason: String },
}

/// The operator's policy, in a file of its own.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// In dollars, for a job.
    pub max_cost: Option<f64>,
    pub max_tokens: Option<u64>,
    /// For a run.
    pub max_calls: Option<u64>,
    pub max_concurrency: Option<u32>,
    /// Items that may crash the plugin with none done in between.
    pub max_traps: Option<u32>,
    /// Bytes, or with a unit.
    #[serde(deserialize_with = "bytes")]
    pub max_memory: Option<u64>,
    /// The names that `--provider` may be given, and the models.
    pub providers: Option<Vec<String>>,
    pub models: Option<Vec<String>>,
    pub require_signed: Option<bool>,
    /// Whose signatures count for it; those of `[trust] keys` if it does not say.
    pub trusted_keys: Option<Vec<String>>,
    pub require_pinned: Option<bool>,
    /// The most that each limit may be.
    pub limits: Limits,
    /// What may be granted at all.
    pub grants: Option<GrantsTable>,
}

pub fn load_policy(path: &Path) -> Result<Policy, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { path: path.to_path_buf(), reason: reason(&error) })?;
    parse(&text, path)
}

/// `named`: must exist. Otherwise the file in the working directory, if there is one.
pub fn load(named: Option<&Path>) -> Result<Config, ConfigError> {
    let path = named.unwrap_or_else(|| Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => return Ok(Config::default()),
        Err(error) => return Err(ConfigError::Unreadable { path: path.to_path_buf(), reason: reason(&error) }),
    };
    let mut config: Config = parse(&text, path)?;
    config.resolve(path.parent().unwrap_or_else(|| Path::new("")));
    Ok(config)
}

fn parse<T: serde::de::DeserializeOwned>(text: &str, path: &Path) -> Result<T, ConfigError> {
    toml::from_str(text)
        .map_err(|error| ConfigError::Bad { path: path.to_path_buf(), reason: with_suggestion(error.to_string()) })
}

impl Config {
    /// Paths are relative to the folder of the file, so that they mean the same from wherever it is read.
    fn resolve(&mut self, folder: &Path) {
        let of_providers =
            self.provider.values_mut().flat_map(|provider| [&mut provider.key_file, &mut provider.ca_file]);
        for path in of_providers.chain([&mut self.run.store]).flatten() {
            *path = folder.join(&*path);
        }
        if let Some(cache) = self.sandbox.cache.as_mut().filter(|cache| cache.as_os_str() != NO_CACHE) {
            *cache = folder.join(&*cache);
        }
        self.alert.resolve(folder);
        let is_path = |name: &str| !name.contains("://");
        let of_file = |(name, mut table): (String, GivenTable)| {
            table.resolve(folder);
            (if is_path(&name) { folder.join(&name).to_string_lossy().into_owned() } else { name }, table)
        };
        self.grants = std::mem::take(&mut self.grants).into_iter().map(of_file).collect();
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map(Some)
        .map_err(|error| serde::de::Error::custom(format!("`{text}` is no duration ({error}): write 500ms, 30s or 5m")))
}

/// `50%` or 0.5, as a text.
fn fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let (number, scale) = text.strip_suffix('%').map_or((text.as_str(), 1.0), |number| (number, 100.0));
    match number.trim().parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&(value / scale)) => Ok(Some(value / scale)),
        Ok(_) | Err(_) => Err(serde::de::Error::custom(format!("`{text}` is no share: write \"50%\""))),
    }
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse::<bytesize::ByteSize>()
        .map(|size| Some(size.as_u64()))
        .map_err(|error| serde::de::Error::custom(format!("`{text}` is no size ({error}): write 64MiB")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Config, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_is_read() {
        let config =
            parsed("[retry]\nwait_min = \"500ms\"\n[limits]\nmemory = \"64MiB\"\n[run]\nconcurrency = 3").unwrap();
        assert_eq!(config.retry.wait_min, Some(Duration::from_millis(500)));
        assert_eq!(config.limits.memory, Some(Size(64 << 20)));
        assert_eq!(config.run.concurrency, Some(3));
    }

    #[test]
    fn paths_are_relative_to_the_files_folder() {
        let text = "[run]\nstore = \"jobs\"\n[sandbox]\ncache = \"c\"\n[provider.p]\nkey_file = \"key\"\nca_file = \"/etc/ca.pem\"";
        let mut config = parsed(text).unwrap();
        config.resolve(Path::new("/srv"));
        assert_eq!(config.run.store.as_deref(), Some(Path::new("/srv/jobs")));
        assert_eq!(config.sandbox.cache.as_deref(), Some(Path::new("/srv/c")));
        let mut off = parsed("[sandbox]\ncache = \"off\"").unwrap();
        off.resolve(Path::new("/srv"));
        assert_eq!(off.sandbox.cache.as_deref(), Some(Path::new(NO_CACHE)));
        let provider = &config.provider["p"];
        assert_eq!(provider.key_file.as_deref(), Some(Path::new("/srv/key")));
        assert_eq!(provider.ca_file.as_deref(), Some(Path::new("/etc/ca.pem")));
    }

    #[test]
    fn an_unknown_key_and_a_bad_value_are_told_with_what_is_expected() {
        assert!(parsed("[retry]\nattemps = 3").unwrap_err().contains("attempts"));
        assert!(parsed("[retry]\nwait_min = \"soon\"").unwrap_err().contains("500ms"));
    }
}
