//! What is said of an item that was run again: as it goes, and in the end.

use super::super::{Failure, card, print_json};
use super::{DebugArgs, coredump, shown};
use crate::domain::{CrashCard, Frame, Outcome, Verdict, escape_json, sanitize_line, sanitize_text};
use crate::resilience::Heard;
use crate::sandbox::{AttemptReport, LogLine};
use crate::store::{ItemDetail, ItemState, RecordedAttempt, decode_card};
use serde_json::{Value, json};
use std::path::PathBuf;

const TEXT_BYTES_MAX: usize = 8_000;
const VALUES_SHOWN_MAX: usize = 20;

/// An attempt that was made again.
pub(super) struct Debugged {
    pub(super) detail: ItemDetail,
    pub(super) recorded: RecordedAttempt,
    /// The item ended with this attempt.
    pub(super) is_last: bool,
    pub(super) digest: String,
    pub(super) heard: Vec<Heard>,
    pub(super) report: AttemptReport,
}

pub(super) fn begin(job: &str, recorded: &RecordedAttempt, detail: &ItemDetail, digest: &str) {
    println!(
        "Item {} of job {}, attempt {}, offline: nothing is asked, nothing is stored",
        sanitize_line(&detail.row.id, 200),
        sanitize_line(job, 200),
        recorded.number.0
    );
    if recorded.context.is_none() {
        println!("note        the job has not run it yet: there is nothing to answer from");
    }
    if let Some(before) = changed(recorded, digest) {
        println!("note        the plugin has changed since: it was {before}");
        println!("            and is now                      {digest}");
    }
}

/// The digest of the plugin that the job ran, if it is another one.
fn changed<'a>(recorded: &'a RecordedAttempt, digest: &str) -> Option<&'a str> {
    recorded.plugin_digest.as_deref().filter(|before| *before != digest)
}

pub(super) fn question(heard: &Heard) -> String {
    let Heard { function, role, excerpt, answer, .. } = heard;
    let answer = answer.as_deref().unwrap_or("nothing is recorded, and the plugin is stopped");
    let (role, excerpt) = (sanitize_line(role, 100), sanitize_line(excerpt, 200));
    format!("asked       {function}, role {role}: {excerpt}\n            from {answer}")
}

pub(super) fn log(line: &LogLine) -> String {
    format!(
        "log         {}: {}",
        line.level,
        sanitize_text(&line.message, TEXT_BYTES_MAX).replace('\n', "\n            ")
    )
}

/// What is said in the end.
pub(super) struct Report {
    debugged: Debugged,
    job: String,
    coredump: Option<PathBuf>,
    is_coredump_wanted: bool,
    as_before: Option<bool>,
}

impl Report {
    /// Writes the core dump, if there is one.
    pub(super) fn new(args: &DebugArgs, mut debugged: Debugged) -> anyhow::Result<Self> {
        let dumped = debugged.report.coredump.take().zip(args.coredump.as_deref());
        let coredump = dumped
            .map(|(bytes, dir)| coredump::write(dir, &debugged.detail.row.id, debugged.recorded.number.0, &bytes))
            .transpose()?;
        let as_before = as_before(&debugged)?;
        Ok(Self { as_before, debugged, job: args.job.clone(), coredump, is_coredump_wanted: args.coredump.is_some() })
    }

    /// It is done, or skipped.
    pub(super) fn is_fine(&self) -> bool {
        matches!(self.debugged.report.verdict, Verdict::Finished(_))
    }

    pub(super) fn print(&self, is_json: bool) -> Result<(), Failure> {
        if is_json {
            print_json(&self.as_json()?)
        } else {
            self.tell();
            Ok(())
        }
    }

    fn tell(&self) {
        let line = |name: &str, text: &str| {
            println!("{name:<11} {}", sanitize_text(text, TEXT_BYTES_MAX).trim_end().replace('\n', "\n            "));
        };
        match &self.debugged.report.verdict {
            Verdict::Finished(Outcome::Done(emissions)) => {
                line("outcome", &format!("done, with {} values", emissions.len()));
                for emission in emissions.iter().take(VALUES_SHOWN_MAX) {
                    line("  value", &escape_json(&emission.value));
                }
            }
            Verdict::Finished(Outcome::Skipped { reason }) => line("outcome", &format!("skipped: {reason}")),
            Verdict::Retry(retry) => {
                line("outcome", &format!("the plugin wants the item begun anew: {}: {}", retry.code, retry.message));
            }
            Verdict::Suspended => line(
                "outcome",
                "stopped at a question that has no recorded answer: it was never asked, its answer never came, or it is another one now",
            ),
            Verdict::Failed(failure) => {
                line("outcome", &format!("failed, {}/{}: {}", failure.class, failure.code, failure.message));
                if let Some(detail) = &failure.detail {
                    line("  detail", &escape_json(detail));
                }
            }
        }
        match self.as_before {
            Some(true) => line("", "as in the job"),
            Some(false) => line("", &format!("unlike the job, where it was {}", self.before())),
            None => {}
        }
        if let Some(card) = self.card() {
            print!("{}", card::as_text(card, None));
        }
        match &self.coredump {
            Some(path) => line("core dump", &format!("{}: {}", shown(path), coredump::HOW)),
            None if self.is_coredump_wanted => line("core dump", "none: the plugin did not trap"),
            None => {}
        }
    }

    fn card(&self) -> Option<&CrashCard> {
        match &self.debugged.report.verdict {
            Verdict::Failed(failure) => failure.card.as_deref(),
            Verdict::Finished(_) | Verdict::Retry(_) | Verdict::Suspended => None,
        }
    }

    fn before(&self) -> String {
        let row = &self.debugged.detail.row;
        match (&row.class, &row.message) {
            (Some(class), Some(message)) => format!("{class}: {message}"),
            _ => row.state.name().to_owned(),
        }
    }

    fn as_json(&self) -> anyhow::Result<Value> {
        let Debugged { detail, recorded, digest, heard, report, .. } = &self.debugged;
        let questions: Vec<Value> = heard
            .iter()
            .map(|heard| {
                json!({
                    "function": heard.function, "role": heard.role, "text": heard.excerpt, "sha256": heard.hash,
                    "occurrence": heard.occurrence, "answer": heard.answer,
                })
            })
            .collect();
        let log: Vec<Value> =
            report.log.iter().map(|line| json!({ "level": line.level, "message": line.message })).collect();
        Ok(json!({
            "schema": 1,
            "job": self.job,
            "item": detail.row.id,
            "attempt": recorded.number.0,
            "plugin": { "recorded": recorded.plugin_digest, "now": digest },
            "questions": questions,
            "log": log,
            "outcome": outcome(&report.verdict),
            "as_before": self.as_before,
            "cpu_us": u64::try_from(report.cpu_time.as_micros()).unwrap_or(u64::MAX),
            "memory_bytes": report.memory_bytes,
            "card": self.card().map(card::as_json).transpose()?,
            "coredump": self.coredump,
        }))
    }
}

fn outcome(verdict: &Verdict) -> Value {
    let parsed = |json: &String| serde_json::from_str::<Value>(json).unwrap_or_else(|_| json.as_str().into());
    match verdict {
        Verdict::Finished(Outcome::Done(emissions)) => {
            let values: Vec<Value> = emissions.iter().map(|emission| parsed(&emission.value)).collect();
            json!({ "state": "done", "output": values })
        }
        Verdict::Finished(Outcome::Skipped { reason }) => json!({ "state": "skipped", "reason": reason }),
        Verdict::Retry(retry) => json!({ "state": "rejected", "code": retry.code, "message": retry.message }),
        Verdict::Suspended => json!({ "state": "unanswered" }),
        Verdict::Failed(failure) => json!({
            "state": "failed", "class": failure.class.name(), "code": failure.code, "message": failure.message,
            "detail": failure.detail.as_ref().map(parsed),
        }),
    }
}

/// Whether it ended as the job says; `None`: the item did not end with this attempt.
fn as_before(debugged: &Debugged) -> anyhow::Result<Option<bool>> {
    let row = &debugged.detail.row;
    if !debugged.is_last {
        return Ok(None);
    }
    let before = row.card.as_deref().map(decode_card).transpose()?;
    let place = |card: Option<&CrashCard>| card.and_then(CrashCard::place).and_then(Frame::place);
    Ok(Some(match (&debugged.report.verdict, row.state) {
        (Verdict::Finished(Outcome::Done(emissions)), ItemState::Done) => {
            row.emissions.is_empty() || *emissions == row.emissions
        }
        (Verdict::Finished(Outcome::Skipped { reason }), ItemState::Skipped) => row.reason.as_ref() == Some(reason),
        (Verdict::Failed(failure), ItemState::Failed) => {
            row.class.as_deref() == Some(failure.class.name())
                && row.code.as_ref() == Some(&failure.code)
                // Stores of formats before 3 have no cards.
                && (before.is_none() || place(before.as_ref()) == place(failure.card.as_deref()))
        }
        (Verdict::Retry(retry), ItemState::Failed) => {
            row.class.as_deref() == Some("attempts_exhausted") && row.code.as_ref() == Some(&retry.code)
        }
        _ => false,
    }))
}
