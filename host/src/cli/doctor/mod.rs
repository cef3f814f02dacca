//! `doctor`: whether a run could go through the night here. It reads and tries out; it pays for nothing and changes nothing.

mod machine;
mod plugin;
mod providers;

use super::findings::{Findings, State};
use super::trying::{TryArgs, Trying};
use super::{CliResult, Exit, Failure, print_json, settings};
use crate::alert;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, DEFAULT_FILE};
use crate::progress::Verbosity;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Args)]
#[command(after_help = "Looks at keys (and shows none), routes, providers (one question about their
models, which costs nothing), the folder of the jobs, the cache of compiled
plugins, the clock, limits of the system, and with a PLUGIN at whether it loads
with what it is granted.

Exit code 0 if nothing is wrong, 3 if something is.

Examples:
  sandmill doctor
  sandmill doctor plugins/summarize --provider openai --model gpt-4o-mini
  sandmill doctor --offline --json | jq '.findings[].text'")]
pub(super) struct DoctorArgs {
    /// A component (.wasm, .wat), a plugin's folder that has been built, or `oci://REGISTRY/NAME[:TAG][@sha256:…]`
    plugin: Option<PathBuf>,
    /// Ask no provider
    #[arg(long)]
    offline: bool,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Items in flight [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: Option<u32>,
    /// Plugin instances that may be live at once [default: as --concurrency, at most 1,000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_instances: Option<u32>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    trying: TryArgs,
}

/// What is looked at, and what was found.
struct Looking<'a> {
    args: &'a DoctorArgs,
    clock: Arc<dyn Clock>,
    findings: Findings,
}

pub(super) fn doctor(args: &DoctorArgs) -> CliResult {
    let mut looking = Looking { args, clock: Arc::new(SystemClock::new()), findings: Findings::default() };
    let (at, on_wall) = (looking.clock.monotonic(), looking.clock.unix_ms());
    let mut calls = 0;
    let mut skew = None;
    let settled = looking.settings();
    if let Some(trying) = &settled {
        if let Some(planned) = looking.plugin(trying) {
            calls = planned.calls_at_once();
            skew = looking.providers(trying, &planned)?;
        }
        looking.alerts(&trying.config);
    }
    // What is wrong with the settings says nothing of the machine.
    let (run, config) = match settled {
        Some(trying) => (trying.args, trying.config),
        None => (settings::no_flags()?, Config::default()),
    };
    looking.machine(&run, &config, calls)?;
    let passed = looking.clock.monotonic().saturating_sub(at);
    machine::clock(&mut looking.findings, machine::Times { skew, on_wall, now: looking.clock.unix_ms(), passed });
    looking.tell()?;
    Ok(if looking.findings.worst() == State::Wrong { Exit::ItemsFailed } else { Exit::Done })
}

impl Looking<'_> {
    /// What flags, file and policy come to; `None` if they cannot be used.
    fn settings(&mut self) -> Option<Trying> {
        let mut trying = match Trying::new(&self.args.trying, Verbosity::Quiet) {
            Ok(trying) => trying,
            Err(failure) => {
                self.wrong("settings", failure.told(false));
                return None;
            }
        };
        trying.args.work.concurrency = self.args.concurrency;
        trying.args.work.max_instances = self.args.max_instances;
        trying.args.store.clone_from(&self.args.store);
        if let Some(plugin) = &self.args.plugin {
            trying.name(plugin);
        }
        let bounded = trying.policy.bound(&mut trying.args, &trying.config);
        let mut is_fine = true;
        for error in bounded.err().into_iter().chain(settings::checked(&trying.args, &trying.config)) {
            is_fine = false;
            self.wrong("settings", format!("{error:#}"));
        }
        if is_fine {
            let named = self.args.trying.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
            let file = if named.exists() {
                named.display().to_string()
            } else {
                format!("no {DEFAULT_FILE} here, flags alone: `sandmill init` writes one")
            };
            let policies: Vec<String> =
                trying.policy.files().map(|(path, _)| format!("; bounded by {}", path.display())).collect();
            self.fine("settings", format!("{file}{}", policies.concat()));
        }
        Some(trying)
    }

    fn alerts(&mut self, config: &Config) {
        match alert::Plan::new(&config.alert, &self.clock) {
            Ok(None) => {}
            Ok(Some(plan)) => {
                let names: Vec<&str> = plan.targets.iter().map(|target| target.name.as_str()).collect();
                self.fine("alerts", format!("to {}; `sandmill alert test` tries them", names.join(", ")));
            }
            Err(error) => self.wrong("alerts", format!("{error:#}")),
        }
    }

    fn fine(&mut self, what: &'static str, text: impl AsRef<str>) {
        self.findings.add(what, State::Fine, text);
    }

    fn warn(&mut self, what: &'static str, text: impl AsRef<str>) {
        self.findings.add(what, State::Warning, text);
    }

    fn wrong(&mut self, what: &'static str, text: impl AsRef<str>) {
        self.findings.add(what, State::Wrong, text);
    }

    fn tell(&self) -> Result<(), Failure> {
        if self.args.json {
            let is_ok = self.findings.worst() != State::Wrong;
            return print_json(&json!({ "schema": 1, "is_ok": is_ok, "findings": self.findings.as_json() }));
        }
        self.findings.lines().iter().for_each(|line| outln!("{line}"));
        Ok(())
    }
}
