//! The live page of a run: over HTTP as any program would ask for it, and in a real browser.

mod client;
mod page;

pub(crate) use client::Watched;

use crate::support::{MockServer, Place, items, plugin, until};
use serde_json::{Value, json};

/// Questions that take the server a while, with items that fail before them.
fn input(questions: usize) -> String {
    let failing = items(1, |_| json!({"id": "crash", "do": "panic", "message": "<script>window.hacked = 1</script>"}))
        + &items(
            1,
            |_| json!({"id": "<img src=x onerror='window.hacked=1'>\u{202e}", "do": "fail", "code": "refused", "message": "\u{1b}[2Jno"}),
        );
    failing
        + &items(
            questions,
            |nth| json!({"id": format!("q{nth}"), "do": "ask", "prompt": format!("what of number {nth}?")}),
        )
}

/// The job `j`, quietly, with its page.
fn start(place: &Place, server: &MockServer, more: &[&str]) -> Watched {
    let misbehave = plugin("misbehave");
    let args = ["run", &misbehave, "--input", "in.jsonl", "--job", "j", "--json", "-q", "--dashboard", "0"];
    let whom = ["--provider", "openai", "--base-url", &server.url, "--model", "m", "--prices", "input=1,output=2"];
    Watched::start(place, &[&args[..], &whom, more].concat())
}

#[test]
fn the_page_tells_what_the_summary_tells_and_pauses_as_the_command_does() {
    let place = Place::new();
    let server = MockServer::start(&place, "latency=20ms");
    place.write("in.jsonl", input(200));
    let run = start(&place, &server, &["--concurrency", "2"]);
    let mut events = run.events();
    let view = events.until(|view| view["phase"] == "running");
    assert_eq!((&view["job"], &view["snapshot"]["plugin"]), (&json!("j"), &json!("misbehave")));

    assert_eq!(run.post("/pause").0, 200);
    events.until(|view| view["snapshot"]["paused"] == true);
    let status = place.run(&["status", "j", "--json"]).expect(0).summary();
    assert!(status["paused"] == true && status["running"] == true, "{status}");
    until("what is in flight", || run.data()["snapshot"]["items"]["in_flight"] == 0);
    let asked = server.requests();
    let failures = run.json("/failures");
    assert_eq!(failures["failures"].as_array().unwrap().len(), 2, "{failures}");
    let text = failures.to_string();
    assert!(text.contains("hacked=1'>\\\\u{202e}") && !text.contains(['\u{202e}', '\u{1b}']), "{text}");
    let crash = failures["failures"].as_array().unwrap().iter().find(|row| row["id"] == "crash").unwrap();
    let card = run.json(&format!("/failures/{}", crash["item"]));
    assert_eq!((&card["crash"]["kind"], &card["debug"]), (&json!("panic"), &json!("sandmill debug j crash")));
    assert_eq!(server.requests(), asked, "nothing new was begun");
    assert_eq!(run.post("/resume").0, 200);

    let last = events.until(|view| view["phase"] == "ended");
    assert!(events.has_ended(), "the stream is closed when there is nothing more to tell");
    let (code, summary, said) = run.end();
    assert_eq!((code, &last["ended"]["exit_code"]), (3, &json!(3)));
    assert_eq!(last["ended"], summary["ended"]);
    assert!(said.contains("job j: finished"), "{said}");
    let (snapshot, of_run) = (&last["snapshot"], &summary["run"]);
    for (key, expected) in [
        ("calls", "provider_calls"),
        ("reused", "reused_calls"),
        ("input_tokens", "input_tokens"),
        ("output_tokens", "output_tokens"),
    ] {
        assert_eq!(snapshot[key], of_run[expected], "{key}");
    }
    let items = &snapshot["items"];
    assert_eq!(
        (&items["done"], &items["failed"], &items["pending"]),
        (&of_run["processed"], &of_run["failed"], &json!(0))
    );
    let dollars = snapshot["cost"].as_f64().unwrap() / 1e6;
    assert!((dollars - summary["job"]["cost_dollars"].as_f64().unwrap()).abs() < 1e-9, "{snapshot}");
}

#[test]
fn nobody_without_the_secret_sees_or_does_anything() {
    let place = Place::new();
    let server = MockServer::start(&place, "latency=20ms");
    place.write("in.jsonl", input(50));
    let run = start(&place, &server, &["--concurrency", "1"]);
    run.events().until(|view| view["phase"] == "running");
    for path in ["/", "/app.js", "/data", "/events", "/failures", "/failures/1", "/?token=guess"] {
        assert_eq!(run.bare("GET", path, "").0, 401, "{path}");
    }
    for path in ["/pause", "/resume"] {
        assert_eq!(run.bare("POST", path, "").0, 401, "{path}");
        assert_eq!(run.bare("POST", path, &format!("Cookie: {}\r\n", run.cookie)).0, 403, "{path}");
        let forged = format!("Cookie: {}\r\nOrigin: http://evil.example.com\r\n", run.cookie);
        assert_eq!(run.bare("POST", path, &forged).0, 403, "{path}");
    }
    assert_eq!(run.under("evil.example.com", "/data"), 421);
    assert_eq!(run.data()["snapshot"]["paused"], false);
    assert_eq!(run.end().0, 3);
}

#[test]
fn a_page_that_cannot_be_served_or_that_others_could_reach_is_told_before_the_first_call() {
    let place = Place::new();
    let server = MockServer::start(&place, "");
    place.write("in.jsonl", input(2));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (misbehave, url) = (plugin("misbehave"), server.url.clone());
    let args = ["run", &misbehave, "--input", "in.jsonl", "--provider", "openai", "--base-url", &url, "--model", "m"];
    let with = |address: &str| place.run(&[&args[..], &["--dashboard", address]].concat());
    with(&port).expect_error(2, &["cannot listen on 127.0.0.1:", "--dashboard"]);
    with("0.0.0.0:0").expect_error(2, &["--dashboard-allow-remote", "ssh -L"]);
    place.write("sandmill.toml", "[run]\ndashboard = \"192.0.2.1:9465\"\n");
    place.run(&args).expect_error(2, &["--dashboard-allow-remote"]);
    place.run(&["config", "check"]).expect_error(2, &["--dashboard-allow-remote"]);
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_run_that_cannot_begin_says_so_on_its_page() {
    let (place, misbehave) = (Place::new(), plugin("misbehave"));
    let args = ["run", &misbehave, "--input", "-", "--input-format", "jsonl", "--job", "j", "-q", "--dashboard", "0"];
    let mut run = Watched::start(&place, &args);
    let mut events = run.events();
    events.until(|view| view["phase"] == "preparing");
    assert_eq!(run.post("/pause").0, 409);
    // It waits for its input until then.
    run.say("{\"id\": \"twice\"}\n{\"id\": \"twice\"}\n");
    let last = events.until(|view| view["phase"] == "ended");
    assert_eq!((&last["ended"]["exit_code"], &last["snapshot"]), (&json!(2), &Value::Null), "{last}");
    assert!(last["ended"]["reason"].as_str().is_some_and(|reason| reason.contains("twice")), "{last}");
    assert!(events.has_ended());
    assert_eq!(run.end().0, 2);
}
