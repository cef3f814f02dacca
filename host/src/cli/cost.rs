//! `cost`: what a job's calls cost, from the books.

use super::job_ref::JobRef;
use super::{CliResult, Exit, print_json};
use crate::domain::sanitize_line;
use crate::resilience::dollars;
use crate::store::{CostBy, CostRow};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Route,
    Model,
    /// The day on which calls were sent, in UTC
    Day,
    /// Each `--tag` of the runs
    Tag,
    Item,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill cost tickets
  sandmill cost tickets --by item | head
  sandmill cost tickets --by day --json")]
pub(super) struct CostArgs {
    /// The job's name, or the path of its .db file
    job: String,
    /// What the sums are by
    #[arg(long, value_enum, default_value = "route")]
    by: By,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn cost(args: &CostArgs) -> CliResult {
    let job = JobRef::here(&args.job, args.store.as_deref())?;
    let reader = job.open()?;
    let (by, title) = match args.by {
        By::Route => (CostBy::Route, "route"),
        By::Model => (CostBy::Model, "model"),
        By::Day => (CostBy::Day, "day"),
        By::Tag => (CostBy::Tag, "tag"),
        By::Item => (CostBy::Item, "item"),
    };
    let rows = reader.costs(by)?;
    if args.json {
        let rows: Vec<_> = rows.iter().map(as_json).collect();
        print_json(&serde_json::json!({"schema": 1, "job": job.name.as_str(), "by": title, "rows": rows}))?;
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        outln!(
            "No call of job {} is in the books{}",
            job.name,
            if by == CostBy::Tag { " of a run with a --tag" } else { "" }
        );
        return Ok(Exit::Done);
    }
    outln!("{title:<24} {:>9} {:>7} {:>11} {:>11} {:>12}", "calls", "failed", "tokens in", "tokens out", "cost");
    for row in &rows {
        outln!(
            "{:<24} {:>9} {:>7} {:>11} {:>11} {:>12}",
            shortened(&row.key),
            row.calls,
            row.failed,
            row.input_tokens,
            row.output_tokens,
            if row.unpriced == row.calls { "no prices".into() } else { dollars(row.cost) }
        );
    }
    let unknown: u64 = rows.iter().map(|row| row.unknown).sum();
    if unknown > 0 && by != CostBy::Tag {
        outln!("{unknown} calls were sent by a process that died; they are counted with the most that they may cost");
    }
    Ok(Exit::Done)
}

fn shortened(key: &str) -> String {
    let key = sanitize_line(key, 4 * 24 + 4);
    if key.chars().count() <= 24 { key } else { key.chars().take(23).chain(['…']).collect() }
}

#[expect(clippy::cast_precision_loss, reason = "for reading")]
fn as_json(row: &CostRow) -> serde_json::Value {
    serde_json::json!({
        "key": row.key,
        "calls": row.calls,
        "failed": row.failed,
        "unknown": row.unknown,
        "unpriced": row.unpriced,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cache_read_tokens": row.cache_read_tokens,
        "cost_dollars": row.cost as f64 / 1e6,
    })
}
