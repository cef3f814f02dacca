//! From flags and sandmill.toml to the routes of a run: flags make one, `default`; `--route` takes those of the file.

use super::run_args::RunArgs;
use super::settings::time;
use crate::catalog::{Catalog, EncodingName, Tier};
use crate::config::{self, Config};
use crate::domain::{Pair, Prices, Rates};
use crate::provider::{self, Faults, HttpSettings, KeySource, Protocol, Provider};
use crate::resilience::{
    BreakerSettings, ConcurrencySettings, Counting, Encoding, Fallback, GateSettings, LimiterSettings, Route, Routes,
};
use crate::sandbox::Manifest;
use crate::store::Store;
use anyhow::{Context, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_mins(10);
const CALLS_AT_ONCE: u32 = 256;
/// What the mock provider is asked for if nobody names a model.
const MOCK_MODEL: &str = "mock-1";
/// The route that flags make.
const DEFAULT: &str = "default";

/// Routes as they are set, checked, with their providers; prices are not in the books yet.
pub(super) struct Planned {
    routes: Vec<(Route, Option<Prices>)>,
    roles: BTreeMap<String, String>,
    default: Option<String>,
    groups: BTreeMap<String, Vec<String>>,
}

impl Planned {
    /// Nobody is asked: the mock answers in everybody's place.
    pub(super) fn rehearse(&mut self, seed: u64) -> anyhow::Result<()> {
        for (route, _) in &mut self.routes {
            route.provider = provider::build(provider::Settings::Mock { faults: Faults::default(), seed })?;
        }
        Ok(())
    }

    /// Whether somebody can be asked.
    pub(super) fn is_bound(&self) -> bool {
        !self.routes.is_empty()
    }

    /// What outcomes depend on: the models behind the roles.
    pub(super) fn models(&self) -> String {
        let model = |name: &String| {
            let members = self.groups.get(name).map_or_else(|| vec![name.clone()], Clone::clone);
            let models = members.iter().filter_map(|name| self.routes.iter().find(|(route, _)| route.name == *name));
            models.map(|(route, _)| route.model.clone()).collect::<Vec<_>>().join("|")
        };
        let mut words: Vec<String> = self.default.iter().map(model).collect();
        words.extend(self.roles.iter().map(|(role, name)| format!("{role}={}", model(name))));
        words.join(",")
    }

    pub(super) fn all_models(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().map(|(route, _)| route.model.as_str())
    }

    /// That what a job costs can be told, and so limited.
    pub(super) fn check_priced(&self) -> anyhow::Result<()> {
        match self.routes.iter().find(|(_, prices)| prices.is_none()) {
            Some((route, _)) => bail!(
                "--max-cost needs the prices of route `{}`: give them with --prices input=…,output=… (in dollars for a million tokens; 0 for a model of your own), or in sandmill.toml",
                route.name
            ),
            None => Ok(()),
        }
    }

    /// With their prices in the store's books.
    pub(super) fn with_prices(&self, store: &Store) -> anyhow::Result<Routes> {
        let mut routes = Vec::new();
        for (route, prices) in &self.routes {
            let mut route = route.clone();
            route.prices = prices.map(|prices| anyhow::Ok((prices, store.price(prices)?))).transpose()?;
            routes.push(route);
        }
        Ok(Routes { routes, roles: self.roles.clone(), default: self.default.clone(), groups: self.groups.clone() })
    }
}

/// Everything about routes that can be wrong is told here.
pub(super) fn plan(args: &RunArgs, config: &Config, manifest: &Manifest) -> anyhow::Result<Planned> {
    let mut planned = Planned { routes: Vec::new(), roles: BTreeMap::new(), default: None, groups: BTreeMap::new() };
    if let Some(name) = &args.provider.provider {
        let spec = config::Route { provider: Some(name.clone()), ..config::Route::default() };
        planned.routes.push(build(DEFAULT, &spec, args, config)?);
        planned.default = Some(DEFAULT.into());
    }
    for text in &args.provider.route {
        match text.split_once('=') {
            Some((role, name)) => {
                if !manifest.model_roles.iter().any(|known| known.name == role) {
                    let known: Vec<String> =
                        manifest.model_roles.iter().map(|role| format!("`{}`", role.name)).collect();
                    bail!("--route {text}: the plugin has no model role `{role}`; it has {}", known.join(", "));
                }
                planned.roles.insert(role.to_owned(), name.to_owned());
            }
            None if planned.default.is_some() => {
                bail!("--route {text} and --provider both say whom to ask: leave one of them out")
            }
            None => planned.default = Some(text.clone()),
        }
    }
    if planned.default.is_none() {
        planned.default.clone_from(&config.run.route);
    }
    let mut wanted: Vec<String> = planned.roles.values().chain(&planned.default).cloned().collect();
    let mut seen =
        BTreeSet::from([DEFAULT.to_owned()].map(|name| if planned.routes.is_empty() { String::new() } else { name }));
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let spec = config.route.get(&name).with_context(|| unknown("route", &name, config.route.keys()))?;
        if spec.members.is_empty() {
            let (route, prices) = build(&name, spec, args, config)?;
            let Fallback { open, quota, context } = &route.fallback;
            wanted.extend([open, quota, context].into_iter().flatten().cloned());
            planned.routes.push((route, prices));
        } else {
            if (config::Route { members: spec.members.clone(), ..config::Route::default() }) != *spec {
                bail!("[route.{name}] has members, and nothing else can be set beside them: set it in the members");
            }
            if let Some(group) = spec
                .members
                .iter()
                .find(|member| config.route.get(*member).is_some_and(|route| !route.members.is_empty()))
            {
                bail!("[route.{name}]: its member `{group}` has members itself");
            }
            wanted.extend(spec.members.clone());
            planned.groups.insert(name, spec.members.clone());
        }
    }
    if args.provider.max_cost.is_some() {
        planned.check_priced()?;
    }
    Ok(planned)
}

/// Every route of the file, and what stands behind it; how many there are.
pub(super) fn plan_all(config: &Config) -> anyhow::Result<usize> {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: RunArgs,
    }
    let args = <Line as clap::Parser>::try_parse_from(["", "-", "--input", "-"])?.args;
    for (name, route) in &config.route {
        if route.members.is_empty() {
            build(name, route, &args, config)?;
        }
        let Fallback { open, quota, context } = &fallback(route);
        let others = route.members.iter().chain([open, quota, context].into_iter().flatten());
        if let Some(missing) = others.into_iter().find(|other| !config.route.contains_key(*other)) {
            bail!("[route.{name}]: {}", unknown("route", missing, config.route.keys()));
        }
    }
    Ok(config.route.len())
}

fn fallback(spec: &config::Route) -> Fallback {
    let config::RouteFallback { open, quota, context } = spec.fallback.clone();
    Fallback { open, quota, context }
}

fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
    let listed = if known.is_empty() { "none".into() } else { known.join(", ") };
    format!("unknown {kind} `{name}`: add [{kind}.{name}] to sandmill.toml; there is {listed}")
}

fn build(name: &str, spec: &config::Route, args: &RunArgs, config: &Config) -> anyhow::Result<(Route, Option<Prices>)> {
    let is_of_flags = name == DEFAULT && args.provider.provider.is_some();
    let provider_name =
        spec.provider.as_deref().with_context(|| format!("[route.{name}] names no provider: provider = \"…\""))?;
    let provider_args = &args.provider;
    let (provider, is_mock) = provider_of(provider_name, args, config, is_of_flags)?;
    let model = if is_of_flags { provider_args.model.clone() } else { spec.model.clone() };
    let model = match (model, is_mock) {
        (Some(model), _) => model,
        (None, true) => MOCK_MODEL.into(),
        (None, false) if is_of_flags => bail!("--provider {provider_name} needs the name of a model: --model NAME"),
        (None, false) => bail!("[route.{name}] names no model: model = \"…\""),
    };
    let catalog = Catalog::embedded().with_tables(&config.model).map_err(anyhow::Error::msg)?;
    let known = catalog.find(&model).cloned();
    let flag_prices = provider_args.prices.as_deref().filter(|_| is_of_flags).map(prices_of_flag).transpose()?;
    let prices = match (flag_prices, &spec.prices) {
        (Some(prices), _) => Some(prices),
        (None, Some(prices)) => Some(prices_of_config(name, prices)?),
        // The mock is free, whatever model it plays.
        (None, None) if is_mock => None,
        (None, None) => known.as_ref().and_then(|known| known.prices(Tier::Standard)),
    };
    let timeout = time(provider_args.timeout.as_deref(), spec.timeout)?.unwrap_or(TIMEOUT);
    let route = Route {
        name: name.to_owned(),
        model,
        provider,
        timeout,
        window: (provider_args.context.filter(|_| is_of_flags).or(spec.context))
            .or(known.as_ref().and_then(|known| known.context_tokens)),
        max_output: spec.max_output.or(known.as_ref().and_then(|known| known.max_output_tokens)),
        counting: known.map_or_else(Counting::default, |known| Counting {
            encoding: known.encoding.map(encoding),
            percent: known.estimate_percent,
        }),
        prices: None,
        parameters: parameters(name, &spec.parameters)?,
        extra_allow: spec.extra_allow.clone().into(),
        gate: gate(spec, args, config)?,
        fallback: fallback(spec),
    };
    Ok((route, prices))
}

fn provider_of(
    name: &str,
    args: &RunArgs,
    config: &Config,
    is_of_flags: bool,
) -> anyhow::Result<(Arc<dyn Provider>, bool)> {
    let args = &args.provider;
    let built_in;
    let spec = match (config.provider.get(name), name) {
        (Some(spec), _) => spec,
        (None, "openai" | "anthropic" | "gemini" | "mock") => {
            built_in = config::Provider { protocol: Some(name.to_owned()), ..config::Provider::default() };
            &built_in
        }
        (None, _) => {
            bail!("{}; openai, anthropic, gemini and mock need none", unknown("provider", name, config.provider.keys()))
        }
    };
    let faults = args.faults.as_ref().filter(|_| is_of_flags).or(spec.faults.as_ref());
    let (protocol, default_url, default_key) = match spec.protocol.as_deref().unwrap_or("openai") {
        "mock" => {
            let faults = Faults::parse(faults.map_or("", String::as_str))?;
            return Ok((provider::build(provider::Settings::Mock { faults, seed: args.seed })?, true));
        }
        "openai" => (Protocol::OpenAi, Some("https://api.openai.com/v1"), "OPENAI_API_KEY"),
        "azure" => (Protocol::Azure { api_version: spec.api_version.clone() }, None, "AZURE_OPENAI_API_KEY"),
        "anthropic" => (Protocol::Anthropic, Some("https://api.anthropic.com/v1"), "ANTHROPIC_API_KEY"),
        "gemini" => (Protocol::Gemini, Some("https://generativelanguage.googleapis.com/v1beta"), "GEMINI_API_KEY"),
        other => {
            bail!("[provider.{name}]: the protocol `{other}` is not known: openai, azure, anthropic, gemini or mock")
        }
    };
    if faults.is_some() {
        bail!("--faults are the mock provider's: use --provider mock, or give them to `sandmill mock-server`");
    }
    let flag_url = args.base_url.as_deref().filter(|_| is_of_flags);
    let base_url = flag_url
        .or(spec.base_url.as_deref())
        .or(default_url)
        .with_context(|| format!("[provider.{name}] needs its address: base_url = \"https://…\""))?;
    let settings = HttpSettings {
        name: name.to_owned(),
        protocol,
        base_url: base_url.to_owned(),
        key: key(name, spec, args.api_key_env.as_deref().filter(|_| is_of_flags), default_key)?,
        headers: spec.headers.clone().into_iter().collect(),
        proxy: spec.proxy.clone(),
        ca_file: spec.ca_file.clone(),
        connect_timeout: spec.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
    };
    Ok((provider::build(provider::Settings::Http(settings))?, false))
}

/// A variable that was named must be there; the default one need not, since local servers want no key.
fn key(name: &str, spec: &config::Provider, flag: Option<&str>, default: &str) -> anyhow::Result<KeySource> {
    let is_set = |variable: &str| std::env::var_os(variable).is_some();
    if let Some(variable) = flag {
        if !is_set(variable) {
            bail!("the environment variable `{variable}` is not set, which --api-key-env names");
        }
        return Ok(KeySource::Env(variable.to_owned()));
    }
    match (&spec.key_env, &spec.key_file, &spec.key_command) {
        (None, None, None) if is_set(default) => Ok(KeySource::Env(default.into())),
        (None, None, None) => Ok(KeySource::None),
        (Some(variable), None, None) if is_set(variable) => Ok(KeySource::Env(variable.clone())),
        (Some(variable), None, None) => {
            bail!("[provider.{name}]: the environment variable `{variable}` is not set, which key_env names")
        }
        (None, Some(path), None) => Ok(KeySource::File(path.clone())),
        (None, None, Some(words)) => Ok(KeySource::Command(words.clone())),
        _ => bail!("[provider.{name}]: key_env, key_file and key_command say the same thing: leave one of them"),
    }
}

fn encoding(name: EncodingName) -> Encoding {
    match name {
        EncodingName::O200kBase => Encoding::O200k,
        EncodingName::Cl100kBase => Encoding::Cl100k,
        EncodingName::P50kBase => Encoding::P50k,
        EncodingName::R50kBase => Encoding::R50k,
    }
}

fn gate(spec: &config::Route, args: &RunArgs, config: &Config) -> anyhow::Result<GateSettings> {
    let (args, breaker, default) = (&args.provider, &config.breaker, BreakerSettings::default());
    let pause = time(args.breaker_pause.as_deref(), breaker.pause)?.unwrap_or(default.pause);
    let concurrency = match args.call_concurrency {
        Some(fixed) => ConcurrencySettings::Fixed(fixed),
        None => ConcurrencySettings::Adaptive { ceiling: spec.limits.concurrency.unwrap_or(CALLS_AT_ONCE) },
    };
    Ok(GateSettings {
        breaker: BreakerSettings {
            overloaded_after: breaker.overloaded_after.unwrap_or(default.overloaded_after).max(1),
            connections_after: breaker.connections_after.unwrap_or(default.connections_after).max(1),
            fault_share: breaker.fault_share.unwrap_or(default.fault_share),
            calls_min: breaker.calls_min.unwrap_or(default.calls_min),
            pause,
            pause_max: breaker.pause_max.unwrap_or(default.pause_max).max(pause),
            ..default
        },
        concurrency,
        limits: LimiterSettings { requests: spec.limits.rpm, tokens: spec.limits.tpm },
        outage_max: time(args.max_outage.as_deref(), breaker.max_outage)?.unwrap_or(GateSettings::default().outage_max),
    })
}

fn parameters(name: &str, table: &toml::Table) -> anyhow::Result<Arc<[Pair]>> {
    let pair = |(field, value): (&String, &toml::Value)| {
        let value = serde_json::to_string(value).with_context(|| format!("[route.{name}.parameters]: {field}"))?;
        anyhow::Ok(Pair { name: field.clone(), value })
    };
    Ok(table.iter().map(pair).collect::<anyhow::Result<Vec<_>>>()?.into())
}

fn micro(what: &str, dollars: f64) -> anyhow::Result<u64> {
    if !(0.0..1e6).contains(&dollars) {
        bail!("{what}: {dollars} is no price in dollars for a million tokens");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
    Ok((dollars * 1e6).round() as u64)
}

fn prices_of_config(name: &str, prices: &config::RoutePrices) -> anyhow::Result<Prices> {
    let what = format!("[route.{name}.prices]");
    let rates = Rates::new(
        micro(&what, prices.input)?,
        micro(&what, prices.output)?,
        prices.cache_read.map(|price| micro(&what, price)).transpose()?,
        prices.cache_write.map(|price| micro(&what, price)).transpose()?,
    );
    Ok(Prices { rates, long: None })
}

/// `input=0.15,output=0.6,cache-read=0.075`.
fn prices_of_flag(text: &str) -> anyhow::Result<Prices> {
    let way_out = || format!("--prices {text}: write input=0.15,output=0.6[,cache-read=…][,cache-write=…]");
    let mut found = BTreeMap::new();
    for part in text.split(',') {
        let (name, number) = part.split_once('=').with_context(way_out)?;
        let dollars = number.trim().parse::<f64>().ok().with_context(way_out)?;
        found.insert(name.trim(), micro("--prices", dollars)?);
    }
    let rates = Rates::new(
        found.remove("input").with_context(way_out)?,
        found.remove("output").with_context(way_out)?,
        found.remove("cache-read"),
        found.remove("cache-write"),
    );
    if !found.is_empty() {
        bail!("{}", way_out());
    }
    Ok(Prices { rates, long: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_in_dollars_for_a_million_tokens() {
        let prices = prices_of_flag("input=0.15, output=0.6,cache-read=0.075").unwrap();
        assert_eq!(prices.rates, Rates::new(150_000, 600_000, Some(75_000), None));
        for bad in ["", "input=1", "input=1,output=x", "input=1,output=2,z=3", "input=-1,output=2"] {
            assert!(prices_of_flag(bad).unwrap_err().to_string().contains("--prices"), "{bad}");
        }
    }
}
