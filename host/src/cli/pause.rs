//! `pause`, the `resume` of what is paused, and how any command asks something of a run in another process.

use super::job_ref::JobRef;
use super::{CliResult, Exit, Failure, print_json};
use crate::clock::{Clock, SystemClock};
use crate::store::control::{self, Control};
use crate::store::{StoreError, runner_of};
use anyhow::{Context, bail};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// How long a run is given to take what it is asked; it looks twice a second, and not before its first item.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill pause tickets
  sandmill resume tickets          # lets it go on, in the same process")]
pub(super) struct PauseArgs {
    /// The job's name, or the path of its .db file
    job: String,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn pause(args: &PauseArgs) -> CliResult {
    let job = JobRef::here(&args.job, args.store.as_deref())?;
    // What is not there is told as everywhere.
    drop(job.open()?);
    let name = &job.name;
    if runner_of(&job.dir, name)?.is_none() {
        return Err(anyhow::anyhow!(
            "job {name} is not being run: there is nothing to pause; `sandmill status {name}` tells how far it is"
        )
        .into());
    }
    let taken = ask(&job, |control| control.paused = true)?;
    if args.json {
        let at_once = taken == Taken::Yes;
        print_json(&serde_json::json!({ "schema": 1, "job": name.as_str(), "paused": true, "at_once": at_once }))?;
        return Ok(Exit::Done);
    }
    outln!(
        "Job {name} {}: what is in flight ends, nothing new is begun; `sandmill resume {}` lets it go on",
        taken.says("is paused", "pauses once its input is read"),
        args.job
    );
    Ok(Exit::Done)
}

/// For `resume`: lets a run that is paused go on. False: nobody runs the job.
pub(super) fn go_on(job: &JobRef) -> Result<bool, Failure> {
    let Some(pid) = runner_of(&job.dir, &job.name)? else { return Ok(false) };
    if !control::read(&job.dir, &job.name)?.paused {
        return Err(StoreError::Locked { job: job.name.to_string(), pid }.into());
    }
    let taken = ask(job, |control| control.paused = false)?;
    outln!("Job {} {} in process {pid}", job.name, taken.says("goes on", "will go on"));
    Ok(true)
}

/// Whether a run has taken what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    /// It has not looked yet: it is still before its first item.
    Later,
}

impl Taken {
    pub(super) fn says(self, yes: &'static str, later: &'static str) -> &'static str {
        match self {
            Self::Yes => yes,
            Self::Later => later,
        }
    }
}

/// Asks something of the process that runs the job, and waits until it has taken it. What it refuses is an error.
pub(super) fn ask(job: &JobRef, change: impl FnOnce(&mut Control)) -> anyhow::Result<Taken> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.context("cannot start the runtime")?.block_on(asked(job, change))
}

/// The same, for who has a runtime; the files are small, and on this machine.
pub(super) async fn asked(job: &JobRef, change: impl FnOnce(&mut Control)) -> anyhow::Result<Taken> {
    let mut before = Control::default();
    let asked = control::ask(&job.dir, &job.name, |control| {
        before = control.clone();
        change(control);
    })?;
    let taken = taken(job, asked.serial, &SystemClock::new()).await;
    if taken.is_err() && runner_of(&job.dir, &job.name)?.is_some() {
        // It would be refused again with whatever is asked next.
        control::ask(&job.dir, &job.name, |control| control.take_back(&asked, &before))?;
    }
    taken
}

async fn taken(job: &JobRef, serial: u64, clock: &dyn Clock) -> anyhow::Result<Taken> {
    let until = clock.monotonic() + PATIENCE;
    loop {
        let answer = control::answer(&job.dir, &job.name)?;
        if answer.serial >= serial {
            match answer.refused.as_slice() {
                [] => return Ok(Taken::Yes),
                refused => bail!("{}", refused.join("; ")),
            }
        }
        if runner_of(&job.dir, &job.name)?.is_none() {
            bail!("the run of job {} ended before it could be asked: see `sandmill status {0}`", job.name);
        }
        if clock.monotonic() >= until {
            return Ok(Taken::Later);
        }
        clock.sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::store::{JobName, NewJob, Store};

    fn job() -> (tempfile::TempDir, JobRef) {
        let dir = tempfile::tempdir().unwrap();
        let job = JobRef { dir: dir.path().to_path_buf(), name: JobName::new("j").unwrap() };
        (dir, job)
    }

    fn open(job: &JobRef) -> Store {
        let new = NewJob { created_ms: 0, seed: 0, arguments: "{}".into() };
        Store::create_or_open(&job.dir, &job.name, &new).unwrap().0
    }

    async fn paused(job: &JobRef) -> anyhow::Result<Taken> {
        let serial = control::ask(&job.dir, &job.name, |control| control.paused = true)?.serial;
        taken(job, serial, &SimulatedClock::default()).await
    }

    async fn answered(job: &JobRef, refused: Vec<String>) -> anyhow::Result<Taken> {
        let serial = control::ask(&job.dir, &job.name, |control| control.paused = true)?.serial;
        control::reply(&job.dir, &job.name, serial, refused)?;
        taken(job, serial, &SimulatedClock::default()).await
    }

    #[tokio::test]
    async fn a_run_that_does_not_look_yet_is_told_from_one_that_took_it_and_from_one_that_ended() {
        let (_dir, job) = job();
        let error = paused(&job).await.unwrap_err();
        assert!(error.to_string().contains("ended before it could be asked"), "{error}");
        let _store = open(&job);
        assert_eq!(paused(&job).await.unwrap(), Taken::Later);
        assert_eq!(answered(&job, Vec::new()).await.unwrap(), Taken::Yes);
        assert_eq!(paused(&job).await.unwrap(), Taken::Later, "the last answer was to something else");
        assert_eq!(answered(&job, vec!["it may not".into()]).await.unwrap_err().to_string(), "it may not");
    }
}
