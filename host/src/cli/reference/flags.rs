//! Flags of `run` that have no key, and variables of the environment.

use super::SECTIONS;
use crate::cli::Arguments;
use clap::CommandFactory;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// What is looked at in the environment, and what for.
const ENVIRONMENT: [(&str, &str); 10] = [
    (
        "`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, `GEMINI_API_KEY`, `AZURE_OPENAI_API_KEY`",
        "keys of the providers of those names; `key_env` names others",
    ),
    ("`SANDMILL_POLICY`", "a policy file, beside `/etc/sandmill/policy.toml`"),
    ("`SANDMILL_CACHE`", "where compiled plugins are kept, or `off`; goes before the file"),
    ("`SANDMILL_REGISTRY_AUTH`", "`HOST=USER:PASSWORD` for one OCI registry"),
    (
        "`DOCKER_CONFIG`, `REGISTRY_AUTH_FILE`, `XDG_RUNTIME_DIR`",
        "where `docker login` and `podman login` keep what registries want to see",
    ),
    (
        "`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`",
        "the proxy that providers, registries and webhooks are reached through; a `proxy` in the file goes before it",
    ),
    ("`XDG_CACHE_HOME`, `HOME`", "where the caches are: `sandmill` in the first, else in `~/.cache`"),
    ("`NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE`, `TERM`", "whether colours are shown"),
    ("`TMPDIR`", "where what is thrown away afterwards is made"),
    ("`PATH`", "where `plugin build` looks for compilers"),
];
/// Those of the tests.
const OF_TESTS: [&str; 4] = ["SANDMILL_FAILPOINT", "SANDMILL_UPDATE_DOCS", "SANDMILL_NO_SUCH", "SANDMILL_NO_SUCH_KEY"];

/// Flags in a cell, without their dashes.
pub(super) fn named(cell: &str) -> impl Iterator<Item = &str> {
    let word = |rest: &str| rest.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(rest.len());
    cell.split("`--").skip(1).map(move |rest| &rest[..word(rest)])
}

/// Long flags of `run` with their helps.
pub(super) fn of_run() -> BTreeMap<String, String> {
    let command = Arguments::command();
    let run = command.find_subcommand("run").unwrap();
    let arguments = run.get_arguments().filter(|argument| !argument.is_hide_set());
    let named = arguments.filter_map(|argument| {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        Some((argument.get_long()?.to_owned(), help))
    });
    named.collect()
}

/// The table of what only a command line can say.
pub(super) fn without_keys() -> String {
    let with_keys: BTreeSet<&str> =
        SECTIONS.iter().flat_map(|section| section.keys).flat_map(|key| named(key.flag)).collect();
    let mut text = String::from(
        "\n## Flags of `run` without a key\n\nThey concern one job. `resume` has them from the job; `sandmill run --help` tells of them all.\n\n\
         | flag | default | meaning |\n|---|---|---|\n",
    );
    let command = Arguments::command();
    let run = command.find_subcommand("run").unwrap();
    for argument in run.get_arguments() {
        let Some(long) = argument.get_long().filter(|long| !with_keys.contains(long)) else { continue };
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let (meaning, default) = match help.split_once(" [default: ") {
            Some((meaning, rest)) => (meaning.to_owned(), rest.trim_end_matches(']').to_owned()),
            None if argument.is_required_set() => (help, "required".to_owned()),
            None => (help, argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect()),
        };
        let takes_value = argument.get_action().takes_values();
        let value = argument.get_value_names().filter(|_| takes_value).and_then(|names| names.first());
        let words: Vec<String> =
            argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        let value = if words.is_empty() || !takes_value {
            value.map(|name| format!(" {name}")).unwrap_or_default()
        } else {
            format!(" {}", words.join("\\|"))
        };
        let default = if takes_value { default } else { String::new() };
        let _ = writeln!(text, "| `--{long}{value}` | {default} | {} |", meaning.replace('|', "\\|"));
    }
    text
}

pub(super) fn environment() -> String {
    let mut text = String::from("\n## The environment\n\n| variable | what for |\n|---|---|\n");
    for (names, what) in ENVIRONMENT {
        let _ = writeln!(text, "| {names} | {what} |");
    }
    text
}

fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else {
            into.push_str(&std::fs::read_to_string(&path).unwrap_or_default());
        }
    }
}

#[test]
fn every_variable_of_our_own_is_in_the_reference() {
    let mut text = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("\"SANDMILL_") {
        found.extend(
            text[at + 1..].split('"').next().filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_')),
        );
    }
    let told: String = ENVIRONMENT.map(|(names, _)| names).concat();
    for name in found {
        let is_told = told.contains(&format!("`{name}`")) || OF_TESTS.contains(&name);
        assert!(is_told || name == "SANDMILL_", "{name} is looked at, and {} does not say what for", super::FILE);
    }
}
