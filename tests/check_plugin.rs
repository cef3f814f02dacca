//! `plugin check`: what is wrong with a plugin before it is run, with an exit code for those who build it.

use crate::support::{Place, Ran, plugin, root};
use serde_json::{Value, json};
use std::path::PathBuf;

fn check(place: &Place, plugin: &str, more: &[&str]) -> Ran {
    place.run(&[&["plugin", "check", plugin][..], more].concat())
}

/// The state and the text of one finding.
fn found(place: &Place, plugin: &str, more: &[&str], code: i32, what: &str) -> (String, String) {
    let all: Value =
        serde_json::from_str(&check(place, plugin, &[more, &["--json"]].concat()).expect(code).stdout).unwrap();
    assert_eq!(all["is_ok"], code == 0, "{all}");
    let found = all["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == what);
    let found = found.unwrap_or_else(|| panic!("{what}: {all}"));
    let text = |key: &str| found[key].as_str().unwrap().to_owned();
    (text("state"), text("text"))
}

/// A built plugin's component in a folder of its own, which asks for something.
fn asking(place: &Place, name: &str, grants: &str) -> PathBuf {
    let folder = place.path("asking");
    std::fs::create_dir_all(&folder).unwrap();
    let manifest =
        format!("name = \"asking\"\ncomponent = \"it.wasm\"\n[grants]\n{grants}\n[build]\ncommand = [\"true\"]\n");
    std::fs::write(folder.join("plugin.toml"), manifest).unwrap();
    plugin(name);
    let component = root().join(format!("plugins/target/wasm32-wasip2/plugin/{name}.wasm"));
    std::fs::copy(component, folder.join("it.wasm")).unwrap();
    folder
}

#[test]
fn a_plugin_that_works_is_told_what_it_is_and_what_it_takes() {
    let place = Place::new();
    let text = check(&place, &plugin("summarize"), &[]).expect(0).stdout;
    for part in [
        "ok       world     sandmill:plugin/processor@",
        "ok       grants    it asks for none",
        "summarize 0.1.0; fields text; models default",
        "ok       output    its schema is in order",
        "ok       item      done, with 1 value",
        "processor time",
        "nothing is wrong",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let all = check(&place, &plugin("summarize"), &["--json"]).expect(0).stdout;
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!((&all["was_compiled_before"], &all["is_ok"]), (&json!(true), &json!(true)));
    assert!(all["memory_bytes"].as_u64().unwrap() > 0 && all["bytes"].as_u64().unwrap() > 10_000, "{all}");
    assert!(!place.path(".sandmill").exists(), "nothing is stored");
}

#[test]
fn a_plugin_that_wants_to_be_set_up_is_run_once_it_is() {
    let place = Place::new();
    let prompt = plugin("prompt");
    let (state, text) = found(&place, &prompt, &[], 0, "item");
    assert!(state == "skipped" && text.contains("--set KEY=VALUE"), "{text}");
    let set = ["--set", "prompt=Translate: {{text}}", "--item", r#"{"text":"Hello"}"#];
    assert_eq!(found(&place, &prompt, &set, 0, "item"), ("ok".into(), "done, with 1 value".into()));
    check(&place, &prompt, &["--item", "[1]"]).expect_error(2, &["--item: "]);
}

#[test]
fn what_an_item_comes_to_is_told_by_what_it_means() {
    let place = Place::new();
    let misbehave = plugin("misbehave");
    let item =
        |work: &str, code| found(&place, &misbehave, &["--item", &json!({"do": work}).to_string()], code, "item");
    let (state, text) = item("panic", 3);
    assert!(state == "wrong" && text.starts_with("failed, trap/"), "{text}");
    let (state, text) = item("fail", 0);
    assert!(state == "warning" && text.contains("asked to; an item of its own: --item"), "{text}");
    assert_eq!(item("retry", 0).0, "warning");
    assert_eq!(item("skip", 0), ("ok".into(), "skipped: asked to".into()));
    let strict = ["--strict", "--item", r#"{"do":"fail"}"#];
    assert_eq!(found(&place, &misbehave, &strict, 3, "item").0, "warning");
    let looping = ["--item", r#"{"do":"loop"}"#, "--limit-cpu", "50ms"];
    assert!(found(&place, &misbehave, &looping, 3, "item").1.contains("--limit-cpu"));
    assert_eq!(found(&place, &misbehave, &looping, 3, "limits").0, "warning");
}

#[test]
fn what_a_plugin_asks_for_is_held_against_what_it_imports() {
    let place = Place::new();
    let folder = asking(&place, "redact", "http = [\"api.example.com\"]").display().to_string();
    let (state, text) = found(&place, &folder, &[], 0, "grants");
    assert!(state == "warning" && text.contains("imports nothing that could use it"), "{text}");
    let (state, text) = found(&place, &folder, &[], 0, "item");
    assert!(state == "skipped" && text.contains("it needs http=api.example.com: give it with --grant"), "{text}");
    let given = ["--grant", "http=api.example.com", "--item", r#"{"text":"jo@example.com"}"#];
    assert_eq!(found(&place, &folder, &given, 0, "item").0, "ok");
    check(&place, &folder, &["--strict"]).expect(3);
    place.write("http.wat", "(component (import \"wasi:http/types@0.2.6\" (instance)))");
    let (state, text) = found(&place, "http.wat", &[], 3, "grants");
    assert!(
        state == "warning" && text.contains("leads to http") && text.contains("every request is refused"),
        "{text}"
    );
}

#[test]
fn what_is_no_plugin_is_wrong_and_what_is_not_there_is_not_checked() {
    let place = Place::new();
    place.write("other.wat", "(component)");
    assert_eq!(found(&place, "other.wat", &[], 3, "world").0, "wrong");
    assert_eq!(found(&place, "other.wat", &[], 3, "load").0, "wrong");
    let little = ["--limit-memory", "64KiB"];
    assert_eq!(found(&place, &plugin("redact"), &little, 3, "load").0, "wrong");
    check(&place, "nowhere", &[]).expect_error(2, &["there is no plugin at nowhere"]);
    place.run(&["plugin", "new", "fresh", "--lang", "c"]).expect(0);
    check(&place, "fresh", &[]).expect_error(2, &["has not been built", "sandmill plugin build fresh"]);
}
