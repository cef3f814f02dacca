//! `status`: reads the store, while a run goes on or after.

use super::{CliResult, Exit, Failure, print_json, settings};
use crate::config;
use crate::resilience::dollars;
use crate::store::{Counts, JobName, Reader, RunRow, UsageTotals, list_jobs};
use clap::Args;
use std::path::{Path, PathBuf};

/// Failed items that are listed.
const FAILURES: u64 = 10;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The job's name; without it all jobs are listed
    job: Option<String>,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn status(args: &StatusArgs) -> CliResult {
    let dir = settings::store_dir(args.store.as_deref(), &config::load(None)?);
    match &args.job {
        None => all(&dir, args.json)?,
        Some(job) => one(&Reader::open(&dir, &JobName::new(job)?)?, job, args.json)?,
    }
    Ok(Exit::Done)
}

fn all(dir: &Path, json: bool) -> Result<(), Failure> {
    let jobs = list_jobs(dir)?;
    if jobs.is_empty() && !json {
        println!("There are no jobs in {}", dir.display());
    }
    for job in jobs {
        match Reader::open(dir, &job).and_then(|reader| Ok((reader.counts()?, reader.usage()?, reader.runs()?))) {
            Ok((counts, usage, runs)) if json => print_json(&as_json(job.as_str(), counts, usage, &runs))?,
            Ok((counts, _, runs)) => println!("{job}: {}, {}", line(counts), state(&runs)),
            Err(error) => eprintln!("{job}: {error}"),
        }
    }
    Ok(())
}

fn one(reader: &Reader, job: &str, json: bool) -> Result<(), Failure> {
    let (counts, usage, runs) = (reader.counts()?, reader.usage()?, reader.runs()?);
    if json {
        return print_json(&as_json(job, counts, usage, &runs));
    }
    println!("Job {job}: {}", state(&runs));
    println!("  items   {}", line(counts));
    println!(
        "  calls   {} to the provider, {} answered, {} unknown; tokens: {} read, {} written",
        usage.calls, usage.answered, usage.unknown, usage.input_tokens, usage.output_tokens
    );
    if usage.cost > 0 {
        println!("  cost    {}", dollars(usage.cost));
    }
    println!("  runs    {}", runs.len());
    for failure in reader.failures(FAILURES)? {
        println!(
            "  failed  {} (line {}): {}/{}: {}",
            failure.id,
            failure.line,
            failure.class,
            failure.code,
            first_line(&failure.message)
        );
    }
    if counts.failed > FAILURES {
        println!("  … and {} more: sandmill log {job}", counts.failed - FAILURES);
    }
    Ok(())
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn line(counts: Counts) -> String {
    format!(
        "{} of {} done, {} skipped, {} failed, {} pending",
        counts.done,
        counts.total,
        counts.skipped,
        counts.failed,
        counts.pending()
    )
}

fn state(runs: &[RunRow]) -> String {
    match runs.last() {
        None => "never run".into(),
        Some(run) => match (&run.state, &run.reason) {
            (Some(state), Some(reason)) => format!("{state}: {reason}"),
            _ if is_alive(run.pid) => format!("running in process {}", run.pid),
            _ => format!("its process {} died: run it again", run.pid),
        },
    }
}

/// Best effort: another process may have got the number.
fn is_alive(pid: i64) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

#[expect(clippy::cast_precision_loss, reason = "for reading")]
fn as_json(job: &str, counts: Counts, usage: UsageTotals, runs: &[RunRow]) -> serde_json::Value {
    serde_json::json!({
        "job": job,
        "total": counts.total,
        "processed": counts.done,
        "skipped": counts.skipped,
        "failed": counts.failed,
        "pending": counts.pending(),
        "provider_calls": usage.calls,
        "answered_calls": usage.answered,
        "unknown_calls": usage.unknown,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_dollars": usage.cost as f64 / 1e6,
        "runs": runs.len(),
        "state": state(runs),
    })
}
