//! `log`: what happened, in order of time, from the store.

use super::job_ref::JobRef;
use super::out::Stdout;
use super::{CliResult, Exit};
use crate::domain::{escape_json, sanitize_line, sanitize_text};
use crate::store::{LogRow, StoreError};
use clap::Args;
use jiff::Timestamp;
use std::io::Write;
use std::path::PathBuf;

/// Of an item's id, which has at most as many as the input allows; a file that others made may have longer ones.
const ITEM_BYTES_MAX: usize = 1_024;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  sandmill log tickets | tail -n 50
  sandmill log tickets --item 4711
  sandmill log tickets --json | jq 'select(.kind == \"call\")'")]
pub(super) struct LogArgs {
    /// The job's name, or the path of its .db file
    job: String,
    /// Only this item, with its answered calls and its backtrace
    #[arg(long, value_name = "ID")]
    item: Option<String>,
    /// The folder of the jobs' files [default: .sandmill]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn log(args: &LogArgs) -> CliResult {
    let job = JobRef::here(&args.job, args.store.as_deref())?;
    let reader = job.open()?;
    let mut out = std::io::BufWriter::new(Stdout);
    let mut gone = false;
    reader
        .log(args.item.as_deref(), |row| {
            // There is nobody, or no room, for the rest.
            gone = gone || write(&mut out, &row, args.json).is_err();
            if gone { Err(StoreError::Closed) } else { Ok(()) }
        })
        .or_else(|error| if gone { Ok(()) } else { Err(error) })?;
    // What goes wrong is told at the end.
    let _ = out.flush();
    Ok(Exit::Done)
}

fn write(out: &mut impl Write, row: &LogRow, json: bool) -> std::io::Result<()> {
    let at = i64::try_from(row.at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
    if json {
        let line = serde_json::json!({"at": at.to_string(), "kind": row.kind, "item": row.item, "text": row.text});
        return writeln!(out, "{}", escape_json(&line.to_string()));
    }
    let text = sanitize_text(&row.text, 20_000);
    let text = text.trim_end().replace('\n', "\n    ");
    let kind = sanitize_line(&row.kind, 20);
    match (row.item.as_str(), text.as_str()) {
        ("", _) => writeln!(out, "{at:.3} {text}"),
        // An item that is done says no more.
        (item, "") => writeln!(out, "{at:.3} {} {kind}", sanitize_line(item, ITEM_BYTES_MAX)),
        (item, _) => writeln!(out, "{at:.3} {} {kind}: {text}", sanitize_line(item, ITEM_BYTES_MAX)),
    }
}
