//! `config`: whether sandmill.toml can be used, and what is in force.

use super::limits::LimitArgs;
use super::routes::plan_all;
use super::run_args::{ProviderArgs, RunArgs, WorkArgs};
use super::trust::{Trust, TrustArgs};
use super::{CliResult, Exit, Failure, compiling, input, policy, print_json, settings, show};
use crate::alert;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, GrantsTable};
use anyhow::Context;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check sandmill.toml: every key, every route, every provider and its key; and that the policy allows it
    #[command(after_help = "Examples:
  sandmill config check
  sandmill config check --config nightly.toml --json")]
    Check(ConfigArgs),
    /// Show what is in force, and from where; secrets are masked
    #[command(after_help = "Examples:
  sandmill config show
  sandmill config show --json | jq -r '.settings[].key'
  sandmill config show --concurrency 64 --limit-memory 256MiB")]
    Show(Box<ShowArgs>),
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// Settings from FILE [default: sandmill.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// With the flags of `run` that go before the file.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    file: ConfigArgs,
    #[command(flatten)]
    provider: ProviderArgs,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

pub(super) fn config(command: &ConfigCommand) -> CliResult {
    match command {
        ConfigCommand::Check(args) => check(&config::load(args.config.as_deref())?, args)?,
        ConfigCommand::Show(args) => {
            let config = config::load(args.file.config.as_deref())?;
            let file = args.file.config.as_deref().unwrap_or_else(|| Path::new(config::DEFAULT_FILE));
            let given = RunArgs {
                provider: args.provider.clone(),
                work: args.work.clone(),
                limits: args.limits.clone(),
                ..settings::no_flags()?
            };
            let (policy, mut bounded) = (policy::load()?, given.clone());
            policy.bound(&mut bounded, &config)?;
            let settings = show::show(&given, &bounded, &config, file, &policy)?;
            if args.file.json {
                print_json(&serde_json::json!({ "schema": 1, "settings": settings }))?;
            } else {
                for setting in &settings {
                    outln!("{setting}");
                }
            }
        }
    }
    Ok(Exit::Done)
}

/// Everything that a run would find wrong, whatever it uses.
fn check(config: &Config, asked: &ConfigArgs) -> Result<(), Failure> {
    let mut args = settings::no_flags()?;
    let policy = policy::load()?;
    policy.bound(&mut args, config)?;
    settings::checked(&args, config).next().map_or(Ok(()), Err)?;
    compiling::limits(config)?;
    input::decoder(config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let channels = alert::Plan::new(&config.alert, &clock)?.map_or(0, |plan| plan.targets.len());
    let mut planned = plan_all(&args, config)?;
    policy.bound_routes(&mut planned)?;
    Trust::new(&TrustArgs::default(), config, asked.config.as_deref(), &policy)?;
    for (name, table) in &config.grants {
        table.grants().with_context(|| format!("[grants.{name:?}]"))?;
    }
    for (path, policy) in policy.files() {
        policy.grants.as_ref().map(GrantsTable::grants).transpose().with_context(|| path.display().to_string())?;
    }
    let (providers, routes) = (config.provider.len(), config.route.len());
    if asked.json {
        let found = serde_json::json!({ "schema": 1, "providers": providers, "routes": routes, "channels": channels });
        return print_json(&found);
    }
    let alerted = if channels > 0 { format!(", and {channels} channels for alerts") } else { String::new() };
    outln!("{providers} providers and {routes} routes can be used{alerted}");
    Ok(())
}
