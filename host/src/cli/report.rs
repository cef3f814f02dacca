//! `report`: one page about a job, or its figures as JSON, from the store alone, while a run goes on or after.

use super::card::job_command;
use super::export::check_input_stays;
use super::job_ref::JobRef;
use super::status::Standing;
use super::{CliResult, Exit, Failure};
use crate::clock::{Clock, SystemClock};
use crate::domain::escape_json;
use crate::output::AtomicFile;
use crate::report::figures::{Around, Figures, KIND};
use crate::report::{MARK, page};
use crate::store::size_of;
use anyhow::{Context, bail};
use clap::Args;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// So near its start a file has what tells that it is a report.
const HEAD_BYTES: u64 = 512;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill report tickets
  sandmill report tickets -o report.html
  sandmill report tickets --json | jq .failures")]
pub(super) struct ReportArgs {
    /// The job's name, or the path of its .db file
    job: String,
    /// A file, or `-` for stdout; only an earlier report is replaced [default: JOB.html, with --json stdout]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the figures as JSON, rather than the page
    #[arg(long)]
    json: bool,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

pub(super) fn report(args: &ReportArgs) -> CliResult {
    let job = JobRef::here(&args.job, args.store.as_deref())?;
    let path = match &args.output {
        Some(path) if path == Path::new("-") => None,
        Some(path) => Some(path.clone()),
        None if args.json => None,
        None => Some(PathBuf::from(format!("{}.html", job.name))),
    };
    let reader = job.open()?;
    if let Some(path) = &path {
        check_replaceable(path)?;
        check_input_stays(&reader, Some(path))?;
    }
    let reader = reader.as_of_now()?;
    let Standing { state, goes_on, paused } = Standing::look(&job, reader.runs()?.last())?;
    let around = Around {
        name: job.name.to_string(),
        now_ms: SystemClock::new().unix_ms(),
        state,
        running: goes_on,
        paused,
        bytes: size_of(&job.dir, &job.name)?,
    };
    let named = job_command(job.name.as_str(), Some(&job.dir));
    let figures = Figures::gather(&reader, &named, around)?;
    let text = if args.json {
        let json = serde_json::to_string(&figures).map_err(Failure::internal)?;
        escape_json(&json).into_owned() + "\n"
    } else {
        page(&figures).map_err(Failure::internal)?
    };
    match &path {
        None => out!("{text}"),
        Some(path) => {
            let file = AtomicFile::create(path)?;
            (&file).write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
            file.commit()?;
            errln!("Report of job {}: {}", job.name, path.display());
        }
    }
    Ok(Exit::Done)
}

/// That there is no such file yet, or that it is a report.
fn check_replaceable(path: &Path) -> anyhow::Result<()> {
    let unreadable = || format!("cannot read {}, which would be replaced", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        // What it is and why it cannot be is told when the file is made.
        Ok(file) if file.metadata().is_ok_and(|meta| !meta.is_file()) => return Ok(()),
        file => file.with_context(unreadable)?,
    };
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head).with_context(unreadable)?;
    let head = String::from_utf8_lossy(&head);
    let is_report = head.contains(MARK) || head.starts_with(&format!("{{\"kind\":\"{KIND}\""));
    if !head.is_empty() && !is_report {
        bail!("{} is there already, and is no report: choose another file, or remove it", path.display());
    }
    Ok(())
}
