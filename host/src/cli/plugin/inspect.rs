//! `plugin inspect`: everything that can be known of a plugin before it is trusted.

use super::super::grants::{self, Granted};
use super::super::trust::Trust;
use super::super::{CliResult, Exit, compiling, print_json, runtime, settings};
use super::LookingArgs;
use crate::config::Config;
use crate::kit::{Component, Described, Inspection, Source};
use crate::progress::{Console, Verbosity};
use crate::sandbox::{Anatomy, Engine, Plugin};
use anyhow::Context;
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Runtime;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill plugin inspect plugins/summarize
  sandmill plugin inspect oci://ghcr.io/acme/summarize:1.2.0 --json")]
pub(in super::super) struct InspectArgs {
    /// A component (.wasm, .wat), a plugin's folder that has been built, or `oci://REGISTRY/NAME[:TAG][@sha256:…]`
    plugin: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    /// Only read it: neither compile it nor ask it what it is
    #[arg(long)]
    no_describe: bool,
    /// As if it were given to `run`: what the plugin would reach
    #[arg(long, value_name = "GRANT", value_parser = grants::flag)]
    grant: Vec<String>,
    #[command(flatten)]
    looking: LookingArgs,
}

pub(super) fn inspect(args: &InspectArgs) -> CliResult {
    let (runtime, config) = (runtime()?, args.looking.config()?);
    let trust = args.looking.trust(&config)?;
    let (inspection, component) = look_at(&args.plugin, &trust, &config, &runtime, !args.no_describe)?;
    let inspection = Inspection {
        signature: trust.keys.check(&component.bytes, component.signature.as_deref()),
        pin: trust.lock.find(&inspection.source).cloned(),
        granted: Granted::new(&args.grant, &args.plugin, &config)?.grants,
        ..inspection
    };
    if args.json {
        print_json(&inspection.as_json())?;
    } else {
        for line in inspection.lines() {
            outln!("{line}");
        }
    }
    Ok(Exit::Done)
}

/// As it is now, whatever is pinned. `is_asked`: it is compiled, and asked in the sandbox.
pub(super) fn look_at(
    plugin: &Path,
    trust: &Trust,
    config: &Config,
    runtime: &Runtime,
    is_asked: bool,
) -> anyhow::Result<(Inspection, Component)> {
    let source = Source::parse(plugin)?;
    let component = runtime.block_on(trust.fetch(&source))?;
    let anatomy = Anatomy::read(&component.bytes, component.is_text)
        .with_context(|| format!("{} cannot be used", component.path.display()))?;
    let described = if is_asked { describe(&component, config, runtime)? } else { Described::NotAsked };
    Ok((Inspection::new(source, &component, anatomy, described), component))
}

fn describe(component: &Component, config: &Config, runtime: &Runtime) -> anyhow::Result<Described> {
    let engine = Arc::new(Engine::new(settings::no_flags()?.limits.of_attempt(&config.limits)?, 1)?);
    let compiling = compiling::compiling(None, config, &Console::new(Verbosity::Normal))?;
    let loaded =
        runtime.block_on(Plugin::load(engine, &compiling, &component.bytes, component.is_text, component.digest()));
    Ok(match loaded {
        Ok(plugin) => Described::As(plugin.manifest().clone()),
        Err(error) => Described::Fails(error.to_string()),
    })
}
