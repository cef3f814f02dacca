//! `plugin diff`: what a newer plugin has that an older one had not.

use super::super::{CliResult, Exit, print_json, runtime};
use super::LookingArgs;
use super::inspect::look_at;
use crate::kit::Difference;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Exit code 7 if the new plugin may do more than the old one: it imports an
interface that leads somewhere, asks for a grant or asks a model in a new role;
otherwise 0.

Examples:
  sandmill plugin diff triage-1.wasm triage-2.wasm
  sandmill plugin diff oci://ghcr.io/me/triage:1.2 oci://ghcr.io/me/triage:1.3")]
pub(in super::super) struct DiffArgs {
    /// A component (.wasm, .wat), a plugin's folder that has been built, or `oci://REGISTRY/NAME[:TAG][@sha256:…]`
    old: PathBuf,
    /// Of the same kinds
    new: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    /// Only read them: neither compile them nor ask them what they are
    #[arg(long)]
    no_describe: bool,
    #[command(flatten)]
    looking: LookingArgs,
}

pub(super) fn diff(args: &DiffArgs) -> CliResult {
    let (runtime, config) = (runtime()?, args.looking.config()?);
    let trust = args.looking.trust(&config)?;
    let look = |plugin| look_at(plugin, &trust, &config, &runtime, !args.no_describe);
    let ((old, _), (new, _)) = (look(&args.old)?, look(&args.new)?);
    let difference = Difference::between(&old, &new);
    if args.json {
        print_json(&difference.as_json())?;
    } else {
        for line in difference.lines() {
            outln!("{line}");
        }
    }
    Ok(if difference.rights_grew() { Exit::RightsGrew } else { Exit::Done })
}
