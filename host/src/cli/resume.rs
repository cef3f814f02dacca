//! `resume`: `run` again, from what is stored with the job.

use super::job_ref::JobRef;
use super::run_args::{self, LogFormat, RunArgs};
use super::{CliResult, Exit, pause, run};
use crate::config;
use crate::store::{JobName, Reader};
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill resume tickets
  sandmill resume tickets --store /srv/jobs -q")]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct ResumeArgs {
    /// The job's name, or the path of its .db file
    job: String,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Say each longer wait, each failure, and what plugins log
    #[arg(short, long)]
    verbose: bool,
    /// Serve a live page of the run: a port of this machine (0: a free one), or ADDRESS:PORT [default: as the job was started]
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = run_args::listen)]
    dashboard: Option<String>,
    /// Let --dashboard listen where other machines can reach it, over HTTP that nobody encrypts
    #[arg(long)]
    dashboard_allow_remote: bool,
    /// What stderr is: text for a person, or one JSON object a line [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// Tell nobody of this run, whatever channels for alerts sandmill.toml names
    #[arg(long)]
    no_alerts: bool,
}

pub(super) fn resume(resume: &ResumeArgs) -> CliResult {
    run::told_in(resume.log_format, None, || go_on(resume))
}

fn go_on(resume: &ResumeArgs) -> CliResult {
    let here = config::load(None)?;
    let named = JobRef::new(&resume.job, resume.store.as_deref(), &here)?;
    let args = stored_arguments(&named.open()?, &named.name)?;
    if pause::go_on(&named)? {
        return Ok(Exit::Done);
    }
    let JobRef { dir, name: job } = named;
    let args = RunArgs {
        job: Some(job.to_string()),
        store: Some(std::path::absolute(&dir)?),
        json: args.json || resume.json,
        quiet: resume.quiet,
        verbose: resume.verbose,
        log_format: resume.log_format,
        no_alerts: resume.no_alerts,
        dashboard: resume.dashboard.clone().or_else(|| args.dashboard.clone()),
        dashboard_allow_remote: args.dashboard_allow_remote || resume.dashboard_allow_remote,
        ..args
    };
    let config = match &args.config {
        Some(path) => config::load(Some(path))?,
        None => here,
    };
    run::execute(&args, &config, &dir, &job)
}

pub(super) fn stored_arguments(reader: &Reader, job: &JobName) -> anyhow::Result<RunArgs> {
    let row = reader.job()?.with_context(|| format!("the job `{job}` was never started: run it again"))?;
    serde_json::from_str(&row.arguments)
        .with_context(|| format!("the job `{job}` was stopped before it began: give its `sandmill run …` again"))
}
