//! `parquet-worker`: what the program starts of itself to decode a Parquet file in. Nobody else has a use for it.

use crate::input::work;
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct WorkerArgs {
    #[arg(long)]
    memory_bytes: u64,
    /// What is wanted of its rows, as JSON
    #[arg(long)]
    wanted: String,
}

pub(super) fn parquet_worker(args: &WorkerArgs) -> ExitCode {
    ExitCode::from(work(args.memory_bytes, &args.wanted))
}
