//! The arguments of `run`, as they are given and as they are stored with the job for `resume`.

use super::limits::LimitArgs;
use super::trust::TrustArgs;
use crate::output::Format;
use crate::store::FailedFilter;
use crate::telemetry;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnDuplicate {
    #[default]
    Error,
    /// The first one stands
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnChange {
    /// Keep what is done, and do the rest the new way
    Keep,
    /// Do everything again, with every paid answer that is asked for again
    Redo,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnUnknown {
    /// Ask again; it may be billed twice
    #[default]
    Retry,
    /// Let the item fail
    Fail,
}

/// When a guest that waits for an answer gives its instance back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Suspend {
    Auto,
    Never,
    Always,
}

/// What stderr is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For a person: a screen on a terminal, lines on a pipe
    #[default]
    Text,
    /// For a program: one JSON object a line
    Json,
}

/// Whether `--log-format json` is among arguments that nobody could make sense of.
pub(super) fn wants_json(args: impl Iterator<Item = OsString>) -> bool {
    let args: Vec<OsString> = args.collect();
    let pairs = args.windows(2).any(|pair| pair[0] == "--log-format" && pair[1] == "json");
    pairs || args.iter().any(|arg| arg == "--log-format=json")
}

/// One of so many parts of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShardArg {
    /// From 1.
    pub(super) number: u32,
    pub(super) of: u32,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(after_help = "Examples:
  sandmill run plugins/summarize --input talks.csv --provider mock -o out.csv
  sandmill run plugins/prompt --set prompt='Is this spam? {{text}}' \\
      --input mails.csv --map text=body --provider openai --model gpt-4o-mini \\
      -o answers.csv
  sandmill run describe.wasm --input 'scans/**/*.png' --attach rules.txt \\
      --provider gemini --model gemini-2.5-flash
  cat items.jsonl | sandmill run redact.wasm --input - --input-format jsonl -o -")]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(super) struct RunArgs {
    /// A component (.wasm, .wat), a plugin's folder that has been built, or `oci://REGISTRY/NAME[:TAG][@sha256:…]`
    pub(super) plugin: PathBuf,

    /// The items: a file, packed with gzip or zstd or not; a folder or a pattern such as 'docs/**/*.pdf', each file an item;
    /// job:NAME, the outputs of another job; `-`, stdin
    #[arg(long, short, help_heading = "Input")]
    pub(super) input: PathBuf,
    /// jsonl, csv, lines, parquet or files (of a folder); by the file's extension if not given
    #[arg(long, value_parser = ["jsonl", "csv", "lines", "parquet", "files"], help_heading = "Input")]
    pub(super) input_format: Option<String>,
    /// The field that holds an item's id [default: `id` where there is one, else from the content]
    #[arg(long, value_name = "FIELD", help_heading = "Input")]
    pub(super) id_field: Option<String>,
    /// The item's field FIELD is the input's COLUMN
    #[arg(long, value_name = "FIELD=COLUMN", value_parser = key_value, help_heading = "Input")]
    pub(super) map: Vec<(String, String)>,
    /// A file whose bytes every item is handed as the blob NAME; given once for each
    #[arg(long, value_name = "[NAME=]FILE", help_heading = "Input")]
    #[serde(default)]
    pub(super) attach: Vec<String>,
    /// What to do about an id that comes twice
    #[arg(long, value_enum, default_value_t, help_heading = "Input")]
    pub(super) on_duplicate: OnDuplicate,
    /// Take the first N items and no more
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub(super) limit: Option<u64>,
    /// Run one of N parts, chosen by the items' ids; limits by the minute and of calls at once are divided by N
    #[arg(long, value_name = "I/N", value_parser = shard, help_heading = "Input")]
    #[serde(default)]
    pub(super) shard: Option<ShardArg>,

    /// Where results go: a file (.jsonl, .csv, .parquet), or `-` for stdout; FILE.partial while the job is unfinished
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub(super) output: Option<PathBuf>,
    /// jsonl, csv or parquet; by the file's extension if not given, jsonl for stdout
    #[arg(long, value_parser = Format::NAMES, requires = "output", help_heading = "Output")]
    #[serde(default)]
    pub(super) format: Option<String>,
    /// Print the summary as JSON
    #[arg(long, help_heading = "Output")]
    pub(super) json: bool,
    /// Write the summary as JSON into FILE
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(super) summary: Option<PathBuf>,
    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Output")]
    pub(super) quiet: bool,
    /// Say each longer wait, each failure, and what plugins log
    #[arg(short, long, help_heading = "Output")]
    pub(super) verbose: bool,
    /// What stderr is: text for a person, or one JSON object a line [default: text]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output")]
    #[serde(skip)]
    pub(super) log_format: Option<LogFormat>,

    /// The job's name [default: from plugin and input]
    #[arg(long, value_name = "NAME", help_heading = "Job")]
    pub(super) job: Option<String>,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR", help_heading = "Job")]
    pub(super) store: Option<PathBuf>,
    /// Forget the job and start over
    #[arg(long, conflicts_with = "dry_run", help_heading = "Job")]
    #[serde(skip)]
    pub(super) fresh: bool,
    /// Leave alone what failed in earlier runs
    #[arg(long, help_heading = "Job")]
    pub(super) skip_failed: bool,
    /// What to do if plugin, its configuration or the model changed since items were done
    #[arg(long, value_enum, help_heading = "Job")]
    pub(super) on_change: Option<OnChange>,
    /// What to do about a call that was sent by a process that died before its answer came
    #[arg(long, value_enum, default_value_t, help_heading = "Job")]
    #[serde(default)]
    pub(super) on_unknown: OnUnknown,
    /// Take paid answers from another job (its name, or the path of its .db file), where the same items ask the same
    #[arg(long, value_name = "JOB", help_heading = "Job")]
    #[serde(default)]
    pub(super) reuse: Vec<String>,
    /// Settings from FILE [default: sandmill.toml, if there is one]
    #[arg(long, value_name = "FILE", help_heading = "Job")]
    pub(super) config: Option<PathBuf>,
    /// Where compiled plugins are kept for the next start, or `off` [default: sandmill/compiled in the user's cache folder]
    #[arg(long, value_name = "DIR", help_heading = "Plugin")]
    #[serde(default)]
    pub(super) cache: Option<PathBuf>,

    /// Only these failed items are run, and the input is not read: `failed retry`.
    #[arg(skip)]
    #[serde(skip)]
    pub(super) retry: Option<FailedFilter>,
    /// Serve figures for Prometheus while the run goes on: a port of this machine (0: a free one), or ADDRESS:PORT
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = listen, help_heading = "Output")]
    #[serde(default)]
    pub(super) metrics: Option<String>,
    /// Serve a live page of the run, with its own pause and resume: a port of this machine (0: a free one), or ADDRESS:PORT; the
    /// address to open, with its secret, is printed
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = listen, help_heading = "Output")]
    #[serde(default)]
    pub(super) dashboard: Option<String>,
    /// Let --dashboard listen where other machines can reach it, over HTTP that nobody encrypts
    #[arg(long, help_heading = "Output")]
    #[serde(default)]
    pub(super) dashboard_allow_remote: bool,
    /// Send traces and figures by OTLP while the run goes on: the address of a collector, `env` (as `OTEL_EXPORTER_OTLP_ENDPOINT`
    /// says; so without a value) or `off`
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "env", value_parser = otlp, help_heading = "Output")]
    #[serde(default)]
    pub(super) otlp: Option<String>,
    /// Tell nobody of this run, whatever channels for alerts sandmill.toml names
    #[arg(long, help_heading = "Output")]
    #[serde(skip)]
    pub(super) no_alerts: bool,

    /// The items are those of the store, which were merged into it, and the input is not read.
    #[arg(skip)]
    #[serde(default)]
    pub(super) items_from_store: bool,

    /// A value of the plugin's configuration; JSON if it parses as such, else text
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value, help_heading = "Plugin")]
    pub(super) set: Vec<(String, String)>,
    /// The plugin's configuration: a file with a JSON object
    #[arg(long, value_name = "FILE", help_heading = "Plugin")]
    pub(super) plugin_config: Option<PathBuf>,

    /// Give the plugin something of the world: read=FOLDER, write=FOLDER, env=NAME, http=HOST, clock or random (docs/sandbox.md has
    /// every form of them); given once for each
    #[arg(long, value_name = "GRANT", value_parser = super::grants::flag, help_heading = "Plugin")]
    #[serde(default)]
    pub(super) grant: Vec<String>,

    #[command(flatten)]
    #[serde(flatten)]
    pub(super) provider: ProviderArgs,
    /// A mark in the books, for `sandmill cost --by tag`
    #[arg(long, value_name = "NAME=VALUE", value_parser = key_value, help_heading = "Provider")]
    #[serde(default)]
    pub(super) tag: Vec<(String, String)>,
    /// Run the plugin against the mock provider, store nothing, and say what the job would take
    #[arg(long, help_heading = "Provider")]
    #[serde(skip)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    #[serde(flatten)]
    pub(super) work: WorkArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub(super) trust: TrustArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub(super) limits: LimitArgs,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Provider")]
pub(super) struct ProviderArgs {
    /// Whom to ask: openai (and all that speak it: vLLM, llama.cpp, Ollama, …), anthropic, gemini, mock (in process,
    /// deterministic), or a [provider.NAME] of sandmill.toml
    #[arg(long, value_name = "NAME")]
    pub(super) provider: Option<String>,
    /// The [route.NAME] of sandmill.toml that is asked; ROLE=NAME binds one of the plugin's model roles
    #[arg(long, value_name = "[ROLE=]NAME")]
    #[serde(default)]
    pub(super) route: Vec<String>,
    /// The model, as the provider calls it; goes before that of the route of sandmill.toml
    #[arg(long, value_name = "NAME")]
    pub(super) model: Option<String>,
    /// Where the provider is, up to the version [default: the provider's own]
    #[arg(long, value_name = "URL")]
    pub(super) base_url: Option<String>,
    /// The environment variable that holds the key [default: `OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, `GEMINI_API_KEY`]
    #[arg(long, value_name = "NAME")]
    pub(super) api_key_env: Option<String>,
    /// How long one exchange may take [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) timeout: Option<String>,
    /// The mock provider's faults, such as `rate_limit=5%,server_error=3%,latency=50ms`
    #[arg(long)]
    pub(super) faults: Option<String>,
    /// For everything that is drawn: the mock's faults, the spread of waits
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// Attempts of one provider call [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) retry_attempts: Option<u32>,
    /// The least wait before a retry [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) retry_min: Option<String>,
    /// The most [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) retry_max: Option<String>,
    /// A longer wait that the provider asks for parks the job [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) retry_after_max: Option<String>,
    /// What is done with a request that is too long for the model: truncate, truncate-middle or error [default: truncate]
    #[arg(long, value_name = "HOW", value_parser = ["truncate", "truncate-middle", "error"])]
    #[serde(default)]
    pub(super) on_overflow: Option<String>,
    /// What the model takes in all, in tokens [default: as the provider tells, else 16,000]
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(256..))]
    #[serde(default)]
    pub(super) context: Option<u64>,
    /// Provider calls of this run, retries among them
    #[arg(long, value_name = "N")]
    pub(super) max_calls: Option<u64>,
    /// What the job may cost, in dollars; the routes need prices
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    #[serde(default)]
    pub(super) max_cost: Option<u64>,
    /// Tokens that the job may read and write
    #[arg(long, value_name = "N")]
    #[serde(default)]
    pub(super) max_tokens: Option<u64>,
    /// Prices of the route, in dollars for a million tokens: input=0.15,output=0.6, and cache-read=…,cache-write=…,reasoning=…
    /// if need be
    #[arg(long, value_name = "PRICES")]
    #[serde(default)]
    pub(super) prices: Option<String>,
    /// Calls at once, fixed [default: found out, up to 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    #[serde(default)]
    pub(super) call_concurrency: Option<u32>,
    /// How long an open circuit breaker lets nothing through [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    #[serde(default)]
    pub(super) breaker_pause: Option<String>,
    /// How long the provider may be away before the job is parked [default: 6h]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    #[serde(default)]
    pub(super) max_outage: Option<String>,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Work")]
pub(super) struct WorkArgs {
    /// Items in flight [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) concurrency: Option<u32>,
    /// Plugin instances that may be live at once [default: as --concurrency, at most 1,000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) max_instances: Option<u32>,
    /// Whether a guest that waits for an answer gives its instance back, and is replayed when the answer is there: when others wait for one
    /// or memory is short (auto), never or always [default: auto]
    #[arg(long, value_enum, value_name = "WHEN")]
    #[serde(default)]
    pub(super) suspend: Option<Suspend>,
    /// How long it waits at least before it does [default: 100ms]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    #[serde(default)]
    pub(super) suspend_after: Option<String>,
    /// What all live guests shall have of memory together: where it is short, guests that wait give way at once, and no other begins; 0: as
    /// much as they take [default: 70% of what is there]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    #[serde(default)]
    pub(super) memory_target: Option<u64>,
    /// Attempts of an item whose answers the plugin rejects [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_attempts: Option<u32>,
    /// Stop after so many failed items in a row; 0: never [default: 10]
    #[arg(long, value_name = "N")]
    pub(super) max_consecutive_errors: Option<u32>,
    /// Stop after so many items that crashed the plugin (traps, limits) with none done in between; 0: never [default: 10]
    #[arg(long, value_name = "N")]
    #[serde(default)]
    pub(super) max_traps: Option<u32>,
    /// Stop when more than this share of the items that ended has failed, such as 20%
    #[arg(long, value_name = "SHARE", value_parser = share)]
    #[serde(default)]
    pub(super) max_error_rate: Option<f64>,
    /// --max-error-rate is looked at once so many items have ended
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[serde(default)]
    pub(super) after: u64,
    /// Say what everybody waits for when nothing has moved for so long; 0s: never [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    #[serde(default)]
    pub(super) watchdog: Option<String>,
    /// Failed items up to this share are no failure of the run, such as 0.5%
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(super) allow_failed: Option<f64>,
    /// How long items in flight may take after the first Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s")]
    pub(super) grace: String,
}

impl RunArgs {
    /// Otherwise the items are those that the store has.
    pub(super) fn reads_input(&self) -> bool {
        self.retry.is_none() && !self.items_from_store
    }
}

pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err(format!("`{text}` is not of the form NAME=VALUE")),
    }
}

/// Dollars, as millionths.
pub(super) fn dollars(text: &str) -> Result<u64, String> {
    match text.trim_start_matches('$').parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
        Ok(value) if (0.0..1e9).contains(&value) => Ok((value * 1e6).round() as u64),
        Ok(_) | Err(_) => Err(format!("`{text}` is no amount of dollars: write 0.50")),
    }
}

/// `2/8`.
fn shard(text: &str) -> Result<ShardArg, String> {
    let parts = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
    match parts {
        Some((number, of)) if (1..=10_000).contains(&of) && (1..=of).contains(&number) => Ok(ShardArg { number, of }),
        Some(_) | None => Err(format!("`{text}` is no part: write 1/8 for the first of eight")),
    }
}

/// Kept as text, so that it is stored as it was given.
pub(super) fn duration(text: &str) -> Result<String, String> {
    humantime::parse_duration(text).map(|_| text.to_owned()).map_err(|error| format!("{error}: write 500ms, 30s or 5m"))
}

/// Kept as text, so that it is stored as it was given.
pub(super) fn listen(text: &str) -> Result<String, String> {
    super::settings::listen(text).map(|_| text.to_owned())
}

/// Kept as text, so that it is stored as it was given.
fn otlp(text: &str) -> Result<String, String> {
    telemetry::Settings::new(text, std::iter::empty(), 1.0, |_| None)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

pub(super) fn size(text: &str) -> Result<u64, String> {
    text.parse::<bytesize::ByteSize>().map(|size| size.as_u64()).map_err(|error| format!("{error}: write 64MiB"))
}

/// `0.5%` or `0.005`.
fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    match number.trim().parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&(value / scale)) => Ok(value / scale),
        Ok(_) | Err(_) => Err(format!("`{text}` is no share: write 0.5% or 0.005")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_or_a_fraction() {
        assert_eq!(share("0.5%"), Ok(0.005));
        assert_eq!(share("0.25"), Ok(0.25));
        assert!(share("200%").is_err() && share("x").is_err());
    }

    #[test]
    fn a_part_is_counted_from_one() {
        assert_eq!(shard("8/8"), Ok(ShardArg { number: 8, of: 8 }));
        assert!(["0/8", "9/8", "1", "1/0", "a/b"].into_iter().all(|text| shard(text).is_err()));
    }
}
