//! `alert`: whether those who shall be told can be.

use super::{CliResult, Exit, Failure, print_json, runtime};
use crate::alert::{Alert, Commands, Failures, Kind, Plan, Target};
use crate::clock::{Clock, SystemClock};
use crate::config;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use futures_util::future::join_all;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub(super) enum AlertCommand {
    /// Send a test through each channel of sandmill.toml, and say how each went; exit code 2 if one did not take it
    Test(TestArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill alert test
  sandmill alert test team --config nightly.toml")]
pub(super) struct TestArgs {
    /// The name of a channel [default: all of them]
    channel: Option<String>,
    /// Settings from FILE [default: sandmill.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn alert(command: &AlertCommand) -> CliResult {
    let AlertCommand::Test(args) = command;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let plan = Plan::new(&config::load(args.config.as_deref())?.alert, &clock)?;
    let targets = chosen(plan.context("nobody is told of anything: add [alert] to sandmill.toml")?, args)?;
    let alert = test(clock.unix_ms());
    let results = runtime()?.block_on(join_all(targets.iter().map(|target| target.send(&alert))));
    let failed = results.iter().filter(|result| result.is_err()).count();
    let mut told = Vec::new();
    for (target, result) in targets.iter().zip(results) {
        let error = result.err().map(|error| error.to_string());
        match &error {
            _ if args.json => {}
            None => outln!("{}: sent", target.describe()),
            Some(error) => outln!("{}: not sent: {error}", target.describe()),
        }
        told.push(serde_json::json!({ "channel": target.name, "sent": error.is_none(), "error": error }));
    }
    if args.json {
        print_json(&serde_json::json!({ "schema": 1, "channels": told }))?;
    }
    if failed > 0 {
        let error = anyhow::anyhow!(
            "{failed} of {} channels did not take the test: mend them in [alert] of sandmill.toml, or where they lead",
            targets.len()
        );
        return Err(Failure { error, exit: Exit::Usage });
    }
    Ok(Exit::Done)
}

fn chosen(plan: Plan, args: &TestArgs) -> anyhow::Result<Vec<Target>> {
    let Some(name) = &args.channel else { return Ok(plan.targets) };
    let names: Vec<String> = plan.targets.iter().map(|target| target.name.clone()).collect();
    let chosen: Vec<Target> = plan.targets.into_iter().filter(|target| target.name == *name).collect();
    if chosen.is_empty() {
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        bail!("there is no channel `{name}`: {}{}", known.join(", "), config::did_you_mean(name, &known));
    }
    Ok(chosen)
}

fn test(now_ms: u64) -> Alert {
    Alert {
        id: format!("test-{now_ms}"),
        kind: Kind::Test,
        job: "sandmill".into(),
        rule: None,
        subject: None,
        reason: "this is a test: alerts of jobs come this way".into(),
        since_ms: now_ms,
        at_ms: now_ms,
        failures: Failures::default(),
        has_details: true,
        commands: Commands { look: "sandmill job list".into(), resume: "sandmill resume JOB".into() },
    }
}
