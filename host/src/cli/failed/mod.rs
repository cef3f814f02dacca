//! `failed`: the dead letters, to be looked at, taken out, and tried again.

mod show;

use super::card::job_command;
use super::export::{check_input_stays, is_written, target};
use super::job_ref::JobRef;
use super::out::Stdout;
use super::resume::stored_arguments;
use super::run_args::{OnChange, RunArgs};
use super::{CliResult, Exit, Failure, print_json, run};
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::domain::{FailureClass, Frame, escape_json, sanitize_line};
use crate::output::Format;
use crate::results::{self, Target};
use crate::store::{FailedFilter, ItemRow, Reader, Selection, States, StoreError, decode_card};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum FailedCommand {
    /// List failed items
    List(ListArgs),
    /// Show all that is known of one failed item
    Show(ShowArgs),
    /// Write failed items with their own fields and what failed them
    Export(ExportArgs),
    /// Run failed items again, and nothing else
    Retry(RetryArgs),
}

#[derive(Debug, Args)]
struct JobArgs {
    /// The job's name, or the path of its .db file
    job: String,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct FilterArgs {
    /// Only this class, such as `trap`, `plugin` or `wall_time`; may be given several times
    #[arg(long, value_name = "CLASS")]
    class: Vec<String>,
    /// Only this code of the plugin or the provider, such as `refused`; may be given several times
    #[arg(long, value_name = "CODE")]
    code: Vec<String>,
    /// Only what failed since then: 2h, 2026-11-25 (UTC) or 2026-11-25T08:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill failed list tickets
  sandmill failed list tickets --class provider --since 2h --json | jq -r .id")]
pub(super) struct ListArgs {
    #[command(flatten)]
    job: JobArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill failed show tickets 4711
  sandmill failed show tickets 4711 --json | jq .crash")]
pub(super) struct ShowArgs {
    #[command(flatten)]
    job: JobArgs,
    /// The item's id
    item: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill failed export tickets -o failed.csv
  sandmill failed export tickets -o - --class plugin | jq -r .id")]
pub(super) struct ExportArgs {
    #[command(flatten)]
    job: JobArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// A file (.csv, .jsonl, .parquet), or `-` for stdout
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// csv, jsonl or parquet; by the file's extension if not given, jsonl for stdout
    #[arg(long, value_parser = Format::NAMES)]
    format: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill failed retry tickets
  sandmill failed retry tickets --code refused --model gpt-4o
  sandmill failed retry tickets --class context --route large")]
pub(super) struct RetryArgs {
    #[command(flatten)]
    job: JobArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Ask this [route.NAME] of sandmill.toml this time; ROLE=NAME binds one of the plugin's model roles
    #[arg(long, value_name = "[ROLE=]NAME")]
    route: Vec<String>,
    /// Ask this model of the job's provider this time
    #[arg(long, value_name = "NAME", conflicts_with = "route")]
    model: Option<String>,
    /// What the model takes in all, in tokens
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(256..))]
    context: Option<u64>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Say each longer wait, each failure, and what plugins log
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn failed(command: &FailedCommand) -> CliResult {
    match command {
        FailedCommand::List(args) => list(args),
        FailedCommand::Show(args) => show(args),
        FailedCommand::Export(args) => export(args),
        FailedCommand::Retry(args) => retry(args),
    }
}

impl JobArgs {
    fn open(&self) -> anyhow::Result<Reader> {
        Ok(JobRef::here(&self.job, self.store.as_deref())?.open()?)
    }
}

impl FilterArgs {
    fn filter(&self) -> anyhow::Result<FailedFilter> {
        let class = |name: &String| {
            FailureClass::from_name(name).with_context(|| {
                let names = FailureClass::ALL.map(FailureClass::name).join(", ");
                format!("`{name}` is no class of failures: there are {names}; what a provider said is a --code")
            })
        };
        Ok(FailedFilter {
            classes: self.class.iter().map(class).collect::<Result<_, _>>()?,
            codes: self.code.clone(),
            since_ms: self.since.as_deref().map(|text| since(text, SystemClock::new().unix_ms())).transpose()?,
        })
    }

    fn is_empty(&self) -> bool {
        self.class.is_empty() && self.code.is_empty() && self.since.is_none()
    }
}

/// A duration back from now, or a point in time; in milliseconds since the Unix epoch.
fn since(text: &str, now_ms: u64) -> anyhow::Result<u64> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(now_ms.saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)));
    }
    let at = text.parse::<Timestamp>().or_else(|_| format!("{text}T00:00:00Z").parse::<Timestamp>());
    match at {
        Ok(at) => Ok(u64::try_from(at.as_millisecond()).unwrap_or(0)),
        Err(_) => bail!("`{text}` is no time: write 2h, 2026-11-25 (UTC) or 2026-11-25T08:00:00Z"),
    }
}

fn list(args: &ListArgs) -> CliResult {
    let selection = Selection { failed: args.filter.filter()?, ..Selection::new(States::Failed) };
    let reader = args.job.open()?;
    let mut out = std::io::BufWriter::new(Stdout);
    let (mut gone, mut count) = (false, 0_u64);
    reader
        .for_each_item(&selection, |item| {
            let written = match (args.json, count) {
                (true, _) => writeln!(out, "{}", escape_json(&as_json(&item)?.to_string())),
                (false, 0) => writeln!(out, "{HEADER}").and_then(|()| writeln!(out, "{}", line(&item))),
                (false, _) => writeln!(out, "{}", line(&item)),
            };
            count += 1;
            // There is nobody, or no room, for the rest.
            gone = gone || written.is_err();
            if gone { Err(StoreError::Closed) } else { Ok(()) }
        })
        .or_else(|error| if gone { Ok(()) } else { Err(error) })?;
    // What goes wrong is told at the end.
    let _ = out.flush();
    if !args.json && !gone {
        let which = if args.filter.is_empty() { "" } else { " of these" };
        errln!("{count} failed items{which}; `sandmill failed show {} ITEM` tells all about one", args.job.job);
    }
    Ok(Exit::Done)
}

/// 80 columns.
const HEADER: &str = "ITEM                 CLASS/CODE               TRIES MESSAGE";

fn line(item: &ItemRow) -> String {
    let class = item.class.as_deref().unwrap_or_default();
    let what = match item.code.as_deref() {
        Some(code) if code != class => format!("{class}/{code}"),
        Some(_) | None => class.to_owned(),
    };
    let message = item.message.as_deref().unwrap_or_default();
    let text = format!(
        "{} {} {:>5} {}",
        cell(&item.id, 20),
        cell(&what, 24),
        item.attempts,
        cell(message.lines().next().unwrap_or_default(), 28)
    );
    text.trim_end().to_owned()
}

/// So many characters, and `…` for those that are cut off.
fn cell(text: &str, width: usize) -> String {
    let clean = sanitize_line(text, 4 * width + 4);
    if clean.chars().count() <= width {
        return format!("{clean:<width$}");
    }
    clean.chars().take(width - 1).chain(['…']).collect()
}

fn at(unix_ms: Option<u64>) -> Option<String> {
    let at = unix_ms.and_then(|ms| i64::try_from(ms).ok()).and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map(|at| format!("{at:.3}"))
}

fn as_json(item: &ItemRow) -> Result<serde_json::Value, StoreError> {
    let card = item.card.as_deref().map(decode_card).transpose()?;
    let crash =
        card.map(|card| serde_json::json!({ "kind": card.kind.name(), "at": card.place().and_then(Frame::place) }));
    Ok(serde_json::json!({
        "id": item.id,
        "line": item.line,
        "class": item.class,
        "code": item.code,
        "message": item.message,
        "attempts": item.attempts,
        "last_error_at": at(item.ended_ms),
        "crash": crash,
    }))
}

fn show(args: &ShowArgs) -> CliResult {
    let reader = args.job.open()?;
    let job = &args.job.job;
    let detail = reader.item(&args.item)?.with_context(|| {
        format!("there is no item `{}` in the job `{job}`: see `sandmill failed list {job}`", args.item)
    })?;
    if detail.row.state != crate::store::ItemState::Failed {
        return Err(anyhow::anyhow!(
            "the item `{}` is {}, and not failed: see `sandmill log {job} --item {}`",
            args.item,
            detail.row.state.name(),
            args.item
        )
        .into());
    }
    let again = job_command(job, args.job.store.as_deref()).of_item("debug", &args.item);
    if args.json {
        print_json(&show::as_json(&detail, &again))?;
    } else {
        out!("{}", show::as_text(&detail, &again)?);
    }
    Ok(Exit::Done)
}

fn export(args: &ExportArgs) -> CliResult {
    let filter = args.filter.filter()?;
    let (path, format) = target(&args.output, args.format.as_deref())?;
    let reader = args.job.open()?;
    check_input_stays(&reader, path)?;
    let mut stdout = Stdout;
    let written = results::export_failed(&reader, &filter, Target { format, path, stdout: &mut stdout });
    if let Some(count) = is_written(written)? {
        errln!("{count} failed items are written into {}", path.unwrap_or(Path::new("stdout")).display());
    }
    Ok(Exit::Done)
}

fn retry(args: &RetryArgs) -> CliResult {
    let filter = args.filter.filter()?;
    let here = config::load(None)?;
    let named = &args.job.job;
    let job = JobRef::new(named, args.job.store.as_deref(), &here)?;
    let reader = job.open()?;
    let JobRef { dir, name: job } = job;
    let (items, lines) = reader.count_failed(&filter)?;
    if lines > 0 && !args.quiet {
        errln!(
            "{lines} lines of the input are no items, and cannot be tried again: mend the input, and `sandmill resume {named}`"
        );
    }
    if items == 0 {
        errln!("No failed item is among these: see `sandmill failed list {named}`");
        return Ok(Exit::Done);
    }
    let stored = stored_arguments(&reader, &job)?;
    drop(reader);
    let mut run_args = RunArgs {
        job: Some(job.to_string()),
        store: Some(std::path::absolute(&dir)?),
        json: args.json || stored.json,
        quiet: args.quiet,
        verbose: args.verbose,
        // What is done stays as it is: that is what retrying the rest means.
        on_change: Some(OnChange::Keep),
        retry: Some(filter),
        ..stored
    };
    override_models(&mut run_args, args)?;
    let config = match &run_args.config {
        Some(path) => config::load(Some(path))?,
        None => here,
    };
    run::execute(&run_args, &config, &dir, &job)
}

/// For this run only: what is stored with the job stays.
fn override_models(run_args: &mut RunArgs, args: &RetryArgs) -> Result<(), Failure> {
    let provider = &mut run_args.provider;
    for route in &args.route {
        let role = |text: &str| text.split_once('=').map(|(role, _)| role.to_owned());
        let own = role(route);
        provider.route.retain(|stored| role(stored) != own);
        if own.is_none() {
            // Flags made the route `default`, which this one stands in for.
            (provider.provider, provider.model, provider.prices) = (None, None, None);
            (provider.base_url, provider.api_key_env, provider.faults) = (None, None, None);
        }
        provider.route.push(route.clone());
    }
    if let Some(model) = &args.model {
        if provider.provider.is_none() {
            return Err(anyhow::anyhow!(
                "--model goes with a --provider, and this job asks routes of sandmill.toml: name another with --route"
            )
            .into());
        }
        provider.model = Some(model.clone());
        // They were another model's.
        provider.prices = None;
    }
    provider.context = args.context.or(provider.context);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_duration_back_or_a_point() {
        let now = 1_700_000_000_000;
        assert_eq!(since("2h", now).unwrap(), now - 7_200_000);
        assert_eq!(since("2023-11-14", now).unwrap(), 1_699_920_000_000);
        assert_eq!(since("2023-11-14T00:00:01Z", now).unwrap(), 1_699_920_001_000);
        assert!(since("soon", now).unwrap_err().to_string().contains("write 2h"));
    }

    #[test]
    fn a_cell_is_as_wide_as_its_column_whatever_it_holds() {
        for text in ["", "ä", "a\nb\x1b[2J", &"x".repeat(100), &"語".repeat(100)] {
            assert_eq!(cell(text, 20).chars().count(), 20, "{text}");
        }
    }
}
