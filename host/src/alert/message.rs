//! What an alert says, and how: as JSON, as text, for Slack. Without IO.

use super::{Failures, Rule};
use crate::domain::sanitize_line;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Grows when a key changes its meaning.
const SCHEMA: u32 = 1;
/// In bytes: what is shown of a reason, and of what was said of a failure.
const REASON_MAX: usize = 600;
const MESSAGE_MAX: usize = 200;
/// Slack's, in characters: a header, a section, the text beside the blocks.
const SLACK_HEADER_MAX: usize = 150;
const SLACK_SECTION_MAX: usize = 3_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Raised,
    Cleared,
    /// Somebody tries the channel.
    Test,
}

/// The commands that a person goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    pub look: String,
    pub resume: String,
}

/// One thing that is told; whole, and the same through every channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The same for every try to deliver it, and no other's; fit for a header.
    pub id: String,
    pub kind: Kind,
    pub job: String,
    /// `None`: a test.
    pub rule: Option<Rule>,
    pub subject: Option<String>,
    pub reason: String,
    /// In milliseconds since the Unix epoch: when it came about, and when it was found.
    pub since_ms: u64,
    pub at_ms: u64,
    /// Of this run, up to now.
    pub failures: Failures,
    /// Ids of items, and what was said of failures, go along.
    pub has_details: bool,
    pub commands: Commands,
}

impl Alert {
    fn rule_name(&self) -> &'static str {
        self.rule.map_or("test", Rule::name)
    }

    fn reason(&self) -> String {
        sanitize_line(&self.reason, REASON_MAX)
    }

    /// One line.
    pub fn headline(&self) -> String {
        let kind = match self.kind {
            Kind::Raised | Kind::Test => "",
            Kind::Cleared => "cleared: ",
        };
        format!("{}: {kind}{}: {}", self.job, self.rule_name(), self.reason())
    }

    pub fn to_json(&self) -> Value {
        let kind = match self.kind {
            Kind::Raised => "alert.raised",
            Kind::Cleared => "alert.cleared",
            Kind::Test => "alert.test",
        };
        let failures = self.failures.kinds().map(|kind| {
            let mut row = json!({
                "of": kind.of,
                "class": kind.class,
                "count": kind.count,
                "last": { "at": time(kind.at_ms) },
            });
            if self.has_details {
                row["last"]["item"] = sanitize_line(&kind.item, MESSAGE_MAX).into();
                row["last"]["code"] = sanitize_line(&kind.code, MESSAGE_MAX).into();
                row["last"]["message"] = sanitize_line(&kind.message, MESSAGE_MAX).into();
            }
            row
        });
        json!({
            "schema": SCHEMA,
            "type": kind,
            "id": self.id,
            "timestamp": time(self.at_ms),
            "job": self.job,
            "rule": self.rule_name(),
            "subject": self.subject,
            "reason": self.reason(),
            "since": time(self.since_ms),
            "run": {
                "done": self.failures.done,
                "skipped": self.failures.skipped,
                "failed": self.failures.failed,
            },
            "failures": failures.collect::<Vec<_>>(),
            "commands": { "look": self.commands.look, "resume": self.commands.resume },
        })
    }

    /// Name and value of what stands beside the reason.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let Failures { done, skipped, failed, .. } = &self.failures;
        let mut facts = vec![("job", self.job.clone()), ("rule", self.rule_name().to_owned())];
        facts.extend(self.subject.clone().map(|route| ("route", route)));
        facts.push(("since", time(self.since_ms)));
        facts.push(("this run", format!("{done} done, {skipped} skipped, {failed} failed")));
        facts
    }

    /// A line for each class of failures.
    fn failure_lines(&self) -> Vec<String> {
        let line = |kind: super::FailureKind| {
            let what = format!("{} × {} ({}), last at {}", kind.count, kind.class, kind.of, time(kind.at_ms));
            if !self.has_details {
                return what;
            }
            let [item, code, message] =
                [&kind.item, &kind.code, &kind.message].map(|text| sanitize_line(text, MESSAGE_MAX));
            let code = if code == kind.class { String::new() } else { format!("{code}: ") };
            format!("{what}, {item}: {code}{message}")
        };
        self.failures.kinds().map(line).collect()
    }

    /// For mail.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n\n", self.reason());
        for (name, value) in self.facts() {
            let _ = writeln!(text, "{name:<10} {value}");
        }
        let failures = self.failure_lines();
        if !failures.is_empty() {
            text.push_str("\nLast failures:\n");
        }
        for line in failures {
            let _ = writeln!(text, "  {line}");
        }
        let _ = write!(text, "\n{:<10} {}\n{:<10} {}\n", "look", self.commands.look, "go on", self.commands.resume);
        text
    }

    /// For an incoming webhook of Slack: blocks, and the text of notifications.
    pub fn to_slack(&self) -> Value {
        let header = match self.kind {
            Kind::Raised => format!("{}: {}", self.job, self.rule_name()),
            Kind::Cleared => format!("{}: {} cleared", self.job, self.rule_name()),
            Kind::Test => format!("{}: test", self.job),
        };
        let fields: Vec<Value> =
            self.facts().iter().map(|(name, value)| mrkdwn(&format!("*{name}*\n{}", escaped(value)))).collect();
        let mut blocks = vec![
            json!({ "type": "header", "text": { "type": "plain_text", "text": cut(&header, SLACK_HEADER_MAX) } }),
            json!({ "type": "section", "text": mrkdwn(&escaped(&self.reason())) }),
            json!({ "type": "section", "fields": fields }),
        ];
        let failures = self.failure_lines();
        if !failures.is_empty() {
            let listed: Vec<String> = failures.iter().map(|line| format!("• {}", escaped(line))).collect();
            blocks.push(json!({ "type": "section", "text": mrkdwn(&listed.join("\n")) }));
        }
        let commands = format!("look: `{}`\ngo on: `{}`", escaped(&self.commands.look), escaped(&self.commands.resume));
        blocks.push(json!({ "type": "section", "text": mrkdwn(&commands) }));
        json!({ "text": cut(&escaped(&self.headline()), SLACK_SECTION_MAX), "blocks": blocks })
    }
}

/// `verbatim`: Slack makes no links and mentions of plain text.
fn mrkdwn(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": cut(text, SLACK_SECTION_MAX), "verbatim": true })
}

/// Nothing in it mentions anybody or makes a link: <https://docs.slack.dev/messaging/formatting-message-text#escaping>.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cut(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    text.chars().take(characters_max - 1).chain(['…']).collect()
}

/// RFC 3339, in seconds.
fn time(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms / 1_000).unwrap_or(i64::MAX);
    // What lies beyond the year 9999 is no time of ours.
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| time.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::{ErrorClass, Event, FailureClass, ItemId};
    use std::time::Duration;

    pub(in crate::alert) fn alert() -> Alert {
        let mut failures = Failures::default();
        let item = |name: &str| ItemId::new(name).unwrap();
        failures.count(1_000, &Event::ItemDone { item: item("a") });
        let failed = Event::ItemFailed {
            item: item("b"),
            class: FailureClass::Plugin,
            code: "NoTitle".into(),
            message: "no <title>\nat all".into(),
        };
        failures.count(2_000, &failed);
        let wait = Duration::from_secs(1);
        let retry = Event::CallRetry {
            item: item("c"),
            route: "r".into(),
            class: ErrorClass::RateLimited,
            code: "rate_limited".into(),
            message: "slow down".into(),
            attempt: 1,
            attempts_max: 5,
            wait,
        };
        failures.count(3_000, &retry);
        Alert {
            id: "talks-1-1".into(),
            kind: Kind::Raised,
            job: "talks".into(),
            rule: Some(Rule::ErrorShare),
            subject: None,
            reason: "12 of the last 200 items failed (6 %; allowed: 5 %)".into(),
            since_ms: 1_700_000_000_000,
            at_ms: 1_700_000_001_000,
            failures,
            has_details: true,
            commands: Commands { look: "sandmill failed list talks".into(), resume: "sandmill resume talks".into() },
        }
    }

    #[test]
    fn mail_says_what_where_since_when_and_how_to_go_on() {
        assert_eq!(alert().headline(), "talks: error_share: 12 of the last 200 items failed (6 %; allowed: 5 %)");
        assert_eq!(
            alert().to_text(),
            "12 of the last 200 items failed (6 %; allowed: 5 %)\n\n\
             job        talks\nrule       error_share\nsince      2023-11-14T22:13:20Z\n\
             this run   1 done, 0 skipped, 1 failed\n\nLast failures:\n  \
             1 × plugin (items), last at 1970-01-01T00:00:02Z, b: NoTitle: no <title> at all\n  \
             1 × rate_limited (calls), last at 1970-01-01T00:00:03Z, c: slow down\n\n\
             look       sandmill failed list talks\ngo on      sandmill resume talks\n"
        );
    }

    #[test]
    fn json_says_the_same_and_leaves_out_what_was_said_if_it_shall_not_leave_the_machine() {
        let whole = alert().to_json();
        assert_eq!(whole["type"], "alert.raised");
        assert_eq!(whole["timestamp"], "2023-11-14T22:13:21Z");
        assert_eq!(whole["failures"][0]["last"]["message"], "no <title> at all");
        assert_eq!(whole["run"], json!({ "done": 1, "skipped": 0, "failed": 1 }));
        let bare = Alert { has_details: false, ..alert() };
        let text = format!("{}{}{}", bare.to_json(), bare.to_text(), bare.to_slack());
        assert!(!text.contains("title") && !text.contains("slow down") && text.contains("rate_limited"), "{text}");
    }

    #[test]
    fn nothing_in_a_message_for_slack_mentions_anybody_and_all_of_it_is_short_enough() {
        let slack = Alert { reason: "<!channel> & more".into(), ..alert() }.to_slack();
        assert_eq!(slack["blocks"][1]["text"]["text"], "&lt;!channel&gt; &amp; more");
        assert_eq!(slack["blocks"][1]["text"]["verbatim"], true);
        assert!(!slack.to_string().contains("<!"), "{slack}");
        let long = Alert { job: "j".repeat(300), reason: "<".repeat(5_000), ..alert() }.to_slack();
        let lengths = |value: &Value| value.as_str().unwrap().chars().count();
        assert_eq!(lengths(&long["blocks"][0]["text"]["text"]), SLACK_HEADER_MAX);
        assert!(lengths(&long["blocks"][1]["text"]["text"]) <= SLACK_SECTION_MAX);
        assert!(lengths(&long["text"]) <= SLACK_SECTION_MAX);
    }

    #[test]
    fn what_has_cleared_is_told_as_such() {
        let cleared = Alert { kind: Kind::Cleared, ..alert() };
        assert!(cleared.headline().starts_with("talks: cleared: error_share: "));
        assert_eq!(cleared.to_json()["type"], "alert.cleared");
        assert_eq!(cleared.to_slack()["blocks"][0]["text"]["text"], "talks: error_share cleared");
    }
}
