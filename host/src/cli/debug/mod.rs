//! `debug`: one item once more, as it was: from what the store has recorded of an attempt, offline, and without writing to the store.

mod coredump;
mod told;

use super::job_ref::JobRef;
use super::limits::LimitArgs;
use super::loading::{Giving, Loading};
use super::policy::InForce;
use super::resume::stored_arguments;
use super::run_args::RunArgs;
use super::trust::Trust;
use super::{CliResult, Exit, Failure, attach, attempts, policy, routes, runtime, settings};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::domain::{AttemptNumber, Budget, Item, ItemId, ItemSeq, sanitize_line};
use crate::progress::{Console, Verbosity};
use crate::resilience::{Answered, Heard, Recording, Replay, Routes, Told};
use crate::run::{Blobs, Contract, Debugging};
use crate::sandbox::{Engine, Job, LogLine, Plugin, Watch};
use crate::store::{ItemDetail, Reader, RecordedAttempt, RecordedCall, RecordedEnd, budget_from_context};
use anyhow::{Context, bail};
use clap::Args;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Runtime;
use told::{Debugged, Report};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill debug tickets 4711
  sandmill debug tickets 4711 --limit-memory 512MiB --coredump /tmp/cores")]
pub(super) struct DebugArgs {
    /// The job's name, or the path of its .db file
    job: String,
    /// The item's id
    item: String,
    /// This attempt at it [default: the one that it ended with]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// Write a WebAssembly core dump into DIR if the plugin traps
    #[arg(long, value_name = "DIR")]
    coredump: Option<PathBuf>,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: LimitArgs,
}

pub(super) fn debug(args: &DebugArgs) -> CliResult {
    let here = config::load(None)?;
    let named = JobRef::new(&args.job, args.store.as_deref(), &here)?;
    let reader = named.open()?;
    let mut run_args = stored_arguments(&reader, &named.name)?;
    let config = match &run_args.config {
        Some(path) => config::load(Some(path))?,
        None => here,
    };
    let policy = policy::load()?;
    run_args.limits = args.limits.clone().over(run_args.limits);
    policy.bound(&mut run_args, &config)?;
    let trust = Trust::new(&run_args.trust, &config, run_args.config.as_deref(), &policy)?.offline();
    let detail = find(&reader, args)?;
    let past = recorded(&reader, &detail, args)?;
    let runtime = runtime()?;
    let setup = Setup {
        args,
        run_args: &run_args,
        config: &config,
        policy: &policy,
        dir: &named.dir,
        reader: &reader,
        runtime: &runtime,
    };
    let debugged = setup.run(&trust, detail, past)?;
    let report = Report::new(args, debugged)?;
    report.print(args.json)?;
    Ok(if report.is_fine() { Exit::Done } else { Exit::ItemsFailed })
}

fn find(reader: &Reader, args: &DebugArgs) -> anyhow::Result<ItemDetail> {
    let (job, id) = (&args.job, sanitize_line(&args.item, 200));
    let detail = reader
        .item(&args.item)?
        .with_context(|| format!("there is no item `{id}` in the job `{job}`: see `sandmill failed list {job}`"))?;
    if let Some(problem) = &detail.row.problem {
        bail!(
            "the item `{id}` is a line that is no item ({problem}): no plugin was run on it; mend the line, and resume the job"
        );
    }
    if detail.row.input.is_empty() {
        bail!(
            "the content of the item `{id}` was dropped by `sandmill job prune`: only items that are failed or pending keep it"
        );
    }
    Ok(detail)
}

/// The attempt that is asked for.
fn recorded(reader: &Reader, detail: &ItemDetail, args: &DebugArgs) -> anyhow::Result<Past> {
    let item = ItemSeq(detail.row.seq);
    let known = reader.attempts(item)?;
    let last = reader.last_attempt(item)?;
    let number = match args.attempt {
        Some(number) if !known.contains(&AttemptNumber(number)) => {
            let listed: Vec<String> = known.iter().map(|number| number.0.to_string()).collect();
            let listed = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
            bail!("attempt {number} at the item is not in the store; there is {listed}")
        }
        Some(number) => AttemptNumber(number),
        None => last.or(known.last().copied()).unwrap_or(AttemptNumber::FIRST),
    };
    Ok(Past { attempt: reader.recorded(item, number)?, is_last: last == Some(number) })
}

/// What the store says.
struct Past {
    attempt: RecordedAttempt,
    /// The item ended with it.
    is_last: bool,
}

struct Setup<'a> {
    args: &'a DebugArgs,
    run_args: &'a RunArgs,
    config: &'a Config,
    policy: &'a InForce,
    dir: &'a Path,
    reader: &'a Reader,
    runtime: &'a Runtime,
}

impl Setup<'_> {
    fn run(&self, trust: &Trust, detail: ItemDetail, past: Past) -> Result<Debugged, Failure> {
        let Self { run_args, reader, runtime, .. } = self;
        let plugin = self.load(trust)?;
        let row = reader
            .job()?
            .context("the job was never started, and there is nothing to look at: `sandmill run` starts it")?;
        let config = match &past.attempt.config {
            Some(config) => config.clone(),
            None => settings::plugin_config(run_args)?,
        };
        let job = Job { name: row.name, created_unix_ms: row.created_ms, config };
        let contract = Contract::new(plugin.manifest(), &job.config)?;
        let blobs = Blobs::new(attach::read(&run_args.attach)?);
        let of_item = run_args.limits.of_item(&self.config.limits)?;
        let by_settings =
            Budget { calls: Some(of_item.calls), tokens: of_item.tokens, micro_dollars: of_item.micro_dollars };
        let budget = past.attempt.context.as_deref().and_then(budget_from_context).unwrap_or(by_settings);
        let roles = plugin.manifest().model_roles.iter().map(|role| role.name.clone()).collect();
        let is_json = self.args.json;
        let replay = Arc::new(Replay::new(
            self.routes(&plugin)?,
            roles,
            of_item.calls,
            recording(&past.attempt),
            Arc::new(SystemClock::new()) as Arc<dyn Clock>,
            Box::new(move |heard: &Heard| {
                if !is_json {
                    outln!("{}", attempts::question(heard));
                }
            }),
        ));
        let log = move |line: &LogLine| {
            if !is_json {
                outln!("{}", attempts::log(line));
            }
        };
        let item = Item {
            seq: ItemSeq(detail.row.seq),
            id: ItemId::new(&detail.row.id)?,
            index: detail.row.position,
            json: detail.row.input.as_str().into(),
            blobs: Arc::new([]),
        };
        let files = reader.blobs(item.seq)?;
        if !is_json {
            told::begin(&self.args.job, &past.attempt, &detail, plugin.digest());
        }
        let watch = Watch {
            log: Some(Arc::new(log)),
            coredump: self.args.coredump.as_ref().map(|_| plugin.manifest().name.clone()),
            ..Watch::default()
        };
        let debugging = Debugging { plugin: &plugin, job: &job, contract: &contract, blobs: &blobs };
        let llm = Arc::clone(&replay) as Arc<dyn crate::domain::Llm>;
        let report = runtime.block_on(debugging.attempt(item, files, past.attempt.number, budget, llm, watch))?;
        Ok(Debugged {
            detail,
            recorded: past.attempt,
            is_last: past.is_last,
            digest: plugin.digest().to_owned(),
            heard: replay.heard(),
            report,
        })
    }

    /// Offline, and without a trace.
    fn load(&self, trust: &Trust) -> anyhow::Result<Plugin> {
        let console = Console::new(if self.args.json { Verbosity::Quiet } else { Verbosity::Normal });
        let loading = Loading {
            args: self.run_args,
            config: self.config,
            policy: self.policy,
            trust,
            store_dir: self.dir,
            console: &console,
            runtime: self.runtime,
        };
        let loaded = loading.load(Giving::Rehearsed, |limits| match &self.args.coredump {
            Some(dir) => {
                coredump::prepare(dir)?;
                Ok(Engine::with_coredumps(limits)?)
            }
            None => Ok(Engine::new(limits, 1)?),
        })?;
        Ok(loaded.plugin)
    }

    /// They tell what a question was asked of. Nobody is asked, so nobody needs a key.
    fn routes(&self, plugin: &Plugin) -> anyhow::Result<Routes> {
        let mut config = self.config.clone();
        for provider in config.provider.values_mut() {
            let named = (provider.protocol.clone(), provider.base_url.clone(), provider.api_version.clone());
            let faults = provider.faults.clone();
            *provider = config::Provider {
                protocol: named.0,
                base_url: named.1,
                api_version: named.2,
                faults,
                ..config::Provider::default()
            };
        }
        let mut args = self.run_args.clone();
        args.provider.api_key_env = None;
        // Nothing is paid for.
        args.provider.max_cost = None;
        Ok(routes::plan(&args, &config, plugin.manifest())?.without_prices())
    }
}

/// What the plugin was told: the answer to each question, or how its last try failed.
fn recording(attempt: &RecordedAttempt) -> Recording {
    let mut ends: HashMap<([u8; 32], u32), (Answered, String)> = HashMap::new();
    for RecordedCall { id, hash, occurrence, route, model, source, end } in &attempt.calls {
        let from = match source {
            Some(source) => format!("the journal: call {}, taken from job {source}", id.0),
            None => format!("the journal: call {} to {model} on route {route}", id.0),
        };
        let (answered, from) = match end {
            RecordedEnd::Answered(completion) => (Answered::With(completion.clone()), from),
            RecordedEnd::Failed { class, code, message } => (
                Answered::Failed { class: *class, code: code.clone(), message: message.clone() },
                format!("{from}, which failed: {class}: {message}"),
            ),
            RecordedEnd::Pruned | RecordedEnd::Unknown => continue,
        };
        let is_answer = matches!(answered, Answered::With(_));
        // Calls come in order: a later try stands for an earlier one, but nothing for an answer.
        match ends.get(&(*hash, *occurrence)) {
            Some((Answered::With(_), _)) if !is_answer => {}
            _ => drop(ends.insert((*hash, *occurrence), (answered, sanitize_line(&from, 500)))),
        }
    }
    Recording { ends, told: Told::new(attempt.told.clone()) }
}

/// `DIR/…`, absolute or not.
fn shown(path: &Path) -> String {
    sanitize_line(&path.display().to_string(), 1_000)
}
