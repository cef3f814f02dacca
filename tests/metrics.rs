//! Figures for Prometheus, scraped from a run that goes on, and held against its summary.

use crate::support::{MockServer, Place, items, plugin, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Stdio};

/// Status and body of a request that comes under a name.
fn get(address: &str, path: &str, host: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Each sample by its name with labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let sample = |line: &str| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap()));
    lines.map(|line| sample(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

/// All samples of a name, whatever their labels.
fn sum(samples: &BTreeMap<String, f64>, name: &str, label: &str) -> f64 {
    let is_it = |key: &str| key.split('{').next() == Some(name) && key.contains(label);
    samples.iter().filter(|(key, _)| is_it(key)).map(|(_, value)| value).sum()
}

/// A run that has done its work and is held at its end, where the figures are still there.
struct Held {
    run: Child,
    said: BufReader<ChildStderr>,
    address: String,
}

impl Held {
    fn start(place: &Place, url: &str) -> Self {
        place.write(
            "sandmill.toml",
            "[alert]\nfinished = true\nend_wait = \"4m\"\n[alert.command.hold]\n\
             command = [\"sh\", \"-c\", \"touch ended; while [ ! -e go ]; do sleep 0.02; done\"]\ntimeout = \"4m\"\n",
        );
        let prompt = plugin("prompt");
        let args = ["run", &prompt, "--set", "prompt=Say {{text}}", "--input", "in.jsonl", "--job", "talks", "--json"];
        let whom = ["--provider", "openai", "--base-url", url, "--model", "m", "--prices", "input=1,output=2"];
        let retrying =
            ["--retry-min", "1ms", "--retry-max", "5ms", "--retry-attempts", "20", "--breaker-pause", "50ms"];
        let mut command = place.command(&[&args[..], &whom, &retrying, &["--metrics", "0"]].concat());
        let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(run.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "no address was said");
            if let Some(rest) = line.strip_prefix("Metrics at http://") {
                break rest.trim().strip_suffix("/metrics").unwrap().to_owned();
            }
        };
        until("the end of the work", || place.path("ended").exists());
        Self { run, said, address }
    }

    /// Its summary.
    fn end(mut self, place: &Place) -> Value {
        place.write("go", "");
        let drained = std::thread::spawn(move || self.said.read_to_string(&mut String::new()));
        let output = self.run.wait_with_output().unwrap();
        drained.join().unwrap().unwrap();
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{summary}");
        summary
    }
}

fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

#[test]
fn what_is_scraped_at_the_end_of_a_run_is_what_its_summary_says() {
    let place = Place::new();
    let server = MockServer::start(&place, "rate_limit=20%,retry_after=0s,server_error=10%");
    place.write("in.jsonl", items(60, |index| json!({"id": index, "text": format!("item {index}")})));
    let held = Held::start(&place, &server.url);
    let address = held.address.clone();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let (status, text) = get(&address, "/metrics", &address);
    assert_eq!(status, 200);
    assert_eq!(get(&address, "/metrics", "evil.example.com").0, 421);
    assert_eq!(get(&address, "/", &address).0, 404);
    let (samples, summary) = (samples(&text), held.end(&place));
    let run = &summary["run"];
    for (name, label, key) in [
        ("sandmill_items_ended_total", "done", "processed"),
        ("sandmill_items_ended_total", "failed", "failed"),
        ("sandmill_calls_total", "", "provider_calls"),
        ("sandmill_call_duration_seconds_count", "", "provider_calls"),
        ("sandmill_calls_reused_total", "", "reused_calls"),
        ("sandmill_tokens_total", "input", "input_tokens"),
        ("sandmill_tokens_total", "output", "output_tokens"),
        ("sandmill_cost_dollars_total", "", "cost_dollars"),
        ("sandmill_breaker_openings_total", "", "breaker_openings"),
    ] {
        let expected = run[key].as_f64().unwrap_or_else(|| panic!("{key}: {run}"));
        assert!(is_same(sum(&samples, name, label), expected), "{name} {label}: {expected}\n{text}");
    }
    let retries = run["retries"].as_object().unwrap();
    assert!(!retries.is_empty(), "{run}");
    for (class, count) in retries {
        let name = format!("sandmill_call_retries_total{{class=\"{class}\"}}");
        assert!(is_same(samples[&name], count.as_f64().unwrap()), "{name}: {count}\n{text}");
    }
    for line in ["sandmill_items{state=\"pending\"} 0", "sandmill_items_in_flight 0"] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
    assert!(is_same(sum(&samples, "sandmill_breaker_state", "state"), 1.0), "{text}");
    let version = format!("sandmill_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&version), "{text}");
    assert!(text.contains("sandmill_run_info{job_name=\"talks\",plugin=\"prompt\""), "{text}");
}

#[test]
fn an_address_that_cannot_be_listened_on_is_told_before_the_first_call() {
    let place = Place::new();
    let server = MockServer::start(&place, "");
    place.write("in.jsonl", items(2, |index| json!({"id": index, "text": "t"})));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (prompt, url) = (plugin("prompt"), server.url.clone());
    let args = [
        "run",
        &prompt,
        "--set",
        "prompt=Say {{text}}",
        "--input",
        "in.jsonl",
        "--provider",
        "openai",
        "--base-url",
        &url,
        "--model",
        "m",
    ];
    place
        .run(&[&args[..], &["--metrics", &port]].concat())
        .expect_error(2, &["cannot listen on 127.0.0.1:", "--metrics"]);
    place.run(&[&args[..], &["--metrics", "somewhere"]].concat()).expect_error(2, &["`somewhere` is no port"]);
    place.write("sandmill.toml", "[run]\nmetrics = \"x\"\n");
    place.run(&args).expect_error(2, &["[run] metrics: `x` is no port"]);
    place.run(&["config", "check"]).expect_error(2, &["[run] metrics: `x` is no port"]);
    assert_eq!(server.requests(), 0);
}
