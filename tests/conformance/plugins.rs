//! Plugins that exist in several languages: they write the same, and ask the same.

use crate::support::{Place, built_if_it_can_be, plugin, root};
use serde_json::Value;

/// A folder, relative to the repository.
fn built(folder: &str) -> Option<String> {
    built_if_it_can_be(&root().join(folder))
}

fn run(place: &Place, plugin: &str, input: &str, extra: &[&str], code: i32) -> Value {
    let args = ["run", plugin, "--input", input, "--output", "out.jsonl", "--json", "--job", "j"];
    place.run(&[&args[..], extra].concat()).expect(code).summary()
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
