//! Two values side by side, as lines of indented JSON, with what differs marked.

use crate::domain::escape_json;
use serde_json::Value;
use similar::{ChangeTag, InlineChange, TextDiff};
use std::time::Duration;

/// Lines around what differs.
const CONTEXT: usize = 3;
/// Beyond this the lines are not looked at more closely; what is found until then is right, if long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whose a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Both,
    Expected,
    Actual,
    /// Lines that are the same are left out.
    Gap,
}

/// What was expected against what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    expected: String,
    actual: String,
}

impl Difference {
    pub(super) fn between(expected: &Value, actual: &Value) -> Self {
        // What cannot be seen could differ, too.
        let shown = |value: &Value| format!("{}\n", escape_json(&format!("{value:#}")));
        Self { expected: shown(expected), actual: shown(actual) }
    }

    /// Each with its pieces, those that differ from the line on the other side marked.
    pub fn lines(&self) -> Vec<(Side, Vec<(bool, String)>)> {
        let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(self.expected.as_str(), self.actual.as_str());
        let mut lines = Vec::new();
        for (nth, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
            if nth > 0 {
                lines.push((Side::Gap, Vec::new()));
            }
            lines.extend(group.iter().flat_map(|op| diff.iter_inline_changes(op)).map(|change| line(&change)));
        }
        lines
    }
}

fn line(change: &InlineChange<'_, str>) -> (Side, Vec<(bool, String)>) {
    let side = match change.tag() {
        ChangeTag::Equal => Side::Both,
        ChangeTag::Delete => Side::Expected,
        ChangeTag::Insert => Side::Actual,
    };
    let pieces = change.values().iter().map(|(is_marked, text)| (*is_marked, text.trim_end_matches('\n').to_owned()));
    (side, pieces.filter(|(_, text)| !text.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(expected: &Value, actual: &Value) -> Vec<String> {
        let lines = Difference::between(expected, actual).lines();
        let one = |(side, pieces): (Side, Vec<(bool, String)>)| {
            let sign = match side {
                Side::Both => ' ',
                Side::Expected => '-',
                Side::Actual => '+',
                Side::Gap => '~',
            };
            let piece = |(is_marked, text): (bool, String)| if is_marked { format!("<{text}>") } else { text };
            format!("{sign}{}", pieces.into_iter().map(piece).collect::<String>())
        };
        lines.into_iter().map(one).collect()
    }

    #[test]
    fn what_differs_stands_in_its_place_and_is_marked() {
        let lines = shown(&json!({"a": "one two three", "b": 1}), &json!({"a": "one too three", "b": 1}));
        assert_eq!(
            lines,
            [" {", "-  \"a\": \"one <two> three\",", "+  \"a\": \"one <too> three\",", "   \"b\": 1", " }"]
        );
    }

    #[test]
    fn what_is_the_same_far_away_is_left_out() {
        let list = |last: u32| json!((0..20).chain([last]).collect::<Vec<_>>());
        let mut other = list(50);
        other[0] = 7.into();
        let lines = shown(&list(40), &other);
        assert_eq!(lines.iter().filter(|line| *line == "~").count(), 1, "{lines:?}");
        assert!(lines.len() < 18, "{lines:?}");
    }
}
