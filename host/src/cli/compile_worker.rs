//! `compile-worker`: what the program starts of itself to compile a component in. Nobody else has a use for it.

use crate::sandbox::{WorkerLimits, work};
use clap::Args;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct WorkerArgs {
    #[arg(long)]
    cpu_seconds: u64,
    #[arg(long)]
    memory_bytes: u64,
    /// The process that started it
    #[arg(long)]
    parent: u32,
    /// The component comes in text form
    #[arg(long)]
    text: bool,
}

pub(super) fn compile_worker(args: &WorkerArgs) -> ExitCode {
    let limits = WorkerLimits { cpu_time: Duration::from_secs(args.cpu_seconds), memory_bytes: args.memory_bytes };
    ExitCode::from(work(limits, args.parent, args.text).code())
}
