//! `job`: what is done to jobs as a whole: list, verify, back up, prune, remove.

mod list;
mod prune;
mod rm;
mod verify;

use super::job_ref::JobRef;
use super::{CliResult, Exit, print_json};
use anyhow::Context;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum JobCommand {
    /// List the jobs: how far each is, what it cost, what room it takes
    List(list::ListArgs),
    /// Check that a job's file is whole: its pages, what its rows name, what its JSON says, its sums
    #[command(after_help = "Examples:
  sandmill job verify tickets
  sandmill job verify /backups/tickets.db --json")]
    Verify(JobArgs),
    /// Copy a job's file, also while it runs
    Backup(BackupArgs),
    /// Give back room: drop what is not needed any more of items that are done
    Prune(prune::PruneArgs),
    /// Remove a job; says what was paid for it, and wants --yes
    Rm(rm::RmArgs),
}

#[derive(Debug, Args)]
pub(super) struct JobArgs {
    /// The job's name, or the path of its .db file
    job: String,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl JobArgs {
    fn resolve(&self) -> anyhow::Result<JobRef> {
        JobRef::here(&self.job, self.store.as_deref())
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill job backup tickets -o /backups/tickets.db
  sandmill status /backups/tickets.db")]
pub(super) struct BackupArgs {
    #[command(flatten)]
    job: JobArgs,
    /// Where the copy goes; a name that ends in .db can be given as a JOB
    #[arg(long, short, value_name = "FILE", required_unless_present = "file")]
    output: Option<PathBuf>,
    /// The same, without the flag
    #[arg(hide = true, conflicts_with = "output")]
    file: Option<PathBuf>,
}

pub(super) fn job(command: &JobCommand) -> CliResult {
    match command {
        JobCommand::List(args) => list::list(args),
        JobCommand::Verify(args) => verify::verify(args),
        JobCommand::Backup(args) => backup(args),
        JobCommand::Prune(args) => prune::prune(args),
        JobCommand::Rm(args) => rm::rm(args),
    }
}

fn backup(args: &BackupArgs) -> CliResult {
    let job = args.job.resolve()?;
    let file = args.output.as_deref().or(args.file.as_deref()).context("-o FILE says where the copy goes")?;
    let bytes = job.open()?.backup(file)?;
    if args.job.json {
        print_json(&serde_json::json!({"schema": 1, "job": job.name.as_str(), "file": file, "bytes": bytes}))?;
    } else {
        outln!("Job {} is copied into {} ({})", job.name, file.display(), size(bytes));
    }
    Ok(Exit::Done)
}

/// `1.5 MiB`.
pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}
