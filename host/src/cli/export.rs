//! `export`: what a job has yielded so far, written again as it is wanted.

use super::job_ref::JobRef;
use super::out::Stdout;
use super::{CliResult, Exit};
use crate::output::{Format, OutputError};
use crate::results::{self, Column, ExportError, Target};
use crate::store::{self, Reader, States};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    Input,
    /// As items ended
    Completion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    /// Items with an output
    Done,
    Failed,
    /// Skipped and pending ones too
    All,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill export tickets -o results.parquet
  sandmill export tickets -o costs.csv --columns id,input.title,cost,model
  sandmill export tickets -o - --only all --columns id,state,code,message")]
pub(super) struct ExportArgs {
    /// The job's name, or the path of its .db file
    job: String,
    /// A file (.jsonl, .csv, .parquet), or `-` for stdout
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// jsonl, csv or parquet; by the file's extension if not given, jsonl for stdout
    #[arg(long, value_parser = Format::NAMES)]
    format: Option<String>,
    /// id, part, output, input, output.KEY, input.KEY, state, usage, cost, … (all are listed in docs/results.md)
    /// [default: as `run` writes its output]
    #[arg(long, value_name = "NAMES")]
    columns: Option<String>,
    /// The order of the rows
    #[arg(long, value_enum, default_value = "input")]
    order: Order,
    /// The items that are written
    #[arg(long, value_enum, default_value = "done")]
    only: Only,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

pub(super) fn export(args: &ExportArgs) -> CliResult {
    let columns = args.columns.as_deref().map(Column::parse_list).transpose().map_err(anyhow::Error::msg)?;
    let (path, format) = target(&args.output, args.format.as_deref())?;
    let reader = JobRef::here(&args.job, args.store.as_deref())?.open()?;
    check_input_stays(&reader, path)?;
    let order = match args.order {
        Order::Input => store::Order::Input,
        Order::Completion => store::Order::Completion,
    };
    let states = match args.only {
        Only::Done => States::Done,
        Only::Failed => States::Failed,
        Only::All => States::All,
    };
    let mut stdout = Stdout;
    let target = Target { format, path, stdout: &mut stdout };
    let written = match (columns, states) {
        (None, States::Done) => results::export(&reader, order, target),
        (columns, _) => {
            let columns = columns.unwrap_or_else(|| results::default_columns(states));
            results::export_columns(&reader, states, order, &columns, target).map(|_| ())
        }
    };
    is_written(written)?;
    let counts = reader.counts()?;
    if counts.pending() > 0 {
        errln!("{} of {} items are pending: `sandmill resume {}`", counts.pending(), counts.total, args.job);
    }
    Ok(Exit::Done)
}

/// That the file is not the job's own input.
pub(super) fn check_input_stays(reader: &Reader, path: Option<&Path>) -> anyhow::Result<()> {
    let arguments = reader.job()?.map(|job| job.arguments).unwrap_or_default();
    let arguments: serde_json::Value = serde_json::from_str(&arguments).unwrap_or_default();
    let real = |path: &Path| path.canonicalize().ok();
    let input = arguments.get("input").and_then(serde_json::Value::as_str).and_then(|input| real(Path::new(input)));
    match path {
        Some(path) if input.is_some() && real(path) == input => {
            bail!("{} is the job's input, and would be replaced: choose another file", path.display())
        }
        Some(_) | None => Ok(()),
    }
}

/// `None`: stdout.
pub(super) fn target<'a>(output: &'a Path, format: Option<&str>) -> anyhow::Result<(Option<&'a Path>, Format)> {
    let path = (output != Path::new("-")).then_some(output);
    if path.and_then(Path::extension).is_some_and(|extension| extension == "db") {
        bail!("{} is named as a job's store is: name it .jsonl, .csv or .parquet", output.display());
    }
    let format = match (format.and_then(Format::parse), path) {
        (Some(format), _) => format,
        (None, None) => Format::JsonLines,
        (None, Some(path)) => Format::from_extension(path).with_context(|| {
            format!("{}: name it .jsonl, .csv or .parquet, or say --format jsonl, csv or parquet", path.display())
        })?,
    };
    Ok((path, format))
}

/// A reader that has gone is no error.
pub(super) fn is_written<T>(written: Result<T, ExportError>) -> anyhow::Result<Option<T>> {
    match written {
        Ok(written) => Ok(Some(written)),
        Err(ExportError::Output(OutputError::Gone)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
