//! Plugins that misbehave cost their own items, and nothing else.

use crate::support::{Place, items, plugin};
use serde_json::{Value, json};

#[test]
fn fifty_of_a_hundred_items_misbehave_and_the_other_fifty_are_done() {
    let place = Place::new();
    let ways = ["trap", "loop", "allocate", "panic", "huge"];
    let input = items(
        100,
        |index| json!({"id": index.to_string(), "do": if index % 2 == 0 { "ok" } else { ways[index / 2 % 5] }}),
    );
    place.write("in.jsonl", input);
    let plugin = plugin("misbehave");
    let args = [
        "run",
        &plugin,
        "--input",
        "in.jsonl",
        "--output",
        "out.jsonl",
        "--max-consecutive-errors",
        "0",
        "--max-traps",
        "0",
        "--limit-cpu",
        "2s",
        "--json",
        "--job",
        "j",
    ];
    let summary = place.run(&args).expect(3).summary();
    assert_eq!(summary["job"]["processed"], 50);
    let failures = &summary["job"]["failures"];
    assert_eq!((&failures["cpu_time"], &failures["memory"]), (&json!(10), &json!(10)), "{failures}");
    assert_eq!((&failures["trap"], &failures["output_too_large"]), (&json!(20), &json!(10)), "{failures}");
    assert!(place.rows("out.jsonl").iter().all(|(id, _)| id.parse::<u32>().unwrap() % 2 == 0));
    let log = place.run(&["log", "j", "--item", "7"]).expect(0).stdout;
    assert!(log.contains("panicked at") && log.contains("plugins/misbehave"), "message and source line:\n{log}");
}

fn outcome(item: &Value, extra: &[&str]) -> (Place, Value) {
    let place = Place::new();
    place.write("in.jsonl", item.to_string());
    let plugin = plugin("misbehave");
    let args = ["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--json", "--job", "j"];
    let summary = place.run(&[&args[..], extra].concat()).summary();
    (place, summary)
}

#[track_caller]
fn check_failure(item: Value, extra: &[&str], class: &str) {
    let (_, summary) = outcome(&item, extra);
    assert_eq!(summary["job"]["failures"], json!({class: 1}), "{item}");
}

#[test]
fn each_way_to_misbehave_has_a_class_of_its_own() {
    check_failure(json!({"do": "recurse"}), &[], "stack");
    check_failure(json!({"do": "garbage"}), &[], "bad_output");
    check_failure(json!({"do": "deep"}), &[], "output_too_deep");
    check_failure(json!({"do": "exit"}), &[], "trap");
    check_failure(json!({"do": "fail", "code": "c", "message": "m"}), &[], "plugin");
    check_failure(json!({"do": "retry", "until": 9}), &["--max-attempts", "2"], "attempts_exhausted");
    check_failure(json!({"do": "huge", "size": 20_000_000}), &[], "output_too_large");
}

#[test]
fn a_sleep_takes_no_time_and_a_clock_tells_the_jobs_own() {
    let (place, _) = outcome(&json!({"do": "sleep", "ms": 86_400_000}), &["--limit-wall", "5s"]);
    assert_eq!(place.rows("out.jsonl").len(), 1);
    let reading = |place: &Place| place.rows("out.jsonl")[0].1.clone();
    let (first, _) = outcome(&json!({"id": "x", "do": "clock"}), &[]);
    let (second, _) = outcome(&json!({"id": "x", "do": "clock"}), &[]);
    assert_eq!(reading(&first)["random"], reading(&second)["random"], "randomness follows from item and attempt");
    let (other, _) = outcome(&json!({"id": "y", "do": "clock"}), &[]);
    assert_ne!(reading(&first)["random"], reading(&other)["random"]);
}

#[test]
fn a_guest_finds_no_environment_no_files_and_no_network() {
    let (place, _) = outcome(&json!({"do": "env"}), &[]);
    let text = place.rows("out.jsonl")[0].1.to_string();
    assert!(!text.contains("PATH"), "{text}");
    for probe in ["fs", "net"] {
        let (place, summary) = outcome(&json!({"do": probe, "addr": "127.0.0.1:9"}), &[]);
        assert_eq!(summary["job"]["processed"], 1, "{probe}: {summary}");
        println!("{probe}: {}", place.read("out.jsonl"));
    }
}
