//! The client, the server and the mock in the process against one another, over real HTTP.

use super::http::HttpProvider;
use super::server::{ServerSettings, serve};
use super::{
    Answer, Call, Faults, HttpSettings, KeySource, MockProvider, ModelFacts, Protocol, Provider, ProviderError,
    over_http,
};
use crate::clock::SimulatedClock;
use crate::domain::{ErrorClass, JsonSchema, Message, Part, Request, ResponseFormat, Speaker, Tool, ToolChoice};
use serde_json::Value;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

fn call(text: &str) -> Call {
    let message =
        Message { speaker: Speaker::User, parts: vec![Part::Text(text.to_owned())], cache: false, extra: vec![] };
    let request = Request {
        role: "default".to_owned(),
        messages: vec![message],
        tools: vec![],
        tool_choice: None,
        format: ResponseFormat::Text,
        max_output_tokens: None,
        temperature: None,
        top_p: None,
        stop: vec![],
        seed: None,
        on_overflow: None,
        extra: vec![],
    };
    Call { model: "m".to_owned(), request: Arc::new(request), parameters: Arc::new([]), identity: [0; 32] }
}

fn settings(address: &str, key: KeySource) -> HttpSettings {
    HttpSettings {
        name: "mock".to_owned(),
        protocol: Protocol::OpenAi,
        base_url: format!("http://{address}/v1"),
        key,
        headers: Vec::new(),
        proxy: None,
        ca_file: None,
        connect_timeout: Duration::from_secs(5),
        idempotency_header: None,
    }
}

fn made(settings: HttpSettings) -> HttpProvider {
    over_http(settings, Arc::new(SimulatedClock::default())).unwrap()
}

fn client(address: &str, key: Option<&str>) -> HttpProvider {
    let printed = |key: &str| KeySource::Command(["printf", "%s", key].map(str::to_owned).to_vec());
    made(settings(address, key.map_or(KeySource::None, printed)))
}

/// A log that can be looked at while it is written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs `test` with a server's address, and shuts the server down.
async fn with_server<T>(faults: &str, log: Log, test: impl AsyncFnOnce(String) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let settings = ServerSettings { faults: Faults::parse(faults).unwrap(), seed: 1, log: Some(Box::new(log)) };
    let (stop, stopped) = oneshot::channel::<()>();
    let server = serve(listener, settings, async move {
        let _ = stopped.await;
    });
    let testing = async {
        let result = test(address).await;
        drop(stop);
        result
    };
    let (end, result) = tokio::join!(server, testing);
    end.unwrap();
    result
}

async fn ask_once(faults: &str, text: &str) -> Result<Answer, ProviderError> {
    with_server(faults, Log::default(), async |address| client(&address, None).complete(&call(text)).await).await
}

#[tokio::test]
async fn over_http_the_answer_is_that_of_the_process() {
    let mut structured = call("x");
    let schema = r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#.to_owned();
    Arc::make_mut(&mut structured.request).format =
        ResponseFormat::JsonSchema(JsonSchema { name: "n".to_owned(), schema, strict: true, extra: vec![] });
    let in_process = MockProvider::new(Faults::default(), 1);
    with_server("", Log::default(), async |address| {
        for call in [call("a question"), structured] {
            let near = in_process.complete(&call).await.unwrap();
            let far = client(&address, None).complete(&call).await.unwrap();
            assert_eq!(near.completion, far.completion);
            assert!(far.request_id.unwrap().starts_with("mock-"));
        }
    })
    .await;
}

#[tokio::test]
async fn every_fault_is_the_same_over_http_and_in_the_process() {
    for (faults, expected) in [
        ("rate_limit=100%", ErrorClass::RateLimited),
        ("overloaded=100%", ErrorClass::Overloaded),
        ("server_error=100%", ErrorClass::ServerError),
        ("timeout=100%,hang=10ms", ErrorClass::Timeout),
        ("garbage=100%", ErrorClass::Garbage),
        ("connection=100%", ErrorClass::Connection),
        ("context=3", ErrorClass::ContextOverflow),
        ("quota_after=0", ErrorClass::QuotaExhausted),
        ("models=other", ErrorClass::ModelUnknown),
    ] {
        let far = ask_once(faults, "x").await.unwrap_err();
        let near = MockProvider::new(Faults::parse(faults).unwrap(), 1).complete(&call("x")).await.unwrap_err();
        assert_eq!(far.class, expected, "{faults}: {far}");
        assert_eq!((far.class, &far.code, far.status), (near.class, &near.code, near.status), "{faults}");
        assert_eq!((far.retry_after, &far.body), (near.retry_after, &near.body), "{faults}");
    }
}

fn speaking(protocol: &Protocol, address: &str, key: KeySource) -> HttpProvider {
    let (base_url, protocol) = match protocol {
        Protocol::OpenAi | Protocol::Anthropic => (format!("http://{address}/v1"), protocol.clone()),
        Protocol::Gemini => (format!("http://{address}/v1beta"), Protocol::Gemini),
        Protocol::Azure { .. } => (
            format!("http://{address}/openai/deployments/d"),
            Protocol::Azure { api_version: Some("2024-10-21".into()) },
        ),
    };
    made(HttpSettings { protocol, base_url, ..settings(address, key) })
}

const PROTOCOLS: [Protocol; 4] =
    [Protocol::OpenAi, Protocol::Azure { api_version: None }, Protocol::Anthropic, Protocol::Gemini];

#[tokio::test]
async fn every_protocol_is_answered_and_its_faults_are_told_apart() {
    for protocol in PROTOCOLS {
        let ask = async |faults: &str, tokens_max: Option<u32>| {
            let mut call = call("a question");
            Arc::make_mut(&mut call.request).max_output_tokens = tokens_max;
            let asked = async |address: String| speaking(&protocol, &address, KeySource::None).complete(&call).await;
            with_server(faults, Log::default(), asked).await
        };
        let answer = ask("rpm=600", Some(100)).await.unwrap();
        assert!(answer.completion.text.starts_with("mock answer to a question ["), "{protocol:?}");
        assert_eq!((answer.completion.finish.as_str(), answer.completion.usage.input_tokens), ("stop", 6));
        assert!(answer.request_id.is_some_and(|id| id.starts_with("mock-")), "{protocol:?}");
        let told = (protocol != Protocol::Gemini).then_some(600);
        assert_eq!(answer.limits.requests.limit, told, "{protocol:?}");
        assert_eq!(ask("", Some(2)).await.unwrap().completion.finish, "length");
        for (faults, expected) in [
            ("rate_limit=100%", ErrorClass::RateLimited),
            ("overloaded=100%", ErrorClass::Overloaded),
            ("server_error=100%", ErrorClass::ServerError),
            ("timeout=100%,hang=10ms", ErrorClass::Timeout),
            ("garbage=100%", ErrorClass::Garbage),
            ("connection=100%", ErrorClass::Connection),
            ("down=0s..9s", ErrorClass::Connection),
            ("context=3", ErrorClass::ContextOverflow),
            ("max_output=3", ErrorClass::MaxOutputTooLarge),
            ("tpm=10", ErrorClass::RequestTooLarge),
            ("quota_after=0", ErrorClass::QuotaExhausted),
            ("models=other", ErrorClass::ModelUnknown),
            ("key=sk-right", ErrorClass::Authentication),
        ] {
            let error = ask(faults, Some(20)).await.unwrap_err();
            assert_eq!(error.class, expected, "{protocol:?} {faults}: {error}");
            let wait = (expected == ErrorClass::RateLimited).then_some(Duration::from_secs(1));
            assert_eq!(error.retry_after.filter(|_| wait.is_some()), wait, "{protocol:?}");
            if expected == ErrorClass::ContextOverflow {
                assert_eq!((error.overflow.limit, error.overflow.input), (Some(3), Some(6)), "{protocol:?}");
            }
        }
    }
}

#[tokio::test]
async fn every_protocol_gives_json_and_calls_tools_and_knows_its_models() {
    for protocol in PROTOCOLS {
        with_server("context=4097,max_output=50,models=m;n", Log::default(), async |address| {
            let provider = speaking(&protocol, &address, KeySource::None);
            let mut structured = call("x");
            let request = Arc::make_mut(&mut structured.request);
            request.max_output_tokens = Some(50);
            let schema = r#"{"type":"object","properties":{"a":{"const":"b"}},"required":["a"]}"#.to_owned();
            request.format =
                ResponseFormat::JsonSchema(JsonSchema { name: "n".to_owned(), schema, strict: true, extra: vec![] });
            assert_eq!(provider.complete(&structured).await.unwrap().completion.text, r#"{"a":"b"}"#);
            let request = Arc::make_mut(&mut structured.request);
            request.format = ResponseFormat::Text;
            request.tools = vec![Tool {
                name: "f".to_owned(),
                description: String::new(),
                parameters: r#"{"type":"object","properties":{"a":{"const":1}}}"#.to_owned(),
                extra: vec![],
            }];
            request.tool_choice = Some(ToolChoice::Required);
            let completion = provider.complete(&structured).await.unwrap().completion;
            assert_eq!(completion.finish, "tool-calls", "{protocol:?}");
            let [call] = &completion.tool_calls[..] else { panic!("one call") };
            assert_eq!((call.name.as_str(), call.arguments.as_str()), ("f", r#"{"a":1}"#));
            let facts = provider.model("m").await.unwrap();
            let expected = if matches!(protocol, Protocol::Azure { .. }) {
                ModelFacts::default()
            } else {
                ModelFacts { context: Some(4097), max_output: Some(50) }
            };
            assert_eq!(facts, expected, "{protocol:?}");
            assert_eq!(provider.model("other").await.unwrap(), ModelFacts::default(), "{protocol:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn garbage_is_garbage_in_every_protocol() {
    for protocol in PROTOCOLS {
        with_server("garbage=100%", Log::default(), async |address| {
            let provider = speaking(&protocol, &address, KeySource::None);
            let mut codes = std::collections::BTreeSet::new();
            for nth in 0..30 {
                let error = provider.complete(&call(&format!("question {nth}"))).await.unwrap_err();
                assert_eq!(error.class, ErrorClass::Garbage, "{protocol:?} {error}");
                codes.insert(error.code);
            }
            assert_eq!(codes.len(), 4, "{protocol:?} {codes:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn connections_break_while_nobody_is_at_home() {
    with_server("down=300ms..1s", Log::default(), async |address| {
        let client = client(&address, None);
        assert!(client.complete(&call("x")).await.is_ok());
        tokio::time::sleep(Duration::from_millis(500)).await;
        for _ in 0..2 {
            let error = client.complete(&call("x")).await.unwrap_err();
            assert_eq!((error.class, error.status), (ErrorClass::Connection, None), "{error}");
        }
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert!(client.complete(&call("x")).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_the_right_one_is_not() {
    with_server("key=sk-right-key", Log::default(), async |address| {
        for protocol in PROTOCOLS {
            let key = KeySource::Command(["printf", "%s", "sk-right-key"].map(str::to_owned).to_vec());
            assert!(speaking(&protocol, &address, key).complete(&call("x")).await.is_ok(), "{protocol:?}");
        }
        for key in [None, Some("sk-wrong-key")] {
            let client = client(&address, key);
            let error = client.complete(&call("x")).await.unwrap_err();
            assert_eq!(error.class, ErrorClass::Authentication);
            assert!(!format!("{error} {error:?} {client:?}").contains("-key"), "{error:?}");
        }
        assert!(client(&address, Some("sk-right-key")).complete(&call("x")).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_key_that_expired_is_read_again_and_the_request_sent_once_more() {
    let (log, folder) = (Log::default(), tempfile::tempdir().unwrap());
    let path = folder.path().join("key");
    std::fs::write(&path, "sk-old-key").unwrap();
    with_server("key=sk-new-key", log.clone(), async |address| {
        let client = made(settings(&address, KeySource::File(path.clone())));
        let error = client.complete(&call("x")).await.unwrap_err();
        assert_eq!((error.class, log.lines().len()), (ErrorClass::Authentication, 1));
        std::fs::write(&path, "sk-new-key\n").unwrap();
        assert!(client.complete(&call("x")).await.is_ok());
        assert!(client.complete(&call("x")).await.is_ok());
    })
    .await;
    let statuses: Vec<_> = log.lines().iter().map(|line| line["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [401, 401, 200, 200]);
}

#[tokio::test]
async fn the_log_has_a_line_for_a_request_before_it_is_answered() {
    let log = Log::default();
    with_server("timeout=100%,hang=60s", log.clone(), async |address| {
        let client = client(&address, None);
        let call = call("x");
        let asked = tokio::time::timeout(Duration::from_millis(300), client.complete(&call));
        assert!(asked.await.is_err());
    })
    .await;
    let [line] = &log.lines()[..] else { panic!("one line") };
    assert_eq!((&line["n"], &line["fault"], &line["model"]), (&1.into(), &"timeout".into(), &"m".into()));
    assert_eq!(line["digest"].as_str().map(str::len), Some(12));
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how long a real server takes to stop")]
async fn a_server_that_is_to_stop_does_not_wait_for_who_hangs() {
    let started = tokio::time::Instant::now();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&listener.local_addr().unwrap().to_string(), None);
    let settings = ServerSettings { faults: Faults::parse("latency=60s").unwrap(), seed: 1, log: None };
    let shutdown = tokio::time::sleep(Duration::from_millis(100));
    let call = call("x");
    let (served, answer) = tokio::join!(serve(listener, settings, shutdown), client.complete(&call));
    assert!(served.is_ok() && answer.is_ok());
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn hundreds_of_requests_at_once_are_all_answered_with_their_own_answer() {
    with_server("latency=20ms", Log::default(), async |address| {
        let client = client(&address, None);
        let calls: Vec<_> = (0..300).map(|nth| call(&format!("question {nth}."))).collect();
        let answers = futures_util::future::join_all(calls.iter().map(|call| client.complete(call))).await;
        for (nth, answer) in answers.into_iter().enumerate() {
            let text = answer.unwrap().completion.text;
            assert!(text.starts_with(&format!("mock answer to question {nth}. [")), "{text}");
        }
    })
    .await;
}

/// Answers one connection with these bytes, then closes it.
fn answer_with(bytes: Vec<u8>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut chunk = [0; 4096];
        while !request.ends_with(b"}") {
            let read = connection.read(&mut chunk).unwrap();
            request.extend_from_slice(&chunk[..read]);
        }
        // The client may have closed the connection by then.
        let _ = connection.write_all(&bytes);
    });
    address
}

async fn check_raw(bytes: impl Into<Vec<u8>>, class: ErrorClass, code: &str) -> ProviderError {
    let address = answer_with(bytes.into());
    let error = client(&address, None).complete(&call("x")).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (class, code), "{error}");
    error
}

#[tokio::test]
async fn what_a_connection_can_do_is_told_apart() {
    check_raw("", ErrorClass::Connection, "connection_broken").await;
    check_raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", ErrorClass::Connection, "connection_broken").await;
    check_raw("SSH-2.0-OpenSSH\r\n", ErrorClass::Connection, "connection_broken").await;
    let broken_off = "HTTP/1.1 500 No\r\ncontent-length: 99\r\n\r\n{\"error\":";
    check_raw(broken_off, ErrorClass::ServerError, "server_error").await;
    let redirect = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    check_raw(redirect, ErrorClass::ModelUnknown, "model_unknown").await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    check_raw(chunked, ErrorClass::Garbage, "no_choices").await;
}

#[tokio::test]
async fn nobody_at_the_address_is_told_from_a_broken_connection() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let error = client(&free, Some("sk-secret-1")).complete(&call("x")).await.unwrap_err();
    assert_eq!((error.class, error.code.as_str()), (ErrorClass::Connection, "connect_failed"));
    assert!(error.message.contains("refused"), "{error}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[tokio::test]
async fn an_answer_beyond_the_bound_is_not_read_to_its_end() {
    let mut bytes = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    bytes.resize(40 * 1024 * 1024, b' ');
    let error = check_raw(bytes, ErrorClass::Garbage, "body_too_large").await;
    assert_eq!(error.status, Some(200));
}
