//! The documents: every link leads somewhere, and what is marked to be run does what is said there. (What can be told without running
//! anything, `host/src/cli/documents` tells.)

#[path = "docs/blocks.rs"]
mod blocks;

use crate::support::{Place, SANDMILL, compiled, plugin, root};
use blocks::{Kind, documents, parts};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let (mut found, mut times, mut is_code) = (BTreeSet::new(), BTreeMap::new(), false);
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        let Some(heading) = line.strip_prefix('#').filter(|_| !is_code) else { continue };
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let nth: &mut u32 = times.entry(anchor.clone()).or_default();
        found.insert(if *nth == 0 { anchor } else { format!("{anchor}-{nth}") });
        *nth += 1;
    }
    found
}

/// Where the links and pictures of a document lead; those to the web are left out.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (nth, line) in text.lines().enumerate() {
        is_code ^= line.starts_with("```");
        if is_code || line.starts_with("    ") {
            continue;
        }
        let of_html = ["src=\"", "srcset=\""]
            .into_iter()
            .flat_map(|name| line.split(name).skip(1))
            .map(|rest| rest.split('"').next());
        // Within code it is none.
        let is_link = |at: usize| line[..at].matches('`').count() % 2 == 0;
        let of_text =
            line.match_indices("](").filter(|(at, _)| is_link(*at)).map(|(at, _)| line[at + 2..].split(')').next());
        let targets = of_text.chain(of_html).flatten();
        found.extend(targets.filter(|target| !target.contains("://")).map(|target| (nth + 1, target.to_owned())));
    }
    found
}

fn broken(document: &Path, target: &str) -> Option<String> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { document.to_path_buf() } else { document.parent().unwrap().join(file) };
    if !path.exists() {
        return Some(format!("{target}: there is no such file"));
    }
    if anchor.is_empty() {
        return None;
    }
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    (!anchors(&text).contains(anchor)).then(|| format!("{target}: there is no such heading"))
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for document in documents(&root()).into_iter().chain([root().join("CHANGELOG.md")]) {
        for (line, target) in links(&std::fs::read_to_string(&document).unwrap()) {
            seen += 1;
            wrong.extend(broken(&document, &target).map(|said| format!("{}:{line}: {said}", document.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 100, "only {seen} links were found");
}

/// Headings below which nothing stands.
fn empty_headings(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let said: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let level = |line: &str| {
        if line.starts_with('#') { line.bytes().take_while(|byte| *byte == b'#').count() } else { usize::MAX }
    };
    let mut empty = Vec::new();
    for (nth, line) in said.iter().enumerate() {
        is_code ^= line.starts_with("```");
        let next = said.get(nth + 1).map_or(0, |next| level(next));
        if !is_code && level(line) != usize::MAX && next <= level(line) {
            empty.push(*line);
        }
    }
    empty
}

/// `module/file.rs`, `tests/…`: what a document names of the sources.
fn sources(text: &str) -> impl Iterator<Item = &str> {
    let is_path =
        |code: &&str| code.contains('/') && code.chars().all(|c| c.is_ascii_alphanumeric() || "/_.-".contains(c));
    let in_text =
        text.lines().filter(|line| !line.starts_with("    ")).flat_map(|line| line.split('`').skip(1).step_by(2));
    in_text.filter(is_path).filter(|code| {
        Path::new(code).extension().is_some_and(|extension| extension == "rs") || code.starts_with("tests/")
    })
}

#[test]
fn every_source_that_is_named_is_there() {
    let mut seen = 0;
    for name in ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/security.md", "docs/conformance.md", "wit/README.md"] {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        // Files that are still to be written are called x.
        for source in sources(&text).filter(|source| !source.ends_with("/x.rs")) {
            seen += 1;
            let is_there = root().join(source).exists() || root().join("host/src").join(source).exists();
            assert!(is_there, "{name} names {source}, which is not there");
        }
    }
    assert!(seen > 50, "only {seen} were found");
}

#[test]
fn below_every_heading_there_is_something() {
    for document in documents(&root()) {
        let text = std::fs::read_to_string(&document).unwrap();
        assert_eq!(empty_headings(&text), [""; 0], "{}", document.display());
    }
    assert_eq!(empty_headings("# a\n## b\nc\n## d\n\n## e\n```\n# f\n# g\n```"), ["## d"]);
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let place = Place::new();
    let document = place.write(
        "a.md",
        "# One `[two.X]`, three\n\n## Same\n## Same\n\n[x](a.md#one-twox-three) [y](#same-1) [z](b.md) ![p](p.png)",
    );
    let text = place.read("a.md");
    let said: Vec<bool> = links(&text).iter().map(|(_, target)| broken(&document, target).is_some()).collect();
    assert_eq!(said, [false, false, true, true]);
    assert!(broken(&document, "#same-2").is_some());
}

/// Plugins that examples which run use.
const PLUGINS: [&str; 3] = ["prompt", "summarize", "redact"];

/// A folder as a reader has it: the plugins of the repository, built, and the program by its name.
fn desk() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("plugins")).unwrap();
    for name in PLUGINS {
        std::os::unix::fs::symlink(plugin(name), place.path(&format!("plugins/{name}"))).unwrap();
    }
    std::fs::create_dir(place.path("bin")).unwrap();
    std::os::unix::fs::symlink(SANDMILL, place.path("bin/sandmill")).unwrap();
    place
}

/// What a script prints on stdout and stderr together; no key is set, and no proxy or name server is needed.
fn printed(place: &Place, script: &str) -> (i32, String) {
    let path =
        std::env::join_paths([place.path("bin"), PathBuf::from("/usr/local/bin"), "/usr/bin".into(), "/bin".into()])
            .unwrap();
    let mut command = Command::new("sh");
    command.args(["-ec", &format!("exec 2>&1\n{script}")]).current_dir(place.path(".")).env_clear().env("PATH", path);
    command.env("SANDMILL_CACHE", compiled()).env("HOME", place.path(".")).stdin(Stdio::null());
    let output = command.output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a line is what is written, where `…` stands for anything.
fn is_like(line: &str, written: &str) -> bool {
    let mut pieces = written.trim_end().split('…');
    let Some(mut rest) = line.trim_end().strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    for (nth, piece) in pieces.iter().enumerate() {
        let is_last = nth + 1 == pieces.len();
        let at = if is_last && piece.is_empty() {
            Some(rest.len())
        } else if is_last {
            rest.ends_with(piece).then(|| rest.len() - piece.len())
        } else {
            rest.find(piece)
        };
        let Some(at) = at else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty()
}

/// Every line that is written comes, in this order; a line `…` stands for any number of them, and without one nothing else comes.
fn differs(printed: &str, written: &str) -> Option<String> {
    let (mut lines, mut is_open) = (printed.lines().peekable(), false);
    for line in written.lines() {
        if line.trim() == "…" {
            is_open = true;
            continue;
        }
        loop {
            match lines.next() {
                Some(next) if is_like(next, line) => break,
                Some(_) if is_open => {}
                other => return Some(format!("written: {line}\nprinted: {}", other.unwrap_or("nothing more"))),
            }
        }
        is_open = false;
    }
    lines.next().filter(|_| !is_open).map(|line| format!("not written, but printed: {line}"))
}

#[test]
fn what_the_documents_say_of_a_run_is_what_comes() {
    let mut ran = 0;
    for document in documents(&root()) {
        let text = std::fs::read_to_string(&document).unwrap();
        let parts = parts(&text);
        if !parts.iter().any(|part| part.kind == Kind::Shell(true)) {
            continue;
        }
        let place = desk();
        for (nth, part) in parts.iter().enumerate() {
            let at = format!("{}:{}", document.display(), part.line);
            match &part.kind {
                Kind::File(name) => {
                    place.write(name, format!("{}\n", part.text));
                }
                Kind::Shell(true) => {
                    let asks_others = part.text.split("--provider ").skip(1).any(|rest| !rest.starts_with("mock"));
                    assert!(!asks_others, "{at}: what runs asks the mock provider and nobody else");
                    let (code, printed) = printed(&place, &part.text);
                    ran += 1;
                    match parts.get(nth + 1).filter(|next| next.kind == Kind::Printed) {
                        // The code is the last command's; what it means stands in what is printed.
                        Some(next) => {
                            let difference = differs(&printed, &next.text);
                            assert!(difference.is_none(), "{at}: {}\nof:\n{printed}", difference.unwrap_or_default());
                        }
                        None => assert_eq!(code, 0, "{at}:\n{printed}"),
                    }
                }
                Kind::Shell(false) | Kind::Printed | Kind::Toml(_) | Kind::Json | Kind::Other(_) | Kind::Unknown => {}
            }
        }
    }
    assert!(ran >= 5, "only {ran} examples ran");
}

#[test]
fn what_comes_otherwise_than_it_is_written_is_found() {
    assert_eq!(differs("a 1 s\nb\nc", "a … s\n…\nc"), None);
    assert_eq!(differs("a\nb", "a\n…"), None);
    assert!(differs("a\nb", "a").unwrap().contains("printed: b"));
    assert!(differs("a", "a\nb").unwrap().contains("nothing more"));
    assert!(differs("a 1 s", "a … m").is_some());
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let mut seen = 0;
    for document in documents(&root()) {
        let text = std::fs::read_to_string(&document).unwrap();
        for (before, target) in
            text.match_indices("](").map(|(at, _)| (&text[..at], text[at + 2..].split(')').next().unwrap()))
        {
            let Some(name) = before.strip_suffix('`').and_then(|rest| rest.rsplit('`').next()) else { continue };
            let is_test =
                Path::new(target).extension().is_some_and(|extension| extension == "rs") && name.contains('_');
            if is_test {
                seen += 1;
                let source = std::fs::read_to_string(document.parent().unwrap().join(target)).unwrap();
                let is_there = source.contains(&format!("fn {name}("));
                assert!(is_there, "{}: {target} has no test {name}", document.display());
            }
        }
    }
    assert!(seen > 20, "only {seen} were found");
}
