//! `plugin lock`: writes down which bytes each plugin is.

use super::super::{CliResult, Exit, runtime};
use super::LookingArgs;
use crate::kit::Source;
use crate::sandbox::Anatomy;
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    after_help = "Look at a plugin with `plugin inspect`, and at its changes with `plugin diff`, before you pin it."
)]
pub(in super::super) struct LockArgs {
    /// Components (.wasm, .wat), plugins' folders that have been built, or `oci://REGISTRY/NAME[:TAG][@sha256:…]`
    #[arg(required = true)]
    plugins: Vec<PathBuf>,
    #[command(flatten)]
    looking: LookingArgs,
}

/// All of them, or none if one of them is not to be had.
pub(super) fn lock(args: &LockArgs) -> CliResult {
    let (runtime, config) = (runtime()?, args.looking.config()?);
    let mut trust = args.looking.trust(&config)?;
    let mut told = Vec::new();
    for plugin in &args.plugins {
        let source = Source::parse(plugin)?;
        let component = runtime.block_on(trust.fetch(&source))?;
        // What is no component is not worth a pin.
        Anatomy::read(&component.bytes, component.is_text)
            .with_context(|| format!("{} cannot be used", component.path.display()))?;
        trust.check_signature(&component)?;
        let digest = component.digest();
        told.push(match trust.lock.set(&source, &component) {
            None => format!("pinned {source} to {digest}"),
            Some(old) if old.digest == digest => format!("{source} is pinned to {digest}, as before"),
            Some(old) => format!("pinned {source} to {digest}; it was {}", old.digest),
        });
    }
    trust.lock.write()?;
    for line in told {
        println!("{line}");
    }
    Ok(Exit::Done)
}
