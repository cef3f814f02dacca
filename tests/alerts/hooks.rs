//! A receiver of webhooks on this machine, over real HTTP: keeps what comes, and answers as it is told.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name}: {:?}", self.headers)).to_str().unwrap()
    }
}

#[derive(Default)]
struct Book {
    requests: Vec<Request>,
    /// What the next requests are answered; 200 when there is nothing.
    answers: VecDeque<(u16, &'static str)>,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    book: Arc<Mutex<Book>>,
    /// Ends with it.
    _runtime: tokio::runtime::Runtime,
}

impl Receiver {
    pub(crate) fn start(answers: &[(u16, &'static str)]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = answers.iter().copied().collect();
        let book = Arc::new(Mutex::new(Book { answers, ..Book::default() }));
        let router = Router::new().fallback(take).with_state(Arc::clone(&book));
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, book, _runtime: runtime }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.book.lock().unwrap().requests.clone()
    }

    /// `rule` and `type` of each alert, as they came.
    pub(crate) fn told(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.requests().iter().map(Request::json).map(|alert| (text(&alert["rule"]), text(&alert["type"]))).collect()
    }
}

async fn take(State(book): State<Arc<Mutex<Book>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut book = book.lock().unwrap();
    let body = String::from_utf8_lossy(&body).into_owned();
    book.requests.push(Request { path: uri.path().to_owned(), headers, body });
    let (status, text) = book.answers.pop_front().unwrap_or((200, "ok"));
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("location", "/elsewhere")], text).into_response()
}
