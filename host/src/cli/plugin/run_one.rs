//! `plugin run`: one item from the command line, with a model that is really asked. No job, and no store that stays.

use super::super::input::Source;
use super::super::live::Live;
use super::super::loading::{Giving, Loaded};
use super::super::run_args::key_value;
use super::super::trying::{TryArgs, Trying};
use super::super::{CliResult, Exit, Failure, attach, attempts, card, print_json, settings};
use super::build::build_if_stale;
use super::test;
use super::watch::{Watched, watch};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::domain::{
    AttemptNumber, Emission, Item, ItemId, ItemSeq, Llm, Outcome, Verdict, escape_json, sanitize_line,
};
use crate::input::{self, Entry};
use crate::progress::Verbosity;
use crate::resilience::{Amount, Heard, Overheard, dollars};
use crate::run::{Blobs, Contract, Debugging, Ending, Phase, Shutdown};
use crate::sandbox::{AttemptReport, Job, LogLine, Watch};
use anyhow::{Context, bail};
use clap::{ArgGroup, Args};
use serde_json::{Value, json};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const STDIN: &str = "-";
const JOB: &str = "trial";

#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("what").required(true).args(["item", "text", "input"])),
    after_help = "The values that it emits are on stdout, one a line; indented on a terminal. Exit
code 0 if the item is done or skipped, 3 if it failed; 4 to 6, 75, 130 and 143
as of `run`.

Examples:
  sandmill plugin run plugins/redact --text 'Write to jo@example.com'
  sandmill plugin run plugins/prompt --set prompt='Put into French: {{text}}' \\
      --text Hello --provider openai --model gpt-4o-mini -v
  sandmill plugin run plugins/summarize --input talks.csv --id 1 --provider mock
  jq -c .items[3] all.json | sandmill plugin run plugins/redact --item -"
)]
pub(in super::super) struct RunOneArgs {
    /// A component (.wasm, .wat), a plugin's folder that has been built, or `oci://REGISTRY/NAME[:TAG][@sha256:…]`
    plugin: PathBuf,
    /// The item: a JSON object, or `-` for stdin
    #[arg(long, value_name = "JSON", help_heading = "Input")]
    item: Option<String>,
    /// The item is {"text": TEXT}; `-` for stdin
    #[arg(long, value_name = "TEXT", help_heading = "Input")]
    text: Option<String>,
    /// The item is one of these, as `run` takes them: the first, or that of --id
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    input: Option<PathBuf>,
    /// The item of this id
    #[arg(long, requires = "input", help_heading = "Input")]
    id: Option<String>,
    /// jsonl, csv, lines, parquet or files (of a folder); by the file's extension if not given
    #[arg(long, requires = "input", value_parser = ["jsonl", "csv", "lines", "parquet", "files"], help_heading = "Input")]
    input_format: Option<String>,
    /// The field that holds an item's id [default: `id` where there is one, else from the content]
    #[arg(long, requires = "input", value_name = "FIELD", help_heading = "Input")]
    id_field: Option<String>,
    /// The item's field FIELD is the input's COLUMN
    #[arg(long, requires = "input", value_name = "FIELD=COLUMN", value_parser = key_value, help_heading = "Input")]
    map: Vec<(String, String)>,
    /// A file whose bytes the item is handed as the blob NAME; given once for each
    #[arg(long, value_name = "[NAME=]FILE", help_heading = "Input")]
    attach: Vec<String>,
    /// A value of the plugin's configuration; JSON if it parses as such, else text
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value, help_heading = "Plugin")]
    set: Vec<(String, String)>,
    /// The plugin's configuration: a file with a JSON object
    #[arg(long, value_name = "FILE", help_heading = "Plugin")]
    plugin_config: Option<PathBuf>,
    /// Attempts if the plugin rejects answers [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_attempts: Option<u32>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    /// Show what the plugin logs and asks, and what it is answered
    #[arg(short, long)]
    verbose: bool,
    /// Again whenever a source of the plugin, a folder, changes
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    trying: TryArgs,
}

pub(super) fn run_one(args: &RunOneArgs) -> CliResult {
    let verbosity = match (args.json, args.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, false) => Verbosity::Normal,
        (false, true) => Verbosity::Verbose,
    };
    let mut trying = Trying::new(&args.trying, verbosity)?;
    trying.name(&args.plugin);
    trying.args.set.clone_from(&args.set);
    trying.args.plugin_config.clone_from(&args.plugin_config);
    trying.args.work.max_attempts = args.max_attempts;
    let shutdown = test::shutdown(&trying.runtime)?;
    if !args.watch {
        return once(args, &trying, &shutdown);
    }
    if [&args.item, &args.text].into_iter().flatten().any(|text| text == STDIN) {
        bail_stdin()?;
    }
    let watched = Watched { folders: vec![args.plugin.clone()], has_cases: false };
    watch(&watched, trying.runtime.handle(), &shutdown, || {
        build_if_stale(&args.plugin)?;
        once(args, &trying, &shutdown)
    })
}

fn bail_stdin() -> anyhow::Result<()> {
    bail!("--watch runs the item again, and stdin can be read once: give the item itself, or --input FILE --id ID")
}

fn once(args: &RunOneArgs, trying: &Trying, shutdown: &Shutdown) -> CliResult {
    let entry = entry(args, &trying.config)?;
    let attached = args.attach.iter().map(|text| attach::absolute(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let blobs = Blobs::new(attach::read(&attached)?);
    let config = settings::plugin_config(&trying.args)?;
    let loaded = trying.load(Giving::All, false)?;
    for line in loaded.granted.lines(&loaded.component, false)? {
        trying.console.say(&line);
    }
    let contract = Contract::new(loaded.plugin.manifest(), &config)?;
    let routes = trying.routes(&loaded)?;
    let id = entry.id.clone().unwrap_or_else(|| ItemId::from_content(&entry.json, 0));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let live = Live::open(trying, &loaded, &routes, vec![id.clone()], Arc::clone(&clock))?;
    let job = Job { name: JOB.into(), created_unix_ms: clock.unix_ms(), config };
    let trial = Trial { args, trying, loaded: &loaded, contract, blobs, live, clock, job, id };
    let (ended, attempts) = match trial.run(entry, shutdown.clone()) {
        Ok(done) => done,
        Err(stopped) => return stopped,
    };
    trial.tell(&ended, attempts)?;
    Ok(match ended.report.verdict {
        Verdict::Finished(_) => Exit::Done,
        Verdict::Failed(_) | Verdict::Retry(_) | Verdict::Suspended => Exit::ItemsFailed,
    })
}

/// The item, from wherever it comes.
fn entry(args: &RunOneArgs, config: &Config) -> anyhow::Result<Entry> {
    if let Some(text) = &args.item {
        let json = from_stdin(text)?;
        return input::from_line(json.trim(), 1).map_err(|bad| anyhow::anyhow!("--item: {}", bad.message));
    }
    if let Some(text) = &args.text {
        return Ok(Entry::new(None, json!({ "text": from_stdin(text)? }).to_string()));
    }
    let path = args.input.as_deref().context("there is no item: name one with --item, --text or --input")?;
    if path == Path::new(STDIN) {
        bail!("--input - has many items: give one with --item -, or name a file");
    }
    let source = Source::of(&std::path::absolute(path)?, args.input_format.as_deref())?;
    for record in source.records(args.id_field.as_deref(), &args.map, config)? {
        let record = record?;
        match (record.entry, &args.id) {
            (Ok(entry), None) => return Ok(entry),
            (Ok(entry), Some(id)) if is_called(&entry, id) => return Ok(entry),
            (Err(bad), None) => bail!("{}: {}", path.display(), bad.message),
            (Ok(_) | Err(_), Some(_)) => {}
        }
    }
    match &args.id {
        Some(id) => bail!(
            "{} has no item with the id `{}`: name another --id, or leave it out for the first",
            path.display(),
            sanitize_line(id, 200)
        ),
        None => bail!("{} has no items: name another --input", path.display()),
    }
}

fn is_called(entry: &Entry, id: &str) -> bool {
    match &entry.id {
        Some(known) => known.as_str() == id,
        None => ItemId::from_content(&entry.json, 0).as_str() == id,
    }
}

fn from_stdin(text: &str) -> anyhow::Result<String> {
    if text != STDIN {
        return Ok(text.to_owned());
    }
    let mut read = String::new();
    std::io::stdin().lock().read_to_string(&mut read).context("cannot read stdin")?;
    Ok(read)
}

struct Trial<'a> {
    args: &'a RunOneArgs,
    trying: &'a Trying,
    loaded: &'a Loaded,
    contract: Contract,
    blobs: Blobs,
    live: Live,
    clock: Arc<dyn Clock>,
    job: Job,
    id: ItemId,
}

impl Trial<'_> {
    /// Until the item has ended, or as often as it may be begun anew. The error: what stopped it.
    fn run(&self, entry: Entry, mut shutdown: Shutdown) -> Result<(Ended, u32), CliResult> {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let attempts = async {
            let (mut number, mut spent) = (AttemptNumber::FIRST, Amount::default());
            let attempts_max = settings::attempts_max(&self.trying.args, &self.trying.config);
            loop {
                let (report, now) = self.attempt(&entry, number, spent, &heard).await?;
                let Verdict::Retry(retry) = &report.verdict else { return Ok((report, number.0)) };
                if number.0 >= attempts_max {
                    return Ok((report, number.0));
                }
                let wait = retry.after.unwrap_or(Duration::ZERO);
                self.trying.console.say(&format!(
                    "attempt {} was rejected by the plugin ({}), again in {:.1} s: {}",
                    number.0,
                    sanitize_line(&retry.code, 100),
                    wait.as_secs_f64(),
                    sanitize_line(&retry.message, 300)
                ));
                self.clock.sleep(wait).await;
                (number, spent) = (number.next(), now);
            }
        };
        let done = self.trying.runtime.block_on(async {
            tokio::select! {
                done = attempts => Some(done),
                () = shutdown.changed_from(Phase::Running) => None,
            }
        });
        match done {
            None => Err(Ok(test::interrupted(&shutdown).unwrap_or(Exit::Interrupted))),
            Some(Err(failure)) => Err(Err(failure)),
            Some(Ok((AttemptReport { verdict: Verdict::Suspended, .. }, _))) => Err(self.halted()),
            Some(Ok((report, attempts))) => {
                let heard = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
                Ok((Ended { report, heard }, attempts))
            }
        }
    }

    /// What concerns a job as a whole ends this, too.
    fn halted(&self) -> CliResult {
        let Some(reason) = self.live.halted() else {
            return Err(Failure::internal(anyhow::anyhow!(
                "the plugin was stopped, and nobody says why: run it again with -v"
            )));
        };
        let ending = Ending::from(reason);
        let exit = Exit::of_run(&ending, 0, false);
        Err(Failure { error: anyhow::anyhow!(ending.reason()), exit })
    }

    async fn attempt(
        &self,
        entry: &Entry,
        number: AttemptNumber,
        spent: Amount,
        heard: &Arc<Mutex<Vec<Heard>>>,
    ) -> Result<(AttemptReport, Amount), Failure> {
        let session = self.live.session(0, number, spent).await?;
        let is_told = self.args.verbose && !self.args.json;
        let heard = Arc::clone(heard);
        let listens = move |one: &Heard| {
            if is_told {
                errln!("{}", attempts::question(one));
            }
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(one.clone());
        };
        let models: Arc<dyn Llm> = Arc::clone(&session) as Arc<dyn Llm>;
        let llm: Arc<dyn Llm> = Arc::new(Overheard { models, listens: Box::new(listens) });
        let log = move |line: &LogLine| {
            if is_told {
                errln!("{}", attempts::log(line));
            }
        };
        let item = Item {
            seq: ItemSeq(0),
            id: self.id.clone(),
            index: 0,
            json: entry.json.as_str().into(),
            blobs: Arc::new([]),
        };
        let debugging =
            Debugging { plugin: &self.loaded.plugin, job: &self.job, contract: &self.contract, blobs: &self.blobs };
        let watch = Watch { log: Some(Arc::new(log)), ..Watch::default() };
        let budget = self.trying.budget()?;
        let report = debugging.attempt(item, entry.files.clone(), number, budget, llm, watch).await?;
        Ok((report, session.spent()))
    }

    fn tell(&self, ended: &Ended, attempts: u32) -> Result<(), Failure> {
        let spent = self.live.spent();
        if self.args.json {
            return print_json(&self.as_json(ended, attempts, spent)?);
        }
        match &ended.report.verdict {
            Verdict::Finished(Outcome::Done(emissions)) => print(emissions),
            verdict => attempts::verdict(verdict).iter().for_each(|line| errln!("{line}")),
        }
        if let Some(card) = attempts::card(&ended.report.verdict) {
            err!("{}", card::as_text(card, None));
        }
        if spent.tokens > 0 {
            let money =
                if spent.micro_dollars > 0 { format!(", {}", dollars(spent.micro_dollars)) } else { String::new() };
            self.trying.console.say(&format!("{} tokens{money}", spent.tokens));
        }
        Ok(())
    }

    fn as_json(&self, ended: &Ended, attempts: u32, spent: Amount) -> Result<Value, Failure> {
        let question = |heard: &Heard| json!({ "function": heard.function, "role": heard.role, "text": heard.excerpt, "answer": heard.answer });
        #[expect(clippy::cast_precision_loss, reason = "for reading")]
        let cost = spent.micro_dollars as f64 / 1e6;
        let mut all = json!({
            "schema": 1,
            "plugin": self.loaded.plugin.digest(),
            "item": self.id.as_str(),
            "attempts": attempts,
            "questions": ended.heard.iter().map(question).collect::<Vec<_>>(),
            "tokens": spent.tokens,
            "cost_dollars": cost,
        });
        let report = attempts::report_as_json(&ended.report).map_err(Failure::internal)?;
        if let (Value::Object(all), Value::Object(report)) = (&mut all, report) {
            all.extend(report);
        }
        Ok(all)
    }
}

/// How it ended, and what was asked until then.
struct Ended {
    report: AttemptReport,
    heard: Vec<Heard>,
}

/// For people indented, for programs a line each.
fn print(emissions: &[Emission]) {
    let is_for_people = std::io::stdout().is_terminal();
    for Emission { value, .. } in emissions {
        let parsed = is_for_people.then(|| serde_json::from_str::<Value>(value).ok()).flatten();
        let text = match parsed {
            Some(value) => format!("{value:#}"),
            None => value.clone(),
        };
        outln!("{}", escape_json(&text));
    }
}
