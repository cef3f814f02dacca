//! `job list`: every job of a folder, on a line.

use super::super::status::{is_alive, last_state};
use super::super::{CliResult, Exit, Failure, print_json, settings};
use super::size;
use crate::config;
use crate::domain::sanitize_line;
use crate::resilience::dollars;
use crate::store::{Counts, JobName, Reader, RunRow, StoreError, UsageTotals, list_jobs, size_of};
use clap::Args;
use jiff::Timestamp;
use std::path::{Path, PathBuf};

const ERROR_BYTES_MAX: usize = 2_000;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill job list
  sandmill job list --store /srv/jobs --json | jq -r 'select(.failed > 0).job'")]
pub(in crate::cli) struct ListArgs {
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
}

struct Line {
    counts: Counts,
    usage: UsageTotals,
    last: Option<RunRow>,
    bytes: u64,
}

/// A job that cannot be read is told, and the others are listed all the same.
pub(super) fn list(args: &ListArgs) -> CliResult {
    let dir = settings::store_dir(args.store.as_deref(), &config::load(None)?);
    let jobs = list_jobs(&dir)?;
    if jobs.is_empty() && !args.json {
        outln!("There are no jobs in {}", dir.display());
        return Ok(Exit::Done);
    }
    if !args.json {
        outln!("{:<28} {:<11} {:>15} {:>7} {:>10} {:>9}  last run", "job", "state", "done", "failed", "cost", "size");
    }
    let mut exit = Exit::Done;
    for job in jobs {
        match look(&dir, &job) {
            Ok(line) => line.print(&job, args.json)?,
            Err(error) => {
                errln!("{job}: {}", sanitize_line(&error.to_string(), ERROR_BYTES_MAX));
                exit = Exit::Usage;
            }
        }
    }
    Ok(exit)
}

fn look(dir: &Path, job: &JobName) -> Result<Line, StoreError> {
    let reader = Reader::open(dir, job)?;
    let (counts, usage, last) = (reader.counts()?, reader.usage()?, reader.runs()?.pop());
    Ok(Line { counts, usage, last, bytes: size_of(dir, job)? })
}

impl Line {
    fn state(&self) -> &str {
        match &self.last {
            None => "never run",
            Some(run) => match &run.state {
                // Of ours it is a word.
                Some(state) if state.chars().all(|c| c.is_ascii_graphic()) => state,
                Some(_) => "unknown",
                None if is_alive(run.pid) => "running",
                None => "died",
            },
        }
    }

    /// When the last run ended, or began if it has not ended; milliseconds since the Unix epoch.
    fn last_ms(&self) -> Option<u64> {
        self.last.as_ref().map(|run| run.ended_ms.unwrap_or(run.started_ms))
    }

    fn print(&self, job: &JobName, json: bool) -> Result<(), Failure> {
        let at = self.last_ms().and_then(|ms| Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok());
        let Counts { total, done, skipped, failed } = self.counts;
        if json {
            #[expect(clippy::cast_precision_loss, reason = "for reading")]
            let cost = self.usage.cost as f64 / 1e6;
            return print_json(&serde_json::json!({
                "schema": 1, "job": job.as_str(), "state": self.state(), "reason": last_state(self.last.as_ref()),
                "total": total, "processed": done, "skipped": skipped, "failed": failed,
                "pending": self.counts.pending(), "provider_calls": self.usage.calls, "cost_dollars": cost,
                "bytes": self.bytes, "last_run": at.map(|at| at.to_string()),
            }));
        }
        outln!(
            "{:<28} {:<11} {:>15} {failed:>7} {:>10} {:>9}  {}",
            job.as_str(),
            self.state(),
            format!("{}/{total}", done + skipped),
            dollars(self.usage.cost),
            size(self.bytes),
            at.map_or_else(|| "-".into(), |at| format!("{at:.0}")),
        );
        Ok(())
    }
}
