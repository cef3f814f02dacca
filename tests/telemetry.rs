//! Traces and figures by OTLP, as a collector on this machine receives them.

use crate::support::{Place, Ran, Said, Saying, items, plugin};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// One request to the collector: its path, its headers as they came, its body.
struct Received {
    path: String,
    head: String,
    body: Vec<u8>,
}

/// Takes everything; it ends with the process.
struct Collector {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let takes = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let takes = Arc::clone(&takes);
                std::thread::spawn(move || take(stream.unwrap(), &takes));
            }
        });
        Self { url, received }
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let of_traces = received.iter().filter(|it| it.path == "/v1/traces");
        let read = |it: &Received| ExportTraceServiceRequest::decode(it.body.as_slice()).unwrap().resource_spans;
        of_traces.flat_map(read).flat_map(|it| it.scope_spans).flat_map(|it| it.spans).collect()
    }

    /// The names of all figures that came.
    fn figures(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        let of_metrics = received.iter().filter(|it| it.path == "/v1/metrics");
        let read = |it: &Received| ExportMetricsServiceRequest::decode(it.body.as_slice()).unwrap().resource_metrics;
        let all = of_metrics.flat_map(read).flat_map(|it| it.scope_metrics).flat_map(|it| it.metrics);
        all.map(|metric| metric.name).collect()
    }

    /// Whether a text stands in anything that came.
    fn has(&self, text: &str) -> bool {
        let holds = |it: &Received| it.body.windows(text.len()).any(|window| window == text.as_bytes());
        self.received.lock().unwrap().iter().any(holds)
    }
}

fn take(mut stream: TcpStream, received: &Mutex<Vec<Received>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).unwrap() > 2 {
        head.push_str(&line.to_lowercase());
        line.clear();
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    received.lock().unwrap().push(Received { path, head, body });
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
}

fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &any_value::Value| match value {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |it: &KeyValue| it.value.as_ref().and_then(|it| it.value.as_ref()).map(text).unwrap_or_default();
    attributes.iter().map(|it| (it.key.clone(), value(it))).collect()
}

/// A provider that fails the first question, and answers every other.
fn provider() -> Saying {
    let asked = AtomicUsize::new(0);
    let answer = json!({
        "id": "x", "object": "chat.completion", "model": "tiny-2026",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "secretanswer"}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    });
    Saying::start(move |_| {
        if asked.fetch_add(1, Ordering::Relaxed) == 0 {
            Said::new(500, "{\"error\":{\"message\":\"out of order\"}}")
        } else {
            Said::new(200, answer.to_string())
        }
    })
}

fn run(place: &Place, n: usize, url: &str, more: &[&str], env: &[(&str, String)]) -> Ran {
    place.write("in.jsonl", items(n, |index| json!({"id": format!("i{index}"), "text": "secretprompt"})));
    let plugin = plugin("prompt");
    let fixed = [
        "run",
        &plugin,
        "--set",
        "prompt=Say {{text}}",
        "--input",
        "in.jsonl",
        "-o",
        "out.jsonl",
        "--job",
        "j",
        "--provider",
        "openai",
        "--base-url",
        url,
        "--model",
        "tiny",
        "--retry-min",
        "1ms",
        "--retry-max",
        "2ms",
        "--concurrency",
        "1",
    ];
    place.run_with(&[&fixed[..], more].concat(), env)
}

#[test]
fn a_collector_receives_the_job_its_items_and_its_calls_and_no_word_of_them() {
    let (place, provider, collector) = (Place::new(), provider(), Collector::start());
    run(&place, 3, &provider.url, &["--otlp", &collector.url], &[]).expect(0);
    let spans = collector.spans();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let (jobs, of_items, calls) = (named("job"), named("item"), named("chat tiny"));
    assert_eq!((jobs.len(), of_items.len(), calls.len(), spans.len()), (1, 3, 4, 8));
    let job = jobs[0];
    assert!(job.parent_span_id.is_empty());
    assert!(of_items.iter().all(|item| item.parent_span_id == job.span_id && item.trace_id == job.trace_id));
    let mut ids: Vec<String> =
        of_items.iter().map(|it| attributes(&it.attributes)["sandmill.item.id"].clone()).collect();
    ids.sort();
    assert_eq!(ids, ["i0", "i1", "i2"]);
    let parents: Vec<&[u8]> = of_items.iter().map(|item| item.span_id.as_slice()).collect();
    assert!(calls.iter().all(|call| parents.contains(&call.parent_span_id.as_slice())));
    assert!(
        calls
            .iter()
            .all(|call| call.kind == SpanKind::Client as i32 && call.end_time_unix_nano > call.start_time_unix_nano)
    );
    let failed: Vec<_> = calls.iter().filter(|call| attributes(&call.attributes).contains_key("error.type")).collect();
    assert_eq!(failed.len(), 1);
    let told = attributes(&failed[0].attributes);
    assert_eq!((told["error.type"].as_str(), told["http.response.status_code"].as_str()), ("server_error", "500"));
    assert_eq!(failed[0].status.as_ref().unwrap().code, 2);
    let again = calls.iter().find(|call| !call.links.is_empty()).unwrap();
    assert_eq!(again.links[0].span_id, failed[0].span_id);
    let told = attributes(&again.attributes);
    let port = provider.url.rsplit(':').next().unwrap().trim_end_matches("/v1");
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "tiny"),
        ("gen_ai.response.model", "tiny-2026"),
        ("gen_ai.usage.input_tokens", "11"),
        ("gen_ai.usage.output_tokens", "7"),
        ("server.address", "127.0.0.1"),
        ("server.port", port),
        ("sandmill.route", "default"),
        ("sandmill.call.try", "2"),
    ] {
        assert_eq!(told.get(key).map(String::as_str), Some(value), "{key}: {told:?}");
    }
    assert_eq!(attributes(&job.attributes)["sandmill.outcome"], "finished");
    let figures = collector.figures();
    for name in [
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "sandmill.items.ended",
        "sandmill.call.retries",
    ] {
        assert!(figures.iter().any(|figure| figure == name), "{name}: {figures:?}");
    }
    for word in ["secretprompt", "secretanswer", "out of order", "Say "] {
        assert!(!collector.has(word), "{word}");
    }
}

#[test]
fn items_are_sampled_and_the_environment_is_read_only_where_that_is_asked_for() {
    let (place, provider, collector) = (Place::new(), provider(), Collector::start());
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.clone()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-secret=hush".to_owned()),
    ];
    run(&place, 2, &provider.url, &[], &env).expect(0);
    assert_eq!(collector.received.lock().unwrap().len(), 0, "off by default");
    place.write("sandmill.toml", "[telemetry]\nsample = 0.0\n");
    run(&place, 2, &provider.url, &["--fresh", "--otlp"], &env).expect(0);
    let names: Vec<String> = collector.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["job"]);
    assert!(collector.received.lock().unwrap().iter().all(|it| it.head.contains("x-secret: hush")));
    let another = Collector::start();
    let beside = ["--fresh", "--otlp", &another.url, "--log-format", "json"];
    let ran = run(&place, 2, &provider.url, &beside, &env).expect(0);
    assert!(ran.stderr.lines().all(|line| line.starts_with('{')), "the log beside it: {}", ran.stderr);
    assert_eq!(another.spans().len(), 1);
    let received = another.received.lock().unwrap();
    assert!(!received.is_empty() && received.iter().all(|it| !it.head.contains("x-secret")), "of another collector");
}

#[test]
fn a_collector_that_is_away_or_hangs_is_told_once_and_holds_up_nothing() {
    let (place, provider) = (Place::new(), provider());
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    // It takes connections, and says nothing.
    let ran = run(&place, 5, &provider.url, &["--otlp", &url], &[]).expect(0);
    assert_eq!(ran.stderr.matches("warning: telemetry: ").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("spans"), "{}", ran.stderr);
    assert_eq!(place.rows("out.jsonl").len(), 5);
    drop(free);
    let ran = run(&place, 5, &provider.url, &["--fresh", "--otlp", &url], &[]).expect(0);
    assert_eq!(ran.stderr.matches("warning: telemetry: ").count(), 1, "{}", ran.stderr);
    assert_eq!(place.rows("out.jsonl").len(), 5);
    run(&place, 1, &provider.url, &["--otlp", "localhost:4318"], &[]).expect_error(2, &["no address of a collector"]);
}
