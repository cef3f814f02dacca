//! Two processes on one job.

use crate::support::{MockServer, Place, items, plugin, signal, until};
use serde_json::json;
use std::process::Stdio;

#[test]
fn a_second_process_on_a_job_is_turned_away_and_the_first_goes_on() {
    let place = Place::new();
    let server = MockServer::start(&place, "latency=50s");
    place.write("in.jsonl", items(4, |index| json!({"id": index, "do": "ask", "prompt": "p"})));
    let plugin = plugin("misbehave");
    let args = [
        "run",
        &plugin,
        "--input",
        "in.jsonl",
        "--provider",
        "openai",
        "--base-url",
        &server.url,
        "--model",
        "m",
        "--concurrency",
        "1",
        "--job",
        "j",
    ];
    let mut first = place.command(&args).stderr(Stdio::null()).spawn().unwrap();
    until("the first call", || server.requests() > 0);
    let turned_away = ["is being run by process", &first.id().to_string()];
    place.run(&args).expect_error(2, &turned_away);
    place.run(&[&args[..], &["--fresh"]].concat()).expect_error(2, &turned_away);
    assert_eq!(first.try_wait().unwrap(), None, "the first was not disturbed");
    signal(first.id(), "KILL");
    first.wait().unwrap();
}
