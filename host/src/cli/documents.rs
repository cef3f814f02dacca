//! Holds the documents to the program: every key of the files stands in `docs/configuration.md`, and every flag that the documents
//! name exists.

use super::Arguments;
use crate::catalog::ModelEntry;
use crate::config;
use clap::CommandFactory;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const CONFIGURATION: &str = "docs/configuration.md";
const WITH_FLAGS: [&str; 16] = [
    "README.md",
    CONFIGURATION,
    "docs/providers.md",
    "docs/provider-errors.md",
    "docs/alerts.md",
    "docs/doctor.md",
    "docs/metrics.md",
    "docs/summary.md",
    "docs/limits.md",
    "docs/input.md",
    "docs/report.md",
    "docs/results.md",
    "docs/sandbox.md",
    "docs/security.md",
    "docs/testing.md",
    "docs/plugins.md",
];
/// Of cargo and oras, and those that clap adds when it runs.
const OTHER_FLAGS: [&str; 6] = ["annotation", "help", "lib", "release", "version", "workspace"];

fn document(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The keys that a table may have, as its parser tells them.
pub(super) fn keys<T: DeserializeOwned>() -> BTreeSet<String> {
    let refusal = toml::from_str::<T>("no-such-key = 1").err().unwrap().to_string();
    let (_, expected) = refusal.split_once("expected ").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The first words in backticks of each row below a heading.
fn rows(text: &str, heading: &str) -> BTreeSet<String> {
    let (_, rest) = text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("{CONFIGURATION} has no heading `## {heading}`"));
    let section = rest.split("\n## ").next().unwrap_or_default();
    section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).map(str::to_owned).collect()
}

#[test]
fn every_key_of_the_files_is_in_the_document_and_no_other() {
    let text = document(CONFIGURATION);
    for (heading, keys) in [
        ("`[run]`", keys::<config::Run>()),
        ("`[retry]`", keys::<config::Retry>()),
        ("`[breaker]`", keys::<config::Breaker>()),
        ("`[context]`", keys::<config::Context>()),
        ("`[limits]`", keys::<config::Limits>()),
        ("`[sandbox]`", keys::<config::Sandbox>()),
        ("`[alert]`", keys::<config::Alert>()),
        ("`[alert.slack.NAME]`", keys::<config::SlackChannel>()),
        ("`[alert.email.NAME]`", keys::<config::EmailChannel>()),
        ("`[alert.webhook.NAME]`", keys::<config::WebhookChannel>()),
        ("`[alert.command.NAME]`", keys::<config::CommandChannel>()),
        ("`[provider.NAME]`", keys::<config::Provider>()),
        ("`[route.NAME]`", keys::<config::Route>()),
        ("`[route.NAME.limits]`, `[provider.NAME.limits]`", keys::<config::RouteLimits>()),
        ("`[route.NAME.prices]`", keys::<config::RoutePrices>()),
        ("`[route.NAME.fallback]`", keys::<config::RouteFallback>()),
        ("`[model.NAME]`", keys::<ModelEntry>()),
        ("`[grants.NAME]`", keys::<config::GivenTable>()),
        ("`[trust]`", keys::<config::Trust>()),
        ("The policy file", keys::<config::Policy>()),
    ] {
        assert!(keys.len() > 1, "{heading}: {keys:?}");
        assert_eq!(rows(&text, heading), keys, "{CONFIGURATION}, {heading}: what stands there, and what there is");
    }
    for table in keys::<config::Config>() {
        let heading = [format!("\n## `[{table}]`\n"), format!("\n## `[{table}.NAME]`\n")];
        assert!(heading.iter().any(|heading| text.contains(heading)), "{CONFIGURATION} has no section for [{table}]");
    }
}

#[test]
fn the_example_in_the_document_can_be_used() {
    let text = document(CONFIGURATION);
    let indented = text.lines().skip_while(|line| *line != "    [provider.house]");
    let example: Vec<&str> = indented.take_while(|line| line.is_empty() || line.starts_with("    ")).collect();
    let config: config::Config = toml::from_str(&example.join("\n")).unwrap();
    assert_eq!((config.provider.len(), config.route.len()), (1, 2));
    let named = config.route.values().flat_map(|route| [&route.fallback.open, &route.fallback.context]).flatten();
    for name in named.chain(&config.run.route) {
        assert!(config.route.contains_key(name), "[route.{name}]");
    }
}

fn flags(command: &clap::Command, found: &mut BTreeSet<String>) {
    found.extend(command.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned));
    for below in command.get_subcommands() {
        flags(below, found);
    }
}

#[test]
fn every_flag_that_the_documents_name_exists() {
    let mut known: BTreeSet<String> = OTHER_FLAGS.map(str::to_owned).into();
    flags(&Arguments::command(), &mut known);
    for name in WITH_FLAGS {
        let text = document(name);
        let mut named = 0;
        for (at, _) in text.match_indices("--") {
            let word: String = text[at + 2..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            // The rules of tables, and comments.
            if word.starts_with(|c: char| c.is_ascii_lowercase()) {
                named += 1;
                assert!(known.contains(&word), "{name} names --{word}, which no command has");
            }
        }
        assert!(named > 0, "{name}");
    }
}
