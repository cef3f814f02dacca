//! The server: its routes, what every answer says to a browser, and how much it may take.

use super::assets;
use super::board::{Board, Taken};
use super::door::{Door, Entry, Names, Refusal};
use super::events;
use super::failures::{self, Wanted};
use super::token::Token;
use crate::domain::ItemSeq;
use crate::store::StoreError;
use crate::web::{Admission, Bounded, machine};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY, SET_COOKIE,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections at once; a browser opens six.
const CONNECTIONS_MAX: usize = 64;
/// Within this a connection has shown the secret, or ends.
const PATIENCE: Duration = Duration::from_secs(10);
/// Streams at once, one for each page that is open.
const STREAMS_MAX: usize = 16;
/// Looks into the store at once; further ones wait.
const LOOKS_MAX: usize = 2;
/// Between two signs of life where nothing happens.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// What pages get to read how it ended.
const GRACE: Duration = Duration::from_secs(2);

/// The page's own files and addresses, and nothing else; no script but those files, no frame, no form, no plugin.
const CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const SAFE: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, CONTENT),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Bound, and not serving yet: that it can be is known before a run begins.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

pub struct ServerSettings {
    pub token: Token,
    pub board: Arc<Board>,
}

struct Served {
    door: Door,
    board: Arc<Board>,
    streams: Arc<Semaphore>,
    looks: Arc<Semaphore>,
}

impl Server {
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// With the port that was taken, if any would do.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a browser is to open. The token stands in it.
    pub fn url(&self, token: &Token) -> String {
        let address = self.address;
        let host = match address.ip() {
            // No address that one could ask.
            any if any.is_unspecified() => match machine() {
                name if name.is_empty() => format!("localhost:{}", address.port()),
                name => format!("{name}:{}", address.port()),
            },
            _ => address.to_string(),
        };
        format!("http://{host}/?token={}", token.reveal())
    }

    /// Serves until `closing`, and then for as long as pages read how it ended, two seconds at most.
    pub async fn serve(self, settings: ServerSettings, closing: CancellationToken) -> std::io::Result<()> {
        let router = router(self.address, settings);
        let listener = Bounded::new(self.listener, CONNECTIONS_MAX, Some(PATIENCE));
        let service = router.into_make_service_with_connect_info::<Admission>();
        let serving = axum::serve(listener, service).with_graceful_shutdown(closing.clone().cancelled_owned());
        tokio::select! {
            ended = serving.into_future() => ended,
            () = async { closing.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
        }
    }
}

pub(super) fn router(address: SocketAddr, settings: ServerSettings) -> Router {
    let names = if address.ip().is_loopback() { Names::Loopback } else { Names::Machine(machine()) };
    let served = Arc::new(Served {
        door: Door::new(settings.token, address.port(), names),
        board: settings.board,
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        looks: Arc::new(Semaphore::new(LOOKS_MAX)),
    });
    Router::new()
        .route("/", get(page))
        .route("/{file}", get(file))
        .route("/events", get(stream))
        .route("/data", get(data))
        .route("/failures", get(failed))
        .route("/failures/{item}", get(card))
        .route("/pause", post(pause))
        .route("/resume", post(resume))
        .layer(from_fn_with_state(Arc::clone(&served), guard))
        .with_state(served)
}

async fn guard(
    State(served): State<Arc<Served>>,
    ConnectInfo(admission): ConnectInfo<Admission>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match served.door.check(request.method(), request.uri(), request.headers()) {
        Err(refusal) => refused(refusal),
        Ok(entry) => {
            admission.admit();
            match entry {
                Entry::In => next.run(request).await,
                Entry::Redirect { set_cookie } => {
                    (StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned()), (SET_COOKIE, set_cookie)]).into_response()
                }
            }
        }
    };
    for (name, value) in SAFE {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refused(refusal: Refusal) -> Response {
    let mut response = told(refusal.status, refusal.text);
    if refusal.status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sandmill\""));
    }
    response
}

/// In one line of text.
fn told(status: StatusCode, text: &str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}\n")).into_response()
}

async fn page() -> Response {
    asset("index.html")
}

async fn file(Path(name): Path<String>) -> Response {
    asset(&name)
}

fn asset(name: &str) -> Response {
    match assets::file(name) {
        Some((kind, text)) => ([(CONTENT_TYPE, kind)], text.into_owned()).into_response(),
        None => told(StatusCode::NOT_FOUND, "there is no such page"),
    }
}

async fn stream(State(served): State<Arc<Served>>) -> Response {
    let Ok(place) = Arc::clone(&served.streams).try_acquire_owned() else {
        return told(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open: close one");
    };
    let stream = events::stream(Arc::clone(&served.board), place);
    Sse::new(stream).keep_alive(alive()).into_response()
}

/// Also for a page, which takes silence for a connection that was lost.
fn alive() -> KeepAlive {
    KeepAlive::new().interval(ALIVE_EVERY).event(SseEvent::default().event("alive").data("1"))
}

async fn data(State(served): State<Arc<Served>>) -> Json<Value> {
    let mut view = served.board.view();
    view["history"] = served.board.history();
    Json(view)
}

async fn failed(State(served): State<Arc<Served>>, uri: Uri) -> Response {
    match Wanted::parse(uri.query().unwrap_or_default()) {
        Err(wrong) => told(StatusCode::BAD_REQUEST, wrong),
        Ok(wanted) => looked(&served, move |board| failures::page(board, wanted).map(Some)).await,
    }
}

async fn card(State(served): State<Arc<Served>>, Path(item): Path<String>) -> Response {
    match item.parse() {
        Err(_) => told(StatusCode::BAD_REQUEST, "an item is asked for by its number in /failures"),
        Ok(item) => looked(&served, move |board| failures::card(board, ItemSeq(item))).await,
    }
}

/// Looks into the store, off the threads that others wait for.
async fn looked(
    served: &Served,
    look: impl FnOnce(&Board) -> Result<Option<Value>, StoreError> + Send + 'static,
) -> Response {
    let (board, looks) = (Arc::clone(&served.board), Arc::clone(&served.looks));
    let Ok(turn) = looks.acquire_owned().await else {
        return told(StatusCode::SERVICE_UNAVAILABLE, "the run ends");
    };
    let found = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        look(&board)
    });
    match found.await {
        Ok(Ok(Some(value))) => Json(value).into_response(),
        Ok(Ok(None)) => told(StatusCode::NOT_FOUND, "there is no such failed item: it may be done by now"),
        Ok(Err(error)) => told(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(error) => told(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn pause(State(served): State<Arc<Served>>) -> Response {
    steer(&served, true).await
}

async fn resume(State(served): State<Arc<Served>>) -> Response {
    steer(&served, false).await
}

/// 200: it is so; 202: it will be; 409: it cannot be, and why.
async fn steer(served: &Served, is_paused: bool) -> Response {
    let Some(running) = served.board.running() else {
        return told(StatusCode::CONFLICT, "the run has not begun: its plugin is made ready, or its input read");
    };
    if served.board.has_ended() {
        return told(StatusCode::CONFLICT, "the run has ended");
    }
    match running.steer.pause(is_paused).await {
        Ok(taken) => {
            let status = if taken == Taken::Yes { StatusCode::OK } else { StatusCode::ACCEPTED };
            (status, Json(json!({"paused": is_paused, "taken": taken}))).into_response()
        }
        Err(reason) => told(StatusCode::CONFLICT, &crate::domain::sanitize_text(&reason, 2_000)),
    }
}
