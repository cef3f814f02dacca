//! `job rm`: removes a job, once somebody has been told what was paid for it.

use super::super::{CliResult, Exit, print_json};
use super::{JobArgs, size};
use crate::resilience::dollars;
use crate::store::{StoreError, UsageTotals, remove_job, runner_of, size_of};
use anyhow::anyhow;
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill job rm tickets          # says what was paid, and removes nothing
  sandmill job rm tickets --yes")]
pub(in crate::cli) struct RmArgs {
    #[command(flatten)]
    job: JobArgs,
    /// Remove it
    #[arg(long)]
    yes: bool,
}

pub(super) fn rm(args: &RmArgs) -> CliResult {
    let job = args.job.resolve()?;
    let paid = match job.open() {
        Ok(reader) => reader.usage()?,
        // Its first run died before it began.
        Err(StoreError::Blank { .. }) => UsageTotals::default(),
        Err(error) => return Err(error.into()),
    };
    let bytes = size_of(&job.dir, &job.name)?;
    if let Some(pid) = runner_of(&job.dir, &job.name)? {
        return Err(StoreError::Locked { job: job.name.to_string(), pid }.into());
    }
    if args.yes {
        remove_job(&job.dir, &job.name)?;
    }
    if args.job.json {
        #[expect(clippy::cast_precision_loss, reason = "for reading")]
        let cost = paid.cost as f64 / 1e6;
        print_json(&serde_json::json!({
            "schema": 1, "job": job.name.as_str(), "removed": args.yes, "provider_calls": paid.calls,
            "input_tokens": paid.input_tokens, "output_tokens": paid.output_tokens, "cost_dollars": cost, "bytes": bytes,
        }))?;
    } else {
        outln!(
            "Job {}{}: {} calls, {} tokens read, {} written, {} paid; {}",
            job.name,
            if args.yes { " is removed" } else { "" },
            paid.calls,
            paid.input_tokens,
            paid.output_tokens,
            dollars(paid.cost),
            size(bytes)
        );
    }
    if args.yes {
        return Ok(Exit::Done);
    }
    Err(anyhow!("nothing was removed: add --yes to remove job {} and its answers for good", job.name).into())
}
