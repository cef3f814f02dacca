//! `docs/provider-errors.md`: its tables are what the program does.

use super::{Recorded, Spoken, corpus};
use crate::domain::{Action, ErrorClass};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- recorded failures: written by a test -->\n";
const END: &str = "<!-- end -->\n";
const COMMAND: &str = "SANDMILL_UPDATE_DOCS=1 cargo test --workspace --lib provider::corpus::document";

impl Spoken {
    pub(super) const fn dialect_name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Azure => "azure",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }
}

const fn done(action: Action) -> &'static str {
    match action {
        Action::Retry => "retry",
        Action::FixRequest => "fix the request",
        Action::FailItem => "fail the item",
        Action::ParkJob => "park the job",
    }
}

fn row(recorded: &Recorded) -> String {
    let (provider, what) = recorded.from.split_once(": ").unwrap();
    let action = recorded.class.action();
    // A wait is obeyed where something is waited for.
    let wait = recorded.wait.filter(|_| action == Action::Retry);
    let wait = wait.map(|wait| humantime::format_duration(wait).to_string()).unwrap_or_default();
    format!(
        "| {provider} | {} | {what} | {} | `{}` | `{}` | {} | {wait} |\n",
        recorded.spoken.dialect_name(),
        recorded.status,
        recorded.code,
        recorded.class,
        done(action)
    )
}

fn table() -> String {
    let mut text = String::from(
        "\n| provider | protocol | what | status | code | class | action | it asks to wait |\n|---|---|---|---|---|---|---|---|\n",
    );
    for recorded in corpus() {
        text.push_str(&row(&recorded));
    }
    let _ = writeln!(text, "\n{} failures.", corpus().len());
    text
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/provider-errors.md")
}

#[test]
fn the_table_of_failures_is_that_of_the_corpus() {
    let text = std::fs::read_to_string(path()).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, behind) = rest.split_once(END).unwrap();
    let current = format!("{before}{BEGIN}{}{END}{behind}", table());
    if std::env::var_os("SANDMILL_UPDATE_DOCS").is_some() {
        std::fs::write(path(), &current).unwrap();
        return;
    }
    assert!(text == current, "docs/provider-errors.md is not what the corpus says; write it with\n    {COMMAND}");
}

#[test]
fn every_class_stands_under_its_action() {
    let text = std::fs::read_to_string(path()).unwrap();
    for class in ErrorClass::ALL {
        let row = format!("| `{class}` | {} |", done(class.action()));
        assert!(text.contains(&row), "docs/provider-errors.md has no row that starts with {row}");
    }
}
