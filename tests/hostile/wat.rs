//! Components in text: the prelude, with the sections of an attack put into it.
//!
//! A file of attacks: `;;;; name` begins one, and what follows is its section `attack`, until `;; == section` begins another.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

const FILES: [&str; 8] = ["time", "memory", "stack", "traps", "returned", "describe", "worlds", "isolation"];

/// The sections there are, and what stands in one that an attack does not have.
const SECTIONS: [(&str, &str); 18] = [
    ("imports", ""),
    ("pages", "4"),
    ("realloc", ""),
    ("libc", ""),
    ("lower", ""),
    ("core-imports", ""),
    ("fields", ""),
    ("ok", "(func $ok (result i32) (call $emit (i32.const 1056) (i32.const 11)))"),
    ("id", "i32.load8_u"),
    ("attack", "(func $attack (param i32) (result i32) (call $ok))"),
    ("describe", ""),
    ("post", ""),
    ("start", ""),
    ("with", ""),
    ("encoding", "string-encoding=utf8"),
    ("world", "sandmill:plugin/handler@1.0.0"),
    ("after", ""),
    ("whole", ""),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/hostile/wat")
}

type Sections = HashMap<String, String>;

/// All attacks in text, by name.
fn attacks() -> &'static BTreeMap<String, Sections> {
    static ATTACKS: OnceLock<BTreeMap<String, Sections>> = OnceLock::new();
    ATTACKS.get_or_init(|| {
        let mut found = BTreeMap::new();
        for file in FILES {
            let text = std::fs::read_to_string(folder().join(format!("{file}.wat"))).unwrap();
            for attack in text.split("\n;;;; ").skip(1) {
                let (name, body) = attack.split_once('\n').unwrap();
                assert!(found.insert(name.to_owned(), sections(body)).is_none(), "`{name}` comes twice");
            }
        }
        found
    })
}

fn sections(body: &str) -> Sections {
    let body = format!(";; == attack\n{body}");
    let mut found = Sections::new();
    for part in format!("\n{body}").split("\n;; == ").skip(1) {
        let (name, text) = part.split_once('\n').unwrap_or((part, ""));
        assert!(SECTIONS.iter().any(|(known, _)| *known == name), "there is no section `{name}`");
        let is_empty = text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with(";;"));
        if !is_empty {
            assert!(found.insert(name.to_owned(), repeated(text.trim_end())).is_none(), "`{name}` comes twice");
        }
    }
    found
}

/// `@repeat 3 x@` is `x x x`.
fn repeated(text: &str) -> String {
    let Some((before, rest)) = text.split_once("@repeat ") else { return text.to_owned() };
    let (count, rest) = rest.split_once(' ').unwrap();
    let (body, after) = rest.split_once('@').unwrap();
    let body = format!("{body} ").repeat(count.parse().unwrap());
    format!("{before}{body}{}", repeated(after))
}

fn prelude() -> String {
    let mut text = std::fs::read_to_string(folder().join("prelude.wat")).unwrap();
    let about = text.find("(component").unwrap();
    text.drain(..about);
    text
}

fn filled(prelude: &str, own: &Sections) -> String {
    SECTIONS.iter().fold(prelude.to_owned(), |text, (section, default)| {
        text.replace(&format!("@{section}@"), own.get(*section).map_or(*default, String::as_str))
    })
}

fn parsed(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn assemble(own: &Sections) -> Vec<u8> {
    match own.get("whole") {
        Some(whole) => parsed(whole),
        None => parsed(&filled(&prelude(), own)),
    }
}

/// The component of an attack in text.
pub(crate) fn component(name: &str) -> Vec<u8> {
    assemble(attacks().get(name).unwrap_or_else(|| panic!("no file has an attack `{name}`")))
}

/// Every attack that the files hold.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    attacks().keys().map(String::as_str)
}

/// A component around one core module, which is to be put in the place of the one that stands there.
pub(crate) fn around_c() -> Vec<u8> {
    let text = prelude();
    let (modules, types) = (text.find("  (core module $libc").unwrap(), text.find("  (type $pair_").unwrap());
    let module = r#"(core module $main
        (memory (export "memory") 2)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "process") (param i32) (result i32) unreachable)
        (func (export "describe") (result i32) unreachable)
        (func (export "post") (param i32)))
      (core instance $main (instantiate $main))
      (alias core export $main "memory" (core memory $memory))
      (alias core export $main "realloc" (core func $realloc))
      (alias core export $main "post" (core func $post))"#;
    parsed(&filled(&format!("{}{module}{}", &text[..modules], &text[types..]), &Sections::new()))
}

/// A plugin with schemas of its own, that yields `value`.
pub(crate) fn with_schemas(config: Option<&str>, output: Option<&str>, value: &str) -> Vec<u8> {
    let mut own = Sections::new();
    let (mut describe, mut fields, mut at) = (String::new(), String::new(), 1 << 20);
    for (schema, place) in [(config, 2200), (output, 2212)] {
        let Some(schema) = schema else { continue };
        write!(fields, "(data (i32.const {at}) \"{}\")", escaped(schema)).unwrap();
        write!(
            describe,
            "(i32.store8 (i32.const {place}) (i32.const 1)) (i32.store (i32.const {}) (i32.const {at})) (i32.store (i32.const {}) (i32.const {}))",
            place + 4,
            place + 8,
            schema.len()
        ).unwrap();
        at += schema.len().next_multiple_of(65_536);
    }
    write!(fields, "(data (i32.const {at}) \"{}\")", escaped(value)).unwrap();
    let attack =
        format!("(func $attack (param i32) (result i32) (call $emit (i32.const {at}) (i32.const {})))", value.len());
    let pages = (at + value.len()).div_ceil(65_536) + 1;
    own.extend([
        ("describe".to_owned(), describe),
        ("fields".to_owned(), fields),
        ("attack".to_owned(), attack),
        ("pages".to_owned(), pages.to_string()),
    ]);
    assemble(&own)
}

/// For a string of the text format.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => write!(out, "\\{byte:02x}").unwrap(),
            0x20..0x7f => out.push(char::from(byte)),
            _ => write!(out, "\\{byte:02x}").unwrap(),
        }
    }
    out
}
