//! `config`: whether sandmill.toml can be used, and what is in force.

use super::limits::LimitArgs;
use super::routes::plan_all;
use super::run_args::{ProviderArgs, RunArgs, WorkArgs};
use super::trust::{Trust, TrustArgs};
use super::{CliResult, Exit, compiling, policy, settings, show};
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
    Check(ConfigArgs),
    /// Show what is in force, and from where; secrets are masked
    Show(Box<ShowArgs>),
}

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// Settings from FILE [default: sandmill.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
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
        ConfigCommand::Check(args) => check(&config::load(args.config.as_deref())?, args.config.as_deref())?,
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
            for line in show::show(&given, &bounded, &config, file, &policy)? {
                println!("{line}");
            }
        }
    }
    Ok(Exit::Done)
}

/// Everything that a run would find wrong, whatever it uses.
fn check(config: &Config, file: Option<&Path>) -> anyhow::Result<()> {
    let mut args = settings::no_flags()?;
    let policy = policy::load()?;
    policy.bound(&mut args, config)?;
    settings::retry(&args, config)?;
    settings::context(&args, config)?;
    args.limits.of_attempt(&config.limits)?;
    args.limits.of_item(&config.limits)?;
    settings::run(&args, config)?;
    settings::metrics(&args, config)?;
    compiling::limits(config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let channels = alert::Plan::new(&config.alert, &clock)?.map_or(0, |plan| plan.targets.len());
    let mut planned = plan_all(&args, config)?;
    policy.bound_routes(&mut planned)?;
    Trust::new(&TrustArgs::default(), config, file, &policy)?;
    for (name, table) in &config.grants {
        table.grants().with_context(|| format!("[grants.{name:?}]"))?;
    }
    for (path, policy) in policy.files() {
        policy.grants.as_ref().map(GrantsTable::grants).transpose().with_context(|| path.display().to_string())?;
    }
    let alerted = if channels > 0 { format!(", and {channels} channels for alerts") } else { String::new() };
    println!("{} providers and {} routes can be used{alerted}", config.provider.len(), config.route.len());
    Ok(())
}
