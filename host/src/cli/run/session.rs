//! One run over an open store: what is registered, what has changed, and the work.

use super::super::input::{self as inputs, Source};
use super::super::job_ref::JobRef;
use super::super::run_args::{OnChange, OnDuplicate, OnUnknown};
use super::super::steer::Steering;
use super::super::{CliResult, Failure, THREAD_STACK_BYTES, settings};
use super::Session;
use super::conclude::Ended;
use super::figures::Figures;
use super::guests::Noting;
use super::standing::UnderWay;
use super::telemetry;
use crate::alert::{Alerts, Around, Observed};
use crate::domain::{EventSink, Listeners};
use crate::input;
use crate::monitor::{Monitor, RunFacts};
use crate::resilience::{Amount, Halt, Spending, Stack, StackAround, StackSettings};
use crate::run::{
    Blobs, Control, Dispatcher, DuplicatePolicy, Ending, Extent, Lanes, Live, Orders, RunTotals, Shard, Shared,
    Shutdown, Tally, TallySnapshot, register, watch,
};
use crate::sandbox::Job;
use crate::store::{Counts, Generation, RunId};
use anyhow::{anyhow, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tracing::field::Empty;
use tracing::{Span, info_span};

impl Session<'_> {
    pub(super) fn run(&self, shutdown: Shutdown) -> CliResult {
        let (digest, generation) = self.generation();
        self.check_change(&digest)?;
        if self.args.reads_input() {
            let source = self.source()?;
            self.register(&source)?;
        }
        self.reuse()?;
        let before = self.store.reader().counts().map_err(Failure::internal)?;
        self.greet(before);
        let started_ms = self.clock.unix_ms();
        let (run, generation, unknown) = self
            .runtime
            .block_on(self.store.begin_run(digest, generation, started_ms, self.tags()))
            .map_err(Failure::internal)?;
        let began = self.clock.monotonic();
        // For whoever listens to what happens in it: all attempts and calls lie within.
        let span = info_span!(target: "sandmill", "job", job = %self.job, run = run.0, outcome = Empty);
        let _in_job = span.enter();
        let alerts = self.alerts();
        let facts = self.facts(before, started_ms)?;
        if let Some(figures) = &self.figures {
            figures.count(&facts);
        }
        let (ending, totals, tally) = self.work(run, generation, shutdown.clone(), facts, alerts.as_ref())?;
        self.console.finish();
        let seconds = self.clock.monotonic().saturating_sub(began).as_secs_f64();
        span.record("outcome", ending.state());
        let ended = Ended { run, ending, totals, tally, before, unknown, seconds };
        self.conclude(&ended, alerts.as_deref(), shutdown)
    }

    fn alerts(&self) -> Option<Arc<Alerts>> {
        let console = self.console.clone();
        let around = Around {
            clock: Arc::clone(&self.clock),
            runtime: self.runtime.handle().clone(),
            job: self.job.to_string(),
            place: self.place(),
            say: Arc::new(move |text| console.say(text)),
        };
        self.alerts.clone().map(|plan| Arc::new(Alerts::start(plan, around)))
    }

    fn tags(&self) -> String {
        let tags: serde_json::Map<String, Value> =
            self.args.tag.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        Value::Object(tags).to_string()
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
        // Left out where there are none, so that what was done before there were any stands.
        if let Some(parameters) = self.prepared.routes.parameters() {
            hasher.update(parameters);
        }
        for blob in self.prepared.attached.iter() {
            for part in [&blob.name, &blob.digest] {
                hasher.update((part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        (hex::encode(hasher.finalize()), generation)
    }

    fn check_change(&self, digest: &str) -> anyhow::Result<()> {
        let others = self.store.reader().outcomes_of_other_generations(digest)?;
        if others == 0 {
            return Ok(());
        }
        match self.args.on_change {
            Some(OnChange::Keep) => self.console.say(&format!(
                "The plugin, its configuration or the model has changed: {others} items stay as they were done before"
            )),
            Some(OnChange::Redo) => {
                let again = self.store.forget_other_generations(digest.to_owned())?;
                self.console.say(&format!(
                    "The plugin, its configuration or the model has changed: {again} items are done again; what they ask again is not paid again"
                ));
            }
            None => bail!(
                "the plugin, its configuration, an attached file, the model or its parameters have changed since {others} items of job `{}` were done, and the output would mix two kinds: --on-change keep does the rest the new way, --on-change redo does all again (and pays only for what was not asked before), --fresh starts over, --job NAME makes another job",
                self.job
            ),
        }
        Ok(())
    }

    /// Answers of other jobs go into the journal before anything is asked.
    fn reuse(&self) -> anyhow::Result<()> {
        for name in &self.args.reuse {
            let other = JobRef::new(name, Some(self.dir), self.config)?.open()?;
            let taken = self.store.take_answers(other.path(), name)?;
            self.console.say(&format!("{taken} paid answers of job {name} are at hand"));
        }
        Ok(())
    }

    /// What is read; stdin is kept first, so that the job can be resumed.
    fn source(&self) -> Result<Source, Failure> {
        let format = self.args.input_format.as_deref();
        if self.args.input != Path::new("-") {
            return Ok(Source::of(&self.args.input, format)?);
        }
        let source = inputs::of_stdin(self.store.path().with_extension("stdin"), format)?;
        input::spool(std::io::stdin().lock(), &source.stored().0)?;
        Ok(source)
    }

    fn register(&self, source: &Source) -> Result<(), Failure> {
        if let Some(warning) = source.warning()? {
            self.console.say(&warning);
        }
        let mut stored = self.given.clone();
        (stored.input, stored.input_format) = source.stored();
        self.store.set_arguments(serde_json::to_string(&stored).map_err(Failure::internal)?)?;
        let known = self.store.reader().job()?.and_then(|job| job.input);
        let Some(mark) = self.new_mark(source, known.as_deref())? else { return Ok(()) };
        let records = source.records(self.args.id_field.as_deref(), &self.args.map, self.config)?;
        let policy = match self.args.on_duplicate {
            OnDuplicate::Error => DuplicatePolicy::Error,
            OnDuplicate::Skip => DuplicatePolicy::Skip,
        };
        let shard = self.args.shard.map_or(Shard::WHOLE, |shard| Shard { index: shard.number - 1, of: shard.of });
        let extent = Extent { limit: self.args.limit, shard };
        let registered = register(records, self.store, policy, extent, &mark, self.clock.unix_ms())?;
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

    /// Tells one input, read in one way, from another. `None`: it is the known one, by its stamp or else by its bytes.
    fn new_mark(&self, source: &Source, known: Option<&str>) -> Result<Option<String>, Failure> {
        let mut known: Value = known.and_then(|known| serde_json::from_str(known).ok()).unwrap_or_default();
        let known_stamp = known.as_object_mut().and_then(|fields| fields.remove("stamp"));
        let stamp = source.stamp().map(Value::from);
        if stamp.is_some() && stamp == known_stamp && self.mark(source, known["sha256"].clone()) == known {
            return Ok(None);
        }
        let mut mark = self.mark(source, source.digest()?.into());
        if mark == known {
            return Ok(None);
        }
        if let Some(stamp) = stamp {
            mark["stamp"] = stamp;
        }
        Ok(Some(mark.to_string()))
    }

    fn mark(&self, source: &Source, sha256: Value) -> Value {
        let args = self.args;
        let mut mark = serde_json::json!({
            "v": 1,
            "sha256": sha256,
            "format": source.format_name(),
            "id_field": args.id_field,
            "map": args.map,
            "limit": args.limit,
            "on_duplicate": args.on_duplicate,
        });
        // Left out where there is none, as it was before there were any: what was registered is not read again.
        if let Some(shard) = args.shard {
            mark["shard"] = serde_json::json!(shard);
        }
        mark
    }

    fn greet(&self, before: Counts) {
        let ended = before.done + before.skipped;
        if self.args.retry.is_some() {
            self.console.say(&format!("Trying failed items of job {} again; nothing else is run", self.job));
            return;
        }
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
        facts: RunFacts,
        alerts: Option<&Arc<Alerts>>,
    ) -> Result<(Ending, RunTotals, TallySnapshot), Failure> {
        let lanes = Lanes::new(THREAD_STACK_BYTES).map_err(|error| {
            Failure::internal(anyhow!(
                "cannot start the guests' threads: {error}; raise `ulimit -u`, or lower --max-instances"
            ))
        })?;
        let monitor = Arc::new(Monitor::new(facts, Arc::clone(&self.clock)));
        let mut listeners: Vec<Arc<dyn EventSink>> =
            vec![Arc::new(self.console.clone()), Arc::clone(&monitor) as Arc<dyn EventSink>];
        listeners.extend(alerts.map(|alerts| Arc::clone(alerts) as Arc<dyn EventSink>));
        listeners.extend(self.figures.as_ref().and_then(Figures::listener));
        listeners.extend(self.telemetry.map(|telemetry| telemetry.listener(&telemetry::names(&self.prepared.routes))));
        let tally = Arc::new(Tally::new(Box::new(Listeners(listeners))));
        let shared = Arc::new(self.shared(run, generation, &tally)?);
        let settings = settings::run(self.args, self.config)?;
        let stack = Arc::clone(&shared.stack);
        let (orders, control) =
            Control::new(Orders { paused: false, concurrency: settings.concurrency, live: shared.live.free() });
        let steering = self.steering(&shared, orders, run);
        let watching = self.watch(&tally, &stack, control.clone())?;
        let alerting = alerting(alerts.cloned(), Arc::clone(&stack), control.clone());
        let work = UnderWay {
            shared: Arc::clone(&shared),
            tally: Arc::clone(&tally),
            control: control.clone(),
            shutdown: shutdown.clone(),
        };
        if let Some(figures) = &self.figures {
            figures.begin(work.clone());
        }
        if let Some(dashboard) = &self.dashboard {
            dashboard.begin(&monitor, self.dir, self.job);
        }
        if let Some(telemetry) = self.telemetry {
            telemetry.begin(work.glance());
        }
        let monitoring = monitor.follow(|| work.standing());
        let mut noting = Noting::new(Arc::clone(&shared), Arc::clone(&tally));
        let following = self.console.clone().follow(monitor.watch());
        let dispatcher = Dispatcher::new(shared, settings, &lanes, shutdown, control);
        let broken = |what: &str| (Ending::Broken { message: format!("{what} ended by itself") }, RunTotals::default());
        let (ending, totals) = self.runtime.block_on(async {
            tokio::select! {
                ended = dispatcher.run() => ended,
                () = monitoring => broken("the look at how it stands"),
                () = noting.follow() => broken("the look at guests"),
                () = following => broken("progress"),
                () = steering.follow() => broken("the look at what is asked"),
                () = watching => broken("the watchdog"),
                () = alerting => broken("the look at what is told"),
            }
        });
        // What was done and spent last is looked at once more.
        monitor.look(&work.standing());
        self.runtime.block_on(noting.last());
        if let Some(alerts) = alerts {
            alerts.look(observed(&stack, false));
        }
        lanes.shutdown();
        Ok((ending, totals, tally.snapshot()))
    }

    fn facts(&self, before: Counts, started_ms: u64) -> Result<RunFacts, Failure> {
        let manifest = self.prepared.plugin.manifest();
        let (before_run, before_failed) = self.left_alone(before)?;
        Ok(RunFacts {
            job: self.job.to_string(),
            plugin: manifest.name.clone(),
            plugin_version: manifest.version.clone(),
            started_ms,
            total: before.total,
            before: before_run,
            before_failed,
        })
    }

    /// Items that this run leaves alone, and the failed ones among them.
    fn left_alone(&self, before: Counts) -> Result<(u64, u64), Failure> {
        Ok(match &self.args.retry {
            Some(filter) => {
                let again = self.store.reader().count_failed(filter)?.0;
                (before.total.saturating_sub(again), before.failed.saturating_sub(again))
            }
            None if self.args.skip_failed => (before.done + before.skipped + before.failed, before.failed),
            None => (before.done + before.skipped, 0),
        })
    }

    fn steering(&self, shared: &Shared, orders: tokio::sync::watch::Sender<Orders>, run: RunId) -> Steering<'_> {
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
            run,
            orders,
        }
    }

    fn watch(
        &self,
        tally: &Arc<Tally>,
        stack: &Arc<Stack>,
        control: Control,
    ) -> Result<impl Future<Output = ()> + use<>, Failure> {
        let patience = settings::watchdog(self.args, self.config)?;
        let (tally, stack, clock) = (Arc::clone(tally), Arc::clone(stack), Arc::clone(&self.clock));
        Ok(async move {
            match patience {
                Some(patience) => watch(tally, stack, control, clock, patience).await,
                None => std::future::pending().await,
            }
        })
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
        let (used, lost_tokens) = (self.store.reader().usage()?, self.store.reader().lost_tokens()?);
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
                spent: Amount {
                    micro_dollars: used.cost,
                    tokens: used.input_tokens + used.output_tokens + lost_tokens,
                },
                job: format!("{} {created_unix_ms}", self.job),
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
        let of_item = self.args.limits.of_item(&self.config.limits)?;
        let roles = plugin.manifest().model_roles.iter().map(|role| role.name.clone()).collect();
        let instances = settings::instances(self.args, self.config).min(plugin.live_max()) as usize;
        let live = Arc::new(Live::new(instances, self.prepared.suspension, plugin.memory_max()));
        Ok(Shared {
            job: Job { name: self.job.to_string(), created_unix_ms, config: self.prepared.plugin_config.clone() },
            contract: self.prepared.contract.clone(),
            blobs: Blobs::new(Arc::clone(&self.prepared.attached)),
            store: self.store.clone(),
            stack: Arc::new(stack),
            halt,
            clock: Arc::clone(&self.clock),
            events,
            run,
            generation,
            roles,
            attempts_max: settings::attempts_max(self.args, self.config),
            item_calls_max: of_item.calls,
            item_spending: Spending { micro_dollars_max: of_item.micro_dollars, tokens_max: of_item.tokens },
            fails_unknown: self.args.on_unknown == OnUnknown::Fail,
            live,
            under_way: AtomicU64::new(0),
            span: Span::current(),
            plugin,
        })
    }
}

/// Looks for what is to be told, until it is dropped.
async fn alerting(alerts: Option<Arc<Alerts>>, stack: Arc<Stack>, control: Control) {
    match alerts {
        Some(alerts) => alerts.follow(|| observed(&stack, control.orders().paused)).await,
        None => std::future::pending().await,
    }
}

fn observed(stack: &Stack, paused: bool) -> Observed {
    Observed { paused, cost: stack.spent().micro_dollars }
}
