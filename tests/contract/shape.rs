//! The shapes of released versions, and what may become of them.

use crate::support::root;
use sandmill::sandbox::RELEASES;
use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;
use wit_component::{WitPrinter, semver_check};
use wit_parser::{PackageId, Resolve};

const WORLD: &str = "processor";
/// Set, it has the shapes of versions that have none yet written.
const WRITE: &str = "SANDMILL_TEST_WRITE";

/// The files of a version, by what stands in them.
type Files = Vec<(String, String)>;

fn files(version: &str) -> Files {
    let folder = root().join("wit").join(version);
    let mut files: Files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "wit"))
        .map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// The same with a change in one place.
fn changed(files: &Files, from: &str, to: &str) -> Files {
    let all: String = files.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(all.matches(from).count(), 1, "`{from}` does not stand in one place");
    files.iter().map(|(name, text)| (name.clone(), text.replace(from, to))).collect()
}

fn add(resolve: &mut Resolve, files: &Files) -> PackageId {
    let mut sources = wit_parser::SourceMap::new();
    for (name, text) in files {
        sources.push_str(name, text);
    }
    let group = sources.parse().map_err(|(_, error)| error).unwrap();
    resolve.push_group(group).unwrap()
}

/// What a component is bound to, without a word of what is said about it.
fn shape(files: &Files) -> String {
    let mut resolve = Resolve::default();
    let package = add(&mut resolve, files);
    let mut printer = WitPrinter::default();
    printer.emit_docs(false).print(&resolve, package, &[]).unwrap();
    printer.output.to_string()
}

/// Every line with where it stands: `interface types / record item / id: string`.
fn places(shape: &str) -> Vec<String> {
    let mut open: Vec<&str> = Vec::new();
    let mut places = Vec::new();
    for line in shape.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line == "}" {
            open.pop();
            continue;
        }
        let name = line.trim_end_matches(['{', ',', ';']).trim();
        places.push([open.as_slice(), &[name]].concat().join(" / "));
        if line.ends_with('{') {
            open.push(name);
        }
    }
    places
}

/// What has changed from one shape to the other; empty: nothing.
fn difference(old: &str, new: &str) -> String {
    let (old, new) = (places(old), places(new));
    if old == new {
        return String::new();
    }
    let mut told = String::new();
    for (sign, these, others) in [("-", &old, &new), ("+", &new, &old)] {
        let others: HashSet<&String> = others.iter().collect();
        for place in these.iter().filter(|place| !others.contains(place)) {
            writeln!(told, "{sign} {place}").unwrap();
        }
    }
    if told.is_empty() {
        let moved = old.iter().zip(&new).find(|(old, new)| old != new).unwrap();
        writeln!(told, "the order has changed: {} stands where {} stood", moved.1, moved.0).unwrap();
    }
    told
}

fn snapshot(version: &str) -> std::path::PathBuf {
    root().join("tests/contract/shapes").join(format!("{version}.wit"))
}

fn check(version: &str, files: &Files) -> Result<(), String> {
    let kept = std::fs::read_to_string(snapshot(version)).map_err(|error| {
        format!("{version} has no shape yet ({error}): once it is as it shall stay, run this test with {WRITE}=1")
    })?;
    match difference(&kept, &shape(files)) {
        told if told.is_empty() => Ok(()),
        told => Err(format!(
            "wit/{version} has been released and its shape must stay: make a new version of what is changed (wit/README.md)\n{told}"
        )),
    }
}

/// Whether components of the one can be run as components of the other.
fn upgrade(old: &Files, new: &Files) -> Result<(), String> {
    let mut resolve = Resolve::default();
    let [old, new] = [old, new].map(|files| {
        let package = add(&mut resolve, files);
        resolve.select_world(&[package], Some(WORLD)).unwrap()
    });
    semver_check(resolve, old, new).map_err(|error| format!("{error:#}"))
}

fn as_version(files: &Files, version: &str) -> Files {
    let other = |text: &str| text.replace("sandmill:plugin@1.0.0", &format!("sandmill:plugin@{version}"));
    files.iter().map(|(name, text)| (name.clone(), other(text))).collect()
}

#[test]
fn each_released_version_keeps_its_shape() {
    let mut found: Vec<String> = std::fs::read_dir(root().join("wit"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    let mut known: Vec<String> = RELEASES.iter().map(|release| release.version.to_string()).collect();
    known.sort();
    assert_eq!(found, known, "the folders of wit/ are not the versions of the table in sandbox/contract.rs");
    for version in known {
        let files = files(&version);
        if std::env::var_os(WRITE).is_some() && !Path::exists(&snapshot(&version)) {
            std::fs::create_dir_all(snapshot(&version).parent().unwrap()).unwrap();
            std::fs::write(snapshot(&version), shape(&files)).unwrap();
        }
        check(&version, &files).unwrap_or_else(|told| panic!("{told}"));
    }
}

#[test]
fn what_ran_on_a_version_runs_on_the_next_of_its_major() {
    for pair in RELEASES.windows(2).filter(|pair| pair[0].version.major == pair[1].version.major) {
        let [old, new] = [&pair[0], &pair[1]].map(|release| files(&release.version.to_string()));
        upgrade(&old, &new).unwrap_or_else(|told| panic!("{} to {}: {told}", pair[0].version, pair[1].version));
    }
}

#[test]
fn a_change_of_a_released_shape_is_refused_and_named() {
    let released = files("1.0.0");
    assert_eq!(check("1.0.0", &changed(&released, "/// Ask a model.", "/// Ask a model anything.")), Ok(()));
    for (from, to, told) in [
        (
            "    reason: string,\n",
            "    reason: string,\n    code: string,\n",
            "+ interface types / record skip / code: string",
        ),
        ("    index: u64,\n", "    index: u32,\n", "- interface types / record item / index: u64"),
        ("    cancelled,\n", "    cancelled,\n    later,\n", "+ interface llm / enum error-kind / later"),
        ("length: u32)", "length: u64)", "+ interface blobs / read: func(name: string, offset: u64, length: u64)"),
        ("  import blobs;\n", "", "- world processor / import blobs"),
        ("  describe: func() -> manifest;\n", "", "- interface handler / describe: func() -> manifest"),
        ("    rejected,\n", "", "- interface llm / enum error-kind / rejected"),
        (
            "    trace,\n    debug,\n",
            "    debug,\n    trace,\n",
            "the order has changed: interface log / enum level / debug",
        ),
    ] {
        let why = check("1.0.0", &changed(&released, from, to)).unwrap_err();
        assert!(why.contains("wit/1.0.0 has been released") && why.contains(told), "`{told}` is not said in: {why}");
    }
}

#[test]
fn a_next_version_may_add_what_a_plugin_imports_and_nothing_else() {
    let released = files("1.0.0");
    let next = |from: &str, to: &str| upgrade(&released, &as_version(&changed(&released, from, to), "1.1.0"));
    assert_eq!(upgrade(&released, &as_version(&released, "1.1.0")), Ok(()));
    assert_eq!(
        next("  /// Ask a model.\n", "  /// What there is.\n  roles: func() -> list<string>;\n\n  /// Ask a model.\n"),
        Ok(())
    );
    assert_eq!(
        next("/// The world of a", "interface clock {\n  now: func() -> u64;\n}\n\n/// The world of a")
            .and(next("  import blobs;\n", "  import blobs;\n  import wall: interface { now: func() -> u64; }\n")),
        Ok(())
    );
    for (from, to) in [
        ("    reason: string,\n", "    reason: string,\n    code: string,\n"),
        ("    cancelled,\n", "    cancelled,\n    later,\n"),
        ("  log: func(level: level, message: string, fields: list<pair>);\n", ""),
        ("  import blobs;\n", ""),
        ("  describe: func() -> manifest;\n", "  describe: func() -> manifest;\n\n  end: func();\n"),
        ("  export handler;\n", "  export handler;\n  export ended: func();\n"),
    ] {
        assert!(next(from, to).is_err(), "`{to}` instead of `{from}` is taken for a version that all can run on");
    }
}
