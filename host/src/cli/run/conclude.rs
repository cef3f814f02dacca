//! The end of a run: its output, its summary, and what is said of it.

use super::super::card::job_command;
use super::super::out::Stdout;
use super::super::{CliResult, Exit, Failure, print_json};
use super::Session;
use crate::alert::{Alerts, Delivered};
use crate::domain::FailureClass;
use crate::failpoint;
use crate::output;
use crate::report::{EndedSummary, JobCommand, JobSummary, NextSteps, RunSummary, SCHEMA, Summary};
use crate::results::{self, ExportError, Target};
use crate::run::{Ending, RunTotals, Shutdown, TallySnapshot};
use crate::store::{Counts, Order, RunEnd, RunId, StoreError};
use anyhow::Context;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The ends of one run, brought together once.
pub(super) struct Ended {
    pub(super) run: RunId,
    pub(super) ending: Ending,
    pub(super) totals: RunTotals,
    pub(super) tally: TallySnapshot,
    /// The job as the run found it.
    pub(super) before: Counts,
    pub(super) unknown: u64,
    pub(super) seconds: f64,
}

impl Session<'_> {
    /// Output first: what is done is written, however the run ended. Then whoever is to be told is told.
    pub(super) fn conclude(&self, ended: &Ended, alerts: Option<&Alerts>, shutdown: Shutdown) -> CliResult {
        let Ended { run, ending, totals, tally, before, unknown, seconds } = ended;
        let reader = self.store.reader();
        let counts = reader.counts().map_err(Failure::internal)?;
        let groups = reader.failure_groups().map_err(Failure::internal)?;
        let cost = reader.usage().map_err(Failure::internal)?.cost;
        let failed_is_fine =
            self.args.work.allow_failed.is_some_and(|share| is_within(counts.failed, counts.total, share));
        let written = self.write_output(counts);
        let mut exit = Exit::of_run(ending, counts.failed, failed_is_fine);
        if written.is_err() && matches!(exit, Exit::Done | Exit::ItemsFailed) {
            // The items are safe; what is missing is room for their output, or the right to write it.
            exit = Exit::Parked;
        }
        let next = self.next_steps(counts, &groups);
        let mut failures = BTreeMap::new();
        for (class, _, count, _) in &groups {
            *failures.entry(class.clone()).or_default() += count;
        }
        let delivered =
            alerts.map(|alerts| self.tell_of_the_end(alerts, ending, counts, exit, shutdown)).unwrap_or_default();
        let summary = Summary {
            schema: SCHEMA,
            job: JobSummary::new(self.job.as_str(), counts, failures, cost),
            run: RunSummary {
                alerts_sent: delivered.sent,
                alerts_lost: delivered.lost,
                ..RunSummary::new(tally, *totals, *before, *unknown, *seconds)
            },
            ended: EndedSummary {
                state: ending.state().to_owned(),
                reason: ending.reason(),
                exit_code: exit.number(),
                command: self.named().of("resume"),
                debug: self.debug_command().map_err(Failure::internal)?,
                next,
                parked_until_ms: match ending {
                    Ending::ParkedUntil { unix_ms, .. } => Some(*unix_ms),
                    _ => None,
                },
            },
        };
        let text = serde_json::to_string(&summary).map_err(Failure::internal)?;
        let end = RunEnd {
            ended_ms: self.clock.unix_ms(),
            state: summary.ended.state.clone(),
            reason: summary.ended.reason.clone(),
            exit_code: i32::from(exit.number()),
            summary: text.clone(),
        };
        failpoint::pass("run-end-before");
        let stored = self.runtime.block_on(self.store.end_run(*run, end));
        failpoint::pass("run-end-after");
        if let Some(dashboard) = &self.dashboard {
            dashboard.conclude(&summary.ended);
        }
        let (told, words) = (summary.to_text(&groups), self.last_words(&summary, exit));
        self.console.conclude(&told, &text, &words, exit == Exit::Done);
        if let Some(path) = &self.args.summary {
            std::fs::write(path, text + "\n")
                .with_context(|| format!("cannot write the summary into {}", path.display()))?;
        }
        if self.args.json {
            print_json(&summary)?;
        }
        match stored {
            Err(error) if exit == Exit::Done => return Err(Failure::internal(error)),
            // The reason of the run's end, if it is that, has been said.
            Err(error) if error.to_string() != ending.reason() => self.console.say(&format!("warning: {error}")),
            Ok(()) | Err(_) => {}
        }
        written.map_err(|error| Failure { error: error.into(), exit })?;
        Ok(exit)
    }

    /// Another signal ends the wait.
    fn tell_of_the_end(
        &self,
        alerts: &Alerts,
        ending: &Ending,
        counts: Counts,
        exit: Exit,
        mut shutdown: Shutdown,
    ) -> Delivered {
        let Counts { done, skipped, failed, .. } = counts;
        let pending = counts.pending();
        let exit = exit.number();
        let counts =
            format!("{done} done, {skipped} skipped, {failed} failed, {pending} pending in all; exit code {exit}");
        alerts.ended(ending, &counts);
        let phase = shutdown.phase();
        self.runtime.block_on(alerts.close(shutdown.changed_from(phase)))
    }

    /// In one line: why it ended, and what goes on, if anything is left to do.
    fn last_words(&self, summary: &Summary, exit: Exit) -> String {
        let (job, ended) = (&summary.job, &summary.ended);
        let reason = match exit {
            Exit::ItemsFailed => format!("{} of {} items failed", job.failed, job.total),
            _ => ended.reason.clone(),
        };
        let told = format!("job {}: {}: {reason} (exit code {})", job.name, ended.state, exit.number());
        // A rehearsal leaves nothing to go on with.
        if self.args.dry_run || exit == Exit::Done { told } else { format!("{told}: go on with {}", ended.command) }
    }

    /// FILE once nothing is pending, FILE.partial until then.
    fn write_output(&self, counts: Counts) -> Result<(), ExportError> {
        let (Some(path), Some(format)) = (&self.args.output, self.prepared.output) else { return Ok(()) };
        let mut stdout = Stdout;
        let mut write = |path: Option<&Path>| {
            let target = Target { format, path, stdout: &mut stdout };
            results::export(self.store.reader(), Order::Input, target)
        };
        let result = if path == Path::new("-") {
            write(None)
        } else {
            let partial = PathBuf::from(format!("{}.partial", path.display()));
            if counts.pending() > 0 {
                write(Some(&partial))
            } else {
                let written = write(Some(path));
                if written.is_ok() {
                    // Gone already, or never there.
                    let _ = std::fs::remove_file(&partial);
                }
                written
            }
        };
        match result {
            Err(ExportError::Output(output::OutputError::Gone)) => Ok(()),
            other => other,
        }
    }

    /// If a plugin did not end by itself; a rehearsal leaves nothing to look at.
    fn debug_command(&self) -> Result<Option<String>, StoreError> {
        if self.args.dry_run {
            return Ok(None);
        }
        let item = self.store.reader().first_crash()?;
        Ok(item.map(|item| self.named().of_item("debug", &item)))
    }

    /// Behind the job's name in commands.
    pub(super) fn place(&self) -> String {
        let default = std::path::absolute(".sandmill").unwrap_or_default();
        match &self.args.store {
            Some(dir) if *dir != default => format!(" --store {}", dir.display()),
            Some(_) | None => String::new(),
        }
    }

    /// A rehearsal leaves nothing to do anything with.
    fn next_steps(&self, counts: Counts, failures: &[(String, String, u64, String)]) -> NextSteps {
        if self.args.dry_run {
            return NextSteps::default();
        }
        let named = self.named();
        let can_be_tried = failures.iter().any(|(class, ..)| class != FailureClass::BadInput.name());
        NextSteps {
            retry: can_be_tried.then(|| named.of("failed retry")),
            // What was to be written is written.
            export: (counts.done > 0 && self.args.output.is_none()).then(|| named.export()),
            report: Some(named.of("report")),
        }
    }

    fn named(&self) -> JobCommand {
        job_command(self.job.as_str(), self.args.store.as_deref())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share that a person typed")]
fn is_within(failed: u64, total: u64, share: f64) -> bool {
    failed as f64 <= share * total as f64
}
