//! That the tables say of keys, types, defaults and flags what the program does.

use super::{Default, Key, Kind, SECTIONS, Section, flags};
use crate::cli::policy::InForce;
use crate::cli::{settings, show};
use crate::config::{self, Config};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One of everything that has a name, so that `config show` shows what holds for it.
const ONE_OF_EACH: &str = "
    provider.x = {}
    route.x = { provider = \"x\", model = \"unheard-of\" }
    alert.slack.x = {}
    alert.email.x = {}
    alert.webhook.x = {}
    alert.command.x = {}
";

/// What `config show` shows where nobody said anything, by name.
pub(super) fn shown() -> BTreeMap<String, String> {
    let config: Config = toml::from_str(ONE_OF_EACH).unwrap();
    let args = settings::no_flags().unwrap();
    let lines = show::show(&args, &args, &config, Path::new("sandmill.toml"), &InForce::default()).unwrap();
    lines.into_iter().map(|line| (line.key, line.value)).collect()
}

#[test]
fn every_key_that_is_read_is_described_and_no_other() {
    for section in SECTIONS {
        let described: BTreeSet<String> = section.keys.iter().map(|key| key.name.to_owned()).collect();
        assert_eq!(described.len(), section.keys.len(), "{}: a key stands there twice", section.heading);
        assert_eq!(described, section.parser.keys(), "{}: what is described, and what is read", section.heading);
    }
    for table in super::keys::<Config>() {
        let headings = [format!("`[{table}]`"), format!("`[{table}.NAME]`")];
        assert!(SECTIONS.iter().any(|s| headings.contains(&s.heading.to_owned())), "no section describes [{table}]");
    }
}

/// A value of its type, and one of another.
fn samples(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Path | Kind::Text(_) => ("\"x\"", "1"),
        Kind::Number | Kind::Tokens => ("1", "\"x\""),
        Kind::Dollars | Kind::Fraction => ("0.5", "\"x\""),
        Kind::Duration => ("\"30s\"", "\"soon\""),
        Kind::Size => ("\"64MiB\"", "\"much\""),
        Kind::Share => ("\"50%\"", "\"half\""),
        Kind::Bool => ("true", "\"x\""),
        // What is no list of words in the parser is checked behind it.
        Kind::OneOf(_) => ("", "1"),
        Kind::Texts(_) => ("[\"x\"]", "\"x\""),
        Kind::Table(_) => ("{}", "1"),
    }
}

/// A whole table in which one key has this value.
fn table(section: &Section, key: &Key, value: &str) -> String {
    let others = section.keys.iter().filter(|other| other.name != key.name);
    let required = others.filter(|other| (section.parser.read)("").is_err() && other.default_is("required"));
    let lines = required.map(|other| format!("{} = {}\n", other.name, samples(other.kind).0));
    lines.collect::<String>() + &format!("{} = {value}", key.name)
}

impl Key {
    fn default_is(&self, told: &str) -> bool {
        matches!(self.default, Default::Said(said) if said == told)
    }
}

#[test]
fn every_key_takes_what_is_said_and_nothing_of_another_type() {
    for section in SECTIONS {
        for key in section.keys {
            let read = |value: &str| (section.parser.read)(&table(section, key, value));
            let (fits, other) = samples(key.kind);
            let words: Vec<String> = match key.kind {
                Kind::OneOf(told) => told.split('`').skip(1).step_by(2).map(|word| format!("\"{word}\"")).collect(),
                // The tiers and `long` have keys that are required.
                Kind::Table(_) => Vec::new(),
                _ => vec![fits.to_owned()],
            };
            for value in words {
                let outcome = read(&value);
                assert!(outcome.is_ok(), "{} {} = {value}: {outcome:?}", section.heading, key.name);
            }
            assert!(read(other).is_err(), "{} {} takes {other}", section.heading, key.name);
        }
    }
}

#[test]
fn what_config_show_shows_by_default_is_in_the_reference() {
    let tables = ["run", "retry", "breaker", "context", "limits", "trust", "alert", "telemetry"];
    for name in shown().keys() {
        let Some((table, key)) = name.split_once('.') else { continue };
        let Some(section) = SECTIONS.iter().find(|section| section.shown_as == table) else { continue };
        let described = section.keys.iter().any(|of| of.name == key);
        assert!(!tables.contains(&table) || described || key.contains('.'), "{name} is shown, and nobody describes it");
    }
}

/// Durations and sizes that are written otherwise are the same.
fn meant(text: &str) -> String {
    let text = text.replace([',', '`'], "");
    if let Ok(time) = humantime::parse_duration(&text) {
        return format!("{time:?}");
    }
    match text.parse::<bytesize::ByteSize>() {
        Ok(size) => size.as_u64().to_string(),
        Err(_) => text,
    }
}

#[test]
fn a_flag_is_one_of_run_and_its_help_names_the_default_that_holds() {
    let (flags, shown) = (flags::of_run(), shown());
    for section in SECTIONS {
        for key in section.keys {
            for flag in flags::named(key.flag) {
                let help = flags.get(flag).unwrap_or_else(|| panic!("{}: `run` has no --{flag}", section.heading));
                let of_help = help.rsplit_once("[default: ").and_then(|(_, rest)| rest.split(']').next());
                if let (Some(told), Default::Shown) = (of_help, key.default) {
                    // What is found out, or follows from something else, is told in words.
                    let value = key.default(section, &shown);
                    let same = meant(told) == meant(&value) || told.contains(&format!("up to {value}"));
                    assert!(same, "--{flag}: the help says {told}, {} says {value}", section.heading);
                }
            }
        }
    }
}

#[test]
fn the_limits_of_a_policy_are_those_of_the_file() {
    assert!((super::plugins::POLICY.parser.read)("[limits]\nmemory = \"1MiB\"").is_ok());
    assert_eq!(super::keys::<config::Limits>(), super::plugins::LIMITS.parser.keys());
}

#[test]
fn the_limits_of_the_sandbox_are_told_there_with_the_same_defaults() {
    let text = std::fs::read_to_string(super::path().with_file_name("sandbox.md")).unwrap();
    let (shown, plain) = (shown(), |cell: &str| cell.replace([' ', ','], ""));
    for key in super::plugins::LIMITS.keys {
        let row = text.lines().find(|line| line.contains(&format!(", `{}` |", key.name)));
        let cells: Vec<&str> =
            row.unwrap_or_else(|| panic!("docs/sandbox.md has no row for {}", key.name)).split(" | ").collect();
        let default = key.default(&super::plugins::LIMITS, &shown);
        assert!(
            plain(cells[1]).starts_with(&plain(&default)),
            "docs/sandbox.md: {}: {}, and it is {default}",
            key.name,
            cells[1]
        );
        assert!(
            cells[2].starts_with(key.flag),
            "docs/sandbox.md: {}: {}, and the flag is {}",
            key.name,
            cells[2],
            key.flag
        );
    }
}
