//! The server over real connections on this machine.

use super::*;
use crate::clock::SimulatedClock;
use crate::domain::{Event, EventSink, FailureClass, ItemId, test_card};
use crate::monitor::{Monitor, RunFacts, Standing};
use crate::report::{EndedSummary, JobCommand, NextSteps};
use crate::run::TallySnapshot;
use crate::store::testing::{EndOf, Rows};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a page must not do for anybody.
const HOSTILE: &str = "<script>alert(1)</script>\u{202e}\u{1b}[31m";

/// Remembers what it is asked.
#[derive(Default)]
struct Asked(Mutex<Vec<bool>>);

#[async_trait::async_trait]
impl Steer for Asked {
    async fn pause(&self, is_paused: bool) -> Result<Taken, String> {
        self.0.lock().unwrap().push(is_paused);
        if is_paused { Ok(Taken::Yes) } else { Err("it may not".into()) }
    }
}

struct Served {
    address: SocketAddr,
    token: String,
    board: Arc<Board>,
    monitor: Arc<Monitor>,
    asked: Arc<Asked>,
    dir: tempfile::TempDir,
    closing: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Served {
    async fn start() -> Self {
        let token = Token::random().unwrap();
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (address, url) = (server.address(), server.url(&token));
        assert_eq!(url, format!("http://{address}/?token={}", token.reveal()));
        let facts = RunFacts { job: "j".into(), plugin: HOSTILE.into(), total: 10, ..RunFacts::default() };
        let board = Arc::new(Board::new("j".into()));
        let closing = CancellationToken::new();
        let settings = ServerSettings { token: token.clone(), board: Arc::clone(&board) };
        let serving = tokio::spawn(server.serve(settings, closing.clone()));
        Self {
            address,
            token: token.reveal().to_owned(),
            board,
            monitor: Arc::new(Monitor::new(facts, Arc::new(SimulatedClock::default()))),
            asked: Arc::default(),
            dir: tempfile::tempdir().unwrap(),
            closing,
            serving,
        }
    }

    fn begin(&self) {
        let rows = Rows::new(self.dir.path(), "x");
        for nth in 1..=60 {
            rows.item(&format!("i{nth}"));
            let card = (nth == 1).then(test_card);
            let message = HOSTILE.to_owned();
            rows.end(
                nth,
                &EndOf {
                    state: "failed",
                    class: "trap".into(),
                    code: "trap".into(),
                    message,
                    card,
                    ..EndOf::default()
                },
            );
        }
        let reader = rows.reader();
        self.board.begin(Running {
            monitor: Arc::clone(&self.monitor),
            open: Box::new(move || reader.as_of_now()),
            command: JobCommand::new("j", None),
            steer: Arc::clone(&self.asked) as Arc<dyn Steer>,
        });
    }

    fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.token)
    }

    async fn open(&self, what: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{what} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.address);
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self, what: &str, headers: &str) -> Answer {
        let mut text = String::new();
        self.open(what, headers).await.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &self.bearer()).await
    }
}

/// A stream of events.
struct Events(BufReader<TcpStream>);

impl Events {
    async fn open(served: &Served) -> Self {
        Self(BufReader::new(served.open("GET /events", &served.bearer()).await))
    }

    /// The next one; `None`: the stream has ended as it should.
    async fn next(&mut self) -> Option<(String, Value)> {
        let (mut name, mut line) = (None, String::new());
        loop {
            line.clear();
            if self.0.read_line(&mut line).await.unwrap() == 0 {
                return None;
            }
            let line = line.trim();
            if let Some(event) = line.strip_prefix("event: ") {
                name = Some(event.to_owned());
            }
            if let (Some(data), Some(name)) = (line.strip_prefix("data: "), &name) {
                return Some((name.clone(), serde_json::from_str(data).unwrap()));
            }
        }
    }

    async fn until(&mut self, wanted: &str) -> Value {
        loop {
            let (name, data) = self.next().await.unwrap_or_else(|| panic!("no {wanted} came"));
            if name == wanted {
                return data;
            }
        }
    }
}

fn ended() -> EndedSummary {
    EndedSummary {
        state: "finished".into(),
        reason: HOSTILE.into(),
        exit_code: 3,
        command: "sandmill resume j".into(),
        debug: None,
        next: NextSteps { retry: Some("sandmill failed retry j".into()), ..NextSteps::default() },
        parked_until_ms: None,
    }
}

#[tokio::test]
async fn every_answer_tells_a_browser_to_trust_nothing_else() {
    let served = Served::start().await;
    let with_token = format!("GET /?token={}", served.token);
    for (what, headers, status) in [
        ("GET /", served.bearer(), 200),
        ("GET /app.js", served.bearer(), 200),
        ("GET /nothing", served.bearer(), 404),
        ("GET /pause", served.bearer(), 405),
        ("POST /data", served.bearer(), 405),
        ("POST /pause", format!("Origin: http://evil.example.com\r\n{}", served.bearer()), 403),
        ("GET /", String::new(), 401),
        (&with_token, String::new(), 303),
    ] {
        let answer = served.ask(what, &headers).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        for part in [
            "content-security-policy: default-src 'none';",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(answer.head.contains(part), "{what}: {part}\n{}", answer.head);
        }
        assert!(!answer.head.contains("unsafe-") && !answer.body.contains(&served.token), "{what}");
    }
    let answer = served.ask(&with_token, "").await;
    assert!(answer.head.contains("\r\nlocation: /\r\n"), "{}", answer.head);
    let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(served.ask("GET /", &cookie).await.status, 200);
    assert_eq!(served.ask("POST /pause", &cookie).await.status, 403, "it does not come from the page");
}

#[tokio::test]
async fn before_a_run_has_begun_there_is_a_page_and_nothing_to_ask_of_it() {
    let served = Served::start().await;
    let view = served.get("/data").await.json();
    assert_eq!((&view["phase"], &view["snapshot"], &view["job"]), (&"preparing".into(), &Value::Null, &"j".into()));
    assert_eq!(served.get("/failures").await.json()["failures"], Value::Array(Vec::new()));
    let answer = served.ask("POST /pause", &served.bearer()).await;
    assert!(answer.status == 409 && answer.body.contains("has not begun"), "{}", answer.body);
}

#[tokio::test]
async fn what_is_asked_goes_to_the_run_and_a_refusal_comes_back() {
    let served = Served::start().await;
    served.begin();
    let (address, port) = (served.address, served.address.port());
    let from_page = format!("Cookie: sandmill-{port}={}\r\nOrigin: http://{address}\r\n", served.token);
    let answer = served.ask("POST /pause", &from_page).await;
    assert_eq!((answer.status, &answer.json()["paused"]), (200, &true.into()));
    let answer = served.ask("POST /resume", &from_page).await;
    assert_eq!((answer.status, answer.body.as_str()), (409, "it may not\n"));
    assert_eq!(*served.asked.0.lock().unwrap(), [true, false]);
    served.board.end(Ending::Concluded(ended()));
    assert_eq!(served.ask("POST /resume", &from_page).await.status, 409);
    assert_eq!(served.asked.0.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn failures_come_by_pages_and_a_card_by_its_number_with_nothing_hidden() {
    let served = Served::start().await;
    served.begin();
    let first = served.get("/failures").await.json();
    let rows = first["failures"].as_array().unwrap();
    assert_eq!((rows.len(), &first["has_more"]), (50, &true.into()));
    assert_eq!(rows[0]["message"], "<script>alert(1)</script>\\u{202e}\\u{1b}[31m");
    assert_eq!((&rows[0]["crashed"], &rows[0]["show"]), (&true.into(), &"sandmill failed show j i1".into()));
    let after = format!("/failures?after={}&class=trap", rows[49]["item"]);
    let second = served.get(&after).await.json();
    assert_eq!((second["failures"].as_array().unwrap().len(), &second["has_more"]), (10, &false.into()));
    assert_eq!(served.get("/failures?class=timeout").await.status, 400);
    let card = served.get("/failures/1").await.json();
    assert_eq!((&card["id"], &card["crash"]["kind"]), (&"i1".into(), &"panic".into()));
    assert_eq!(card["debug"], "sandmill debug j i1");
    assert_eq!(served.get("/failures/2").await.json()["debug"], Value::Null);
    for (path, status) in
        [("/failures/61", 404), ("/failures/-1", 404), ("/failures/x", 400), ("/failures/..%2F1", 400)]
    {
        assert_eq!(served.get(path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_stream_tells_what_is_new_then_how_it_ended_and_ends() {
    let served = Served::start().await;
    let mut events = Events::open(&served).await;
    assert_eq!(events.until("view").await["phase"], "preparing");
    served.begin();
    let view = events.until("view").await;
    assert_eq!((&view["phase"], &view["snapshot"]["items"]["done"]), (&"running".into(), &0.into()));
    assert_eq!(view["snapshot"]["plugin"], "<script>alert(1)</script>\\u{202e}\\u{1b}[31m");

    let failed = Event::ItemFailed {
        item: ItemId::new("a").unwrap(),
        class: FailureClass::Plugin,
        code: HOSTILE.into(),
        message: HOSTILE.into(),
    };
    served.monitor.emit(failed);
    let standing = Standing {
        counts: TallySnapshot { done: 4, failed: 1, ..TallySnapshot::default() },
        is_paused: true,
        ..Standing::default()
    };
    served.monitor.look(&standing);
    let view = events.until("view").await;
    let snapshot = &view["snapshot"];
    assert_eq!((&snapshot["items"]["done"], &snapshot["paused"]), (&4.into(), &true.into()));
    assert_eq!(snapshot["failures"][0]["count"], 1);
    assert!(!snapshot.to_string().contains(['\u{202e}', '\u{1b}']), "{snapshot}");

    served.board.end(Ending::Concluded(ended()));
    served.board.end(Ending::Broken { reason: "never told".into(), exit_code: 1 });
    assert_eq!(events.until("failures").await["failures"].as_array().unwrap().len(), 50);
    let view = events.until("view").await;
    assert_eq!((&view["phase"], &view["ended"]["exit_code"]), (&"ended".into(), &3.into()));
    assert_eq!(view["ended"]["next"]["retry"], "sandmill failed retry j");
    assert!(!view["ended"].to_string().contains('\u{202e}'), "{view}");
    assert!(events.next().await.is_none());
    served.closing.cancel();
    served.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_does_not_read_holds_up_nobody_and_does_not_keep_the_run_from_ending() {
    let served = Served::start().await;
    served.begin();
    // It asks, and never reads.
    let silent = served.open("GET /events", &served.bearer()).await;
    let mut events = Events::open(&served).await;
    events.until("view").await;
    for done in 1..=2_000 {
        let counts = TallySnapshot { done, ..TallySnapshot::default() };
        served.monitor.look(&Standing { counts, ..Standing::default() });
    }
    let mut done = Value::Null;
    while done != 2_000 {
        done = events.until("view").await["snapshot"]["items"]["done"].clone();
    }
    served.board.end(Ending::Concluded(ended()));
    served.closing.cancel();
    served.serving.await.unwrap().unwrap();
    drop(silent);
}

#[tokio::test]
async fn only_so_many_pages_may_be_open() {
    let served = Served::start().await;
    let mut open = Vec::new();
    for _ in 0..16 {
        let mut events = Events::open(&served).await;
        events.until("view").await;
        open.push(events);
    }
    assert_eq!(served.get("/events").await.status, 503);
    assert_eq!(served.get("/data").await.status, 200);
}
