//! `plugin lock`: writes down which bytes each plugin is.

use super::super::{CliResult, Exit, print_json, runtime};
use super::LookingArgs;
use crate::kit::Source;
use crate::sandbox::Anatomy;
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Look at a plugin with `plugin inspect`, and at its changes with `plugin diff`,
before you pin it.

Examples:
  sandmill plugin lock plugins/summarize oci://ghcr.io/acme/triage:1.2
  sandmill run plugins/summarize --locked --input talks.jsonl -o out.jsonl")]
pub(in super::super) struct LockArgs {
    /// Components (.wasm, .wat), plugins' folders that have been built, or `oci://REGISTRY/NAME[:TAG][@sha256:…]`
    #[arg(required = true)]
    plugins: Vec<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
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
        let before = trust.lock.set(&source, &component).map(|old| old.digest);
        told.push((source.to_string(), digest, before));
    }
    trust.lock.write()?;
    if args.json {
        let pins = told.iter().map(|(plugin, digest, before)| {
            serde_json::json!({
                "plugin": plugin, "digest": digest.to_string(), "before": before.map(|before| before.to_string()),
            })
        });
        print_json(&serde_json::json!({ "schema": 1, "pins": pins.collect::<Vec<_>>() }))?;
        return Ok(Exit::Done);
    }
    for (source, digest, before) in told {
        match before {
            None => outln!("pinned {source} to {digest}"),
            Some(old) if old == digest => outln!("{source} is pinned to {digest}, as before"),
            Some(old) => outln!("pinned {source} to {digest}; it was {old}"),
        }
    }
    Ok(Exit::Done)
}
