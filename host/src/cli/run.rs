//! `run`: the wiring. Everything that can be wrong is found before the first item runs.

use super::policy;
use super::routes::{self, Planned};
use super::run_args::{OnChange, OnDuplicate, RunArgs};
use super::steer::Steering;
use super::{CliResult, Exit, Failure, print_json, runtime, settings};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::domain::EventSink;
use crate::input::{self, Format};
use crate::kit;
use crate::output;
use crate::progress::{Console, Verbosity};
use crate::report::{EndedSummary, JobSummary, RunSummary, SCHEMA, Summary};
use crate::resilience::{Amount, Halt, Spending, Stack, StackAround, StackSettings, dollars};
use crate::results::{self, ExportError};
use crate::run::{
    Contract, Control, Dispatcher, DuplicatePolicy, Ending, Orders, RunTotals, Shared, Shutdown, Tally, TallySnapshot,
    register,
};
use crate::sandbox::{Engine, Job, Plugin};
use crate::store::{CostBy, CostRow, Counts, Generation, JobName, NewJob, Reader, RunEnd, RunId, Store, control};
use anyhow::{Context, anyhow, bail};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// From the command line.
pub(super) fn run(mut args: RunArgs) -> CliResult {
    let config = config::load(args.config.as_deref())?;
    let store_dir = settings::store_dir(args.store.as_deref(), &config);
    let job = args.job.clone().unwrap_or_else(|| settings::default_job(&args.plugin, &args.input));
    let job = JobName::new(&job)?;
    make_absolute(&mut args, &store_dir, &job)?;
    if args.provider.dry_run {
        return dry_run(args, &config, &job);
    }
    execute(&args, &config, &store_dir, &job)
}

/// The whole run, against the mock and into a store that is thrown away; then what its calls would have taken.
fn dry_run(mut args: RunArgs, config: &Config, job: &JobName) -> CliResult {
    let folder = tempfile::tempdir().context("cannot make a folder for the dry run").map_err(Failure::internal)?;
    args.store = Some(folder.path().to_path_buf());
    let (max_cost, is_json) = (args.provider.max_cost.take(), std::mem::take(&mut args.json));
    args.summary = None;
    args.quiet = true;
    let exit = execute(&args, config, folder.path(), job)?;
    let reader = Reader::open(folder.path(), job)?;
    let (counts, rows) = (reader.counts()?, reader.costs(CostBy::Route)?);
    let sum = |of: fn(&CostRow) -> u64| rows.iter().map(of).sum::<u64>();
    let (calls, tokens, most) = (sum(|row| row.calls), sum(|row| row.input_tokens), sum(|row| row.reserved));
    let is_priced = calls > 0 && sum(|row| row.unpriced) == 0;
    if is_json {
        #[expect(clippy::cast_precision_loss, reason = "for reading")]
        let cost = is_priced.then(|| most as f64 / 1e6);
        let estimate = serde_json::json!({
            "schema": 1, "items": counts.total, "calls": calls, "input_tokens": tokens, "cost_dollars_at_most": cost,
        });
        print_json(&estimate)?;
        return Ok(exit);
    }
    println!("Dry run of job {job}: nothing was asked, nothing is stored");
    println!("  items      {} in all, {} done, {} failed", counts.total, counts.done + counts.skipped, counts.failed);
    println!("  calls      {calls}, if every answer is taken at once");
    println!("  tokens     about {tokens} to read");
    match (is_priced, max_cost) {
        (false, _) => println!("  cost       unknown: give the route prices (--prices, or [route.NAME.prices])"),
        (true, Some(limit)) if most > limit => {
            println!("  cost       at most {}, which is more than --max-cost {}", dollars(most), dollars(limit));
        }
        (true, _) => println!("  cost       at most {}", dollars(most)),
    }
    Ok(exit)
}

/// So that `resume` works from any folder.
fn make_absolute(args: &mut RunArgs, store_dir: &Path, job: &JobName) -> anyhow::Result<()> {
    if args.input_format.is_none() && args.input == Path::new("-") {
        bail!("stdin has no extension to tell its format: say --input-format jsonl, csv or lines");
    }
    args.job = Some(job.to_string());
    args.store = Some(std::path::absolute(store_dir)?);
    args.plugin = std::path::absolute(&args.plugin)?;
    for path in [&mut args.output, &mut args.summary, &mut args.config, &mut args.plugin_config].into_iter().flatten() {
        if path != Path::new("-") {
            *path = std::path::absolute(&*path)?;
        }
    }
    if args.input != Path::new("-") {
        args.input = std::path::absolute(&args.input)?;
    }
    Ok(())
}

/// What is checked and made before the store is touched.
struct Prepared {
    plugin: Arc<Plugin>,
    contract: Contract,
    plugin_config: String,
    routes: Planned,
    output: Option<output::Format>,
}

/// `args` hold absolute paths.
pub(super) fn execute(args: &RunArgs, config: &Config, store_dir: &Path, job: &JobName) -> CliResult {
    let mut args = args.clone();
    let policy = policy::apply(&mut args)?;
    let args = &args;
    let runtime = runtime()?;
    let verbosity = match (args.quiet, args.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, false) => Verbosity::Normal,
        (false, true) => Verbosity::Verbose,
    };
    let console = Console::new(verbosity);
    let shutdown = {
        let _context = runtime.enter();
        Shutdown::on_signals(exit_at_once).context("cannot listen for signals").map_err(Failure::internal)?
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    // Before minutes are spent on compiling.
    Store::check_free(store_dir, job)?;
    let prepared = prepare(args, config, &runtime)?;
    policy.check_models(prepared.routes.all_models())?;
    let store = open_store(args, store_dir, job, clock.as_ref(), &console)?;
    let session = Session {
        args,
        config,
        dir: store_dir,
        job,
        store: &store,
        prepared: &prepared,
        runtime: &runtime,
        console: &console,
        clock,
    };
    let result = session.run(shutdown);
    let cleared = control::clear(store_dir, job);
    match (result, store.close().and(cleared)) {
        (Ok(Exit::Done), Err(error)) => Err(Failure::internal(error)),
        // What kept the store from closing well has ended the run before, and was said.
        (result, Ok(()) | Err(_)) => result,
    }
}

/// The third signal. Nothing is lost by it: what was acknowledged is on disk.
#[expect(clippy::disallowed_methods, reason = "the person insists")]
fn exit_at_once(signal: i32) {
    std::process::exit(128 + signal);
}

fn prepare(args: &RunArgs, config: &Config, runtime: &Runtime) -> anyhow::Result<Prepared> {
    if args.json && args.output.as_deref() == Some(Path::new("-")) {
        bail!(
            "--json and --output - both want stdout: write the output into a file, or the summary with --summary FILE"
        );
    }
    let output = args.output.as_deref().map(|path| check_output(path, &args.input)).transpose()?;
    if args.input != Path::new("-") {
        input::open_source(&args.input)?;
        input_format(args)?;
    }
    let plugin_config = settings::plugin_config(args)?;
    let component = kit::locate(&args.plugin)?;
    let engine = Arc::new(Engine::new(settings::limits(args, config)?, settings::slots(args, config))?);
    let plugin = runtime
        .block_on(Plugin::load(engine, &component.bytes, component.is_text))
        .with_context(|| format!("{} cannot be used", component.path.display()))?;
    let contract = Contract::new(plugin.manifest(), &plugin_config)?;
    let mut routes = routes::plan(args, config, plugin.manifest())?;
    if args.provider.dry_run {
        routes.rehearse(args.provider.seed)?;
    }
    if !routes.is_bound() && plugin.manifest().needs_model() {
        bail!(
            "the plugin `{}` asks a model, and no provider was named: add --provider openai --model NAME (with the key in OPENAI_API_KEY), or --provider mock for a dry run",
            plugin.manifest().name
        );
    }
    Ok(Prepared { plugin: Arc::new(plugin), contract, plugin_config, routes, output })
}

/// That the output can be written is found out before anything is paid for.
fn check_output(path: &Path, input: &Path) -> anyhow::Result<output::Format> {
    if path == Path::new("-") {
        return Ok(output::Format::JsonLines);
    }
    let format = output::Format::from_extension(path)
        .with_context(|| format!("{}: name the output .jsonl or .csv, which tells its format", path.display()))?;
    if path.canonicalize().is_ok_and(|path| input.canonicalize().is_ok_and(|input| input == path)) {
        bail!("--output {} would replace the input: choose another file", path.display());
    }
    output::AtomicFile::create(path)?;
    Ok(format)
}

fn input_format(args: &RunArgs) -> anyhow::Result<Format> {
    match &args.input_format {
        Some(name) => Format::parse(name).with_context(|| format!("--input-format {name} is not known")),
        None => Format::from_extension(&args.input).with_context(|| {
            format!(
                "{}: its name does not tell its format: say --input-format jsonl, csv or lines",
                args.input.display()
            )
        }),
    }
}

fn open_store(
    args: &RunArgs,
    dir: &Path,
    job: &JobName,
    clock: &dyn Clock,
    console: &Console,
) -> Result<Store, Failure> {
    if args.fresh {
        Store::delete(dir, job)?;
    }
    let new = NewJob { created_ms: clock.unix_ms(), seed: args.provider.seed, arguments: "{}".into() };
    let (store, opened) = Store::create_or_open(dir, job, &new)?;
    control::clear(dir, job)?;
    for warning in &opened.warnings {
        console.say(&format!("warning: {warning}"));
    }
    Ok(store)
}

/// One run over an open store.
struct Session<'a> {
    args: &'a RunArgs,
    config: &'a Config,
    dir: &'a Path,
    job: &'a JobName,
    store: &'a Store,
    prepared: &'a Prepared,
    runtime: &'a Runtime,
    console: &'a Console,
    clock: Arc<dyn Clock>,
}

impl Session<'_> {
    fn run(&self, shutdown: Shutdown) -> CliResult {
        let (digest, generation) = self.generation();
        self.check_change(&digest)?;
        let source = self.source()?;
        self.register(&source)?;
        let before = self.store.reader().counts().map_err(Failure::internal)?;
        self.greet(before);
        let started_ms = self.clock.unix_ms();
        let (run, generation, unknown) = self
            .runtime
            .block_on(self.store.begin_run(digest, generation, started_ms, self.tags()))
            .map_err(Failure::internal)?;
        let began = self.clock.monotonic();
        let (ending, totals, tally) = self.work(run, generation, shutdown, before)?;
        self.console.finish();
        let seconds = self.clock.monotonic().saturating_sub(began).as_secs_f64();
        self.conclude(run, &ending, totals, &tally, before, unknown, seconds)
    }

    fn tags(&self) -> String {
        let tags: serde_json::Map<String, serde_json::Value> =
            self.args.provider.tag.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        serde_json::Value::Object(tags).to_string()
    }

    /// What outcomes depend on.
    fn generation(&self) -> (String, Generation) {
        let manifest = self.prepared.plugin.manifest();
        let generation = Generation {
            plugin_name: manifest.name.clone(),
            plugin_version: manifest.version.clone(),
            plugin_digest: self.prepared.plugin.digest().to_owned(),
            config: self.prepared.plugin_config.clone(),
            model: self.prepared.routes.models(),
        };
        let mut hasher = Sha256::new();
        for part in [&generation.plugin_digest, &generation.config, &generation.model] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        (hex::encode(hasher.finalize()), generation)
    }

    fn check_change(&self, digest: &str) -> anyhow::Result<()> {
        let others = self.store.reader().outcomes_of_other_generations(digest)?;
        match self.args.on_change {
            Some(OnChange::Keep) => Ok(()),
            None if others == 0 => Ok(()),
            None => bail!(
                "the plugin, its configuration or the model has changed since {others} items of job `{}` were done, and the output would mix two kinds: --on-change keep does the rest the new way, --fresh starts over, --job NAME makes another job",
                self.job
            ),
        }
    }

    /// The file that is read; stdin is kept first, so that the job can be resumed.
    fn source(&self) -> Result<PathBuf, Failure> {
        if self.args.input != Path::new("-") {
            return Ok(self.args.input.clone());
        }
        let path = self.store.path().with_extension("stdin");
        input::spool(std::io::stdin().lock(), &path)?;
        Ok(path)
    }

    fn register(&self, source: &Path) -> Result<(), Failure> {
        let format = input_format(self.args)?;
        let mark = self.mark(source, format)?;
        let mut stored = self.args.clone();
        stored.input = source.to_path_buf();
        stored.input_format = Some(format.name().to_owned());
        self.store.set_arguments(serde_json::to_string(&stored).map_err(Failure::internal)?)?;
        let known = self.store.reader().job()?.and_then(|job| job.input);
        if known.as_deref() == Some(mark.as_str()) {
            return Ok(());
        }
        let options = input::Options { format, id_field: self.args.id_field.clone(), map: self.args.map.clone() };
        let records = input::open(input::open_source(source)?, &source.display().to_string(), &options)?;
        let policy = match self.args.on_duplicate {
            OnDuplicate::Error => DuplicatePolicy::Error,
            OnDuplicate::Skip => DuplicatePolicy::Skip,
        };
        let registered = register(records, self.store, policy, self.args.limit, &mark, self.clock.unix_ms())?;
        let report = registered.report;
        if registered.bad_lines > 0 {
            self.console.say(&format!(
                "warning: {} lines of the input are no items and count as failed: see `sandmill log {}`",
                registered.bad_lines, self.job
            ));
        }
        if registered.duplicates_skipped > 0 {
            self.console.say(&format!("{} items were left out: their ids came before", registered.duplicates_skipped));
        }
        if known.is_some() {
            self.console.say(&format!(
                "The input has changed: {} items are new, {} have new content and are done again, {} have gone",
                report.new, report.changed, report.vanished
            ));
        }
        Ok(())
    }

    /// Tells one input, read in one way, from another.
    fn mark(&self, source: &Path, format: Format) -> Result<String, Failure> {
        let mut reader = input::open_source(source)?;
        let mut hasher = Sha256::new();
        loop {
            let buffer = reader.fill_buf().with_context(|| format!("cannot read {}", source.display()))?;
            if buffer.is_empty() {
                break;
            }
            hasher.update(buffer);
            let taken = buffer.len();
            reader.consume(taken);
        }
        let args = self.args;
        let mark = serde_json::json!({
            "v": 1,
            "sha256": hex::encode(hasher.finalize()),
            "format": format.name(),
            "id_field": args.id_field,
            "map": args.map,
            "limit": args.limit,
            "on_duplicate": args.on_duplicate,
        });
        Ok(mark.to_string())
    }

    fn greet(&self, before: Counts) {
        let ended = before.done + before.skipped;
        if ended + before.failed == 0 {
            self.console.say(&format!("Job {}: {} items", self.job, before.total));
            return;
        }
        let failed = match (before.failed, self.args.skip_failed) {
            (0, _) => String::new(),
            (failed, true) => format!(", {failed} failed and left alone"),
            (failed, false) => format!(", {failed} failed and are tried again"),
        };
        self.console.say(&format!("Resuming job {}: {ended} of {} done{failed}", self.job, before.total));
        if ended == before.total {
            self.console.say("Nothing is left to do; --fresh starts over");
        }
    }

    fn work(
        &self,
        run: RunId,
        generation: crate::store::GenerationId,
        shutdown: Shutdown,
        before: Counts,
    ) -> Result<(Ending, RunTotals, TallySnapshot), Failure> {
        let guests = guest_runtime()?;
        let tally = Arc::new(Tally::new(Box::new(self.console.clone())));
        let shared = Arc::new(self.shared(run, generation, &tally)?);
        let settings = settings::run(self.args, self.config)?;
        let stack = Arc::clone(&shared.stack);

        let (orders, control) = Control::new(Orders {
            paused: false,
            concurrency: settings.concurrency,
            live: shared.live.available_permits(),
        });
        let steering = self.steering(&shared, orders);
        let already = before.done + before.skipped + if self.args.skip_failed { before.failed } else { 0 };
        let following = self.console.clone().follow(Arc::clone(&tally), stack, control.clone(), before.total, already);
        let dispatcher = Dispatcher::new(shared, settings, guests.handle().clone(), shutdown, control);
        let broken = |what: &str| (Ending::Broken { message: format!("{what} ended by itself") }, RunTotals::default());
        let (ending, totals) = self.runtime.block_on(async {
            tokio::select! {
                ended = dispatcher.run() => ended,
                () = following => broken("progress"),
                () = steering.follow() => broken("the look at what is asked"),
            }
        });
        guests.shutdown_background();
        Ok((ending, totals, tally.snapshot()))
    }

    fn steering(&self, shared: &Shared, orders: tokio::sync::watch::Sender<Orders>) -> Steering<'_> {
        Steering {
            args: self.args.clone(),
            config: self.config,
            routes: &self.prepared.routes,
            store: self.store.clone(),
            stack: Arc::clone(&shared.stack),
            live_max: shared.plugin.live_max(),
            console: self.console,
            clock: Arc::clone(&self.clock),
            dir: self.dir.to_path_buf(),
            job: self.job.clone(),
            orders,
        }
    }

    fn shared(
        &self,
        run: RunId,
        generation: crate::store::GenerationId,
        tally: &Arc<Tally>,
    ) -> Result<Shared, Failure> {
        let plugin = Arc::clone(&self.prepared.plugin);
        let halt = Arc::new(Halt::default());
        let events = Arc::clone(tally) as Arc<dyn EventSink>;
        let created_unix_ms = self.store.reader().job()?.map_or(0, |job| job.created_ms);
        let used = self.store.reader().usage()?;
        let stack = Stack::new(
            self.prepared.routes.with_prices(self.store)?,
            StackSettings {
                retry: settings::retry(self.args, self.config)?,
                calls_max: self.args.provider.max_calls,
                context: settings::context(self.args, self.config)?,
                spending: Spending {
                    micro_dollars_max: self.args.provider.max_cost,
                    tokens_max: self.args.provider.max_tokens,
                },
                spent: Amount { micro_dollars: used.cost, tokens: used.input_tokens + used.output_tokens },
                seed: self.args.provider.seed,
            },
            StackAround {
                halt: Arc::clone(&halt),
                clock: Arc::clone(&self.clock),
                events: Arc::clone(&events),
                store: self.store.clone(),
                run,
                runtime: self.runtime.handle().clone(),
            },
        );
        let roles = plugin.manifest().model_roles.iter().map(|role| role.name.clone()).collect();
        let live = Semaphore::new(settings::instances(self.args, self.config).min(plugin.live_max()) as usize);
        Ok(Shared {
            job: Job { name: self.job.to_string(), created_unix_ms, config: self.prepared.plugin_config.clone() },
            contract: self.prepared.contract.clone(),
            store: self.store.clone(),
            stack: Arc::new(stack),
            halt,
            clock: Arc::clone(&self.clock),
            events,
            run,
            generation,
            roles,
            attempts_max: settings::attempts_max(self.args, self.config),
            item_calls_max: self.args.work.max_item_calls,
            item_spending: Spending {
                micro_dollars_max: self.args.work.max_item_cost,
                tokens_max: self.args.work.max_item_tokens,
            },
            live,
            plugin,
        })
    }

    /// Output first: what is done is written, however the run ended.
    #[expect(clippy::too_many_arguments, reason = "the ends of one run, brought together once")]
    fn conclude(
        &self,
        run: RunId,
        ending: &Ending,
        totals: RunTotals,
        tally: &TallySnapshot,
        before: Counts,
        unknown: u64,
        seconds: f64,
    ) -> CliResult {
        let reader = self.store.reader();
        let counts = reader.counts().map_err(Failure::internal)?;
        let groups = reader.failure_groups().map_err(Failure::internal)?;
        let failed_is_fine =
            self.args.work.allow_failed.is_some_and(|share| is_within(counts.failed, counts.total, share));
        let written = self.write_output(counts);
        let mut exit = Exit::of_run(ending, counts.failed, failed_is_fine);
        if written.is_err() && matches!(exit, Exit::Done | Exit::ItemsFailed) {
            // The items are safe; what is missing is room for their output, or the right to write it.
            exit = Exit::Parked;
        }
        let mut failures = BTreeMap::new();
        for (class, _, count, _) in &groups {
            *failures.entry(class.clone()).or_default() += count;
        }
        let summary = Summary {
            schema: SCHEMA,
            job: JobSummary::new(self.job.as_str(), counts, failures),
            run: RunSummary::new(tally, totals, before, unknown, seconds),
            ended: EndedSummary {
                state: ending.state().to_owned(),
                reason: ending.reason(),
                exit_code: exit.number(),
                command: self.resume_command(),
                parked_until_ms: match ending {
                    Ending::ParkedUntil { unix_ms, .. } => Some(*unix_ms),
                    _ => None,
                },
            },
        };
        let text = serde_json::to_string(&summary).map_err(Failure::internal)?;
        let end = RunEnd {
            ended_ms: self.clock.unix_ms(),
            state: summary.ended.state.clone(),
            reason: summary.ended.reason.clone(),
            exit_code: i32::from(exit.number()),
            summary: text.clone(),
        };
        let stored = self.runtime.block_on(self.store.end_run(run, end));
        self.console.say(&summary.to_text(&groups));
        if let Some(path) = &self.args.summary {
            std::fs::write(path, text + "\n")
                .with_context(|| format!("cannot write the summary into {}", path.display()))?;
        }
        if self.args.json {
            print_json(&summary)?;
        }
        match stored {
            Err(error) if exit == Exit::Done => return Err(Failure::internal(error)),
            // The reason of the run's end, if it is that, has been said.
            Err(error) if error.to_string() != ending.reason() => self.console.say(&format!("warning: {error}")),
            Ok(()) | Err(_) => {}
        }
        written.map_err(|error| Failure { error: error.into(), exit })?;
        Ok(exit)
    }

    /// FILE once nothing is pending, FILE.partial until then.
    fn write_output(&self, counts: Counts) -> Result<(), ExportError> {
        let (Some(path), Some(format)) = (&self.args.output, self.prepared.output) else { return Ok(()) };
        let mut stdout = std::io::stdout().lock();
        let result = if path == Path::new("-") {
            results::export(self.store.reader(), format, None, &mut stdout)
        } else {
            let partial = PathBuf::from(format!("{}.partial", path.display()));
            if counts.pending() > 0 {
                results::export(self.store.reader(), format, Some(&partial), &mut stdout)
            } else {
                let written = results::export(self.store.reader(), format, Some(path), &mut stdout);
                if written.is_ok() {
                    // Gone already, or never there.
                    let _ = std::fs::remove_file(&partial);
                }
                written
            }
        };
        match result {
            Err(ExportError::Output(output::OutputError::Gone)) => Ok(()),
            other => other,
        }
    }

    fn resume_command(&self) -> String {
        let default = std::path::absolute(".sandmill").unwrap_or_default();
        match &self.args.store {
            Some(dir) if *dir != default => format!("sandmill resume {} --store {}", self.job, dir.display()),
            Some(_) | None => format!("sandmill resume {}", self.job),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share that a person typed")]
fn is_within(failed: u64, total: u64, share: f64) -> bool {
    failed as f64 <= share * total as f64
}

/// Guests have threads of their own, and look at the queue after every poll: one that spins delays its neighbours by a tick.
fn guest_runtime() -> Result<Runtime, Failure> {
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .event_interval(1)
        .enable_time()
        .thread_name("guests")
        .build()
        .map_err(|error| Failure::internal(anyhow!("cannot start the guests' runtime: {error}")))
}
