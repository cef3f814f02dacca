//! Whom a route asks: from `[provider.NAME]`, the names that need none, and the flags for the route that flags make.

use super::routes::unknown;
use super::run_args::RunArgs;
use crate::config::{self, Config};
use crate::provider::{self, Faults, HttpSettings, KeySource, Protocol, Provider};
use anyhow::{Context, bail};
use std::sync::Arc;
use std::time::Duration;

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A provider that could be made.
pub(super) struct Endpoint {
    pub(super) provider: Arc<dyn Provider>,
    /// `None`: the mock, which speaks no wire.
    pub(super) protocol: Option<Protocol>,
}

/// What a protocol has where nothing is set.
pub(super) struct Preset {
    pub(super) protocol: Protocol,
    pub(super) base_url: Option<&'static str>,
    pub(super) key_env: &'static str,
}

/// `Ok(None)`: the mock.
pub(super) fn preset(name: &str, spec: &config::Provider) -> anyhow::Result<Option<Preset>> {
    let (protocol, base_url, key_env) = match spec.protocol.as_deref().unwrap_or("openai") {
        "mock" => return Ok(None),
        "openai" => (Protocol::OpenAi, Some("https://api.openai.com/v1"), "OPENAI_API_KEY"),
        "azure" => (Protocol::Azure { api_version: spec.api_version.clone() }, None, "AZURE_OPENAI_API_KEY"),
        "anthropic" => (Protocol::Anthropic, Some("https://api.anthropic.com/v1"), "ANTHROPIC_API_KEY"),
        "gemini" => (Protocol::Gemini, Some("https://generativelanguage.googleapis.com/v1beta"), "GEMINI_API_KEY"),
        other => {
            bail!("[provider.{name}]: the protocol `{other}` is not known: openai, azure, anthropic, gemini or mock")
        }
    };
    Ok(Some(Preset { protocol, base_url, key_env }))
}

/// Providers that are known without a section of the file.
pub(super) const BUILT_IN: [&str; 4] = ["openai", "anthropic", "gemini", "mock"];

/// The provider's settings, or those of one that needs none.
pub(super) fn spec(name: &str, config: &Config) -> anyhow::Result<config::Provider> {
    match (config.provider.get(name), name) {
        (Some(spec), _) => Ok(spec.clone()),
        (None, "openai" | "anthropic" | "gemini" | "mock") => {
            Ok(config::Provider { protocol: Some(name.to_owned()), ..config::Provider::default() })
        }
        (None, _) => {
            let names: Vec<String> = config.provider.keys().cloned().chain(BUILT_IN.map(str::to_owned)).collect();
            bail!("{}; openai, anthropic, gemini and mock need no section", unknown("provider", name, names.iter()))
        }
    }
}

/// `is_of_flags`: the flags say more of it.
pub(super) fn provider_of(name: &str, args: &RunArgs, config: &Config, is_of_flags: bool) -> anyhow::Result<Endpoint> {
    let (args, spec) = (&args.provider, spec(name, config)?);
    let faults = args.faults.as_ref().filter(|_| is_of_flags).or(spec.faults.as_ref());
    let Some(Preset { protocol, base_url, key_env }) = preset(name, &spec)? else {
        let faults = Faults::parse(faults.map_or("", String::as_str))?;
        let provider = provider::build(provider::Settings::Mock { faults, seed: args.seed })?;
        return Ok(Endpoint { provider, protocol: None });
    };
    if faults.is_some() {
        bail!("--faults are the mock provider's: use --provider mock, or give them to `sandmill mock-server`");
    }
    let flag_url = args.base_url.as_deref().filter(|_| is_of_flags);
    let base_url = flag_url
        .or(spec.base_url.as_deref())
        .or(base_url)
        .with_context(|| format!("[provider.{name}] needs its address: base_url = \"https://…\""))?;
    let settings = HttpSettings {
        name: name.to_owned(),
        protocol: protocol.clone(),
        base_url: base_url.to_owned(),
        key: key(name, &spec, args.api_key_env.as_deref().filter(|_| is_of_flags), key_env)?,
        headers: spec.headers.clone().into_iter().collect(),
        proxy: spec.proxy.clone(),
        ca_file: spec.ca_file.clone(),
        connect_timeout: spec.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
        idempotency_header: spec.idempotency_header.clone(),
    };
    let provider = provider::build(provider::Settings::Http(settings))?;
    Ok(Endpoint { provider, protocol: Some(protocol) })
}

/// Where the key of a provider is looked for; never the key.
pub(super) fn key_place(name: &str, args: &RunArgs, config: &Config) -> String {
    let flag = args.provider.api_key_env.as_ref().filter(|_| args.provider.provider.as_deref() == Some(name));
    let Ok(spec) = spec(name, config) else { return "nowhere".into() };
    match (flag.or(spec.key_env.as_ref()), &spec.key_file, &spec.key_command) {
        (Some(variable), ..) => format!("${variable}"),
        (None, Some(path), _) => path.display().to_string(),
        // Its arguments may be secret.
        (None, None, Some(words)) => format!("`{}`", words.first().map_or("", String::as_str)),
        (None, None, None) => match preset(name, &spec) {
            Ok(Some(preset)) => format!("${}", preset.key_env),
            Ok(None) | Err(_) => "nowhere".into(),
        },
    }
}

/// A variable that was named must be there; the default one need not, since local servers want no key.
fn key(name: &str, spec: &config::Provider, flag: Option<&str>, default: &str) -> anyhow::Result<KeySource> {
    let is_set = |variable: &str| std::env::var_os(variable).is_some();
    if let Some(variable) = flag {
        if !is_set(variable) {
            bail!("the environment variable `{variable}` is not set, which --api-key-env names: put the key there");
        }
        return Ok(KeySource::Env(variable.to_owned()));
    }
    match (&spec.key_env, &spec.key_file, &spec.key_command) {
        (None, None, None) if is_set(default) => Ok(KeySource::Env(default.into())),
        (None, None, None) => Ok(KeySource::None),
        (Some(variable), None, None) if is_set(variable) => Ok(KeySource::Env(variable.clone())),
        (Some(variable), None, None) => {
            bail!(
                "[provider.{name}]: the environment variable `{variable}` is not set, which key_env names: put the key there"
            )
        }
        (None, Some(path), None) => Ok(KeySource::File(path.clone())),
        (None, None, Some(words)) => Ok(KeySource::Command(words.clone())),
        _ => bail!("[provider.{name}]: key_env, key_file and key_command say the same thing: leave one of them"),
    }
}
