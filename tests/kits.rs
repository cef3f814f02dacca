//! Plugins in other languages than Rust: whatever the kit, an item ends the same.
//!
//! A language whose tools this machine lacks is named and passed over; with `SANDMILL_TEST_KITS=all` it fails.

use crate::support::{Place, built_if_it_can_be, plugin, root};
use serde_json::{Value, json};

/// A folder, relative to the repository.
fn built(folder: &str) -> Option<String> {
    built_if_it_can_be(&root().join(folder))
}

fn run(place: &Place, plugin: &str, input: &str, extra: &[&str], code: i32) -> Value {
    let args = ["run", plugin, "--input", input, "--output", "out.jsonl", "--json", "--job", "j"];
    place.run(&[&args[..], extra].concat()).expect(code).summary()
}

/// What each kind of work shall come to, in every language.
fn work() -> Vec<Value> {
    ["config", "chat", "json", "several", "denied", "log", "many", "fail", "retry", "skip", "crash"]
        .map(|work| json!({"id": work, "do": work, "text": "What is \u{e4}\u{1f600}?"}))
        .to_vec()
}

/// `place_of_crash`: how the line of the source is named.
fn check_conform(folder: &str, place_of_crash: &str) {
    let Some(plugin) = built(folder) else { return };
    let place = Place::new();
    place.write("in.jsonl", work().iter().map(|item| item.to_string() + "\n").collect::<String>());
    let summary = run(&place, &plugin, "in.jsonl", &["--provider", "mock", "--set", "team=red"], 3);
    assert_eq!(summary["job"]["skipped"], 1, "{folder}: {summary}");

    let rows = place.rows("out.jsonl");
    let of = |id: &str| rows.iter().filter(|(row, _)| row == id).map(|(_, value)| value.clone()).collect::<Vec<_>>();
    assert_eq!(of("config"), [json!("red")], "{folder}");
    // The mock's answer ends in a digest of the question: all of them ask the same.
    assert_eq!(of("chat"), [json!("mock answer to What is \u{e4}\u{1f600}? [bc9633f76a98]")], "{folder}");
    assert_eq!(of("many"), [json!(1), json!({"two": "What is \u{e4}\u{1f600}?"})], "{folder}");
    assert_eq!(of("retry"), [json!(2)], "{folder}");
    assert_eq!(of("log"), [json!("logged")], "{folder}");
    assert!(of("json")[0]["topic"].is_string() && of("json")[0]["next"].is_i64(), "{folder}: {:?}", of("json"));
    let several = of("several")[0].as_array().unwrap().clone();
    assert!(several.len() == 2 && several.iter().all(Value::is_string), "{folder}: {several:?}");

    let failed = place.run(&["failed", "list", "j", "--json"]).expect(0).stdout;
    let failed: Vec<Value> = failed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let codes: Vec<(&Value, &Value)> = failed.iter().map(|one| (&one["id"], &one["code"])).collect();
    let expected = [("denied", json!("unknown_role")), ("fail", json!("no_text")), ("crash", json!("trap"))];
    let expected = expected.map(|(id, code)| (json!(id), code));
    assert_eq!(codes, expected.iter().map(|(id, code)| (id, code)).collect::<Vec<_>>(), "{folder}: {failed:?}");

    let log = place.run(&["log", "j", "--item", "crash"]).expect(0).stdout;
    assert!(log.contains("cannot do crash") && log.contains(place_of_crash), "{folder}: {log}");
    let log = place.run(&["log", "j", "--item", "log"]).expect(0).stdout;
    assert!(log.contains("warn: careful n=1") && log.contains("printed"), "{folder}: {log}");
}

#[test]
fn python_ends_items_as_every_language_does() {
    check_conform("tests/kits/py", "File \"plugin.py\", line ");
}

#[test]
fn typescript_ends_items_as_every_language_does() {
    check_conform("tests/kits/ts", "at crash (plugin.ts:");
}

#[test]
fn go_ends_items_as_every_language_does() {
    check_conform("tests/kits/go", "conform/plugin.go:");
}

#[test]
fn c_ends_items_as_every_language_does() {
    check_conform("tests/kits/c", "plugin.c:");
}

/// The messages of the sample, redacted.
fn redacted(plugin: &str, extra: &[&str]) -> Vec<(String, Value)> {
    let place = Place::new();
    let sample = root().join("plugins/redact/sample/messages.jsonl");
    run(&place, plugin, sample.to_str().unwrap(), extra, 0);
    place.rows("out.jsonl")
}

#[test]
fn redact_writes_the_same_in_every_language() {
    let chosen = ["--set", r#"fields=["contact","text"]"#, "--set", r#"kinds=["phone","email"]"#];
    let (all, some) = (redacted(&plugin("redact"), &[]), redacted(&plugin("redact"), &chosen));
    assert_eq!(all.len(), 100);
    for folder in ["plugins/redact-py", "plugins/redact-js", "plugins/redact-go"] {
        let Some(other) = built(folder) else { continue };
        assert_eq!(redacted(&other, &[]), all, "{folder}");
        assert_eq!(redacted(&other, &chosen), some, "{folder}");
    }
}

/// How many calls it takes to sum up long texts with a small model, and the words of each.
fn summed_up(plugin: &str) -> (Value, Vec<(String, Value)>) {
    let place = Place::new();
    let sample = std::fs::read_to_string(root().join("plugins/summarize/sample/addresses.jsonl")).unwrap();
    let some: Vec<&str> = sample.lines().step_by(6).take(3).collect();
    place.write("in.jsonl", some.join("\n") + "\n{\"id\":\"empty\",\"text\":\" \"}\n");
    let summary = run(&place, plugin, "in.jsonl", &["--provider", "mock", "--context", "2000"], 0);
    let words = place.rows("out.jsonl").into_iter().map(|(id, output)| (id, output["words"].clone())).collect();
    (summary["run"]["provider_calls"].clone(), words)
}

#[test]
fn summarize_asks_the_same_in_every_language() {
    let rust = summed_up(&plugin("summarize"));
    assert_eq!(rust.1.len(), 3);
    for folder in ["plugins/summarize-py", "plugins/summarize-ts"] {
        let Some(other) = built(folder) else { continue };
        assert_eq!(summed_up(&other), rust, "{folder}");
    }
}
