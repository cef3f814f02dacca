//! What a failing provider gets to see, by what its failure means: `docs/provider-errors.md`, end to end.

use crate::support::{Place, items, plugin, read_post};
use serde_json::json;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Answers every question in the same way, and counts them. Of its models it tells nothing.
struct Failing {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Failing {
    fn start(status: u16, headers: &str, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let reply = |status: u16, headers: &str, body: &str| {
            let length = body.len();
            format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
        };
        let (failure, unknown) = (reply(status, headers, body), reply(404, "", ""));
        let count = Arc::clone(&asked);
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let is_question = read_post(&stream).is_some();
                count.fetch_add(usize::from(is_question), Ordering::SeqCst);
                stream.write_all(if is_question { failure.as_bytes() } else { unknown.as_bytes() }).unwrap();
            }
        });
        Self { url, asked }
    }
}

/// One item, three tries at most: the exit code, and how often the provider was asked.
#[track_caller]
fn check(protocol: &str, status: u16, headers: &str, body: &str, code: i32, calls: usize, said: &str) {
    let server = Failing::start(status, headers, body);
    let place = Place::new();
    place.write("in.jsonl", items(1, |_| json!({"id": "a", "text": "Once"})));
    let plugin = plugin("prompt");
    let base = ["run", &plugin, "--set", "prompt=Say {{text}}", "--input", "in.jsonl", "--provider", protocol];
    let more = ["--base-url", &server.url, "--model", "m"];
    let retry = ["--retry-attempts", "3", "--retry-min", "1ms", "--retry-max", "2ms"];
    let ran = place.run(&[&base[..], &more, &retry].concat()).expect(code);
    assert_eq!(server.asked.load(Ordering::SeqCst), calls, "{protocol} {status} {body}: {}", ran.stderr);
    assert!(ran.stderr.contains(said), "`{said}` is not said in:\n{}", ran.stderr);
}

#[test]
fn what_passes_is_tried_again_until_the_attempts_are_used_up() {
    check("openai", 500, "", r#"{"error":{"message":"Sorry","type":"server_error"}}"#, 3, 3, "Sorry");
    check("anthropic", 200, "", "<!doctype html><title>Welcome</title>", 3, 3, "a page instead of JSON");
    check("gemini", 200, "", r#"{"candidates":[]}"#, 3, 3, "without candidates");
    let unusable = r#"{"error":{"message":"Failed to generate JSON.","type":"invalid_request_error","code":"json_validate_failed"}}"#;
    check("openai", 400, "", unusable, 3, 3, "json_validate_failed");
}

#[test]
fn what_can_never_succeed_fails_its_item_after_one_call() {
    let permanent = r#"{"error":{"code":500,"message":"'messages' is required","type":"server_error"}}"#;
    check("anthropic", 500, "", permanent, 3, 1, "'messages' is required");
    let large = r#"{"error":{"message":"Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 31538.","code":"rate_limit_exceeded"}}"#;
    check("openai", 429, "", large, 3, 1, "Requested 31538");
    check(
        "anthropic",
        500,
        "x-should-retry: false\r\n",
        r#"{"error":{"type":"api_error","message":"No"}}"#,
        3,
        1,
        "No",
    );
}

#[test]
fn what_concerns_the_job_parks_it_after_one_call() {
    let quota = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    check("openai", 429, "retry-after: 1\r\nx-should-retry: true\r\n", quota, 5, 1, "add credit");
    let daily = r#"[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"RequestsPerDay"}]},{"retryDelay":"36s"}]}}]"#;
    check("gemini", 429, "", daily, 5, 1, "add credit");
    let spent = r#"{"error":{"type":"rate_limit_error","message":"Spend limit","details":{"error_code":"enforced_spend_limit_reached"}}}"#;
    check("anthropic", 429, "", spent, 5, 1, "add credit");
    check("openai", 401, "", r#"{"error":"Unauthorized"}"#, 5, 1, "Unauthorized");
    check("openai", 429, "retry-after: 86400\r\n", "", 75, 1, "longer than --retry-after-max");
}
