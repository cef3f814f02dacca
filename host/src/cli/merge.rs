//! `merge`: one job, or one output, of several.

use super::export::{is_written, target};
use super::job_ref::JobRef;
use super::out::Stdout;
use super::{CliResult, Exit, Failure, print_json, settings};
use crate::config;
use crate::domain::sanitize_line;
use crate::output::{AtomicFile, Format};
use crate::results::{self, Target};
use crate::store::{Conflicts, JobName, MergeReport, Merged, Order};
use anyhow::Context;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("result").required(true).multiple(true).args(["output", "into"]),
    after_help = "An item is its id. Of several outcomes of one content, done beats skipped beats
failed beats pending, and newer beats older. Every call of every input is kept
in the books of the merged job. The inputs are not changed.

Examples:
  sandmill merge shard-*.db --output results.jsonl
  sandmill merge monday tuesday --into week --strict"
)]
pub(super) struct MergeArgs {
    /// Jobs: their names, or the paths of their .db files
    #[arg(required = true, value_name = "JOB")]
    inputs: Vec<String>,
    /// What is done, into a file (.jsonl, .csv, .parquet), or `-` for stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// jsonl, csv or parquet; by the file's extension if not given, jsonl for stdout
    #[arg(long, value_parser = Format::NAMES, requires = "output")]
    format: Option<String>,
    /// A new job, that goes on where the inputs stopped
    #[arg(long, value_name = "NAME")]
    into: Option<String>,
    /// Write nothing if the inputs contradict each other, and end with 3
    #[arg(long)]
    strict: bool,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn merge(args: &MergeArgs) -> CliResult {
    if args.json && args.output.as_deref() == Some(Path::new("-")) {
        return Err(anyhow::anyhow!("--json and --output - both want stdout: write the output into a file").into());
    }
    let config = config::load(None)?;
    let dir = settings::store_dir(args.store.as_deref(), &config);
    let file = |input: &String| anyhow::Ok(JobRef::new(input, args.store.as_deref(), &config)?.file()?);
    let inputs = args.inputs.iter().map(file).collect::<anyhow::Result<Vec<_>>>()?;
    let into = args.into.as_deref().map(JobName::new).transpose()?;
    if let Some(job) = &into
        && dir.join(format!("{job}.db")).exists()
    {
        return Err(crate::store::StoreError::Exists { job: job.to_string() }.into());
    }
    let target = args.output.as_deref().map(|path| target(path, args.format.as_deref())).transpose()?;
    if let Some((Some(path), _)) = target {
        // That it can be written is found out first.
        AtomicFile::create(path)?;
    }
    let merged = Merged::make(&inputs, &work_dir(args, &dir))?;
    let report = merged.report().clone();
    say(&report);
    let is_contradicted = report.content_conflicts.count + report.output_conflicts.count > 0;
    if args.strict && is_contradicted {
        errln!("Nothing is written, as --strict wants it");
        if args.json {
            print_json(&as_json(&report))?;
        }
        return Ok(Exit::ItemsFailed);
    }
    if let Some((path, format)) = target {
        let mut stdout = Stdout;
        let target = Target { format, path, stdout: &mut stdout };
        is_written(results::export(&merged.reader()?, Order::Input, target))?;
    }
    if let Some(job) = &into {
        let arguments = arguments(&report.arguments, job, &dir)?;
        merged.keep(&dir, job, &arguments)?;
        errln!("Job {job} is made: `sandmill resume {job}` goes on with it");
    }
    if args.json {
        print_json(&as_json(&report))?;
    }
    Ok(Exit::Done)
}

/// Where there is room for what is made: beside it.
fn work_dir(args: &MergeArgs, dir: &Path) -> PathBuf {
    match (&args.into, args.output.as_deref()) {
        (None, Some(path)) if path == Path::new("-") => std::env::temp_dir(),
        (None, Some(path)) => match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            Some(_) | None => PathBuf::from("."),
        },
        (Some(_), _) | (None, None) => dir.to_path_buf(),
    }
}

/// How the merged job is run: as the input that was run last, but over the items that it has, and into no file of another's.
fn arguments(stored: &str, job: &JobName, dir: &Path) -> Result<String, Failure> {
    let mut arguments: serde_json::Map<String, serde_json::Value> = serde_json::from_str(stored)
        .context("the arguments that are stored with an input cannot be read: merge into --output alone")?;
    if arguments.is_empty() {
        // It was stopped before it began, and so is what is made of it.
        return Ok("{}".into());
    }
    for name in ["output", "summary", "shard", "reuse"] {
        arguments.remove(name);
    }
    arguments.insert("job".into(), job.as_str().into());
    arguments.insert("store".into(), std::path::absolute(dir)?.to_string_lossy().into_owned().into());
    arguments.insert("items_from_store".into(), true.into());
    serde_json::to_string(&arguments).map_err(Failure::internal)
}

fn say(report: &MergeReport) {
    let counts = report.counts;
    errln!(
        "Merged: {} items, {} done, {} skipped, {} failed, {} pending; {} calls",
        counts.total,
        counts.done,
        counts.skipped,
        counts.failed,
        counts.pending(),
        report.calls
    );
    if report.calls_shared > 0 {
        errln!("  {} calls were in several inputs, and are counted once", report.calls_shared);
    }
    if report.generations > 1 {
        errln!(
            "  warning: the output is of {} kinds: plugin, configuration or model differ (column `generation` of export)",
            report.generations
        );
    }
    if report.is_concatenated {
        errln!("  The inputs number their items differently: they stand one after another, as they were named");
    }
    say_conflicts("have different contents; that of the input that was run last stands", &report.content_conflicts);
    say_conflicts("have different outputs; the newer one stands", &report.output_conflicts);
}

fn say_conflicts(what: &str, conflicts: &Conflicts) {
    if conflicts.count > 0 {
        let more = if conflicts.examples.len() as u64 == conflicts.count { "" } else { ", …" };
        errln!(
            "  warning: {} items {what}: {}{more}",
            conflicts.count,
            sanitize_line(&conflicts.examples.join(", "), 4_000)
        );
    }
}

fn as_json(report: &MergeReport) -> serde_json::Value {
    let conflicts =
        |conflicts: &Conflicts| serde_json::json!({"count": conflicts.count, "examples": conflicts.examples});
    serde_json::json!({
        "schema": 1,
        "total": report.counts.total,
        "processed": report.counts.done,
        "skipped": report.counts.skipped,
        "failed": report.counts.failed,
        "pending": report.counts.pending(),
        "calls": report.calls,
        "calls_shared": report.calls_shared,
        "generations": report.generations,
        "concatenated": report.is_concatenated,
        "content_conflicts": conflicts(&report.content_conflicts),
        "output_conflicts": conflicts(&report.output_conflicts),
    })
}
