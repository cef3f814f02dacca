//! What is said of an attempt that somebody looks at: its questions, its log, its outcome.

use super::card;
use crate::domain::{CrashCard, Outcome, Verdict, escape_json, sanitize_line, sanitize_text};
use crate::resilience::Heard;
use crate::sandbox::{AttemptReport, LogLine};
use crate::store::StoreError;
use serde_json::{Value, json};

const TEXT_BYTES_MAX: usize = 8_000;
const VALUES_SHOWN_MAX: usize = 20;

/// `name` and a text, which goes on below itself.
pub(super) fn line(name: &str, text: &str) -> String {
    let text = sanitize_text(text, TEXT_BYTES_MAX);
    format!("{name:<11} {}", text.trim_end().replace('\n', "\n            "))
}

pub(super) fn question(heard: &Heard) -> String {
    let Heard { function, role, excerpt, answer, .. } = heard;
    let answer = answer.as_deref().unwrap_or("nothing is recorded, and the plugin is stopped");
    let (role, excerpt) = (sanitize_line(role, 100), sanitize_line(excerpt, 200));
    format!("asked       {function}, role {role}: {excerpt}\n            from {answer}")
}

pub(super) fn log(log: &LogLine) -> String {
    line("log", &format!("{}: {}", log.level, log.message))
}

/// Of an outcome that is not a stop.
pub(super) fn verdict(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Verdict::Finished(Outcome::Done(emissions)) => {
            let count = line("outcome", &format!("done, with {} values", emissions.len()));
            let values = emissions.iter().take(VALUES_SHOWN_MAX).map(|one| line("  value", &escape_json(&one.value)));
            std::iter::once(count).chain(values).collect()
        }
        Verdict::Finished(Outcome::Skipped { reason }) => vec![line("outcome", &format!("skipped: {reason}"))],
        Verdict::Retry(retry) => {
            let told = format!("the plugin wants the item begun anew: {}: {}", retry.code, retry.message);
            vec![line("outcome", &told)]
        }
        Verdict::Suspended => vec![line("outcome", "stopped")],
        Verdict::Failed(failure) => {
            let told = format!("failed, {}/{}: {}", failure.class, failure.code, failure.message);
            let detail = failure.detail.as_ref().map(|detail| line("  detail", &escape_json(detail)));
            std::iter::once(line("outcome", &told)).chain(detail).collect()
        }
    }
}

pub(super) fn verdict_as_json(verdict: &Verdict) -> Value {
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

/// Of a plugin that did not end by itself.
pub(super) fn card(verdict: &Verdict) -> Option<&CrashCard> {
    match verdict {
        Verdict::Failed(failure) => failure.card.as_deref(),
        Verdict::Finished(_) | Verdict::Retry(_) | Verdict::Suspended => None,
    }
}

/// What all that show an attempt as JSON have in common.
pub(super) fn report_as_json(report: &AttemptReport) -> Result<Value, StoreError> {
    let log: Vec<Value> =
        report.log.iter().map(|line| json!({ "level": line.level, "message": line.message })).collect();
    Ok(json!({
        "log": log,
        "outcome": verdict_as_json(&report.verdict),
        "cpu_us": u64::try_from(report.cpu_time.as_micros()).unwrap_or(u64::MAX),
        "memory_bytes": report.memory_bytes,
        "card": card(&report.verdict).map(card::as_json).transpose()?,
    }))
}
