//! `plugin check`: whether a plugin would work in a run, as far as that can be told without one.

use super::super::findings::{Findings, State};
use super::super::grants::Granted;
use super::super::live::Live;
use super::super::loading::Loaded;
use super::super::run_args::key_value;
use super::super::trust::Trust;
use super::super::trying::{TryArgs, Trying};
use super::super::{CliResult, Exit, Failure, compiling, print_json, settings};
use super::inspect::look_at;
use crate::clock::{Clock, SystemClock};
use crate::domain::{AttemptNumber, FailureClass, Grants, Item, ItemId, ItemSeq, Llm, Outcome, Verdict, sanitize_line};
use crate::input;
use crate::kit::{Component, Inspection, reach};
use crate::progress::Verbosity;
use crate::resilience::Amount;
use crate::run::{Blobs, Contract, ContractError, Debugging};
use crate::sandbox::{AttemptReport, Engine, Job, Limits, Manifest, Plugin, Watch};
use bytesize::ByteSize;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Who answers where nobody is named.
const MOCK: &str = "mock";
const JOB: &str = "check";
/// What each field that an item must have holds.
const TEXT: &str = "text";

#[derive(Debug, Args)]
#[command(after_help = "Looks at the world and the version that the plugin is made for, at what it
imports against what it asks to be granted, at what it says of itself and at its
schemas; then runs it on one item that has the fields it wants, with the mock
provider.

Exit code 0 if nothing is wrong, 3 if something is, 2 if the plugin is not there
or has not been built.

Examples:
  sandmill plugin check plugins/summarize
  sandmill plugin check . --item '{\"text\":\"It burns.\"}' --set team=red --strict")]
pub(in super::super) struct CheckArgs {
    /// A component (.wasm, .wat), a plugin's folder that has been built, or `oci://REGISTRY/NAME[:TAG][@sha256:…]`
    plugin: PathBuf,
    /// The item that it is run on, a JSON object [default: each field that it requires, with a word in it]
    #[arg(long, value_name = "JSON")]
    item: Option<String>,
    /// A value of the plugin's configuration; JSON if it parses as such, else text
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value, help_heading = "Plugin")]
    set: Vec<(String, String)>,
    /// The plugin's configuration: a file with a JSON object
    #[arg(long, value_name = "FILE", help_heading = "Plugin")]
    plugin_config: Option<PathBuf>,
    /// Warnings count as wrong
    #[arg(long)]
    strict: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    trying: TryArgs,
}

pub(super) fn check(args: &CheckArgs) -> CliResult {
    let mut trying = Trying::new(&args.trying, Verbosity::Quiet)?;
    if !args.trying.names_somebody() {
        trying.args.provider.provider = Some(MOCK.to_owned());
    }
    trying.name(&args.plugin);
    trying.args.set.clone_from(&args.set);
    trying.args.plugin_config.clone_from(&args.plugin_config);
    let config = settings::plugin_config(&trying.args)?;
    let item = args.item.as_deref().map(|text| input::from_line(text.trim(), 1)).transpose();
    let item = item.map_err(|bad| anyhow::anyhow!("--item: {}", bad.message))?.map(|entry| entry.json);
    let trust = Trust::looking(&trying.args.trust.look, &trying.config, args.trying.config.as_deref(), &trying.policy)?;
    let (inspection, component) = look_at(&args.plugin, &trust, &trying.config, &trying.runtime, false)?;
    let granted = Granted::new(&trying.args.grant, &args.plugin, &trying.config)?;
    let limits = trying.args.limits.of_attempt(&trying.config.limits)?;
    let mut looking =
        Looking { args, trying: &trying, limits, config, item, inspection, findings: Findings::default(), took: None };
    looking.look(component, granted)?;
    looking.tell()?;
    let worst = looking.findings.worst();
    Ok(if worst == State::Wrong || (args.strict && worst == State::Warning) { Exit::ItemsFailed } else { Exit::Done })
}

struct Looking<'a> {
    args: &'a CheckArgs,
    trying: &'a Trying,
    limits: Limits,
    /// Of the plugin.
    config: String,
    /// The item, if one was given.
    item: Option<String>,
    inspection: Inspection,
    findings: Findings,
    took: Option<Took>,
}

/// What was measured.
struct Took {
    is_kept: bool,
    load_ms: u64,
    attempt: Option<(u64, usize)>,
}

impl Looking<'_> {
    fn look(&mut self, component: Component, granted: Granted) -> Result<(), Failure> {
        self.size();
        self.world();
        self.grants(&granted.grants);
        let Some(plugin) = self.load(&component)? else { return Ok(()) };
        let Some(contract) = self.schemas(plugin.manifest())? else { return Ok(()) };
        let missing = component.needs.required.beyond(&granted.grants);
        if !missing.is_empty() {
            let text = format!("not run, since it needs {}: give it with --grant", joined(&missing));
            self.findings.add("item", State::Skipped, text);
            return Ok(());
        }
        let loaded = Loaded { plugin, component, granted };
        self.item(loaded, contract)
    }

    fn size(&mut self) {
        let anatomy = &self.inspection.anatomy;
        let languages = anatomy.made_with("language").join(", ");
        let made_with = if languages.is_empty() { languages } else { format!(", made of {languages}") };
        self.findings.add("component", State::Fine, format!("{}{made_with}", ByteSize(anatomy.bytes)));
    }

    fn world(&mut self) {
        match self.inspection.world() {
            Some(world) => self.findings.add("world", State::Fine, world),
            None => self.findings.add(
                "world",
                State::Wrong,
                "it exports no sandmill:plugin/handler: build it with one of the kits, by `sandmill plugin build`",
            ),
        }
    }

    /// What is imported, against what the plugin's folder asks for; what is given to it now is the operator's business.
    fn grants(&mut self, granted: &Grants) {
        let needs = &self.inspection.needs;
        let asked = needs.all();
        let mut told = Vec::new();
        for it in reach(&self.inspection.anatomy, &asked).iter().filter(|it| it.is_remarkable()) {
            match (it.is_imported, it.granted.is_empty()) {
                (true, false) => {}
                (true, true) => told.push(format!(
                    "it imports what leads to {kind}, and plugin.toml asks for no grant of it: {otherwise}",
                    kind = it.kind,
                    otherwise = it.without
                )),
                (false, _) => told.push(format!(
                    "plugin.toml asks for {}, and the component imports nothing that could use it",
                    it.granted.join(", ")
                )),
            }
        }
        for text in &told {
            self.findings.add("grants", State::Warning, text);
        }
        if told.is_empty() {
            let text = match (joined(&needs.required), joined(&needs.optional)) {
                (required, optional) if required.is_empty() && optional.is_empty() => "it asks for none".to_owned(),
                (required, optional) if optional.is_empty() => format!("it needs {required}"),
                (required, optional) if required.is_empty() => format!("it can use {optional}"),
                (required, optional) => format!("it needs {required}, and can use {optional}"),
            };
            let given = joined(granted);
            let given = if given.is_empty() { given } else { format!("; given here: {given}") };
            self.findings.add("grants", State::Fine, text + &given);
        }
    }

    /// Compiled, linked, and asked what it is. `None`: it cannot be.
    fn load(&mut self, component: &Component) -> Result<Option<Plugin>, Failure> {
        let Trying { args, config, console, runtime, .. } = self.trying;
        let compiling = compiling::compiling(args.cache.as_deref(), config, console)?;
        let engine = Arc::new(Engine::new(self.limits.clone(), 1)?);
        let is_kept = compiling.is_kept(&engine, &component.digest().hex(), component.is_text);
        let clock = SystemClock::new();
        let began = clock.monotonic();
        let load = Plugin::load(engine, &compiling, &component.bytes, component.is_text, component.digest());
        let loaded = runtime.block_on(load);
        let took = clock.monotonic().saturating_sub(began);
        self.took = Some(Took { is_kept, load_ms: millis(took), attempt: None });
        let plugin = match loaded {
            Ok(plugin) => plugin,
            Err(error) => {
                self.findings.add("load", State::Wrong, error.to_string());
                return Ok(None);
            }
        };
        let how = if is_kept { "loaded, as compiled before," } else { "compiled and loaded" };
        self.findings.add("load", State::Fine, format!("{how} in {:.2} s", took.as_secs_f64()));
        let Manifest { name, version, model_roles, required_fields, .. } = plugin.manifest();
        let roles: Vec<&str> = model_roles.iter().map(|role| role.name.as_str()).collect();
        let list = |what: &str, all: &[&str]| {
            if all.is_empty() { String::new() } else { format!("; {what} {}", all.join(", ")) }
        };
        let fields: Vec<&str> = required_fields.iter().map(String::as_str).collect();
        let text = format!("{name} {version}{}{}", list("fields", &fields), list("models", &roles));
        self.findings.add("describe", State::Fine, text);
        Ok(Some(plugin))
    }

    /// `None`: the item cannot be run.
    fn schemas(&mut self, manifest: &Manifest) -> Result<Option<Contract>, Failure> {
        // Each by itself, since the first that is wrong hides the other.
        let only_output = Manifest { config_schema: None, ..manifest.clone() };
        let mut is_fine = true;
        match Contract::new(&only_output, "{}") {
            Ok(_) => self.findings.add("output", State::Fine, schema(manifest.output_schema.as_deref(), "is emitted")),
            Err(error) => {
                is_fine = false;
                self.findings.add("output", State::Wrong, error.to_string());
            }
        }
        let only_config = Manifest { output_schema: None, ..manifest.clone() };
        match Contract::new(&only_config, &self.config) {
            Ok(_) => self.findings.add("config", State::Fine, schema(manifest.config_schema.as_deref(), "is set")),
            Err(error @ ContractError::BadSchema { .. }) => {
                is_fine = false;
                self.findings.add("config", State::Wrong, error.to_string());
            }
            Err(error @ ContractError::BadConfig { .. }) => {
                is_fine = false;
                self.findings.add("config", State::Fine, "its schema is in order");
                self.findings.add("item", State::Skipped, format!("not run: {error}"));
            }
        }
        if is_fine { Ok(Some(Contract::new(manifest, &self.config)?)) } else { Ok(None) }
    }

    /// One attempt, as a run would make it.
    fn item(&mut self, mut loaded: Loaded, contract: Contract) -> Result<(), Failure> {
        loaded.plugin.give(loaded.granted.open(self.trying.runtime.handle())?);
        let routes = self.trying.routes(&loaded)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let json = self.item.clone().unwrap_or_else(|| trivial(loaded.plugin.manifest()));
        let id = ItemId::from_content(&json, 0);
        let live = Live::open(self.trying, &loaded, &routes, vec![id.clone()], Arc::clone(&clock))?;
        let job = Job { name: JOB.into(), created_unix_ms: clock.unix_ms(), config: self.config.clone() };
        let item = Item { seq: ItemSeq(0), id, index: 0, json: json.as_str().into(), blobs: Arc::new([]) };
        let (blobs, budget) = (Blobs::new(Arc::new([])), self.trying.budget()?);
        let debugging = Debugging { plugin: &loaded.plugin, job: &job, contract: &contract, blobs: &blobs };
        let report = self.trying.runtime.block_on(async {
            let session = live.session(0, AttemptNumber::FIRST, Amount::default()).await?;
            let llm: Arc<dyn Llm> = session;
            debugging.attempt(item, Vec::new(), AttemptNumber::FIRST, budget, llm, Watch::default()).await
        })?;
        let halted = live.halted().map(|reason| crate::run::Ending::from(reason).reason());
        self.ended(&report, halted);
        Ok(())
    }

    fn ended(&mut self, report: &AttemptReport, halted: Option<String>) {
        let (state, text) = match &report.verdict {
            Verdict::Finished(Outcome::Done(emissions)) => {
                let count = emissions.len();
                (State::Fine, format!("done, with {count} {}", if count == 1 { "value" } else { "values" }))
            }
            Verdict::Finished(Outcome::Skipped { reason }) => (State::Fine, format!("skipped: {reason}")),
            Verdict::Retry(retry) => {
                (State::Warning, format!("the plugin rejects the answer: {}: {}", retry.code, retry.message))
            }
            Verdict::Suspended => {
                let why = halted.unwrap_or_else(|| "nobody says why".to_owned());
                (State::Skipped, format!("stopped before it had ended: {why}"))
            }
            // A plugin may find fault with what it was handed here; that is its right.
            Verdict::Failed(failure) if failure.class == FailureClass::Plugin => {
                (State::Warning, format!("failed, {}: {}; an item of its own: --item", failure.code, failure.message))
            }
            Verdict::Failed(failure) => {
                (State::Wrong, format!("failed, {}/{}: {}", failure.class, failure.code, failure.message))
            }
        };
        self.findings.add("item", state, text);
        let micros = u64::try_from(report.cpu_time.as_micros()).unwrap_or(u64::MAX);
        if let Some(took) = &mut self.took {
            took.attempt = Some((micros, report.memory_bytes));
        }
        let Limits { cpu_time, memory_bytes, .. } = self.limits;
        let is_near = report.cpu_time > cpu_time / 2 || report.memory_bytes > memory_bytes / 2;
        let text = format!(
            "{:.1} ms of {} processor time, {} of {} memory",
            report.cpu_time.as_secs_f64() * 1e3,
            humantime::format_duration(cpu_time),
            bytes(report.memory_bytes),
            bytes(memory_bytes),
        );
        self.findings.add("limits", if is_near { State::Warning } else { State::Fine }, text);
    }

    fn tell(&self) -> Result<(), Failure> {
        if !self.args.json {
            for line in self.findings.lines() {
                outln!("{line}");
            }
            return Ok(());
        }
        let worst = self.findings.worst();
        let took = self.took.as_ref();
        let attempt = took.and_then(|took| took.attempt);
        print_json(&json!({
            "schema": 1,
            "plugin": self.inspection.source.to_string(),
            "digest": self.inspection.digest.to_string(),
            "world": self.inspection.world(),
            "bytes": self.inspection.anatomy.bytes,
            "is_ok": worst != State::Wrong && !(self.args.strict && worst == State::Warning),
            "load_ms": took.map(|took| took.load_ms),
            "was_compiled_before": took.map(|took| took.is_kept),
            "cpu_us": attempt.map(|(cpu, _)| cpu),
            "memory_bytes": attempt.map(|(_, memory)| memory),
            "findings": self.findings.as_json(),
        }))
    }
}

fn schema(schema: Option<&str>, what: &str) -> String {
    match schema {
        Some(_) => "its schema is in order".to_owned(),
        None => format!("no schema: nothing that {what} is checked"),
    }
}

/// An object with what an item must have.
fn trivial(manifest: &Manifest) -> String {
    let fields = manifest.required_fields.iter().map(|name| (name.clone(), Value::from(TEXT)));
    Value::Object(fields.collect()).to_string()
}

fn joined(grants: &Grants) -> String {
    sanitize_line(&grants.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "), 1_000)
}

fn bytes(bytes: usize) -> String {
    ByteSize(bytes as u64).to_string()
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
