//! `config show`: every setting in force, each with where it comes from; secrets are masked.

mod alert;

use super::compiling::{self, COMPILE_CPU, COMPILE_MEMORY};
use super::endpoint::{self, CONNECT_TIMEOUT};
use super::input::PARQUET_MEMORY;
use super::limits;
use super::policy::InForce;
use super::routes::{CALLS_AT_ONCE, TIMEOUT};
use super::run_args::{LogFormat, RunArgs};
use super::settings::{self, ATTEMPTS, CONCURRENCY, CONSECUTIVE_ERRORS};
use crate::catalog::{Catalog, ModelEntry};
use crate::config::{self, Config, Policy};
use crate::provider::masked;
use crate::resilience::{BreakerSettings, ContextSettings, GateSettings, RetrySettings, dollars};
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

const MASK: &str = "***";

/// Where a setting comes from.
#[derive(Clone)]
enum From {
    Flag,
    Env(String),
    File,
    Default,
    Policy,
    Catalog,
}

/// A setting in force.
#[derive(Debug, serde::Serialize)]
pub(super) struct Shown {
    pub(super) key: String,
    pub(super) value: String,
    /// Where it comes from.
    from: String,
}

impl Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<32} {:<24} # {}", self.key, self.value, self.from)
    }
}

/// What is written, line by line.
struct Sheet<'a> {
    file: &'a Path,
    lines: Vec<Shown>,
}

/// `given`: the flags as they are; `args`: as the policy bounds them.
pub(super) fn show(
    given: &RunArgs,
    args: &RunArgs,
    config: &Config,
    file: &Path,
    policy: &InForce,
) -> anyhow::Result<Vec<Shown>> {
    let mut sheet = Sheet { file, lines: Vec::new() };
    for (path, policy) in policy.files() {
        sheet.policy(path, policy)?;
    }
    sheet.run(given, args, config);
    sheet.budget(given, args);
    sheet.limits(given, args, config)?;
    sheet.sandbox(config);
    sheet.retry(args, config);
    sheet.breaker(args, config);
    sheet.context(args, config);
    sheet.trust(config);
    sheet.alert(config);
    sheet.telemetry(args, config);
    sheet.grants(config)?;
    for (name, table) in &config.model {
        for (key, value) in table {
            sheet.line(&format!("model.{name}.{key}"), value, From::File);
        }
    }
    for (name, provider) in &config.provider {
        sheet.provider(name, provider)?;
    }
    let catalog = Catalog::embedded().with_tables(&config.model).map_err(anyhow::Error::msg)?;
    for (name, route) in &config.route {
        sheet.route(name, route, args, &catalog);
    }
    Ok(sheet.lines)
}

fn time(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).to_string()
}

impl Sheet<'_> {
    fn line(&mut self, name: &str, value: impl Display, from: From) {
        let from = match from {
            From::Flag => "flag".into(),
            From::Env(variable) => format!("environment: {variable}"),
            From::File => self.file.display().to_string(),
            From::Default => "default".into(),
            From::Policy => "policy".into(),
            From::Catalog => "catalogue".into(),
        };
        self.lines.push(Shown { key: name.to_owned(), value: value.to_string(), from });
    }

    /// A flag goes before the file, and the file before the default.
    fn pick<T: Display>(&mut self, name: &str, flag: Option<T>, file: Option<T>, default: T) {
        match (flag, file) {
            (Some(value), _) => self.line(name, value, From::Flag),
            (None, Some(value)) => self.line(name, value, From::File),
            (None, None) => self.line(name, default, From::Default),
        }
    }

    /// Of a setting that a policy may have lowered: `flag` as given, `bound` as it is now.
    fn bounded<T: Display + PartialEq>(
        &mut self,
        name: &str,
        (flag, bound): (Option<T>, Option<T>),
        file: Option<T>,
        default: T,
    ) {
        match bound {
            Some(value) if flag.is_none() => self.line(name, value, From::Policy),
            _ => self.pick(name, flag, file, default),
        }
    }

    fn set<T: Display>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value {
            self.line(name, value, From::File);
        }
    }

    fn policy(&mut self, path: &Path, policy: &Policy) -> anyhow::Result<()> {
        let Policy {
            max_cost,
            max_tokens,
            max_calls,
            max_concurrency,
            max_traps,
            max_memory,
            providers,
            models,
            require_signed,
            trusted_keys,
            require_pinned,
            limits,
            grants,
        } = policy;
        let file = path.display();
        let mut bound = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                self.lines.push(Shown { key: format!("policy.{name}"), value, from: file.to_string() });
            }
        };
        bound("max_cost", max_cost.map(|most| format!("${most}")));
        bound("max_tokens", max_tokens.map(|most| most.to_string()));
        bound("max_calls", max_calls.map(|most| most.to_string()));
        bound("max_concurrency", max_concurrency.map(|most| most.to_string()));
        bound("max_traps", max_traps.map(|most| most.to_string()));
        bound("max_memory", max_memory.map(size));
        bound("providers", providers.as_ref().map(|names| names.join(", ")));
        bound("models", models.as_ref().map(|names| names.join(", ")));
        bound("require_signed", require_signed.map(|is| is.to_string()));
        bound("trusted_keys", trusted_keys.as_ref().map(|keys| keys.join(", ")));
        bound("require_pinned", require_pinned.map(|is| is.to_string()));
        for (key, most) in limits.values() {
            bound(&format!("limits.{key}"), most.map(|most| most.to_string()));
        }
        if let Some(table) = grants {
            let words = table.grants().map_err(|error| anyhow::anyhow!("{file}: [grants]: {error}"))?;
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            bound("grants", Some(if words.is_empty() { "none".into() } else { words.join(", ") }));
        }
        Ok(())
    }

    fn trust(&mut self, config: &Config) {
        let config::Trust { keys, require_signed, require_pinned, insecure_registries } = &config.trust;
        let listed = |texts: &[String]| (!texts.is_empty()).then(|| texts.join(", "));
        self.pick("trust.keys", None, listed(keys), "none".into());
        self.pick("trust.require_signed", None, *require_signed, false);
        self.pick("trust.require_pinned", None, *require_pinned, false);
        self.pick("trust.insecure_registries", None, listed(insecure_registries), "none".into());
    }

    fn telemetry(&mut self, args: &RunArgs, config: &Config) {
        let config::Telemetry { otlp, sample, headers } = &config.telemetry;
        let shown = |text: &String| if text.contains("://") { masked(text) } else { text.clone() };
        self.pick("telemetry.otlp", args.otlp.as_ref().map(shown), otlp.as_ref().map(shown), "off".into());
        self.pick("telemetry.sample", None, *sample, 1.0);
        for header in headers.keys() {
            self.line(&format!("telemetry.headers.{header}"), MASK, From::File);
        }
    }

    fn grants(&mut self, config: &Config) -> anyhow::Result<()> {
        for (name, table) in &config.grants {
            let grants = table.grants().map_err(|error| anyhow::anyhow!("[grants.{name:?}]: {error}"))?;
            for grant in grants.iter() {
                self.line(&format!("grants.{name:?}"), grant, From::File);
            }
            self.set(&format!("grants.{name:?}.routes"), table.routes.as_ref().map(|names| names.join(", ")));
        }
        Ok(())
    }

    fn run(&mut self, given: &RunArgs, args: &RunArgs, config: &Config) {
        let run = &config.run;
        self.pick("run.store", None, run.store.as_ref().map(|dir| dir.display().to_string()), settings::STORE.into());
        let route = args.provider.route.iter().find(|route| !route.contains('=')).cloned();
        match (&args.provider.provider, route, &run.route) {
            (Some(provider), ..) => self.line("run.provider", provider, From::Flag),
            (None, route, of_file) => self.pick("run.route", route, of_file.clone(), "none".into()),
        }
        let concurrency = (given.work.concurrency, args.work.concurrency);
        let of_file = run.concurrency.and_then(|number| u32::try_from(number).ok());
        self.bounded("run.concurrency", concurrency, of_file, CONCURRENCY);
        self.pick("run.max_instances", args.work.max_instances, run.max_instances, settings::instances(args, config));
        let policy = args.work.suspend.map(|policy| format!("{policy:?}").to_lowercase());
        self.pick("run.suspend", policy, run.suspend.clone(), "auto".into());
        let after = args.work.suspend_after.clone();
        self.pick("run.suspend_after", after, run.suspend_after.map(time), time(settings::SUSPEND_AFTER));
        let set = |target: u64| if target == 0 { "none".to_owned() } else { size(target) };
        let found = settings::memory_target(args, config).map_or("none".to_owned(), size);
        self.pick("run.memory_target", args.work.memory_target.map(set), run.memory_target.map(set), found);
        self.pick("run.max_attempts", args.work.max_attempts, run.max_attempts, ATTEMPTS);
        let errors = (args.work.max_consecutive_errors, run.max_consecutive_errors);
        self.pick("run.max_consecutive_errors", errors.0, errors.1, CONSECUTIVE_ERRORS);
        self.bounded("run.max_traps", (given.work.max_traps, args.work.max_traps), run.max_traps, settings::TRAPS);
        self.pick("run.watchdog", args.work.watchdog.clone(), run.watchdog.map(time), time(settings::WATCHDOG));
        let form = args.log_format.map(|form| if form == LogFormat::Json { "json" } else { "text" });
        self.pick("run.log_format", form.map(str::to_owned), run.log_format.clone(), "text".into());
        self.pick("run.metrics", args.metrics.clone(), run.metrics.clone(), "none".into());
        self.pick("run.dashboard", args.dashboard.clone(), run.dashboard.clone(), "none".into());
        let remote = (args.dashboard_allow_remote.then_some(true), run.dashboard_allow_remote);
        self.pick("run.dashboard_allow_remote", remote.0, remote.1, false);
    }

    fn budget(&mut self, given: &RunArgs, args: &RunArgs) {
        let (given, now) = (&given.provider, &args.provider);
        let none = || "none".to_owned();
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        self.bounded("max-cost", (given.max_cost.map(dollars), now.max_cost.map(dollars)), None, none());
        self.bounded("max-tokens", (number(given.max_tokens), number(now.max_tokens)), None, none());
        self.bounded("max-calls", (number(given.max_calls), number(now.max_calls)), None, none());
    }

    fn limits(&mut self, given: &RunArgs, args: &RunArgs, config: &Config) -> anyhow::Result<()> {
        let (flags, file) = (given.limits.given()?.values(), config.limits.values());
        let in_force = args.limits.in_force(&config.limits)?;
        let of_nobody = limits::defaults().values();
        let asked = flags.into_iter().zip(file).zip(of_nobody);
        for ((key, value), (((_, flag), (_, file)), (_, default))) in in_force.values().into_iter().zip(asked) {
            let from = match (flag, file) {
                (Some(_), _) => From::Flag,
                (None, Some(_)) => From::File,
                (None, None) => From::Default,
            };
            let lowered = flag.or(file).or(default) != value;
            let value = value.map_or_else(|| "none".to_owned(), |value| value.to_string());
            self.line(&format!("limits.{key}"), value, if lowered { From::Policy } else { from });
        }
        Ok(())
    }

    fn sandbox(&mut self, config: &Config) {
        let sandbox = &config.sandbox;
        let file = sandbox.cache.as_ref().map(|cache| cache.display().to_string());
        match (file, compiling::cache_variable()) {
            (_, Some(cache)) => {
                self.line("sandbox.cache", cache.display(), From::Env(compiling::CACHE_VARIABLE.into()));
            }
            (file, None) => self.pick("sandbox.cache", None, file, compiling::default_cache().display().to_string()),
        }
        self.pick("sandbox.compile_cpu", None, sandbox.compile_cpu.map(time), time(COMPILE_CPU));
        self.pick("sandbox.compile_memory", None, sandbox.compile_memory.map(size), size(COMPILE_MEMORY));
        self.pick("input.parquet_memory", None, config.input.parquet_memory.map(size), size(PARQUET_MEMORY));
    }

    fn retry(&mut self, args: &RunArgs, config: &Config) {
        let (flags, retry, default) = (&args.provider, &config.retry, RetrySettings::default());
        self.pick("retry.attempts", flags.retry_attempts, retry.attempts, default.attempts_max);
        self.pick("retry.json_attempts", None, retry.json_attempts, default.json_attempts_max);
        self.pick("retry.wait_min", flags.retry_min.clone(), retry.wait_min.map(time), time(default.wait_min));
        self.pick("retry.wait_max", flags.retry_max.clone(), retry.wait_max.map(time), time(default.wait_max));
        let longest = (flags.retry_after_max.clone(), retry.retry_after_max.map(time));
        self.pick("retry.retry_after_max", longest.0, longest.1, time(default.retry_after_max));
    }

    fn breaker(&mut self, args: &RunArgs, config: &Config) {
        let (flags, breaker, default) = (&args.provider, &config.breaker, BreakerSettings::default());
        self.pick("breaker.overloaded_after", None, breaker.overloaded_after, default.overloaded_after);
        self.pick("breaker.connections_after", None, breaker.connections_after, default.connections_after);
        self.pick("breaker.rate_limited_after", None, breaker.rate_limited_after, default.rate_limited_after);
        let long = (breaker.rate_limited_for.map(time), time(default.rate_limited_for));
        self.pick("breaker.rate_limited_for", None, long.0, long.1);
        self.pick("breaker.window", None, breaker.window, default.window);
        self.pick("breaker.calls_min", None, breaker.calls_min, default.calls_min);
        let percent = |share: f64| format!("{}%", share * 100.0);
        self.pick("breaker.fault_share", None, breaker.fault_share.map(percent), percent(default.fault_share));
        self.pick("breaker.pause", flags.breaker_pause.clone(), breaker.pause.map(time), time(default.pause));
        self.pick("breaker.pause_max", None, breaker.pause_max.map(time), time(default.pause_max));
        let outage = (flags.max_outage.clone(), breaker.max_outage.map(time));
        self.pick("breaker.max_outage", outage.0, outage.1, time(GateSettings::default().outage_max));
    }

    fn context(&mut self, args: &RunArgs, config: &Config) {
        let (context, default) = (&config.context, ContextSettings::default());
        let how = (args.provider.on_overflow.clone(), context.on_overflow.clone());
        self.pick("context.on_overflow", how.0, how.1, "truncate".into());
        self.pick("context.reserve_output", None, context.reserve_output, default.reserve_output);
        self.pick("context.keep_last", None, context.keep_last, default.keep_last);
        self.pick("context.assumed", None, context.assumed, default.assumed);
    }

    fn provider(&mut self, name: &str, provider: &config::Provider) -> anyhow::Result<()> {
        let key = |key: &str| format!("provider.{name}.{key}");
        self.pick(&key("protocol"), None, provider.protocol.clone(), "openai".into());
        let Some(preset) = endpoint::preset(name, provider)? else {
            self.set(&key("faults"), provider.faults.clone());
            return Ok(());
        };
        let url = provider.base_url.as_deref().map(masked);
        self.pick(&key("base_url"), None, url, preset.base_url.unwrap_or("none").into());
        self.set(&key("api_version"), provider.api_version.clone());
        let (value, from) = key_of(provider, preset.key_env);
        self.line(&key("key"), value, from);
        match (&provider.proxy, std::env::var("HTTPS_PROXY")) {
            (Some(proxy), _) => self.line(&key("proxy"), masked(proxy), From::File),
            (None, Ok(proxy)) => self.line(&key("proxy"), masked(&proxy), From::Env("HTTPS_PROXY".into())),
            (None, Err(_)) => self.line(&key("proxy"), "none", From::Default),
        }
        self.set(&key("ca_file"), provider.ca_file.as_ref().map(|path| path.display()));
        for header in provider.headers.keys() {
            self.line(&key(&format!("headers.{header}")), MASK, From::File);
        }
        self.pick(&key("connect_timeout"), None, provider.connect_timeout.map(time), time(CONNECT_TIMEOUT));
        let config::RouteLimits { rpm, tpm, concurrency } = &provider.limits;
        self.set(&key("limits.rpm"), *rpm);
        self.set(&key("limits.tpm"), *tpm);
        self.set(&key("limits.concurrency"), *concurrency);
        self.set(&key("idempotency_header"), provider.idempotency_header.clone());
        Ok(())
    }

    fn route(&mut self, name: &str, route: &config::Route, args: &RunArgs, catalog: &Catalog) {
        let key = |key: &str| format!("route.{name}.{key}");
        if !route.members.is_empty() {
            self.line(&key("members"), route.members.join(", "), From::File);
            return;
        }
        self.set(&key("provider"), route.provider.clone());
        self.set(&key("model"), route.model.clone());
        for (field, value) in &route.parameters {
            self.line(&key(&format!("parameters.{field}")), value, From::File);
        }
        let allowed = if route.extra_allow.is_empty() { None } else { Some(route.extra_allow.join(", ")) };
        self.pick(&key("extra_allow"), None, allowed, "none".into());
        let known = route.model.as_deref().and_then(|model| catalog.find(model));
        self.figures(name, route, known);
        let limits = &route.limits;
        let per_minute = |limit: Option<u64>| limit.map(|limit| limit.to_string());
        self.pick(&key("limits.rpm"), None, per_minute(limits.rpm), "found out".into());
        self.pick(&key("limits.tpm"), None, per_minute(limits.tpm), "found out".into());
        let calls = (args.provider.call_concurrency, limits.concurrency);
        self.pick(&key("limits.concurrency"), calls.0, calls.1, CALLS_AT_ONCE);
        self.pick(&key("timeout"), args.provider.timeout.clone(), route.timeout.map(time), time(TIMEOUT));
        let config::RouteFallback { open, quota, context } = &route.fallback;
        for (why, other) in [("open", open), ("quota", quota), ("context", context)] {
            self.set(&key(&format!("fallback.{why}")), other.clone());
        }
    }

    /// What the model takes and costs.
    fn figures(&mut self, name: &str, route: &config::Route, known: Option<&ModelEntry>) {
        let key = |key: &str| format!("route.{name}.{key}");
        let figures = [
            ("context", route.context, known.and_then(|known| known.context_tokens)),
            ("max_output", route.max_output, known.and_then(|known| known.max_output_tokens)),
        ];
        for (figure, of_file, of_catalog) in figures {
            match (of_file, of_catalog) {
                (Some(tokens), _) => self.line(&key(figure), tokens, From::File),
                (None, Some(tokens)) => self.line(&key(figure), tokens, From::Catalog),
                (None, None) => self.line(&key(figure), "as the provider tells", From::Default),
            }
        }
        match (&route.prices, known.and_then(|known| known.price)) {
            (Some(prices), _) => {
                self.line(&key("prices.input"), format!("${}", prices.input), From::File);
                self.line(&key("prices.output"), format!("${}", prices.output), From::File);
                let others = [
                    ("cache_read", prices.cache_read),
                    ("cache_write", prices.cache_write),
                    ("reasoning", prices.reasoning),
                ];
                for (part, price) in others {
                    self.set(&key(&format!("prices.{part}")), price.map(|price| format!("${price}")));
                }
                let tiers = [
                    ("standard", prices.standard),
                    ("flex", prices.flex),
                    ("priority", prices.priority),
                    ("batch", prices.batch),
                ];
                for (tier, prices) in tiers {
                    let both = prices.map(|prices| format!("${}, ${}", prices.input, prices.output));
                    self.set(&key(&format!("prices.{tier}")), both);
                }
            }
            (None, Some(rates)) => {
                for (part, rate) in [("input", rates.input), ("output", rates.output)] {
                    if let Some(rate) = rate {
                        self.line(&key(&format!("prices.{part}")), dollars(rate), From::Catalog);
                    }
                }
            }
            (None, None) => self.line(&key("prices"), "unknown", From::Default),
        }
    }
}

/// Where the key comes from; never the key.
fn key_of(provider: &config::Provider, default: &str) -> (String, From) {
    match (&provider.key_env, &provider.key_file, &provider.key_command) {
        (Some(variable), ..) => (format!("{MASK} from ${variable}"), From::File),
        (None, Some(path), _) => (format!("{MASK} from {}", path.display()), From::File),
        // Its arguments may be secret.
        (None, None, Some(words)) => {
            (format!("{MASK} from `{}`", words.first().map_or("", String::as_str)), From::File)
        }
        (None, None, None) if std::env::var_os(default).is_some() => (MASK.into(), From::Env(default.into())),
        (None, None, None) => (format!("none: ${default} is not set"), From::Default),
    }
}
