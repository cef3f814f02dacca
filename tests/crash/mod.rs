//! `kill -9`, at any moment.

use crate::support::{MockServer, Place, items, plugin, signal, until};
use rand::{RngExt, SeedableRng};
use serde_json::json;
use std::process::Stdio;
use std::time::Duration;

/// Items in flight, and so calls in flight at a kill.
const CONCURRENCY: usize = 16;
const ITEMS: usize = 500;

fn kills() -> usize {
    std::env::var("SANDMILL_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

#[test]
fn killed_at_random_moments_the_batch_ends_as_if_it_had_not_been() {
    let seed = std::env::var("SANDMILL_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("seed {seed}, {} kills", kills());
    let input =
        items(ITEMS, |index| json!({"id": format!("i{index}"), "do": "ask", "prompt": format!("number {index}")}));
    let unharmed = Place::new();
    let harmed = Place::new();
    let run = |place: &Place, server: &MockServer| {
        place.write("in.jsonl", &input);
        let concurrency = CONCURRENCY.to_string();
        [
            "run",
            &plugin("misbehave"),
            "--input",
            "in.jsonl",
            "--output",
            "out.jsonl",
            "--job",
            "j",
            "--json",
            "--provider",
            "openai",
            "--base-url",
            &server.url,
            "--model",
            "m",
            "--concurrency",
            &concurrency,
        ]
        .map(str::to_owned)
        .to_vec()
    };
    let server = MockServer::start(&unharmed, "latency=20ms");
    let args = run(&unharmed, &server);
    unharmed.run(&args.iter().map(String::as_str).collect::<Vec<_>>()).expect(0);
    assert_eq!(server.requests(), ITEMS);

    let server = MockServer::start(&harmed, "latency=20ms");
    let args = run(&harmed, &server);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..kills() {
        let mut child = harmed.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Half of the kills hit the start, whenever that is; the other half a moment at which so many calls have arrived.
        if random.random_bool(0.5) {
            std::thread::sleep(Duration::from_millis(random.random_range(0..500)));
        } else {
            let more = server.requests() + random.random_range(1..=2 * ITEMS / kills());
            until("calls or the end", || server.requests() >= more || child.try_wait().unwrap().is_some());
        }
        signal(child.id(), "KILL");
        child.wait().unwrap();
    }
    let last = harmed.run(&args).expect(0).summary();
    assert_eq!(harmed.read("out.jsonl"), unharmed.read("out.jsonl"), "byte for byte");
    assert_eq!(last["job"]["processed"], ITEMS);
    let extra = server.requests() - ITEMS;
    println!("{extra} calls more than the unharmed run's");
    assert!(extra <= kills() * CONCURRENCY, "{extra} calls more, and at most {CONCURRENCY} are in flight at a kill");
}

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
    place.run(&args).expect_error(2, &["is being run by process", &first.id().to_string()]);
    assert_eq!(first.try_wait().unwrap(), None, "the first was not disturbed");
    signal(first.id(), "KILL");
    first.wait().unwrap();
}
