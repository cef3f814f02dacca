//! From flags and sandmill.toml to the routes of a run: flags make one, `default`; `--route` takes those of the file.

mod gates;

use self::gates::{gate, key_limits};
use super::endpoint::{Endpoint, provider_of};
use super::prices;
use super::run_args::{ProviderArgs, RunArgs};
use super::settings::time;
use crate::catalog::{Catalog, EncodingName, ModelEntry};
use crate::config::{self, Config};
use crate::domain::{Pair, Prices};
use crate::provider::{self, Faults, reserved_parameter};
use crate::resilience::{ConcurrencySettings, Counting, Encoding, Fallback, KnownWindow, Rehearsal, Route, Routes};
use crate::sandbox::Manifest;
use crate::store::Store;
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(super) const TIMEOUT: Duration = Duration::from_mins(10);
pub(super) const CALLS_AT_ONCE: u32 = 256;
/// What the mock provider is asked for if nobody names a model.
const MOCK_MODEL: &str = "mock-1";
/// The route that flags make.
const DEFAULT: &str = "default";

/// Routes as they are set, checked, with their providers; prices are not in the books yet.
pub(super) struct Planned {
    routes: Vec<PlannedRoute>,
    roles: BTreeMap<String, String>,
    default: Option<String>,
    groups: BTreeMap<String, Vec<String>>,
}

/// One of them.
pub(super) struct PlannedRoute {
    pub(super) route: Route,
    pub(super) prices: Option<Prices>,
    /// The name of its provider.
    pub(super) provider: String,
    pub(super) is_mock: bool,
}

impl Planned {
    /// Nobody is asked: the mock answers in everybody's place.
    pub(super) fn rehearse(&mut self, seed: u64) -> anyhow::Result<()> {
        let answers = provider::build(provider::Settings::Mock { faults: Faults::default(), seed })?;
        for PlannedRoute { route, is_mock, .. } in &mut self.routes {
            let told_by = is_mock.then(|| Arc::clone(&route.provider));
            route.provider = Arc::new(Rehearsal::new(Arc::clone(&answers), told_by, route.counting));
        }
        Ok(())
    }

    /// A plugin that asks needs somebody to ask.
    pub(super) fn check_bound(&self, manifest: &Manifest) -> anyhow::Result<()> {
        if !self.routes.is_empty() || !manifest.needs_model() {
            return Ok(());
        }
        bail!(
            "the plugin `{}` asks a model, and no provider was named: add --provider openai --model NAME (with the key in OPENAI_API_KEY), or --provider mock for a dry run",
            manifest.name
        )
    }

    /// Calls that may be on their way at once, over all routes.
    pub(super) fn calls_at_once(&self) -> u32 {
        let of_route = |planned: &PlannedRoute| match planned.route.gate.concurrency {
            ConcurrencySettings::Fixed(number) | ConcurrencySettings::Adaptive { ceiling: number } => number,
        };
        self.routes.iter().filter(|planned| !planned.is_mock).map(of_route).fold(0, u32::saturating_add)
    }

    pub(super) fn all(&self) -> &[PlannedRoute] {
        &self.routes
    }

    /// No route has more calls at once than this.
    pub(super) fn bound_calls(&mut self, most: u32) {
        for PlannedRoute { route, .. } in &mut self.routes {
            match &mut route.gate.concurrency {
                ConcurrencySettings::Fixed(number) | ConcurrencySettings::Adaptive { ceiling: number } => {
                    *number = most.min(*number);
                }
            }
        }
    }

    /// The routes that a name stands for.
    fn behind<'a>(&'a self, name: &'a String) -> impl Iterator<Item = &'a Route> {
        let members = self.groups.get(name).map_or(std::slice::from_ref(name), Vec::as_slice);
        members.iter().filter_map(|name| self.routes.iter().map(|planned| &planned.route).find(|r| r.name == *name))
    }

    /// What outcomes depend on: the models behind the roles.
    pub(super) fn models(&self) -> String {
        let model = |name: &String| self.behind(name).map(|route| route.model.clone()).collect::<Vec<_>>().join("|");
        let mut words: Vec<String> = self.default.iter().map(model).collect();
        words.extend(self.roles.iter().map(|(role, name)| format!("{role}={}", model(name))));
        words.join(",")
    }

    /// And their parameters, in canonical form; `None` where there is none.
    pub(super) fn parameters(&self) -> Option<String> {
        let names = self.default.iter().map(|name| ("", name));
        let names = names.chain(self.roles.iter().map(|(role, name)| (role.as_str(), name)));
        let mut has_any = false;
        let mut of_route = |route: &Route| {
            has_any |= !route.parameters.is_empty();
            let field = |pair: &Pair| (pair.name.clone(), serde_json::from_str(&pair.value).unwrap_or(Value::Null));
            Value::Object(route.parameters.iter().map(field).collect())
        };
        let all: Vec<Value> =
            names.map(|(role, name)| json!([role, self.behind(name).map(&mut of_route).collect::<Vec<_>>()])).collect();
        let all = Value::Array(all);
        // A `Value` always serialises; its numbers are finite.
        has_any.then(|| serde_json_canonicalizer::to_string(&all).unwrap_or_else(|_| all.to_string()))
    }

    /// That what a job costs can be told: a limit in money, which `flag` sets, holds only where every call has a price.
    pub(super) fn check_priced(&self, flag: &str) -> anyhow::Result<()> {
        match self.routes.iter().find(|planned| planned.prices.is_none()) {
            Some(PlannedRoute { route, .. }) => bail!(
                "{flag} needs the prices of route `{}`: give them with --prices input=…,output=… (in dollars for a million tokens; 0 for a model of your own), or in sandmill.toml",
                route.name
            ),
            None => Ok(()),
        }
    }

    /// For where nothing is paid.
    pub(super) fn without_prices(self) -> Routes {
        let Self { routes, roles, default, groups } = self;
        Routes { routes: routes.into_iter().map(|planned| planned.route).collect(), roles, default, groups }
    }

    /// With their prices in the store's books.
    pub(super) fn with_prices(&self, store: &Store) -> anyhow::Result<Routes> {
        let mut routes = Vec::new();
        for PlannedRoute { route, prices, .. } in &self.routes {
            let mut route = route.clone();
            route.prices = prices.map(|prices| anyhow::Ok((prices, store.price(prices)?))).transpose()?;
            routes.push(route);
        }
        Ok(Routes { routes, roles: self.roles.clone(), default: self.default.clone(), groups: self.groups.clone() })
    }
}

/// Everything about routes that can be wrong is told here.
pub(super) fn plan(args: &RunArgs, config: &Config, manifest: &Manifest) -> anyhow::Result<Planned> {
    let (mut planned, builder) = (bind(args, config, manifest)?, Builder::new(args, config)?);
    check_flags(&args.provider, planned.default.as_deref(), config)?;
    let mut seen = BTreeSet::new();
    if let Some(name) = &args.provider.provider {
        let spec = config::Route { provider: Some(name.clone()), ..config::Route::default() };
        planned.routes.push(builder.build(DEFAULT, &spec, Flags::Make)?);
        seen.insert(DEFAULT.to_owned());
    }
    let mut wanted: Vec<String> = planned.roles.values().chain(&planned.default).cloned().collect();
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let spec = config.route.get(&name).with_context(|| unknown("route", &name, config.route.keys()))?;
        check_members(&name, spec, config)?;
        if spec.members.is_empty() {
            let flags = if planned.default.as_ref() == Some(&name) { Flags::Override } else { Flags::Leave };
            let built = builder.build(&name, spec, flags)?;
            let Fallback { open, quota, context } = &built.route.fallback;
            wanted.extend([open, quota, context].into_iter().flatten().cloned());
            planned.routes.push(built);
        } else {
            wanted.extend(spec.members.clone());
            planned.groups.insert(name, spec.members.clone());
        }
    }
    check_prices(args, config, &planned)?;
    Ok(planned)
}

/// Which names roles lead to.
fn bind(args: &RunArgs, config: &Config, manifest: &Manifest) -> anyhow::Result<Planned> {
    let mut planned = Planned { routes: Vec::new(), roles: BTreeMap::new(), default: None, groups: BTreeMap::new() };
    if args.provider.provider.is_some() {
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
            None if args.provider.provider.is_some() => {
                bail!("--route {text} and --provider both say whom to ask: leave one of them out")
            }
            None if planned.default.is_some() => {
                bail!("--route {text}: another --route says already whom to ask: leave one of them out")
            }
            None => planned.default = Some(text.clone()),
        }
    }
    if planned.default.is_none() {
        planned.default.clone_from(&config.run.route);
    }
    Ok(planned)
}

/// No flag that says how to ask is dropped in silence.
fn check_flags(args: &ProviderArgs, default: Option<&str>, config: &Config) -> anyhow::Result<()> {
    if args.provider.is_some() {
        return Ok(());
    }
    let of_route =
        [("--model", args.model.is_some()), ("--context", args.context.is_some()), ("--prices", args.prices.is_some())];
    let of_provider = [
        ("--base-url", args.base_url.is_some()),
        ("--api-key-env", args.api_key_env.is_some()),
        ("--faults", args.faults.is_some()),
    ];
    let given = |flags: &[(&'static str, bool)]| flags.iter().find(|(_, is_given)| *is_given).map(|(flag, _)| *flag);
    let Some(name) = default else {
        return match given(&of_route).or_else(|| given(&of_provider)) {
            Some(flag) => bail!("{flag} says how to ask, and nothing says whom: add --provider NAME or --route NAME"),
            None => Ok(()),
        };
    };
    let route = config.route.get(name);
    if let Some(flag) = given(&of_provider) {
        let provider = route.and_then(|route| route.provider.as_deref()).unwrap_or("NAME");
        bail!(
            "{flag} is for --provider, and route `{name}` has its provider from sandmill.toml: set it in [provider.{provider}], or ask with --provider"
        );
    }
    if let Some(flag) = given(&of_route)
        && route.is_some_and(|route| !route.members.is_empty())
    {
        bail!("{flag} is for one route, and [route.{name}] has several members: set it in each of them");
    }
    Ok(())
}

fn check_members(name: &str, spec: &config::Route, config: &Config) -> anyhow::Result<()> {
    if spec.members.is_empty() {
        return Ok(());
    }
    if (config::Route { members: spec.members.clone(), ..config::Route::default() }) != *spec {
        bail!("[route.{name}] has members, and nothing else can be set beside them: set it in the members");
    }
    let has_members = |member: &&String| config.route.get(*member).is_some_and(|route| !route.members.is_empty());
    match spec.members.iter().find(has_members) {
        Some(group) => bail!("[route.{name}]: its member `{group}` has members itself"),
        None => Ok(()),
    }
}

fn check_prices(args: &RunArgs, config: &Config, planned: &Planned) -> anyhow::Result<()> {
    let of_item = args.limits.of_item(&config.limits)?.micro_dollars;
    let limits = [("--max-cost", args.provider.max_cost), ("--max-item-cost", of_item)];
    match limits.into_iter().find(|(_, limit)| limit.is_some()) {
        Some((flag, _)) => planned.check_priced(flag),
        None => Ok(()),
    }
}

/// Every route and every provider of the file, used or not.
pub(super) fn plan_all(args: &RunArgs, config: &Config) -> anyhow::Result<Planned> {
    let builder = Builder::new(args, config)?;
    let mut planned = Planned { routes: Vec::new(), roles: BTreeMap::new(), default: None, groups: BTreeMap::new() };
    for name in config.provider.keys() {
        provider_of(name, args, config, false)?;
    }
    for (name, spec) in &config.route {
        check_members(name, spec, config)?;
        let config::RouteFallback { open, quota, context } = &spec.fallback;
        let others = spec.members.iter().chain([open, quota, context].into_iter().flatten());
        if let Some(missing) = others.into_iter().find(|other| !config.route.contains_key(*other)) {
            bail!("[route.{name}]: {}", unknown("route", missing, config.route.keys()));
        }
        if spec.members.is_empty() {
            planned.routes.push(builder.build(name, spec, Flags::Leave)?);
        } else {
            planned.groups.insert(name.clone(), spec.members.clone());
        }
    }
    if let Some(name) = config.run.route.as_ref().filter(|name| !config.route.contains_key(*name)) {
        bail!("[run] route: {}", unknown("route", name, config.route.keys()));
    }
    Ok(planned)
}

pub(super) fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<&str> = known.map(String::as_str).collect();
    let meant = config::did_you_mean(name, &known);
    let listed: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    let listed = if listed.is_empty() { "none".into() } else { listed.join(", ") };
    format!("unknown {kind} `{name}`: add [{kind}.{name}] to sandmill.toml; there is {listed}{meant}")
}

/// What the flags do to a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flags {
    /// They make it.
    Make,
    /// The file makes it, and they go before the file.
    Override,
    /// They are another's.
    Leave,
}

struct Builder<'a> {
    args: &'a RunArgs,
    config: &'a Config,
    catalog: Catalog,
}

impl<'a> Builder<'a> {
    fn new(args: &'a RunArgs, config: &'a Config) -> anyhow::Result<Self> {
        let with = Catalog::embedded().with_tables(&config.model);
        let catalog = with.map_err(|error| anyhow::Error::msg(config::with_suggestion(error)))?;
        Ok(Self { args, config, catalog })
    }

    fn build(&self, name: &str, spec: &config::Route, flags: Flags) -> anyhow::Result<PlannedRoute> {
        let (args, is_made) = (&self.args.provider, flags == Flags::Make);
        let provider_name =
            spec.provider.as_deref().with_context(|| format!("[route.{name}] names no provider: provider = \"…\""))?;
        let Endpoint { provider, protocol } = provider_of(provider_name, self.args, self.config, is_made)?;
        let is_mock = protocol.is_none();
        let applies = flags != Flags::Leave;
        let model = match (args.model.as_ref().filter(|_| applies).or(spec.model.as_ref()), is_mock) {
            (Some(model), _) => model.clone(),
            (None, true) => MOCK_MODEL.into(),
            (None, false) if is_made => bail!("--provider {provider_name} needs the name of a model: --model NAME"),
            (None, false) => bail!("[route.{name}] names no model: model = \"…\""),
        };
        let known = self.catalog.find(&model);
        // What stands in [model.NAME] is the operator's as well.
        let set = Catalog::default().with_tables(&self.config.model).map_err(anyhow::Error::msg)?;
        let parameters = parameters(name, &spec.parameters)?;
        if let Some(path) = protocol.and_then(|protocol| reserved_parameter(&protocol, &parameters)) {
            bail!("[route.{name}.parameters]: the field `{path}` belongs to the host: leave it out");
        }
        let flag_prices = args.prices.as_deref().filter(|_| applies);
        // The mock is free, whatever model it plays.
        let listed = known.filter(|_| !is_mock);
        let prices = prices::of_route(name, flag_prices, spec.prices.as_ref(), listed, &parameters)?;
        let route = Route {
            name: name.to_owned(),
            provider,
            timeout: time(args.timeout.as_deref(), spec.timeout)?.unwrap_or(TIMEOUT),
            set: KnownWindow {
                context: args.context.filter(|_| applies).or(spec.context),
                max_input: None,
                max_output: spec.max_output,
            }
            .or(figures(set.find(&model))),
            listed: figures(known),
            counting: known.map_or_else(Counting::default, |known| Counting {
                encoding: known.encoding.map(encoding),
                percent: known.estimate_percent,
            }),
            model,
            prices: None,
            parameters,
            extra_allow: spec.extra_allow.clone().into(),
            gate: gate(spec, self.args, self.config)?,
            key_limits: key_limits(provider_name, self.args, self.config),
            fallback: fallback(spec),
        };
        Ok(PlannedRoute { route, prices, provider: provider_name.to_owned(), is_mock })
    }
}

fn fallback(spec: &config::Route) -> Fallback {
    let config::RouteFallback { open, quota, context } = spec.fallback.clone();
    Fallback { open, quota, context }
}

fn figures(entry: Option<&ModelEntry>) -> KnownWindow {
    entry.map_or_else(KnownWindow::default, |entry| KnownWindow {
        context: entry.context_tokens,
        max_input: entry.max_input_tokens,
        max_output: entry.max_output_tokens,
    })
}

fn encoding(name: EncodingName) -> Encoding {
    match name {
        EncodingName::O200kBase => Encoding::O200k,
        EncodingName::Cl100kBase => Encoding::Cl100k,
        EncodingName::P50kBase => Encoding::P50k,
        EncodingName::R50kBase => Encoding::R50k,
    }
}

fn parameters(name: &str, table: &toml::Table) -> anyhow::Result<Arc<[Pair]>> {
    let pair = |(field, value): (&String, &toml::Value)| {
        let value = serde_json::to_string(value).with_context(|| format!("[route.{name}.parameters]: {field}"))?;
        anyhow::Ok(Pair { name: field.clone(), value })
    };
    Ok(table.iter().map(pair).collect::<anyhow::Result<Vec<_>>>()?.into())
}
