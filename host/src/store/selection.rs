//! Which items are meant: for runs, exports and the dead letters.

use crate::domain::FailureClass;
use rusqlite::types::Value;

/// Which failed items are meant. An empty list is no condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedFilter {
    pub classes: Vec<FailureClass>,
    /// Codes of the plugin or the provider.
    pub codes: Vec<String>,
    /// Only those that failed at this time or later.
    pub since_ms: Option<u64>,
}

/// The conditions of a [`FailedFilter`] on the outcome `o`, with the parameters `:classes`, `:codes` and `:since`.
pub(super) const FAILED_FILTER: &str = "(:classes IS NULL OR o.class IN (SELECT value FROM json_each(:classes)))
     AND (:codes IS NULL OR o.code IN (SELECT value FROM json_each(:codes))) AND (:since IS NULL OR o.ended_ms >= :since)";

impl FailedFilter {
    /// The values of `:classes`, `:codes` and `:since`.
    pub(super) fn parameters(&self) -> [Value; 3] {
        let list = |names: Vec<&str>| {
            if names.is_empty() { Value::Null } else { Value::Text(serde_json::Value::from(names).to_string()) }
        };
        [
            list(self.classes.iter().map(|class| class.name()).collect()),
            list(self.codes.iter().map(String::as_str).collect()),
            self.since_ms.map_or(Value::Null, |ms| Value::Integer(ms.cast_signed())),
        ]
    }
}

/// What a run takes up. Lines that are no items never are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Take {
    Pending,
    /// What is pending, and what failed in earlier runs.
    PendingAndFailed,
    /// Of what failed in earlier runs, what the filter lets through; nothing that is pending.
    Failed(FailedFilter),
}

/// Items by how they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum States {
    /// Those with an output.
    Done,
    Failed,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Input,
    /// As they ended; what is pending comes last.
    Completion,
}

/// Items of the input that are read one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    pub states: States,
    pub order: Order,
    /// Of the failed ones, those that it lets through.
    pub failed: FailedFilter,
    /// Whether [`super::ItemRow::input`] is read.
    pub with_input: bool,
    /// Whether [`super::ItemRow::books`] are read.
    pub with_books: bool,
}

impl Selection {
    pub fn new(states: States) -> Self {
        let failed = FailedFilter::default();
        Self { states, order: Order::Input, failed, with_input: false, with_books: false }
    }
}
