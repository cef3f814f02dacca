//! Examples in the documents: indented and fenced blocks, each with the comment that stands before it, cut into commands, tables, JSON
//! and what else there is. Read by the tests of the program's own parsers (`host/src/cli/documents`), too.

use std::path::{Path, PathBuf};

/// One example, or a part of one.
pub(crate) struct Part {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Commands for a shell; `true`: they really run.
    Shell(bool),
    /// What the commands before it print.
    Printed,
    /// A file of this name that holds a table: `sandmill.toml`, `policy.toml` or `plugin.toml`.
    Toml(String),
    Json,
    /// What is written into a file of this name before commands run.
    File(String),
    /// In a language that nothing here reads.
    Other(String),
    /// Nobody says what it is.
    Unknown,
}

/// Programs whose lines are commands, beside ours.
pub(crate) const TOOLS: [&str; 28] = [
    "cargo",
    "rustup",
    "cat",
    "cc",
    "cd",
    "(cd",
    "cp",
    "curl",
    "docker",
    "echo",
    "gzip",
    "jq",
    "just",
    "kubectl",
    "minisign",
    "mkdir",
    "node",
    "npm",
    "oras",
    "pip",
    "python3",
    "sbatch",
    "sqlite3",
    "systemctl",
    "timeout",
    "wkg",
    "SANDMILL_TEST_KITS=all",
    "SANDMILL_TEST_WRITE=1",
];

/// The documents of the repository: README, docs, those of plugins, of kits and of the contract.
pub(crate) fn documents(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![
        root.join("README.md"),
        root.join("CONTRIBUTING.md"),
        root.join("ARCHITECTURE.md"),
        root.join("wit/README.md"),
    ];
    for folder in ["docs", "plugins", "guest-sdk"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let document = if path.is_dir() { path.join("README.md") } else { path };
            if document.extension().is_some_and(|extension| extension == "md") && document.exists() {
                found.push(document);
            }
        }
    }
    found.sort();
    found
}

/// All examples of a document, in order.
pub(crate) fn parts(text: &str) -> Vec<Part> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut found, mut at, mut mark) = (Vec::new(), 0, None);
    while at < lines.len() {
        let line = lines[at];
        if let Some(comment) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            mark = Some(comment);
        } else if let Some(language) = line.strip_prefix("```") {
            let inside: Vec<&str> =
                lines[at + 1..].iter().take_while(|line| !line.starts_with("```")).copied().collect();
            found.push(Part { line: at + 2, kind: fenced(mark.take(), language), text: inside.join("\n") });
            at += inside.len() + 1;
        } else if line.starts_with("    ") && (at == 0 || lines[at - 1].is_empty()) {
            let is_in = |line: &&&str| line.is_empty() || line.starts_with("    ");
            let inside: Vec<&str> =
                lines[at..].iter().take_while(is_in).map(|line| line.get(4..).unwrap_or_default()).collect();
            found.extend(indented(mark.take(), at + 1, &inside));
            at += inside.len() - 1;
        } else if !line.is_empty() {
            mark = None;
        }
        at += 1;
    }
    found
}

fn fenced(mark: Option<&str>, language: &str) -> Kind {
    match (mark.and_then(marked), language) {
        (Some(kind), _) => kind,
        (None, "sh") => Kind::Shell(false),
        (None, "toml") => Kind::Toml("sandmill.toml".into()),
        (None, "json") => Kind::Json,
        (None, "") => Kind::Unknown,
        (None, other) => Kind::Other(other.into()),
    }
}

/// What a comment before a block says of it.
fn marked(comment: &str) -> Option<Kind> {
    let (word, rest) = comment.split_once(": ").unwrap_or((comment, ""));
    match word {
        "run" => Some(Kind::Shell(true)),
        "toml" => Some(Kind::Toml(rest.into())),
        "file" => Some(Kind::File(rest.into())),
        "text" => Some(Kind::Other("text".into())),
        _ => None,
    }
}

/// Paragraphs of a block, those of one kind together.
fn indented(mark: Option<&str>, first: usize, lines: &[&str]) -> Vec<Part> {
    let mark = mark.and_then(marked);
    if let Some(kind @ (Kind::Toml(_) | Kind::File(_) | Kind::Other(_))) = mark {
        return vec![Part { line: first, kind, text: lines.join("\n").trim_end().to_owned() }];
    }
    let mut found: Vec<Part> = Vec::new();
    let mut at = 0;
    for paragraph in lines.split(|line| line.is_empty()) {
        if let Some(begin) = paragraph.first() {
            let kind = match guessed(begin) {
                Kind::Shell(_) => Kind::Shell(mark == Some(Kind::Shell(true))),
                Kind::Unknown if matches!(found.last(), Some(Part { kind: Kind::Shell(_) | Kind::Printed, .. })) => {
                    Kind::Printed
                }
                // What commands that run print may be anything.
                _ if mark.is_some() && !found.is_empty() => Kind::Printed,
                other => other,
            };
            match found.last_mut() {
                Some(last) if last.kind == kind => last.text.extend(["\n\n", &paragraph.join("\n")]),
                Some(_) | None => found.push(Part { line: first + at, kind, text: paragraph.join("\n") }),
            }
        }
        at += paragraph.len() + 1;
    }
    found
}

fn guessed(line: &str) -> Kind {
    let first = line.split_whitespace().next().unwrap_or_default();
    let is_key = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if first == "sandmill" || first.ends_with("/sandmill") || TOOLS.contains(&first) {
        Kind::Shell(false)
    } else if line.starts_with('{') {
        Kind::Json
    } else if line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| is_key(key)) {
        Kind::Toml("sandmill.toml".into())
    } else {
        Kind::Unknown
    }
}
