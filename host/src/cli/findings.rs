//! What `plugin check` and `doctor` have found, for people and for programs.

use crate::domain::sanitize_text;
use crate::kit::wrapped;
use serde_json::{Value, json};

/// Columns of a terminal.
const WIDTH: usize = 80;
/// Of these the first are taken by how it stands and by what was looked at.
const STATE: usize = 9;
const LABEL: usize = 10;
const TEXT_BYTES_MAX: usize = 4_000;

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Fine,
    /// Could not be looked at.
    Skipped,
    /// It runs, and somebody should know.
    Warning,
    Wrong,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) what: &'static str,
    pub(super) state: State,
    pub(super) text: String,
}

/// All of them, in the order in which they were looked at.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, what: &'static str, state: State, text: impl AsRef<str>) {
        self.0.push(Finding { what, state, text: sanitize_text(text.as_ref(), TEXT_BYTES_MAX) });
    }

    /// How the worst of it stands.
    pub(super) fn worst(&self) -> State {
        self.0.iter().map(|finding| finding.state).max().unwrap_or(State::Fine)
    }

    fn count(&self, state: State) -> usize {
        self.0.iter().filter(|finding| finding.state == state).count()
    }

    /// Lines of at most 80 columns.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for finding in &self.0 {
            let (mut state, mut what) = (finding.state.name(), finding.what);
            for line in wrapped(&finding.text, WIDTH - STATE - LABEL) {
                lines.push(format!("{state:<STATE$}{what:<LABEL$}{line}").trim_end().to_owned());
                (state, what) = ("", "");
            }
        }
        let (wrong, warnings) = (self.count(State::Wrong), self.count(State::Warning));
        lines.push(match (wrong, warnings) {
            (0, 0) => "nothing is wrong".to_owned(),
            _ => format!("{wrong} wrong, {warnings} to look at"),
        });
        lines
    }

    pub(super) fn as_json(&self) -> Vec<Value> {
        let one = |it: &Finding| json!({"check": it.what, "state": it.state.name(), "text": it.text});
        self.0.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_told_with_the_worst_of_it() {
        let mut findings = Findings::default();
        assert_eq!((findings.worst(), findings.lines()), (State::Fine, vec!["nothing is wrong".to_owned()]));
        findings.add("world", State::Fine, "sandmill:plugin");
        findings.add("item", State::Skipped, "later");
        assert_eq!(findings.worst(), State::Skipped);
        findings.add("config", State::Wrong, "word ".repeat(30));
        findings.add("grants", State::Warning, "\u{1b}[2Jnone");
        assert_eq!(findings.worst(), State::Wrong);
        let lines = findings.lines();
        assert_eq!(lines[0], "ok       world     sandmill:plugin");
        assert_eq!(lines.last().unwrap(), "1 wrong, 1 to look at");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH && !line.contains('\u{1b}')), "{lines:?}");
        assert_eq!(findings.as_json()[1], json!({"check": "item", "state": "skipped", "text": "later"}));
    }
}
