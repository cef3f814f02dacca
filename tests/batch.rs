//! Batches that go well, whatever the provider does.

use crate::support::{MockServer, Place, items, plugin, signal, until};
use serde_json::{Value, json};
use std::process::Stdio;

/// Retries without long waits; faults draw as ever.
const QUICK: [&str; 4] = ["--retry-min", "5ms", "--retry-max", "20ms"];

fn questions(n: usize) -> String {
    items(n, |index| json!({"id": format!("q{index}"), "do": "ask", "prompt": format!("what of number {index}?")}))
}

/// Each answer quotes its own question.
fn assert_each_answer_is_its_items(place: &Place, name: &str, n: usize) {
    let rows = place.rows(name);
    assert_eq!(rows.len(), n);
    for (index, (id, output)) in rows.iter().enumerate() {
        assert_eq!(*id, format!("q{index}"), "in the order of the input");
        let answer = output["answer"].as_str().unwrap();
        assert!(answer.contains(&format!("what of number {index}?")), "{id}: {answer}");
    }
}

#[test]
fn every_fault_of_a_provider_over_http_is_got_over() {
    let place = Place::new();
    let faults = "rate_limit=5%,overloaded=5%,server_error=5%,timeout=5%,garbage=5%,connection=5%,retry_after=20ms";
    let server = MockServer::start(&place, faults);
    place.write("in.jsonl", questions(200));
    let ran = place
        .run(
            &[
                &["run", &plugin("misbehave"), "--input", "in.jsonl", "--output", "out.jsonl", "--json"][..],
                &["--provider", "openai", "--base-url", &server.url, "--model", "m", "--timeout", "1s"],
                &QUICK,
            ]
            .concat(),
        )
        .expect(0);
    assert_each_answer_is_its_items(&place, "out.jsonl", 200);
    let summary = ran.summary();
    assert_eq!(summary["job"]["success_rate"], 1.0);
    for class in ["rate_limited", "overloaded", "server_error", "timeout", "garbage", "connection"] {
        assert!(summary["run"]["retries"][class].as_u64().unwrap_or(0) > 0, "no {class} in {summary}");
    }
    assert_eq!(summary["run"]["provider_calls"], server.requests());
}

#[test]
fn a_finished_job_run_again_asks_nobody_and_writes_the_same_output() {
    let place = Place::new();
    place.write("in.jsonl", questions(20));
    let plugin = plugin("misbehave");
    let args = ["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--provider", "mock", "--json"];
    place.run(&args).expect(0);
    let first = place.read("out.jsonl");
    let again = place.run(&args).expect(0);
    assert!(again.stderr.contains("20 of 20 done"), "{}", again.stderr);
    assert_eq!(again.summary()["run"]["provider_calls"], 0);
    assert_eq!(again.summary()["run"]["skipped_already_done"], 20);
    assert_eq!(place.read("out.jsonl"), first);
}

#[test]
fn csv_in_and_csv_out_with_a_renamed_column() {
    let place = Place::new();
    place.write("in.csv", "id,body,phone\na,\"mail me: jo@example.org, \"\"now\"\"\",1\nb,nothing here,2\n");
    let args = ["run", &plugin("redact"), "--input", "in.csv", "--output", "out.csv", "--map", "text=body"];
    place.run(&args).expect(0);
    let out = place.read("out.csv");
    assert!(out.starts_with("id,"), "{out}");
    assert!(out.contains("[EMAIL]") && !out.contains("jo@example.org"), "{out}");
}

#[test]
fn a_job_from_stdin_is_resumed_without_it() {
    let place = Place::new();
    let plugin = plugin("misbehave");
    let items = items(6, |index| json!({"do": if index == 3 { "ask" } else { "ok" }, "prompt": "p", "n": index}));
    let args = ["run", &plugin, "--input", "-", "--input-format", "jsonl", "--output", "out.jsonl", "--job", "j"];
    // Without a provider the one that asks fails.
    place.run_with_stdin(&args, items.as_bytes()).expect(3);
    assert_eq!(place.rows("out.jsonl").len(), 5);
    place.run(&["resume", "j"]).expect(3);
    place.run(&["status", "j", "--json"]).expect(0);
    let log = place.run(&["log", "j"]).expect(0);
    assert!(log.stdout.contains("no model is bound"), "{}", log.stdout);
}

#[test]
fn a_plugin_that_rejects_an_answer_gets_a_fresh_one_and_the_rest_is_replayed() {
    let place = Place::new();
    place.write(
        "in.jsonl",
        items(4, |index| json!({"id": index, "do": "ask-then-retry", "prompts": ["a", "b"], "until": 2})),
    );
    let args =
        ["run", &plugin("misbehave"), "--input", "in.jsonl", "--provider", "mock", "--max-attempts", "3", "--json"];
    let summary = place.run(&args).expect(0).summary();
    assert_eq!(summary["run"]["item_retries"], 4);
    assert_eq!(summary["run"]["provider_calls"], 16, "two questions, twice, for four items");
}

#[test]
fn a_repaired_plugin_pays_nothing_twice() {
    let place = Place::new();
    place.write(
        "in.jsonl",
        items(5, |index| json!({"id": index, "do": "ask-then-trap", "prompts": ["a", "a", format!("b{index}")]})),
    );
    let plugin = plugin("misbehave");
    let args =
        ["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--provider", "mock", "--json", "--job", "j"];
    let broken = place.run(&args).expect(3).summary();
    assert_eq!(broken["run"]["provider_calls"], 15);
    assert_eq!(broken["job"]["failures"]["trap"], 5);
    let repaired = place.run(&[&args[..], &["--set", "repaired=true"]].concat()).expect(0).summary();
    assert_eq!(repaired["run"]["provider_calls"], 0, "{repaired}");
    assert_eq!(repaired["run"]["reused_calls"], 15);
    assert_eq!(place.rows("out.jsonl").len(), 5);
}

#[test]
fn the_first_signal_drains_and_the_job_goes_on_later() {
    let place = Place::new();
    let server = MockServer::start(&place, "latency=50ms");
    place.write("in.jsonl", questions(400));
    let plugin = plugin("misbehave");
    let args = [
        "run",
        &plugin,
        "--input",
        "in.jsonl",
        "--output",
        "out.jsonl",
        "--provider",
        "openai",
        "--base-url",
        &server.url,
        "--model",
        "m",
        "--concurrency",
        "4",
        "--job",
        "j",
    ];
    let child = place.command(&args).stderr(Stdio::null()).spawn().unwrap();
    until("the first answers", || server.requests() >= 8);
    signal(child.id(), "TERM");
    let status = child.wait_with_output().unwrap().status;
    assert_eq!(status.code(), Some(143));
    assert!(place.path("out.jsonl.partial").exists() && !place.path("out.jsonl").exists());
    let before = server.requests();
    let summary = place.run(&["resume", "j", "--json"]).expect(0).summary();
    assert_eq!(summary["run"]["unknown_calls"], 0, "a drained run leaves no call behind");
    assert_eq!(server.requests(), 400, "{before} before the signal, and none twice");
    assert_each_answer_is_its_items(&place, "out.jsonl", 400);
    assert!(!place.path("out.jsonl.partial").exists());
}

#[test]
fn the_same_items_under_new_order_or_new_content_are_told_apart() {
    let place = Place::new();
    let line = |id: &str, text: &str| json!({"id": id, "do": "ok", "text": text}).to_string() + "\n";
    let plugin = plugin("misbehave");
    let args = ["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--json"];
    place.write("in.jsonl", [line("a", "1"), line("b", "2"), line("c", "3")].concat());
    place.run(&args).expect(0);
    place.write("in.jsonl", [line("d", "4"), line("b", "changed"), line("a", "1")].concat());
    let again = place.run(&args).expect(0);
    assert!(
        again.stderr.contains("1 items are new, 1 have new content and are done again, 1 have gone"),
        "{}",
        again.stderr
    );
    assert_eq!(again.summary()["run"]["processed"], 2);
    let rows = place.rows("out.jsonl");
    let seen: Vec<(&str, &str)> =
        rows.iter().map(|(id, output)| (id.as_str(), output["echo"]["text"].as_str().unwrap())).collect();
    assert_eq!(seen, [("d", "4"), ("b", "changed"), ("a", "1")]);
}

#[test]
fn a_changed_configuration_does_not_mix_two_kinds_of_output_unasked() {
    let place = Place::new();
    place.write("in.jsonl", items(3, |index| json!({"id": index, "do": "ok"})));
    let plugin = plugin("misbehave");
    let args = ["run", &plugin, "--input", "in.jsonl"];
    place.run(&args).expect(0);
    let changed = [&args[..], &["--set", "x=1"]].concat();
    place.run(&changed).expect_error(2, &["--on-change keep", "--fresh", "3 items"]);
    place.run(&[&changed[..], &["--on-change", "keep"]].concat()).expect(0);
    let fresh = place.run(&[&changed[..], &["--fresh", "--json"]].concat()).expect(0).summary();
    assert_eq!(fresh["run"]["processed"], 3);
}

#[test]
fn prompt_fills_its_template_and_summarize_splits_what_is_too_long() {
    let place = Place::new();
    place.write("in.jsonl", items(3, |index| json!({"id": index, "text": format!("text of {index}")})));
    let args = ["run", &plugin("prompt"), "--input", "in.jsonl", "--output", "p.jsonl", "--provider", "mock"];
    place.run(&[&args[..], &["--set", "prompt=Say: {{text}}"]].concat()).expect(0);
    for (index, (_, output)) in place.rows("p.jsonl").iter().enumerate() {
        assert!(output["answer"].as_str().unwrap().contains(&format!("Say: text of {index}")), "{output}");
    }
    let sentence = "The state of the union is sound, and its long reports are read in parts. ";
    place.write("long.jsonl", items(2, |index| json!({"id": index, "text": sentence.repeat(400)})));
    let args = ["run", &plugin("summarize"), "--input", "long.jsonl", "--output", "s.jsonl", "--provider", "mock"];
    let ran = place.run(&[&args[..], &["--faults", "context=4096", "--json"]].concat()).expect(0);
    assert!(ran.summary()["run"]["provider_calls"].as_u64().unwrap() > 4);
    assert!(place.rows("s.jsonl").iter().all(|(_, output): &(String, Value)| output["summary"].is_string()));
}
