//! How often what went wrong in a run, and how it did last.

use crate::domain::{Event, sanitize_line};
use std::collections::BTreeMap;

/// What is kept of a message, a code and an id, in bytes.
const TEXT_MAX: usize = 1_000;

/// The failures of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureKind {
    /// `items` or `calls`.
    pub of: &'static str,
    pub class: String,
    pub count: u64,
    /// Of the last one.
    pub item: String,
    pub code: String,
    pub message: String,
    /// In milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// As many as there are classes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures {
    pub done: u64,
    pub skipped: u64,
    pub failed: u64,
    kinds: BTreeMap<(&'static str, String), FailureKind>,
}

impl Failures {
    /// Items that failed for good, and calls that are tried again.
    pub fn count(&mut self, now_ms: u64, event: &Event) {
        match event {
            Event::ItemDone { .. } => self.done += 1,
            Event::ItemSkipped { .. } => self.skipped += 1,
            Event::ItemFailed { item, class, code, message } => {
                self.failed += 1;
                self.add("items", class.to_string(), item.as_str(), code, message, now_ms);
            }
            Event::CallRetry { item, class, code, message, .. } => {
                self.add("calls", class.to_string(), item.as_str(), code, message, now_ms);
            }
            _ => {}
        }
    }

    fn add(&mut self, of: &'static str, class: String, item: &str, code: &str, message: &str, at_ms: u64) {
        let text = |text: &str| sanitize_line(text, TEXT_MAX);
        let count = self.kinds.get(&(of, class.clone())).map_or(0, |kind| kind.count) + 1;
        let (item, code, message) = (text(item), text(code), text(message));
        let kind = FailureKind { of, class: class.clone(), count, item, code, message, at_ms };
        self.kinds.insert((of, class), kind);
    }

    /// The commonest first, items before calls.
    pub fn kinds(&self) -> impl Iterator<Item = FailureKind> + use<> {
        let mut kinds: Vec<FailureKind> = self.kinds.values().cloned().collect();
        kinds.sort_by_key(|kind| (kind.of != "items", std::cmp::Reverse(kind.count)));
        kinds.into_iter()
    }
}
