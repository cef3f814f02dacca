//! `plugin …`: plugins before they run.

mod build;
mod check;
mod diff;
mod inspect;
mod lock;
mod new;
mod run_one;
mod test;
mod watch;

use super::trust::{LookArgs, Trust};
use super::{CliResult, policy};
use crate::config;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Begin a plugin: a folder that builds and runs at once
    New(new::NewArgs),
    /// Run the build command of each folder's plugin.toml
    Build(build::BuildArgs),
    /// Run a plugin against the cases in its folder, offline, and show what differs
    Test(Box<test::TestArgs>),
    /// Run a plugin on one item from the command line, and show the answer; nothing is stored
    Run(Box<run_one::RunOneArgs>),
    /// Check whether a plugin would work in a run: its world, grants, schemas, and one item with the mock provider
    Check(Box<check::CheckArgs>),
    /// Show what a plugin is made of, what it asks for and what it says of itself
    Inspect(inspect::InspectArgs),
    /// Show what a newer plugin has that an older one had not; exit code 7 if it may do more
    Diff(diff::DiffArgs),
    /// Pin plugins to their bytes, in plugin.lock: a run refuses others
    Lock(lock::LockArgs),
}

/// What every command that looks for a plugin takes.
#[derive(Debug, Args)]
struct LookingArgs {
    /// Settings from FILE [default: sandmill.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    look: LookArgs,
}

impl LookingArgs {
    fn config(&self) -> anyhow::Result<config::Config> {
        Ok(config::load(self.config.as_deref())?)
    }

    fn trust(&self, config: &config::Config) -> anyhow::Result<Trust> {
        Trust::looking(&self.look, config, self.config.as_deref(), &policy::load()?)
    }
}

pub(super) fn plugin(command: &PluginCommand) -> CliResult {
    match command {
        PluginCommand::New(args) => new::new(args),
        PluginCommand::Build(args) => build::build(args),
        PluginCommand::Test(args) => test::test(args),
        PluginCommand::Run(args) => run_one::run_one(args),
        PluginCommand::Check(args) => check::check(args),
        PluginCommand::Inspect(args) => inspect::inspect(args),
        PluginCommand::Diff(args) => diff::diff(args),
        PluginCommand::Lock(args) => lock::lock(args),
    }
}
