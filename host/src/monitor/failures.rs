//! What has failed in a run: how many of each class, and the last ones.

use crate::domain::{FailureClass, ItemId, sanitize_line};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// The last failures that are kept.
const RECENT: usize = 20;
/// What is kept of an id, a code and a message, in bytes.
const NAME_BYTES_MAX: usize = 200;
const MESSAGE_BYTES_MAX: usize = 500;

/// Failed items of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassFailures {
    pub class: &'static str,
    pub count: u64,
    /// The last of them.
    pub last: RecentFailure,
}

/// One failed item. Its texts are fit to be shown on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecentFailure {
    pub item: String,
    pub class: &'static str,
    pub code: String,
    pub message: String,
    /// Since the Unix epoch.
    pub at_ms: u64,
}

#[derive(Debug, Default)]
pub(super) struct Failures {
    by_class: BTreeMap<FailureClass, (u64, RecentFailure)>,
    recent: VecDeque<RecentFailure>,
}

impl Failures {
    pub(super) fn add(&mut self, item: &ItemId, class: FailureClass, code: &str, message: &str, at_ms: u64) {
        let failure = RecentFailure {
            item: sanitize_line(item.as_str(), NAME_BYTES_MAX),
            class: class.name(),
            code: sanitize_line(code, NAME_BYTES_MAX),
            message: sanitize_line(message, MESSAGE_BYTES_MAX),
            at_ms,
        };
        let count = self.by_class.get(&class).map_or(0, |(count, _)| *count);
        self.by_class.insert(class, (count + 1, failure.clone()));
        self.recent.push_front(failure);
        self.recent.truncate(RECENT);
    }

    /// The most frequent class first.
    pub(super) fn by_class(&self) -> Vec<ClassFailures> {
        let rows = self.by_class.iter();
        let mut classes: Vec<ClassFailures> = rows
            .map(|(class, (count, last))| ClassFailures { class: class.name(), count: *count, last: last.clone() })
            .collect();
        classes.sort_by_key(|class| std::cmp::Reverse(class.count));
        classes
    }

    /// The last one first.
    pub(super) fn recent(&self) -> Vec<RecentFailure> {
        self.recent.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(failures: &mut Failures, item: &str, class: FailureClass, message: &str) {
        failures.add(&ItemId::new(item).unwrap(), class, "c\u{1b}[31m", message, 7);
    }

    #[test]
    fn classes_are_counted_and_the_most_frequent_comes_first() {
        let mut failures = Failures::default();
        add(&mut failures, "a", FailureClass::Trap, "one");
        add(&mut failures, "b", FailureClass::Plugin, "two");
        add(&mut failures, "c", FailureClass::Plugin, "three");
        let classes = failures.by_class();
        let told: Vec<_> = classes.iter().map(|c| (c.class, c.count, c.last.item.as_str())).collect();
        assert_eq!(told, [("plugin", 2, "c"), ("trap", 1, "a")]);
    }

    #[test]
    fn only_the_last_failures_are_kept_and_what_they_say_is_one_harmless_line() {
        let mut failures = Failures::default();
        for n in 0..100 {
            add(
                &mut failures,
                &format!("i{n}"),
                FailureClass::Plugin,
                &format!("a\nb\u{202e}\u{7}{}", "x".repeat(9_999)),
            );
        }
        let recent = failures.recent();
        assert_eq!((recent.len(), recent[0].item.as_str()), (RECENT, "i99"));
        assert!(recent.iter().all(|failure| failure.message.len() < 510 && failure.message.starts_with("a b x")));
        assert_eq!(recent[0].code, "c [31m");
    }
}
