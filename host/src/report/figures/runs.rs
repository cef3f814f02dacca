//! The runs of a job, when a process had it, and what was run.

use super::{EndedFigures, NAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::domain::{Digest, shortened};
use crate::store::{GenerationRecord, Reader, RunRecord, StoreError};
use serde::Serialize;
use std::collections::BTreeMap;

/// Runs that are listed: the first ones and the last ones.
const FIRST_MAX: usize = 10;
const LAST_MAX: usize = 40;
/// What is told of tags, all together.
const TAGS_MAX: usize = 20;
/// Plugins, settings and models that are told; the last ones.
const GENERATIONS_MAX: usize = 20;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunFigures {
    pub id: i64,
    pub started_ms: u64,
    /// `None`: it goes on, or its process died.
    pub ended_ms: Option<u64>,
    /// When it was seen last, by what the books tell.
    pub seen_ms: u64,
    pub state: Option<String>,
    pub reason: Option<String>,
    pub exit_code: Option<i64>,
    /// What its summary tells: items that ended well in it, that failed, calls, and their cost; `None`: it has none.
    pub processed: Option<u64>,
    pub failed: Option<u64>,
    pub provider_calls: Option<u64>,
    pub cost_dollars: Option<f64>,
    pub tags: BTreeMap<String, String>,
    /// Its place in `generations`, from 1; 0: it is not listed there.
    pub generation: usize,
}

/// A plugin with its settings and its model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GenerationFigures {
    /// SHA-256 of all of it.
    pub digest: String,
    pub plugin: String,
    /// SHA-256 of the component.
    pub plugin_digest: String,
    /// SHA-256 of the plugin's settings: what they are may be secret.
    pub config_digest: String,
    /// Empty: none.
    pub model: String,
}

/// All that is read of runs.
pub(super) struct Runs {
    pub(super) records: Vec<RunRecord>,
    /// When each run ended; of one that did not, when it was seen last.
    pub(super) ends: BTreeMap<i64, u64>,
}

impl Runs {
    /// `running`: the last one goes on, and `now_ms` is its end so far.
    pub(super) fn read(reader: &Reader, running: bool, now_ms: u64) -> Result<Self, StoreError> {
        let records = reader.run_records()?;
        let mut ends = BTreeMap::new();
        for record in &records {
            ends.insert(record.row.id, record.row.ended_ms.unwrap_or(record.row.started_ms));
        }
        let open: Vec<i64> = records.iter().filter(|run| run.row.ended_ms.is_none()).map(|run| run.row.id).collect();
        if let (true, Some(last)) = (running, records.last().filter(|run| run.row.ended_ms.is_none())) {
            ends.insert(last.row.id, now_ms.max(last.row.started_ms));
        }
        if open.len() > usize::from(running) {
            reader.for_each_sign_of_life(|run, ms| {
                if let Some(end) = ends.get_mut(&run.0).filter(|_| open.contains(&run.0)) {
                    *end = (*end).max(ms);
                }
            })?;
        }
        Ok(Self { records, ends })
    }

    /// From when to when a process had the job.
    pub(super) fn spans(&self) -> Vec<(u64, u64)> {
        let span = |run: &RunRecord| {
            let from = run.row.started_ms;
            (from, self.ends.get(&run.row.id).copied().unwrap_or(from).max(from))
        };
        self.records.iter().map(span).collect()
    }

    /// How long a process had the job; two that ran shards at once are counted once.
    pub(super) fn active_ms(&self) -> u64 {
        let mut spans = self.spans();
        spans.sort_unstable();
        let (mut sum, mut until) = (0, 0);
        for (from, to) in spans {
            let from = from.max(until);
            sum += to.saturating_sub(from);
            until = until.max(to);
        }
        sum
    }

    pub(super) fn ended(&self) -> EndedFigures {
        let Some(run) = self.records.last().map(|record| &record.row) else { return EndedFigures::default() };
        let summary = summary(run.summary.as_deref());
        EndedFigures {
            state: run.state.as_deref().map(|state| text(state, NAME_BYTES_MAX)),
            reason: run.reason.as_deref().map(|reason| text(reason, TEXT_BYTES_MAX)),
            exit_code: run.exit_code,
            at_ms: run.ended_ms,
            parked_until_ms: summary["ended"]["parked_until_ms"].as_u64(),
        }
    }

    /// The first and the last ones, and how many are left out between them.
    pub(super) fn figures(&self, generations: &[GenerationRecord]) -> (Vec<RunFigures>, u64) {
        let left_out = self.records.len().saturating_sub(FIRST_MAX + LAST_MAX);
        let first = self.records.iter().take(if left_out == 0 { usize::MAX } else { FIRST_MAX });
        let last = self.records.iter().skip(if left_out == 0 { usize::MAX } else { FIRST_MAX + left_out });
        let listed = &generations[generations.len().saturating_sub(GENERATIONS_MAX)..];
        let place = |record: &RunRecord| listed.iter().position(|known| known.id == record.generation);
        let figures = first.chain(last).map(|record| self.run(record, place(record).map_or(0, |place| place + 1)));
        (figures.collect(), left_out as u64)
    }

    fn run(&self, record: &RunRecord, generation: usize) -> RunFigures {
        let row = &record.row;
        let summary = summary(row.summary.as_deref());
        let tags: BTreeMap<String, String> = serde_json::from_str(&record.tags).unwrap_or_default();
        let tags = tags.iter().take(TAGS_MAX).map(|(name, value)| (text(name, 100), text(value, 100)));
        RunFigures {
            id: row.id,
            started_ms: row.started_ms,
            ended_ms: row.ended_ms,
            seen_ms: self.ends.get(&row.id).copied().unwrap_or(row.started_ms),
            state: row.state.as_deref().map(|state| text(state, NAME_BYTES_MAX)),
            reason: row.reason.as_deref().map(|reason| text(reason, TEXT_BYTES_MAX)),
            exit_code: row.exit_code,
            processed: summary["run"]["processed"]
                .as_u64()
                .map(|done| done.saturating_add(summary["run"]["skipped"].as_u64().unwrap_or(0))),
            failed: summary["run"]["failed"].as_u64(),
            provider_calls: summary["run"]["provider_calls"].as_u64(),
            cost_dollars: summary["run"]["cost_dollars"].as_f64(),
            tags: tags.collect(),
            generation,
        }
    }
}

pub(super) fn generation_figures(generations: &[GenerationRecord]) -> Vec<GenerationFigures> {
    let listed = &generations[generations.len().saturating_sub(GENERATIONS_MAX)..];
    let figures = |record: &GenerationRecord| GenerationFigures {
        digest: text(&record.digest, NAME_BYTES_MAX),
        plugin: text(&format!("{} {}", record.plugin_name, record.plugin_version), NAME_BYTES_MAX),
        plugin_digest: text(&record.plugin_digest, NAME_BYTES_MAX),
        config_digest: Digest::of(record.config.as_bytes()).hex(),
        model: text(&record.model, NAME_BYTES_MAX),
    };
    listed.iter().map(figures).collect()
}

/// What a run left; null where it left none, or a later version wrote it.
fn summary(text: Option<&str>) -> serde_json::Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn text(text: &str, most: usize) -> String {
    shortened(text, most).into_owned()
}
