//! `job prune`: gives back the room of what is not needed any more of items that are done. What that costs is said.

use super::super::{CliResult, Exit, print_json};
use super::{JobArgs, size};
use crate::store::{self, Keep};
use clap::{Args, ValueEnum};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kept {
    /// The outputs alone
    Outputs,
    /// The outputs, and the answers that a replay asks for
    Answers,
    /// Those, and the inputs
    All,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill job prune tickets --keep answers
  sandmill job prune tickets --keep outputs --json")]
pub(in crate::cli) struct PruneArgs {
    #[command(flatten)]
    job: JobArgs,
    /// What is kept of items that are done or skipped, beside the books of their calls
    #[arg(long, value_enum)]
    keep: Kept,
}

pub(super) fn prune(args: &PruneArgs) -> CliResult {
    let job = args.job.resolve()?;
    // What is not there is told as everywhere.
    drop(job.open()?);
    let keep = match args.keep {
        Kept::Outputs => Keep::Outputs,
        Kept::Answers => Keep::Answers,
        Kept::All => Keep::All,
    };
    let pruned = store::prune(&job.dir, &job.name, keep)?;
    if args.job.json {
        print_json(&serde_json::json!({
            "schema": 1, "job": job.name.as_str(), "inputs": pruned.inputs, "answers": pruned.answers,
            "failed_bodies": pruned.bodies, "bytes_before": pruned.before, "bytes_after": pruned.after,
        }))?;
        return Ok(Exit::Done);
    }
    outln!(
        "Job {}: {} before, {} now; dropped {} inputs, {} answers, {} bodies of failed calls",
        job.name,
        size(pruned.before),
        size(pruned.after),
        pruned.inputs,
        pruned.answers,
        pruned.bodies
    );
    match keep {
        Keep::All => {}
        Keep::Answers => {
            outln!("From now on a done item is done again only while the input of the job is still there");
        }
        Keep::Outputs => outln!(
            "From now on a done item is done again only while the input of the job is still there, and its calls are paid again"
        ),
    }
    Ok(Exit::Done)
}
