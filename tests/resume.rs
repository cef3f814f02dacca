//! What a run takes up: after a change, from another job, in parts, after a call of which nothing is known.

use crate::support::{MockServer, Place, Ran, items, plugin, signal, until};
use serde_json::{Value, json};
use std::process::Stdio;

fn asking(n: usize) -> String {
    items(n, |index| json!({"id": format!("i{index}"), "do": "ask", "prompt": format!("number {index}")}))
}

fn run(place: &Place, more: &[&str]) -> Ran {
    let plugin = plugin("misbehave");
    place.run(&[&["run", &plugin, "--input", "in.jsonl", "--provider", "mock", "--json"], more].concat())
}

fn number(summary: &Value, key: &str) -> u64 {
    summary["run"][key].as_u64().unwrap_or_else(|| panic!("no {key} in {summary}"))
}

#[test]
fn done_again_after_a_change_what_is_asked_again_is_not_paid_again() {
    let place = Place::new();
    place.write("in.jsonl", asking(12));
    run(&place, &["--job", "j"]).expect(0);
    let changed = ["--job", "j", "--set", "repaired=true"];
    run(&place, &changed).expect_error(2, &["12 items of job `j`", "--on-change redo"]);
    let again = run(&place, &[&changed[..], &["--on-change", "redo"]].concat()).expect(0);
    let summary = again.summary();
    assert_eq!((number(&summary, "processed"), number(&summary, "provider_calls")), (12, 0), "{summary}");
    assert_eq!(number(&summary, "reused_calls"), 12);
    run(&place, &changed).expect(0);
}

#[test]
fn what_a_failed_item_asked_last_and_was_answered_is_kept_beside_it() {
    let place = Place::new();
    let prompts = ["the first question", "the last question"];
    place.write("in.jsonl", items(1, |_| json!({"id": "a", "do": "ask-then-trap", "prompts": prompts})));
    run(&place, &["--job", "j"]).expect(3);
    let shown = place.run(&["failed", "show", "j", "a"]).expect(0).stdout;
    assert!(shown.contains("last request") && shown.contains("the last question"), "{shown}");
    let told = place.run(&["failed", "show", "j", "a", "--json"]).expect(0).summary();
    assert_eq!(told["last_request"]["messages"][0]["parts"][0]["text"], "the last question", "{told}");
    assert!(told["last_answer"]["text"].as_str().unwrap().contains("the last question"), "{told}");
}

#[test]
fn another_job_takes_answers_that_are_paid_and_its_books_stay_its_own() {
    let place = Place::new();
    place.write("in.jsonl", asking(8));
    run(&place, &["--job", "first", "--prices", "input=1,output=1"]).expect(0);
    place.write("in.jsonl", asking(10));
    let second = ["--job", "second", "--prices", "input=1,output=1", "--reuse", "first", "--output", "out.jsonl"];
    let ran = run(&place, &second).expect(0);
    assert!(ran.stderr.contains("8 paid answers of job first are at hand"), "{}", ran.stderr);
    let summary = ran.summary();
    assert_eq!((number(&summary, "provider_calls"), number(&summary, "reused_calls")), (2, 8), "{summary}");
    let status = place.run(&["status", "second", "--json"]).expect(0).summary();
    assert_eq!(status["provider_calls"], 2, "{status}");
    assert!(place.run(&["log", "second", "--item", "i3"]).expect(0).stdout.contains("taken from job first"));
    assert_eq!(place.rows("out.jsonl").len(), 10);
    // And from there once more, without the first.
    std::fs::remove_file(place.path(".sandmill/first.db")).unwrap();
    let third = run(&place, &["--job", "third", "--reuse", "second"]).expect(0).summary();
    assert_eq!((number(&third, "provider_calls"), number(&third, "reused_calls")), (0, 10), "{third}");
    run(&place, &["--job", "fourth", "--reuse", "nowhere"]).expect_error(2, &["no job `nowhere`"]);
}

#[test]
fn parts_of_an_input_are_the_whole_without_overlap() {
    let place = Place::new();
    place.write("in.jsonl", asking(60));
    let mut seen = Vec::new();
    for part in ["1/3", "2/3", "3/3"] {
        let out = format!("out{}.jsonl", &part[..1]);
        let summary = run(&place, &["--shard", part, "--output", &out]).expect(0).summary();
        let ids: Vec<String> = place.rows(&out).into_iter().map(|(id, _)| id).collect();
        assert_eq!(summary["job"]["total"], ids.len());
        assert!(ids.len() > 5, "{part}: {}", ids.len());
        seen.extend(ids);
    }
    seen.sort();
    let mut all: Vec<String> = (0..60).map(|index| format!("i{index}")).collect();
    all.sort();
    assert_eq!(seen, all);
    run(&place, &["--shard", "4/3"]).expect_error(2, &["1/8 for the first of eight"]);
}

#[test]
fn a_share_of_failures_that_is_too_large_stops_the_run() {
    let place = Place::new();
    place.write("in.jsonl", items(400, |index| json!({"id": index, "do": if index % 3 == 0 { "fail" } else { "ok" }})));
    let stop = ["--max-error-rate", "20%", "--after", "30", "--concurrency", "4", "--max-consecutive-errors", "0"];
    let ran = run(&place, &stop).expect(4);
    let summary = ran.summary();
    assert_eq!(summary["ended"]["state"], "stopped");
    let ended = number(&summary, "processed") + number(&summary, "failed");
    assert!((30..60).contains(&ended), "{summary}");
    // Those that failed are tried again first, so that the first fifty are no picture of all.
    run(&place, &["--max-error-rate", "50%", "--after", "200", "--max-consecutive-errors", "0"]).expect(3);
}

#[test]
fn a_call_of_which_nothing_is_known_is_asked_again_or_fails_its_item_as_the_operator_says() {
    let place = Place::new();
    place.write("in.jsonl", asking(4));
    let server = MockServer::start(&place, "latency=50s");
    let plugin = plugin("misbehave");
    let args = ["run", &plugin, "--input", "in.jsonl", "--provider", "openai", "--model", "m", "--json", "--job", "j"];
    let slow = [&args[..], &["--base-url", &server.url]].concat();
    let mut child = place.command(&slow).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("four calls", || server.requests() == 4);
    signal(child.id(), "KILL");
    child.wait().unwrap();
    drop(server);
    let server = MockServer::start(&place, "");
    let quick = [&args[..], &["--base-url", &server.url]].concat();
    let failed = place.run(&[&quick[..], &["--on-unknown", "fail"]].concat()).expect(3);
    let summary = failed.summary();
    assert_eq!((number(&summary, "unknown_calls"), number(&summary, "failed")), (4, 4), "{summary}");
    assert!(failed.stderr.contains("call_unknown"), "{}", failed.stderr);
    let retried = place.run(&quick).expect(0).summary();
    assert_eq!((number(&retried, "unknown_calls"), number(&retried, "provider_calls")), (0, 4), "{retried}");
}

#[test]
fn when_nothing_moves_it_is_said_what_everybody_waits_for() {
    let place = Place::new();
    place.write("in.jsonl", asking(2));
    let server = MockServer::start(&place, "latency=1500ms");
    let args = ["--provider", "openai", "--base-url", &server.url, "--model", "m", "--watchdog", "300ms"];
    let ran = place.run(&[&["run", &plugin("misbehave"), "--input", "in.jsonl"], &args[..]].concat()).expect(0);
    assert!(ran.stderr.contains("nothing has moved for 300ms: 2 calls are under way"), "{}", ran.stderr);
}
