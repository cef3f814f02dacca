//! What there is to show: first that a run is being made ready, then its figures, then how it ended.

use crate::domain::visible_text;
use crate::monitor::{Monitor, Snapshot};
use crate::report::{EndedSummary, JobCommand};
use crate::store::{Reader, StoreError};
use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// What tells its JSON from any other.
const KIND: &str = "sandmill-dashboard";
/// Grows when a key changes its meaning; new keys alone do not change it.
const SCHEMA: u32 = 1;

/// Whether a run has taken what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    Yes,
    /// It has not looked yet.
    Later,
}

/// Asks something of the run, as the command line does from another process.
#[async_trait]
pub trait Steer: Send + Sync {
    /// The error: why it cannot be done, for a person.
    async fn pause(&self, is_paused: bool) -> Result<Taken, String>;
}

/// A run that does its work.
pub struct Running {
    pub monitor: Arc<Monitor>,
    /// Opens a reader of its own, for one look.
    pub open: Box<dyn Fn() -> Result<Reader, StoreError> + Send + Sync>,
    /// Names the job in commands.
    pub command: JobCommand,
    pub steer: Arc<dyn Steer>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// With a summary.
    Concluded(EndedSummary),
    /// By an error that left no summary: what was said of it, and the exit code.
    Broken { reason: String, exit_code: u8 },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    Preparing,
    Running,
    Ended(Arc<Ending>),
}

/// Filled by the run, and read by everybody who looks.
pub struct Board {
    job: String,
    phase: watch::Sender<Phase>,
    running: OnceLock<Running>,
}

impl Board {
    pub fn new(job: String) -> Self {
        Self { job, phase: watch::Sender::new(Phase::Preparing), running: OnceLock::new() }
    }

    /// From now on there are figures.
    pub fn begin(&self, running: Running) {
        self.running.get_or_init(|| running);
        self.phase.send_if_modified(|phase| {
            let is_first = *phase == Phase::Preparing;
            if is_first {
                *phase = Phase::Running;
            }
            is_first
        });
    }

    /// From now on nothing changes any more. The first word holds.
    pub fn end(&self, ending: Ending) {
        self.phase.send_if_modified(|phase| {
            let is_first = !matches!(phase, Phase::Ended(_));
            if is_first {
                *phase = Phase::Ended(Arc::new(ending));
            }
            is_first
        });
    }

    pub(super) fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Ended(_))
    }

    pub(super) fn running(&self) -> Option<&Running> {
        self.running.get()
    }

    /// Without the history.
    pub(super) fn view(&self) -> Value {
        let phase = self.phase.borrow().clone();
        let snapshot: Option<Arc<Snapshot>> =
            self.running.get().map(|running| Arc::clone(&running.monitor.watch().borrow()));
        let (name, ended) = match &phase {
            Phase::Preparing => ("preparing", Value::Null),
            Phase::Running => ("running", Value::Null),
            Phase::Ended(ending) => ("ended", Self::ended(ending)),
        };
        let mut view = json!({
            "kind": KIND,
            "schema": SCHEMA,
            "sandmill": env!("CARGO_PKG_VERSION"),
            "job": self.job,
            "phase": name,
            "snapshot": snapshot.as_deref(),
            "ended": ended,
        });
        show(&mut view);
        view
    }

    fn ended(ending: &Ending) -> Value {
        match ending {
            Ending::Broken { reason, exit_code } => json!({
                "state": "broken", "reason": reason, "exit_code": exit_code, "command": Value::Null, "next": {},
            }),
            Ending::Concluded(ended) => json!(ended),
        }
    }

    pub(super) fn history(&self) -> Value {
        json!(self.running.get().map(|running| running.monitor.history()).unwrap_or_default())
    }
}

/// What is hidden in a text stands there as `\u{202e}`, so that it is seen.
pub(super) fn show(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let std::borrow::Cow::Owned(visible) = visible_text(text) {
                *text = visible;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(show),
        Value::Object(fields) => fields.values_mut().for_each(show),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
