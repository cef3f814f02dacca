//! `status`: reads the store, while a run goes on or after.

use super::job_ref::JobRef;
use super::out::Stdout;
use super::status_figures::Paces;
use super::watch::{Form, watch};
use super::{CliResult, Exit, Failure, job, print_json, runtime, settings};
use crate::clock::{Clock as _, SystemClock};
use crate::config;
use crate::domain::sanitize_line;
use crate::monitor::Snapshot;
use crate::progress::{self, Screen, is_able};
use crate::resilience::dollars;
use crate::store::{
    Counts, FailureRow, GuestsNote, Live, Reader, RunId, RunRow, StoreError, UsageTotals, control, list_jobs,
    runner_of, size_of,
};
use clap::Args;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Failed items that are listed.
const FAILURES: u64 = 10;
/// Of a line where there is no terminal.
const COLUMNS: usize = 200;
/// What is shown of a text, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill status
  sandmill status tickets --watch
  sandmill status tickets --json | jq .failed")]
pub(super) struct StatusArgs {
    /// The job's name, or the path of its .db file; without it all jobs are listed
    job: Option<String>,
    /// Show it again every second, with its pace, until the run ends; a line every 10 seconds where there is no terminal
    #[arg(long, requires = "job")]
    watch: bool,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn status(args: &StatusArgs) -> CliResult {
    let config = config::load(None)?;
    match &args.job {
        None => all(&settings::store_dir(args.store.as_deref(), &config), args.json)?,
        Some(job) => {
            let job = JobRef::new(job, args.store.as_deref(), &config)?;
            one(&job, &job.open()?, args)?;
        }
    }
    Ok(Exit::Done)
}

fn all(dir: &Path, json: bool) -> Result<(), Failure> {
    let jobs = list_jobs(dir)?;
    if jobs.is_empty() && !json {
        outln!("There are no jobs in {}", dir.display());
    }
    for name in jobs {
        let job = JobRef { dir: dir.to_path_buf(), name };
        match job.open().and_then(|reader| View::look(&job, &reader)) {
            Ok(view) if json => print_json(&view.json(None))?,
            Ok(view) => outln!("{}: {}, {}", job.name, line(view.counts), view.state),
            Err(error) => errln!("{}: {}", job.name, shown(&error.to_string())),
        }
    }
    Ok(())
}

fn one(job: &JobRef, reader: &Reader, args: &StatusArgs) -> Result<(), Failure> {
    if args.watch {
        let form = match (args.json, is_able(&std::io::stdout())) {
            (true, _) => Form::Json,
            (false, true) => Form::Terminal(screen()),
            (false, false) => Form::Lines,
        };
        let paces = Paces::of(&View::look(job, reader)?, reader)?;
        let look = || View::look(job, reader);
        return runtime()?.block_on(watch(&SystemClock::new(), form, paces, &mut Stdout, look));
    }
    let view = View::look(job, reader)?;
    let paces = if view.goes_on { Some(Paces::of(&view, reader)?) } else { None };
    let figures = paces.map(|mut paces| {
        paces.saw(Duration::ZERO, &view);
        view.figures(&paces)
    });
    if args.json {
        return print_json(&view.json(figures.as_ref()));
    }
    match &figures {
        Some(figures) => out!("{}", view.running_text(figures)),
        None => out!("{}", view.text()),
    }
    Ok(())
}

/// On stdout, in place.
fn screen() -> Screen {
    let is_coloured = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    Screen::new(Box::new(Stdout), Box::new(|| progress::size_of(std::io::stdout())), is_coloured)
}

/// Whether a process has a job, and what becomes of it.
pub(super) struct Standing {
    pub(super) state: String,
    /// A process runs it.
    pub(super) goes_on: bool,
    pub(super) paused: bool,
}

impl Standing {
    /// `last`: the job's last run.
    pub(super) fn look(job: &JobRef, last: Option<&RunRow>) -> Result<Self, StoreError> {
        let is_under_way = last.is_some_and(|run| run.state.is_none() && is_alive(run.pid));
        // A run that has not begun its first item has the lock, and no row yet. The lock is looked at only where it may
        // tell something: a run that begins at that very moment would find it taken.
        let goes_on = is_under_way || runner_of(&job.dir, &job.name)?.is_some();
        // What was asked of a run that died is asked no more.
        let paused = is_under_way && control::read(&job.dir, &job.name).is_ok_and(|control| control.paused);
        let state = match (goes_on && !is_under_way, paused) {
            (true, _) => "its input is being read".into(),
            (false, true) => format!("paused: {}", last_state(last)),
            (false, false) => last_state(last),
        };
        Ok(Self { state, goes_on, paused })
    }
}

/// How a job stands at one moment.
pub(super) struct View {
    pub(super) job: String,
    pub(super) counts: Counts,
    pub(super) usage: UsageTotals,
    pub(super) runs: usize,
    pub(super) state: String,
    pub(super) failures: Vec<FailureRow>,
    /// What its files take.
    pub(super) bytes: u64,
    pub(super) paused: bool,
    /// A process runs it.
    pub(super) goes_on: bool,
    /// When it last began, and when this was so; since the Unix epoch.
    pub(super) started_ms: u64,
    pub(super) now_ms: u64,
    /// What is under way; nothing if no process runs it.
    pub(super) live: Live,
    /// Of the last run, if it wrote any down.
    pub(super) guests: Option<GuestsNote>,
    /// Failed items: class, code, how many, a message.
    pub(super) groups: Vec<(String, String, u64, String)>,
}

impl View {
    fn look(job: &JobRef, reader: &Reader) -> Result<Self, StoreError> {
        let (counts, usage, runs) = (reader.counts()?, reader.usage()?, reader.runs()?);
        let last = runs.last();
        let Standing { state, goes_on, paused } = Standing::look(job, last)?;
        let live = match last {
            Some(run) if goes_on && run.state.is_none() => reader.live(RunId(run.id))?,
            Some(_) | None => Live::default(),
        };
        Ok(Self {
            started_ms: last.map_or(0, |run| run.started_ms),
            now_ms: SystemClock::new().unix_ms(),
            live,
            guests: last.map(|run| reader.guests(RunId(run.id))).transpose()?.flatten(),
            groups: reader.failure_groups()?,
            job: job.name.to_string(),
            counts,
            usage,
            runs: runs.len(),
            state,
            failures: reader.failures(FAILURES)?,
            bytes: size_of(&job.dir, &job.name)?,
            paused,
            goes_on,
        })
    }

    pub(super) fn ended(&self) -> u64 {
        self.counts.total - self.counts.pending()
    }

    /// Of a job that runs: what its own screen shows, and what the store has besides. Lines, each with its end.
    fn running_text(&self, figures: &Snapshot) -> String {
        let stdout = std::io::stdout();
        let columns = if stdout.is_terminal() { progress::size_of(stdout).columns.saturating_sub(1) } else { COLUMNS };
        let mut text = format!("Job {}: {}\n", self.job, self.state);
        for line in progress::lines(figures, columns) {
            let _ = writeln!(text, "{}", line.render(false));
        }
        self.books(&mut text);
        text
    }

    /// Lines for a terminal, each with its end.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "Job {}: {}", self.job, self.state);
        let _ = writeln!(text, "  items   {}", line(self.counts));
        if self.usage.cost > 0 {
            let _ = writeln!(text, "  cost    {}", dollars(self.usage.cost));
        }
        self.books(&mut text);
        text
    }

    fn books(&self, text: &mut String) {
        let usage = &self.usage;
        let _ = writeln!(
            text,
            "  calls   {} to the provider, {} answered, {} unknown; tokens: {} read, {} written",
            usage.calls, usage.answered, usage.unknown, usage.input_tokens, usage.output_tokens
        );
        if let Some(guests) = &self.guests {
            let _ = writeln!(text, "  suspend {}", suspend(guests));
        }
        let _ = writeln!(text, "  runs    {}", self.runs);
        let _ = writeln!(text, "  size    {}", job::size(self.bytes));
        for failure in &self.failures {
            let _ = writeln!(
                text,
                "  failed  {} (line {}): {}/{}: {}",
                shown(&failure.id),
                failure.line,
                shown(&failure.class),
                shown(&failure.code),
                shown(first_line(&failure.message))
            );
        }
        if self.counts.failed > FAILURES {
            let _ = writeln!(text, "  … and {} more: sandmill log {}", self.counts.failed - FAILURES, self.job);
        }
    }

    /// All of it on one line, without its end.
    pub(super) fn line(&self, figures: &Snapshot) -> String {
        let tail = if self.goes_on { "" } else { &format!("; {}", self.state) };
        format!("{}: {}; {}{tail}", self.job, progress::line(figures), job::size(self.bytes))
    }

    pub(super) fn json(&self, figures: Option<&Snapshot>) -> serde_json::Value {
        let (counts, usage) = (&self.counts, &self.usage);
        #[expect(clippy::cast_precision_loss, reason = "for reading")]
        let cost = usage.cost as f64 / 1e6;
        let mut value = serde_json::json!({
            "job": self.job,
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
            "cost_dollars": cost,
            "runs": self.runs,
            "running": self.goes_on,
            "paused": self.paused,
            "bytes": self.bytes,
            "state": self.state,
        });
        if let Some(guests) = &self.guests {
            value["suspend"] = serde_json::json!({
                "policy": shown(&guests.policy),
                "after_ms": guests.after_ms,
                "memory_target_bytes": guests.memory_target,
                "memory_peak_bytes": guests.memory_peak,
                "gave_way": guests.gave_way,
            });
        }
        if let Some(figures) = figures {
            #[expect(clippy::cast_precision_loss, reason = "for reading")]
            let projected = figures.cost_projected.map(|cost| cost as f64 / 1e6);
            value["in_flight"] = figures.items.in_flight.into();
            value["items_per_second"] = figures.items_per_second.into();
            value["seconds_left"] = figures.seconds_left.into();
            value["calls_per_second"] = figures.calls_per_second.into();
            value["input_tokens_per_second"] = figures.input_tokens_per_second.into();
            value["output_tokens_per_second"] = figures.output_tokens_per_second.into();
            value["cost_projected_dollars"] = projected.into();
            value["routes"] = serde_json::json!(figures.routes);
        }
        value
    }
}

/// When guests give way, and how many times one did.
fn suspend(guests: &GuestsNote) -> String {
    let after = humantime::format_duration(Duration::from_millis(guests.after_ms));
    let target = guests.memory_target.map(job::size);
    let when = match (guests.policy.as_str(), &target) {
        ("auto", None) => format!(": after {after} where others wait"),
        ("auto", Some(target)) => format!(": after {after} where others wait, at once beyond {target} of memory"),
        ("always", None) => format!(": after {after}"),
        ("always", Some(target)) => format!(": after {after}, at once beyond {target} of memory"),
        (_, Some(target)) => format!(": no more begin than fit into {target} of memory"),
        (_, None) => String::new(),
    };
    let (policy, peak) = (shown(&guests.policy), job::size(guests.memory_peak));
    format!("{policy}{when}; {} gave way, {peak} of memory at most", guests.gave_way)
}

/// A text of the input, a guest or a provider.
fn shown(text: &str) -> String {
    sanitize_line(text, TEXT_BYTES_MAX)
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

/// What became of the last run, if there was one.
pub(super) fn last_state(last: Option<&RunRow>) -> String {
    match last {
        None => "never run".into(),
        Some(run) => match (&run.state, &run.reason) {
            (Some(state), Some(reason)) => shown(&format!("{state}: {reason}")),
            _ if is_alive(run.pid) => format!("running in process {}", run.pid),
            _ => format!("its process {} died: run it again", run.pid),
        },
    }
}

/// Best effort: another process may have got the number.
pub(super) fn is_alive(pid: i64) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}
