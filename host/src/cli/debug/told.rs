//! What is said of an item that was run again: as it goes, and in the end.

use super::super::{Failure, attempts, card, print_json};
use super::{DebugArgs, coredump, shown};
use crate::domain::{CrashCard, Frame, Outcome, Verdict, sanitize_line};
use crate::resilience::Heard;
use crate::sandbox::AttemptReport;
use crate::store::{ItemDetail, ItemState, RecordedAttempt, decode_card};
use serde_json::{Value, json};
use std::path::PathBuf;

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
    outln!(
        "Item {} of job {}, attempt {}, offline: nothing is asked, nothing is stored",
        sanitize_line(&detail.row.id, 200),
        sanitize_line(job, 200),
        recorded.number.0
    );
    if recorded.context.is_none() {
        outln!("note        the job has not run it yet: there is nothing to answer from");
    }
    if let Some(before) = changed(recorded, digest) {
        outln!("note        the plugin has changed since: it was {before}");
        outln!("            and is now                      {digest}");
    }
}

/// The digest of the plugin that the job ran, if it is another one.
fn changed<'a>(recorded: &'a RecordedAttempt, digest: &str) -> Option<&'a str> {
    recorded.plugin_digest.as_deref().filter(|before| *before != digest)
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
        match &self.debugged.report.verdict {
            Verdict::Suspended => say(
                "outcome",
                "stopped at a question that has no recorded answer: it was never asked, its answer never came, or it is another one now",
            ),
            verdict => attempts::verdict(verdict).iter().for_each(|line| outln!("{line}")),
        }
        match self.as_before {
            Some(true) => say("", "as in the job"),
            Some(false) => say("", &format!("unlike the job, where it was {}", self.before())),
            None => {}
        }
        if let Some(card) = attempts::card(&self.debugged.report.verdict) {
            out!("{}", card::as_text(card, None));
        }
        match &self.coredump {
            Some(path) => say("core dump", &format!("{}: {}", shown(path), coredump::HOW)),
            None if self.is_coredump_wanted => say("core dump", "none: the plugin did not trap"),
            None => {}
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
        let mut all = json!({
            "schema": 1,
            "job": self.job,
            "item": detail.row.id,
            "attempt": recorded.number.0,
            "plugin": { "recorded": recorded.plugin_digest, "now": digest },
            "questions": questions,
            "as_before": self.as_before,
            "coredump": self.coredump,
        });
        if let (Value::Object(all), Value::Object(report)) = (&mut all, attempts::report_as_json(report)?) {
            all.extend(report);
        }
        Ok(all)
    }
}

fn say(name: &str, text: &str) {
    outln!("{}", attempts::line(name, text));
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
