//! The summary of a run: `docs/summary.md` defines every key.

use crate::domain::sanitize_line;
use crate::run::TallySnapshot;
use crate::store::Counts;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Grows when a key changes its meaning; new keys alone do not change it.
pub const SCHEMA: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub schema: u32,
    pub job: JobSummary,
    pub run: RunSummary,
    pub ended: EndedSummary,
}

/// The job as it stands now, all runs together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobSummary {
    pub name: String,
    pub total: u64,
    /// Done, skipped ones not among them.
    pub processed: u64,
    pub skipped: u64,
    pub failed: u64,
    pub pending: u64,
    /// (processed + skipped) / total; 1 for an empty input.
    pub success_rate: f64,
    /// Failed items by class.
    pub failures: BTreeMap<String, u64>,
    /// Of all runs; as `run.cost_dollars` otherwise.
    pub cost_dollars: f64,
}

/// This run alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSummary {
    pub processed: u64,
    pub skipped: u64,
    pub skipped_already_done: u64,
    pub failed: u64,
    /// Times that a plugin was run on an item.
    pub attempts: u64,
    /// Items begun anew because the plugin rejected an answer.
    pub item_retries: u64,
    /// Provider calls tried again, by why.
    pub retries: BTreeMap<String, u64>,
    /// HTTP attempts, retries among them.
    pub provider_calls: u64,
    /// Answers taken from the journal.
    pub reused_calls: u64,
    /// Calls that an earlier process sent and whose answer never came: they may be billed twice.
    pub unknown_calls: u64,
    /// Paid answers that the plugin did not ask for again.
    pub answers_not_reused: u64,
    /// Items of which a request was shortened to fit the model's context.
    pub truncated: u64,
    /// Calls that another route stepped in for.
    pub fallbacks: u64,
    /// Times that a guest that waited gave its instance back, to be run again when the answer was there.
    pub suspensions: u64,
    /// The most that live guests had of memory together, in bytes, as the sandbox counts it.
    pub guest_memory_peak_bytes: u64,
    /// Times that a route's circuit breaker opened.
    pub breaker_openings: u64,
    /// 0 where routes have no prices; calls without an answer counted with what they may have cost.
    pub cost_dollars: f64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Alerts that reached a channel, and that did not, each counted once for each channel.
    pub alerts_sent: u64,
    pub alerts_lost: u64,
    pub duration_seconds: f64,
    /// Items that ended in this run, by second.
    pub items_per_second: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndedSummary {
    pub state: String,
    pub reason: String,
    pub exit_code: u8,
    /// What goes on from here.
    pub command: String,
    /// What runs the first item again, offline, on which the plugin did not end by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debug: Option<String>,
    pub next: NextSteps,
    /// `parked` until then, in milliseconds since the Unix epoch, if the provider said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked_until_ms: Option<u64>,
}

/// Commands of which each stands only where it makes sense.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NextSteps {
    /// Tries the failed items again, and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
    /// Writes what is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
    /// Makes a page of all that is known of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
}

impl JobSummary {
    /// `cost`: in millionths of a dollar.
    pub fn new(name: &str, counts: Counts, failures: BTreeMap<String, u64>, cost: u64) -> Self {
        let finished = counts.done + counts.skipped;
        Self {
            name: name.to_owned(),
            total: counts.total,
            processed: counts.done,
            skipped: counts.skipped,
            failed: counts.failed,
            pending: counts.pending(),
            success_rate: if counts.total == 0 { 1.0 } else { ratio(finished, counts.total) },
            failures,
            cost_dollars: as_float(cost) / 1e6,
        }
    }
}

impl RunSummary {
    /// `before`: the job as this run found it.
    pub fn new(
        tally: &TallySnapshot,
        totals: crate::run::RunTotals,
        before: Counts,
        unknown_calls: u64,
        duration_seconds: f64,
    ) -> Self {
        Self {
            processed: tally.done,
            skipped: tally.skipped,
            skipped_already_done: before.done + before.skipped,
            failed: tally.failed,
            attempts: totals.attempts,
            item_retries: tally.item_retries,
            retries: tally.retries.iter().map(|(class, count)| (class.name().to_owned(), *count)).collect(),
            provider_calls: tally.provider_calls,
            reused_calls: tally.reused_calls,
            unknown_calls,
            answers_not_reused: totals.answers_not_reused,
            truncated: tally.truncated,
            fallbacks: tally.fallbacks,
            suspensions: tally.suspensions,
            guest_memory_peak_bytes: totals.guest_memory_peak,
            breaker_openings: tally.breaker_openings,
            cost_dollars: as_float(tally.cost) / 1e6,
            input_tokens: tally.input_tokens,
            output_tokens: tally.output_tokens,
            alerts_sent: 0,
            alerts_lost: 0,
            duration_seconds,
            items_per_second: if duration_seconds > 0.0 { as_float(tally.ended()) / duration_seconds } else { 0.0 },
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for reading")]
fn as_float(count: u64) -> f64 {
    count as f64
}

fn ratio(part: u64, whole: u64) -> f64 {
    as_float(part) / as_float(whole)
}

impl Summary {
    /// For a terminal of 80 columns. `examples`: one message of each kind of failure.
    pub fn to_text(&self, examples: &[(String, String, u64, String)]) -> String {
        let (job, run) = (&self.job, &self.run);
        let mut text = String::new();
        let _ = writeln!(text, "\nJob {}: {}", job.name, self.headline());
        let _ = writeln!(
            text,
            "  items      {} in all: {} done, {} skipped, {} failed, {} pending",
            job.total, job.processed, job.skipped, job.failed, job.pending
        );
        let _ = writeln!(
            text,
            "  this run   {} done, {} failed, {} already done before, {} attempts",
            run.processed + run.skipped,
            run.failed,
            run.skipped_already_done,
            run.attempts
        );
        self.calls_to_text(&mut text);
        let _ = writeln!(text, "  time       {:.1} s, {:.1} items/s", run.duration_seconds, run.items_per_second);
        if run.unknown_calls > 0 {
            let _ = writeln!(
                text,
                "  note       {} calls were sent by an earlier process that died before the\n             answer came: they may be billed twice",
                run.unknown_calls
            );
        }
        if run.answers_not_reused > 0 {
            let _ = writeln!(
                text,
                "  note       {} paid answers were not asked for again by the plugin",
                run.answers_not_reused
            );
        }
        for (class, code, count, message) in examples.iter().take(8) {
            let kind = if class == code { class.clone() } else { format!("{class}/{code}") };
            let (kind, message) = (sanitize_line(&kind, 300), sanitize_line(message, 4 * 160));
            let message: String = message.chars().take(160).collect();
            let _ = writeln!(text, "  failed     {count} × {kind}: {message}");
        }
        let _ = writeln!(text, "  ended      {}", sanitize_line(&self.ended.reason, 2_000));
        for (name, command) in self.next() {
            let _ = writeln!(text, "  {name:<10} {command}");
        }
        text
    }

    /// Commands to be pasted, what goes on with the job first.
    fn next(&self) -> Vec<(&'static str, String)> {
        let (ended, NextSteps { retry, export, report }) = (&self.ended, &self.ended.next);
        let goes_on = (self.job.pending > 0).then(|| ended.command.clone());
        let crashed = ended.debug.as_ref().map(|debug| format!("{debug} shows how"));
        let steps = [("go on", goes_on), ("try again", retry.clone()), ("crashed", crashed)];
        let all = steps.into_iter().chain([("export", export.clone()), ("report", report.clone())]);
        all.filter_map(|(name, command)| Some((name, command?))).collect()
    }

    fn calls_to_text(&self, text: &mut String) {
        let (job, run) = (&self.job, &self.run);
        if run.provider_calls + run.reused_calls + run.unknown_calls > 0 {
            let _ = writeln!(
                text,
                "  calls      {} to the provider, {} answered from the journal, {} unknown",
                run.provider_calls, run.reused_calls, run.unknown_calls
            );
            let _ = writeln!(text, "  tokens     {} read, {} written", run.input_tokens, run.output_tokens);
        }
        if job.cost_dollars > 0.0 {
            let (now, ever) = (run.cost_dollars, job.cost_dollars);
            let _ = writeln!(text, "  cost       ${now:.4} in this run, ${ever:.4} in all runs");
        }
        if run.truncated > 0 {
            let _ = writeln!(
                text,
                "  cut        {} items had a request shortened to fit the model's context",
                run.truncated
            );
        }
        if run.breaker_openings + run.fallbacks > 0 {
            let _ = writeln!(
                text,
                "  routes     circuit breaker opened {} times, another route stepped in {} times",
                run.breaker_openings, run.fallbacks
            );
        }
        if run.alerts_sent + run.alerts_lost > 0 {
            let _ = writeln!(text, "  alerts     {} delivered, {} not", run.alerts_sent, run.alerts_lost);
        }
        if !run.retries.is_empty() {
            let listed: Vec<String> = run.retries.iter().map(|(class, count)| format!("{class} {count}")).collect();
            let _ = writeln!(text, "  retries    {}", listed.join(", "));
        }
    }

    fn headline(&self) -> String {
        let percent = self.job.success_rate * 100.0;
        format!("{} with {percent:.1} % success (exit code {})", self.ended.state, self.ended.exit_code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn summary() -> Summary {
        let counts = Counts::default();
        let job = JobSummary::new("j", counts, BTreeMap::new(), 0);
        let run = RunSummary::new(&TallySnapshot::default(), crate::run::RunTotals::default(), counts, 0, 1.0);
        let ended = EndedSummary {
            state: "finished".into(),
            reason: String::new(),
            exit_code: 0,
            command: String::new(),
            debug: Some(String::new()),
            next: NextSteps { retry: Some(String::new()), export: Some(String::new()), report: Some(String::new()) },
            parked_until_ms: Some(0),
        };
        Summary { schema: SCHEMA, job, run, ended }
    }

    fn steps(pending: u64, retry: bool) -> Vec<String> {
        let mut summary = summary();
        summary.job.pending = pending;
        summary.ended.command = "sandmill resume j".into();
        summary.ended.debug = None;
        let step = |words: &str| Some(format!("sandmill {words} j"));
        summary.ended.next =
            NextSteps { retry: step("failed retry").filter(|_| retry), export: step("export"), report: step("report") };
        let text = summary.to_text(&[]);
        let commands =
            text.lines().filter_map(|line| line.split_once("sandmill ").map(|(_, command)| command.to_owned()));
        commands.collect()
    }

    #[test]
    fn what_goes_on_comes_first_and_what_makes_no_sense_is_left_out() {
        assert_eq!(steps(3, true), ["resume j", "failed retry j", "export j", "report j"]);
        assert_eq!(steps(0, true), ["failed retry j", "export j", "report j"]);
        assert_eq!(steps(0, false), ["export j", "report j"]);
    }

    /// `job.total`; a table whose keys are classes counts as one.
    fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        match value.as_object().filter(|table| !table.is_empty()) {
            None => {
                found.insert(path.to_owned());
            }
            Some(table) => {
                let dot = if path.is_empty() { "" } else { "." };
                table.iter().for_each(|(name, value)| keys(value, &format!("{path}{dot}{name}"), found));
            }
        }
    }

    #[test]
    fn the_document_names_every_key_and_no_other() {
        let mut written = BTreeSet::new();
        keys(&serde_json::to_value(summary()).unwrap(), "", &mut written);
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/summary.md")).unwrap();
        let first_cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
        let named: BTreeSet<String> = first_cells
            .flat_map(|cell| cell.split('`').step_by(2))
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        assert_eq!(named, written, "what docs/summary.md names, and what a summary has");
    }
}
