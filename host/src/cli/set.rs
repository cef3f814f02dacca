//! `set`: what a job may cost and how much of it is done at once, changed while it runs or for its next `resume`.

use super::job_ref::JobRef;
use super::pause::{Taken, ask};
use super::run_args::{self, RunArgs};
use super::{CliResult, Exit, policy, print_json};
use crate::config::{self, Config};
use crate::resilience::dollars;
use crate::store::{change_arguments, runner_of};
use anyhow::Context;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Setting {
    /// What the job may cost, in dollars
    MaxCost,
    /// Items in flight
    Concurrency,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill set tickets max-cost 12.50
  sandmill set tickets concurrency 8")]
pub(super) struct SetArgs {
    /// The job's name, or the path of its .db file
    job: String,
    /// What is changed
    #[arg(value_enum)]
    setting: Setting,
    /// Dollars such as 12.50, or a number of items
    value: String,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// One setting, with its new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// In millionths of a dollar.
    MaxCost(u64),
    Concurrency(u32),
}

pub(super) fn set(args: &SetArgs) -> CliResult {
    let change = Change::new(args.setting, &args.value)?;
    let job = JobRef::here(&args.job, args.store.as_deref())?;
    // What is not there is told as everywhere.
    drop(job.open()?);
    if runner_of(&job.dir, &job.name)?.is_some() {
        let taken = ask(&job, |control| match change {
            Change::MaxCost(most) => control.max_cost = Some(most),
            Change::Concurrency(number) => control.concurrency = Some(number),
        })?;
        return tell(args, &job, change, Some(taken));
    }
    change_arguments(&job.dir, &job.name, |stored| {
        let changed = stored_with(stored, &[change])?;
        // What no run would accept is told now.
        let args: RunArgs = serde_json::from_str(&changed)?;
        change.check(&args, &config::load(args.config.as_deref())?)?;
        anyhow::Ok(changed)
    })?;
    tell(args, &job, change, None)
}

/// `taken`: by the run that goes on, if there is one.
fn tell(args: &SetArgs, job: &JobRef, change: Change, taken: Option<Taken>) -> CliResult {
    let (setting, value) = (change.name(), change.value());
    if args.json {
        let from = match taken {
            Some(Taken::Yes) => "now",
            Some(Taken::Later) => "once the run has read its input",
            None => "the next run",
        };
        let told = serde_json::json!({
            "schema": 1, "job": job.name.as_str(), "setting": setting, "value": value, "from": from,
        });
        print_json(&told)?;
        return Ok(Exit::Done);
    }
    let when = match taken {
        Some(Taken::Yes) => "for the run that goes on, and for later ones".to_owned(),
        Some(Taken::Later) => "once the run has read its input".to_owned(),
        None => format!("from its next `sandmill resume {}` on", args.job),
    };
    outln!("{setting} of job {} is {value}, {when}", job.name);
    Ok(Exit::Done)
}

/// The stored arguments, changed.
pub(super) fn stored_with(stored: &str, changes: &[Change]) -> anyhow::Result<String> {
    let mut args: RunArgs = serde_json::from_str(stored)
        .context("the job was stopped before it began: give its `sandmill run …` again, with what shall be set")?;
    for change in changes {
        change.apply(&mut args);
    }
    Ok(serde_json::to_string(&args)?)
}

impl Change {
    fn new(setting: Setting, value: &str) -> anyhow::Result<Self> {
        match setting {
            Setting::MaxCost => run_args::dollars(value).map(Self::MaxCost).map_err(anyhow::Error::msg),
            Setting::Concurrency => match value.parse() {
                Ok(number @ 1..=10_000) => Ok(Self::Concurrency(number)),
                Ok(_) | Err(_) => Err(anyhow::anyhow!("`{value}` is no number from 1 to 10000")),
            },
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MaxCost(_) => "max-cost",
            Self::Concurrency(_) => "concurrency",
        }
    }

    pub(super) fn value(self) -> String {
        match self {
            Self::MaxCost(most) => dollars(most),
            Self::Concurrency(number) => number.to_string(),
        }
    }

    pub(super) fn apply(self, args: &mut RunArgs) {
        match self {
            Self::MaxCost(most) => args.provider.max_cost = Some(most),
            Self::Concurrency(number) => args.work.concurrency = Some(number),
        }
    }

    /// That the operator's policy allows it; `args` and `config`: those of the job.
    pub(super) fn check(self, args: &RunArgs, config: &Config) -> anyhow::Result<()> {
        let mut changed = args.clone();
        self.apply(&mut changed);
        policy::load()?.bound(&mut changed, config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_checked_before_anything_is_changed() {
        assert_eq!(Change::new(Setting::MaxCost, "0.5").unwrap(), Change::MaxCost(500_000));
        assert_eq!(Change::new(Setting::Concurrency, "8").unwrap(), Change::Concurrency(8));
        for (setting, value) in [(Setting::MaxCost, "much"), (Setting::Concurrency, "0"), (Setting::Concurrency, "x")] {
            assert!(Change::new(setting, value).is_err(), "{value}");
        }
    }
}
