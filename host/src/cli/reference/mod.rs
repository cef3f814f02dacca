//! `docs/configuration-reference.md`: written from these tables, and these tables held to the program.
//!
//! The tables say what each key means. Everything else is asked of the program: which keys there are and what they take of the parsers,
//! what holds where nobody says of `config show`, flags of clap. A key that is new is described here, in the section of its table; the
//! first test then says how to write the document.

mod alerts;
mod flags;
mod held;
mod job;
mod plugins;
mod routes;
mod telemetry;

use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const FILE: &str = "docs/configuration-reference.md";
const COMMAND: &str = "SANDMILL_UPDATE_DOCS=1 cargo test --workspace --lib cli::reference";

const HEAD: &str = "# Every key and every setting

<!-- Written by a test from host/src/cli/reference: SANDMILL_UPDATE_DOCS=1 cargo test --workspace --lib cli::reference -->

What stands in `sandmill.toml` and in a policy, flags that have no key, and variables of the environment. How they go together, and
examples: [configuration](configuration.md). Keys, types, defaults and flags on this page are the program's own: a test fails where they differ.

- A *duration* is a text: `\"500ms\"`, `\"30s\"`, `\"5m\"`, `\"1h 30m\"`. A *size* is a text: `\"64MiB\"`, or bytes: `\"65536\"`. A *share* is a
  text: `\"50%\"`. *Dollars* are a number: `0.5`. *Tokens* are a whole number, as are plain *numbers*.
- A *path* is relative to the folder of the file in which it stands.
- A flag goes before the file.
";

/// What a key takes, as its parser sees it.
#[derive(Clone, Copy)]
enum Kind {
    Path,
    Number,
    Tokens,
    Dollars,
    /// Of one.
    Fraction,
    Duration,
    Size,
    Share,
    Bool,
    /// One of some words; how they are told.
    OneOf(&'static str),
    /// How it is told.
    Text(&'static str),
    Texts(&'static str),
    Table(&'static str),
}

/// What holds where nobody says anything.
#[derive(Clone, Copy)]
enum Default {
    /// What `config show` shows then.
    Shown,
    Said(&'static str),
}

#[derive(Clone, Copy)]
struct Key {
    name: &'static str,
    kind: Kind,
    within: &'static str,
    default: Default,
    meaning: &'static str,
    flag: &'static str,
}

const fn key(name: &'static str, kind: Kind, default: Default, meaning: &'static str) -> Key {
    Key { name, kind, within: "", default, meaning, flag: "" }
}

impl Key {
    const fn within(self, within: &'static str) -> Self {
        Self { within, ..self }
    }

    const fn flag(self, flag: &'static str) -> Self {
        Self { flag, ..self }
    }
}

/// Of whoever asks over HTTPS.
const PROXY: Key = key(
    "proxy",
    Kind::Text("URL"),
    Default::Said("as `HTTPS_PROXY` says; none towards this machine"),
    "the proxy that is gone through",
);
/// Of whoever asks over TLS.
const CA_FILE: Key =
    key("ca_file", Kind::Path, Default::Said("none"), "PEM: certificates that are trusted beside the system's");

/// How a table is read.
#[derive(Clone, Copy)]
struct Parser {
    /// The error: what the parser says.
    read: fn(&str) -> Result<(), String>,
}

const fn parser<T: DeserializeOwned>() -> Parser {
    Parser { read: |text| toml::from_str::<T>(text).map(|_| ()).map_err(|error| error.to_string()) }
}

impl Parser {
    fn keys(self) -> BTreeSet<String> {
        let refusal = (self.read)("no-such-key = 1").unwrap_err();
        let (_, expected) = refusal.split_once("expected ").unwrap();
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }
}

/// The keys that a table may have, as its parser tells them.
pub(super) fn keys<T: DeserializeOwned>() -> BTreeSet<String> {
    parser::<T>().keys()
}

struct Section {
    heading: &'static str,
    before: &'static str,
    after: &'static str,
    /// What `config show` puts before its keys; empty where it shows nothing that nobody set.
    shown_as: &'static str,
    parser: Parser,
    keys: &'static [Key],
}

/// In the order of the document.
const SECTIONS: [&Section; 22] = [
    &job::RUN,
    &job::RETRY,
    &job::BREAKER,
    &job::CONTEXT,
    &plugins::LIMITS,
    &routes::PROVIDER,
    &routes::ROUTE,
    &routes::ROUTE_LIMITS,
    &routes::PRICES,
    &routes::FALLBACK,
    &routes::MODEL,
    &plugins::GRANTS,
    &plugins::TRUST,
    &plugins::SANDBOX,
    &job::INPUT,
    &alerts::ALERT,
    &alerts::SLACK,
    &alerts::EMAIL,
    &alerts::WEBHOOK,
    &alerts::COMMAND,
    &telemetry::TELEMETRY,
    &plugins::POLICY,
];

impl Kind {
    fn told(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Number => "number",
            Self::Tokens => "tokens",
            Self::Dollars => "dollars",
            Self::Fraction => "number, 0 to 1",
            Self::Duration => "duration",
            Self::Size => "size",
            Self::Share => "share",
            Self::Bool => "true or false",
            Self::OneOf(told) | Self::Text(told) | Self::Texts(told) | Self::Table(told) => told,
        }
    }
}

/// `64.0 MiB` as it is written in the file, and large numbers in groups.
fn written(shown: &str) -> String {
    if let Some((number, unit)) = shown.split_once(".0 ") {
        return format!("{number}{unit}");
    }
    if shown.len() < 4 || !shown.bytes().all(|byte| byte.is_ascii_digit()) {
        return shown.to_owned();
    }
    let groups: Vec<&str> =
        shown.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

impl Key {
    fn default(&self, section: &Section, shown: &BTreeMap<String, String>) -> String {
        match self.default {
            Default::Said(told) => told.to_owned(),
            Default::Shown => {
                let name = format!("{}.{}", section.shown_as, self.name);
                written(shown.get(&name).unwrap_or_else(|| panic!("`config show` does not show {name}")))
            }
        }
    }

    fn row(&self, section: &Section, shown: &BTreeMap<String, String>) -> String {
        let within = if self.within.is_empty() { String::new() } else { format!(", {}", self.within) };
        let default = self.default(section, shown);
        format!("| `{}` | {}{within} | {default} | {} | {} |\n", self.name, self.kind.told(), self.meaning, self.flag)
    }
}

impl Section {
    fn written(&self, shown: &BTreeMap<String, String>) -> String {
        let mut text = format!("\n## {}\n\n", self.heading);
        if !self.before.is_empty() {
            let _ = writeln!(text, "{}\n", self.before);
        }
        text.push_str("| key | type | default | meaning | flag |\n|---|---|---|---|---|\n");
        text.extend(self.keys.iter().map(|key| key.row(self, shown)));
        if !self.after.is_empty() {
            let _ = write!(text, "\n{}\n", self.after);
        }
        text
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(FILE)
}

#[test]
fn the_reference_is_what_the_program_does() {
    let shown = held::shown();
    let sections: String = SECTIONS.iter().map(|section| section.written(&shown)).collect();
    let current = format!("{HEAD}{sections}{}{}", flags::without_keys(), flags::environment());
    if std::env::var_os("SANDMILL_UPDATE_DOCS").is_some() {
        std::fs::write(path(), &current).unwrap();
        return;
    }
    let text = std::fs::read_to_string(path()).unwrap();
    let differs = current.lines().zip(text.lines()).find(|(now, then)| now != then);
    assert!(text == current, "{FILE} is not what the program does; write it with\n    {COMMAND}\n{differs:#?}");
}
