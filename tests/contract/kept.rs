//! A component that was built when 1.0.0 was released, and is never built again: it stands for all plugins that exist.

use crate::support::{Place, root};
use serde_json::{Value, json};

const IDS: [&str; 16] = [
    "context",
    "emit-none",
    "emit-several",
    "skip",
    "fail",
    "retry",
    "retry-for-ever",
    "log",
    "blob",
    "complete",
    "schema",
    "conversation",
    "denied",
    "many",
    "count",
    "crash",
];

fn component() -> String {
    root().join("tests/contract/plugin-1.0.0.wasm").display().to_string()
}

fn answer(text: &str, tokens: [u64; 2]) -> Value {
    json!({
        "text": text, "calls": 0, "finish": "stop", "model": "mock-1", "tokens": [tokens[0], tokens[1], 0, 0, 0],
        "opaque": 0, "is_cut": false, "extras": 0,
    })
}

#[test]
fn what_was_built_for_the_first_version_ends_as_it_did_then() {
    let place = Place::new();
    place.write("page.txt", "a page");
    place.write("in.jsonl", IDS.map(|id| json!({"id": id, "n": 1}).to_string() + "\n").concat());
    let plugin = component();
    let args = ["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--job", "j", "--json"];
    let settings = ["--provider", "mock", "--set", "team=red", "--attach", "page=page.txt", "--max-attempts", "2"];
    let summary = place.run(&[&args[..], &settings].concat()).expect(3).summary();
    assert_eq!(summary["job"]["skipped"], 1, "{summary}");

    let rows = place.rows("out.jsonl");
    let of = |id: &str| rows.iter().filter(|(row, _)| row == id).map(|(_, value)| value.clone()).collect::<Vec<_>>();
    let context = json!({
        "id": "context", "index": 0, "item": {"id": "context", "n": 1}, "blobs": 1, "job": "j", "attempt": 1,
        "config": {"team": "red"}, "calls": 1000, "tokens": null, "money": null, "extras": 0,
    });
    assert_eq!(of("context"), [context]);
    assert_eq!(of("emit-none"), [] as [Value; 0]);
    assert_eq!(of("emit-several"), [json!(1), json!({"b": 2})]);
    assert_eq!(of("retry"), [json!(2)]);
    assert_eq!(of("log"), [json!("logged")]);
    let blob = json!({
        "name": "page", "mime_type": "text/plain", "size": 6, "read": 6, "some": " p", "missing": true, "extras": 0,
        "digest": "9a8eeff1d0bc6b9b7acf170b1168d6d07f193dc770d4c1864b03e48d775e8d1a",
    });
    assert_eq!(of("blob"), [blob]);
    assert_eq!(of("count"), [json!({"some": true, "window": 128_000, "exact": false, "extras": 0})]);

    // The mock's answers end in a digest of the question: each is asked as it was then, without what is the contract's own.
    let complete = answer("mock answer to a [c4e0b282723c]", [10, 8]);
    assert_eq!(of("complete"), std::slice::from_ref(&complete));
    assert_eq!(of("schema"), [answer("{\"topic\":\"68239ab61405 mock topic\"}", [10, 9])]);
    assert_eq!(of("conversation"), [answer("mock answer to what time is it? [ec96437e296c]", [20, 12])]);
    assert_eq!(of("many"), [json!([complete, "context_overflow"])]);

    let failed = place.run(&["failed", "list", "j", "--json"]).expect(0).stdout;
    let failed: Vec<Value> = failed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let codes: Vec<(&str, &str)> =
        failed.iter().map(|one| (one["id"].as_str().unwrap(), one["code"].as_str().unwrap())).collect();
    assert_eq!(
        codes,
        [("fail", "no_text"), ("retry-for-ever", "never"), ("denied", "unknown_role"), ("crash", "trap")]
    );
    let log = place.run(&["log", "j", "--item", "log"]).expect(0).stdout;
    for line in
        ["trace: trace n=1", "debug: debug n=1", "info: info n=1", "warn: warn n=1", "error: error n=1", "printed"]
    {
        assert!(log.contains(line), "`{line}` is not in:\n{log}");
    }
}
