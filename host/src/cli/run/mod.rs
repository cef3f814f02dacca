//! `run`: the wiring. Everything that can be wrong is found before the first item runs.

mod conclude;
mod dashboard;
mod figures;
mod guests;
mod session;
mod standing;
mod telemetry;

use self::dashboard::Dashboard;
use self::figures::Figures;
use super::attach;
use super::export::target;
use super::grants;
use super::input as inputs;
use super::job_ref::JobRef;
use super::loading::{Giving, Loaded, Loading};
use super::policy::InForce;
use super::routes::{self, Planned};
use super::run_args::{LogFormat, RunArgs};
use super::trust::Trust;
use super::{CliResult, Exit, Failure, dry_run, policy, runtime, settings};
use crate::alert;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::domain::Blob;
use crate::input;
use crate::kit;
use crate::output;
use crate::progress::{self, Console, Form, Verbosity};
use crate::resilience::HaltReason;
use crate::run::{Contract, Shutdown, Suspension};
use crate::sandbox::{Engine, Plugin};
use crate::store::{JobName, NewJob, Store, StoreError, control};
use crate::telemetry::Telemetry;
use anyhow::{Context, bail};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// From the command line.
pub(super) fn run(args: RunArgs) -> CliResult {
    told_in(args.log_format, None, || begin(args))
}

/// Whoever wants JSON on stderr gets it of what ends the program too. `form`: as far as it is known.
pub(super) fn told_in(form: Option<LogFormat>, job: Option<&JobName>, work: impl FnOnce() -> CliResult) -> CliResult {
    match work() {
        Err(failure) if form == Some(LogFormat::Json) => {
            let (exit, job) = (failure.exit, job.map(JobName::as_str));
            errln!("{}", progress::object(&failure.told(true), Some(exit.number()), job, &SystemClock::new()));
            Ok(exit)
        }
        result => result,
    }
}

fn begin(mut args: RunArgs) -> CliResult {
    let config = config::load(args.config.as_deref())?;
    let store_dir = settings::store_dir(args.store.as_deref(), &config);
    let job = args.job.clone().unwrap_or_else(|| settings::default_job(&args.plugin, &args.input, args.shard));
    let job = JobName::new(&job)?;
    make_absolute(&mut args, &config, &store_dir, &job)?;
    if args.dry_run {
        return dry_run::dry_run(args, &config, &job);
    }
    execute(&args, &config, &store_dir, &job)
}

/// So that `resume` works from any folder.
fn make_absolute(args: &mut RunArgs, config: &Config, store_dir: &Path, job: &JobName) -> anyhow::Result<()> {
    if args.input_format.is_none() && args.input == Path::new("-") {
        bail!("stdin has no extension to tell its format: say --input-format jsonl, csv, lines or parquet");
    }
    // The file in the working directory, should it be resumed from elsewhere.
    if args.config.is_none() && Path::new(config::DEFAULT_FILE).exists() {
        args.config = Some(config::DEFAULT_FILE.into());
    }
    for other in &mut args.reuse {
        *other = JobRef::new(other, Some(store_dir), config)?.anywhere(store_dir)?;
    }
    args.job = Some(job.to_string());
    args.store = Some(std::path::absolute(store_dir)?);
    if !kit::Source::is_registry(&args.plugin) {
        args.plugin = std::path::absolute(&args.plugin)?;
    }
    args.trust.make_absolute(args.config.as_deref())?;
    for path in [&mut args.output, &mut args.summary, &mut args.config, &mut args.plugin_config].into_iter().flatten() {
        if path != Path::new("-") {
            *path = std::path::absolute(&*path)?;
        }
    }
    if let Some(cache) = args.cache.as_mut().filter(|cache| cache.as_os_str() != config::NO_CACHE) {
        *cache = std::path::absolute(&*cache)?;
    }
    args.grant = args.grant.iter().map(|text| grants::absolute(text)).collect::<anyhow::Result<_>>()?;
    args.input = inputs::absolute(&args.input, store_dir)?;
    args.attach = args.attach.iter().map(|text| attach::absolute(text)).collect::<anyhow::Result<_>>()?;
    Ok(())
}

/// What is checked and made before the store is touched.
struct Prepared {
    plugin: Arc<Plugin>,
    contract: Contract,
    plugin_config: String,
    attached: Arc<[Blob]>,
    routes: Planned,
    output: Option<output::Format>,
    suspension: Suspension,
}

/// `args` hold absolute paths.
pub(super) fn execute(args: &RunArgs, config: &Config, store_dir: &Path, job: &JobName) -> CliResult {
    let form = settings::log_format(args, config)?;
    told_in(Some(form), Some(job), || execute_in(form, args, config, store_dir, job))
}

fn execute_in(form: LogFormat, args: &RunArgs, config: &Config, store_dir: &Path, job: &JobName) -> CliResult {
    let (given, mut args) = (args, args.clone());
    let policy = policy::load()?;
    policy.bound(&mut args, config)?;
    if args.dry_run {
        dry_run::lift(&mut args);
    }
    let args = &args;
    let runtime = runtime()?;
    let verbosity = match (args.quiet, args.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, false) => Verbosity::Normal,
        (false, true) => Verbosity::Verbose,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let telemetry = telemetry::start(args, config, job, &runtime)?;
    listen(form, verbosity, job, &clock, telemetry.as_ref())?;
    let console = Console::in_form(verbosity, if form == LogFormat::Json { Form::Json } else { Form::Text });
    let shutdown = {
        let _context = runtime.enter();
        Shutdown::on_signals(exit_at_once).context("cannot listen for signals").map_err(Failure::internal)?
    };
    // Before minutes are spent on compiling.
    Store::check_free(store_dir, job)?;
    let alerts = if args.no_alerts || args.dry_run { None } else { alert::Plan::new(&config.alert, &clock)? };
    let figures = Figures::serve(args, config, &runtime, &console)?;
    let dashboard = Dashboard::serve(args, config, job, &runtime, &console)?;
    let ready = || {
        let trust = Trust::new(&args.trust, config, args.config.as_deref(), &policy)?;
        let mut prepared = prepare(args, config, &runtime, &trust, &policy, store_dir, &console)?;
        policy.bound_routes(&mut prepared.routes)?;
        let store = open_store(args, store_dir, job, clock.as_ref(), &console)?;
        Ok((prepared, store))
    };
    let (prepared, store) = match ready() {
        Ok(begun) => begun,
        Err(failure) => {
            Dashboard::close(dashboard, &runtime, Some(&failure));
            return Err(failure);
        }
    };
    let session = Session {
        given,
        args,
        config,
        dir: store_dir,
        job,
        store: &store,
        prepared: &prepared,
        runtime: &runtime,
        console: &console,
        clock,
        alerts,
        figures,
        dashboard,
        telemetry: telemetry.as_ref(),
    };
    let result = session.run(shutdown);
    let Session { dashboard, figures, .. } = session;
    // Gone already, unless an error came before the end.
    console.finish();
    // Whoever looks into the store has looked before it is closed.
    Dashboard::close(dashboard, &runtime, result.as_ref().err());
    // With whoever looks at the work ends the span of the job.
    drop(figures);
    let cleared = control::clear(store_dir, job);
    let result = closed(result, store.close().and(cleared));
    // A collector that hangs holds up nobody who waits for the job.
    if let Some(lost) = telemetry.and_then(|telemetry| telemetry.finish(&runtime)) {
        console.say(&format!("warning: telemetry: {lost}"));
    }
    result
}

/// `closed`: what came of closing the store.
fn closed(result: CliResult, closed: Result<(), StoreError>) -> CliResult {
    match (result, closed) {
        (Ok(Exit::Done), Err(error)) => {
            // The items are safe in the log; what is missing is room to fold it into the file, say.
            let exit = match HaltReason::from(&error) {
                HaltReason::Parked { .. } => Exit::Parked,
                HaltReason::ParkedUntil { .. }
                | HaltReason::Budget { .. }
                | HaltReason::Store { .. }
                | HaltReason::Interrupted => Exit::Internal,
            };
            Err(Failure { error: error.into(), exit })
        }
        // What kept the store from closing well has ended the run before, and was said.
        (result, Ok(()) | Err(_)) => result,
    }
}

/// From now on whoever wants to hears what happens: the log, a collector. There is one run a process.
fn listen(
    form: LogFormat,
    verbosity: Verbosity,
    job: &JobName,
    clock: &Arc<dyn Clock>,
    telemetry: Option<&Telemetry>,
) -> Result<(), Failure> {
    let log = (form == LogFormat::Json).then(|| progress::layer(job.as_str(), verbosity, Arc::clone(clock)));
    if log.is_none() && telemetry.is_none() {
        return Ok(());
    }
    let traces = telemetry.map(Telemetry::layer);
    tracing_subscriber::registry().with(log).with(traces).try_init().map_err(Failure::internal)
}

/// The third signal. Nothing is lost by it: what was acknowledged is on disk.
#[expect(clippy::disallowed_methods, reason = "the person insists")]
pub(super) fn exit_at_once(signal: i32) {
    std::process::exit(128 + signal);
}

fn prepare(
    args: &RunArgs,
    config: &Config,
    runtime: &Runtime,
    trust: &Trust,
    policy: &InForce,
    store_dir: &Path,
    console: &Console,
) -> anyhow::Result<Prepared> {
    if args.json && args.output.as_deref() == Some(Path::new("-")) {
        bail!(
            "--json and --output - both want stdout: write the output into a file, or the summary with --summary FILE"
        );
    }
    let output = args.output.as_deref().map(|path| check_output(path, args)).transpose()?;
    if args.reads_input() {
        inputs::check(args, config)?;
    }
    let attached = attach::read(&args.attach)?;
    let plugin_config = settings::plugin_config(args)?;
    let loading = Loading { args, config, policy, trust, store_dir, console, runtime };
    let giving = if args.dry_run { Giving::Rehearsed } else { Giving::All };
    let (slots, memory_target) = (settings::slots(args, config), settings::memory_target(args, config));
    let loaded = loading.load(giving, |limits| Ok(Engine::within(limits, slots, memory_target)?))?;
    let Loaded { plugin, component, granted } = loaded;
    for line in granted.lines(&component, args.dry_run)? {
        if args.dry_run { console.insist(&line) } else { console.say(&line) }
    }
    let contract = Contract::new(plugin.manifest(), &plugin_config)?;
    let suspension = settings::suspend(args, config, plugin.is_replayable())?;
    let mut routes = routes::plan(args, config, plugin.manifest())?;
    granted.check_routes(&routes)?;
    if args.dry_run {
        routes.rehearse(args.provider.seed)?;
    }
    routes.check_bound(plugin.manifest())?;
    Ok(Prepared { plugin: Arc::new(plugin), contract, plugin_config, attached, routes, output, suspension })
}

/// That the output can be written is found out before anything is paid for.
fn check_output(output: &Path, args: &RunArgs) -> anyhow::Result<output::Format> {
    let (path, format) = target(output, args.format.as_deref())?;
    let (Some(path), input) = (path, &args.input) else { return Ok(format) };
    if path.canonicalize().is_ok_and(|path| input.canonicalize().is_ok_and(|input| input == path)) {
        bail!("--output {} would replace the input: choose another file", path.display());
    }
    if input::covers(input, path) {
        bail!("--output {} would be an item of the input the next time: choose another folder", path.display());
    }
    output::AtomicFile::create(path)?;
    Ok(format)
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
    /// As they were given, to be stored.
    given: &'a RunArgs,
    /// As they are in force: bounded by the policy.
    args: &'a RunArgs,
    config: &'a Config,
    dir: &'a Path,
    job: &'a JobName,
    store: &'a Store,
    prepared: &'a Prepared,
    runtime: &'a Runtime,
    console: &'a Console,
    clock: Arc<dyn Clock>,
    alerts: Option<alert::Plan>,
    figures: Option<Figures>,
    dashboard: Option<Dashboard>,
    telemetry: Option<&'a Telemetry>,
}
