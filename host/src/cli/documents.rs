//! Holds the documents to the program: every flag that they name exists, every command can be typed, every table and all JSON in them
//! can be read. What is marked to be run is run by `tests/docs.rs`; links are followed there.

#[path = "../../../tests/docs/blocks.rs"]
mod blocks;
mod commands;
mod tables;

use super::{Arguments, Exit};
use crate::config;
use clap::CommandFactory;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const CONFIGURATION: &str = "docs/configuration.md";
/// Those that clap adds when it runs.
const OTHER_FLAGS: [&str; 2] = ["help", "version"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Names and texts of all documents.
fn documents(root: &Path) -> Vec<(String, String)> {
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.strip_prefix(root).unwrap().display().to_string(), text)
    };
    blocks::documents(root).into_iter().map(read).collect()
}

#[test]
fn the_example_in_the_document_can_be_used() {
    let text = std::fs::read_to_string(root().join(CONFIGURATION)).unwrap();
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

/// What a document says outside of its examples, without the commands of other programs.
fn prose(text: &str) -> String {
    let mut is_fenced = false;
    let lines = text.lines().filter(|line| {
        is_fenced ^= line.starts_with("```");
        !is_fenced && !line.starts_with("    ") && !line.starts_with("<!--")
    });
    let is_of_another =
        |code: &str| blocks::TOOLS.iter().any(|tool| code.strip_prefix(tool).is_some_and(|rest| rest.starts_with(' ')));
    let pieces = lines.flat_map(|line| line.split('`').filter(|piece| !is_of_another(piece)).chain(["\n"]));
    pieces.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_flag_that_the_documents_name_exists() {
    let mut known: BTreeSet<String> = OTHER_FLAGS.map(str::to_owned).into();
    flags(&Arguments::command(), &mut known);
    let mut named = 0;
    for (name, text) in documents(&root()) {
        let text = prose(&text);
        for (at, _) in text.match_indices("--") {
            let before = text[..at].chars().next_back().unwrap_or(' ');
            let word: String = text[at + 2..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            // The rules of tables.
            if word.starts_with(|c: char| c.is_ascii_lowercase()) && !before.is_alphanumeric() && before != '-' {
                named += 1;
                assert!(known.contains(&word), "{name} names --{word}, which no command has");
            }
        }
    }
    assert!(named > 200, "only {named} flags were found");
}

#[test]
fn every_exit_code_is_told_with_what_it_means_and_what_to_do() {
    let codes = [
        Exit::Done,
        Exit::Internal,
        Exit::Usage,
        Exit::ItemsFailed,
        Exit::Stopped,
        Exit::Parked,
        Exit::Budget,
        Exit::RightsGrew,
        Exit::ParkedUntil,
        Exit::Interrupted,
        Exit::Terminated,
    ];
    for name in ["README.md", "docs/operating.md"] {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        let cells: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next()).collect();
        for code in codes.map(Exit::number) {
            let is_told = cells.iter().any(|cell| cell.split(", ").any(|told| told == code.to_string()));
            assert!(is_told, "{name} has no row for exit code {code}");
        }
    }
}
