//! `config`: whether sandmill.toml can be used, and what is in force.

use super::routes::plan_all;
use super::{CliResult, Exit};
use crate::config::{self, Config};
use crate::resilience::{BreakerSettings, ContextSettings, GateSettings, RetrySettings};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check sandmill.toml: every key, every route, every provider and its key
    Check(ConfigArgs),
    /// Show what is in force, and from where; secrets are masked
    Show(ConfigArgs),
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// Settings from FILE [default: sandmill.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn config(command: &ConfigCommand) -> CliResult {
    match command {
        ConfigCommand::Check(args) => {
            let config = config::load(args.config.as_deref())?;
            let routes = plan_all(&config)?;
            println!("{} providers and {routes} routes can be used", config.provider.len());
        }
        ConfigCommand::Show(args) => show(&config::load(args.config.as_deref())?, args),
    }
    Ok(Exit::Done)
}

fn show(config: &Config, args: &ConfigArgs) {
    let file = args.config.clone().unwrap_or_else(|| config::DEFAULT_FILE.into());
    let from = |is_set: bool| if is_set { file.display().to_string() } else { "default".into() };
    let line = |name: &str, value: String, is_set: bool| println!("{name:<28} {value:<20} # {}", from(is_set));
    let time = |name: &str, set: Option<Duration>, default: Duration| {
        line(name, humantime::format_duration(set.unwrap_or(default)).to_string(), set.is_some());
    };
    let retry = RetrySettings::default();
    let attempts = config.retry.attempts;
    line("retry.attempts", attempts.unwrap_or(retry.attempts_max).to_string(), attempts.is_some());
    let json = config.retry.json_attempts;
    line("retry.json_attempts", json.unwrap_or(retry.json_attempts_max).to_string(), json.is_some());
    time("retry.wait_min", config.retry.wait_min, retry.wait_min);
    time("retry.wait_max", config.retry.wait_max, retry.wait_max);
    time("retry.retry_after_max", config.retry.retry_after_max, retry.retry_after_max);
    let (set, breaker) = (&config.breaker, BreakerSettings::default());
    let number =
        |name: &str, set: Option<u64>, default: u64| line(name, set.unwrap_or(default).to_string(), set.is_some());
    number("breaker.overloaded_after", set.overloaded_after.map(u64::from), breaker.overloaded_after.into());
    number("breaker.connections_after", set.connections_after.map(u64::from), breaker.connections_after.into());
    number("breaker.calls_min", set.calls_min.map(|n| n as u64), breaker.calls_min as u64);
    line(
        "breaker.fault_share",
        format!("{}%", set.fault_share.unwrap_or(breaker.fault_share) * 100.0),
        set.fault_share.is_some(),
    );
    time("breaker.pause", set.pause, breaker.pause);
    time("breaker.pause_max", set.pause_max, breaker.pause_max);
    time("breaker.max_outage", set.max_outage, GateSettings::default().outage_max);
    let (set, context) = (&config.context, ContextSettings::default());
    line(
        "context.on_overflow",
        set.on_overflow.clone().unwrap_or_else(|| "truncate".into()),
        set.on_overflow.is_some(),
    );
    number("context.reserve_output", set.reserve_output, context.reserve_output);
    number("context.keep_last", set.keep_last.map(|n| n as u64), context.keep_last as u64);
    number("context.assumed", set.assumed, context.assumed);
    for (name, provider) in &config.provider {
        let protocol = provider.protocol.as_deref().unwrap_or("openai");
        line(&format!("provider.{name}.protocol"), protocol.into(), provider.protocol.is_some());
        if let Some(url) = &provider.base_url {
            line(&format!("provider.{name}.base_url"), url.clone(), true);
        }
        for header in provider.headers.keys() {
            line(&format!("provider.{name}.headers"), format!("{header}: ***"), true);
        }
        let key = match (&provider.key_env, &provider.key_file, &provider.key_command) {
            (Some(name), ..) => format!("*** from ${name}"),
            (_, Some(path), _) => format!("*** from {}", path.display()),
            (_, _, Some(words)) => format!("*** from `{}`", words.first().map_or("", String::as_str)),
            (None, None, None) => "as the environment has it".into(),
        };
        line(&format!("provider.{name}.key"), key, true);
    }
    for (name, route) in &config.route {
        let value = match (&route.provider, &route.model) {
            _ if !route.members.is_empty() => route.members.join(", "),
            (provider, model) => {
                format!("{} at {}", model.as_deref().unwrap_or("?"), provider.as_deref().unwrap_or("?"))
            }
        };
        line(&format!("route.{name}"), value, true);
    }
}
