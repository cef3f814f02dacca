//! The mock provider behind real HTTP: for tests, for trying a plugin out, and as a yardstick for benchmarks.
//!
//! Speaks `OpenAI`'s chat completions. Everything but the transport is the mock's.

use super::mock::{Caller, Core, End, Fault, Faults, Reply};
use crate::clock::{Clock, SystemClock};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use futures_util::{StreamExt, stream};
use serde_json::json;
use std::future::Future;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The largest request.
const BODY_MAX: usize = 64 * 1024 * 1024;
/// What connections get to finish once the server is to stop. Waits are cut short at once.
const GRACE: Duration = Duration::from_secs(5);

pub struct ServerSettings {
    pub faults: Faults,
    pub seed: u64,
    /// Gets one JSON line per request, flushed before anything is answered.
    pub log: Option<Box<dyn Write + Send>>,
}

impl std::fmt::Debug for ServerSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerSettings").field("faults", &self.faults).field("seed", &self.seed).finish_non_exhaustive()
    }
}

struct Mock {
    core: Core,
    log: Option<Mutex<Box<dyn Write + Send>>>,
    clock: SystemClock,
    stopping: CancellationToken,
}

/// Serves until `shutdown` is done, then ends what is waiting, and returns once the connections are closed, or after
/// 5 s. The error is one of the listener.
pub async fn serve(
    listener: TcpListener,
    settings: ServerSettings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let stopping = CancellationToken::new();
    let mock = Arc::new(Mock {
        core: Core::new(settings.faults, settings.seed),
        log: settings.log.map(Mutex::new),
        clock: SystemClock::new(),
        stopping: stopping.clone(),
    });
    let router = Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/chat/completions", post(complete))
        .route("/v1/models", get(models))
        .route("/models", get(models))
        .route("/health", get(health))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(mock);
    let listener = listener.tap_io(|connection| {
        // Best effort: without it, small answers wait for their turn.
        let _ = connection.set_nodelay(true);
    });
    let signal = stopping.clone();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        signal.cancel();
    });
    tokio::select! {
        result = serving.into_future() => result,
        () = async { stopping.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

async fn complete(State(mock): State<Arc<Mock>>, headers: HeaderMap, body: Bytes) -> Response {
    let reply = mock.core.receive(&body, caller(&headers));
    drop(body);
    mock.log(&reply);
    if !reply.wait.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(reply.wait) => {}
            () = mock.stopping.cancelled() => {}
        }
    }
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut headers = reply.headers;
    match reply.end {
        End::Whole(body) => (status, headers, body).into_response(),
        End::Broken(body) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            let whole = Bytes::from(body);
            let half = stream::iter([Ok(whole.slice(..whole.len() / 2))]);
            let broken = stream::once(async {
                // The first half leaves when the second is not there yet.
                tokio::task::yield_now().await;
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            });
            (status, headers, Body::from_stream(half.chain(broken))).into_response()
        }
    }
}

async fn models(State(mock): State<Arc<Mock>>, headers: HeaderMap) -> Response {
    if !mock.core.admits(caller(&headers)) {
        return error(StatusCode::UNAUTHORIZED, "Incorrect API key provided.");
    }
    let names: Vec<&str> = match mock.core.models() {
        [] => vec!["mock"],
        names => names.iter().map(String::as_str).collect(),
    };
    let model = |id: &&str| match mock.core.context_tokens() {
        // As vLLM tells it.
        Some(tokens) => {
            json!({"id": id, "object": "model", "created": 0, "owned_by": "mock", "max_model_len": tokens})
        }
        None => json!({"id": id, "object": "model", "created": 0, "owned_by": "mock"}),
    };
    let list = json!({"object": "list", "data": names.iter().map(model).collect::<Vec<_>>()});
    page(StatusCode::OK, list.to_string())
}

async fn health() -> Response {
    page(StatusCode::OK, json!({"status": "ok"}).to_string())
}

async fn unknown(method: Method, uri: Uri) -> Response {
    error(StatusCode::NOT_FOUND, &format!("Unknown request URL: {method} {}", uri.path()))
}

fn error(status: StatusCode, message: &str) -> Response {
    page(status, json!({"error": {"message": message, "type": "invalid_request_error"}}).to_string())
}

fn page(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn caller(headers: &HeaderMap) -> Caller<'_> {
    Caller::Http { authorization: headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) }
}

impl Mock {
    /// A log that cannot be written is said once a line, and stops nobody.
    fn log(&self, reply: &Reply) {
        let Some(log) = &self.log else { return };
        let line = json!({
            "n": reply.n,
            "t_ms": self.clock.unix_ms(),
            "digest": reply.digest.map(|digest| digest.to_string()),
            "model": reply.model,
            "fault": reply.fault.map(Fault::name),
            "status": reply.status,
            "input_tokens": reply.input_tokens,
        });
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(log, "{line}").and_then(|()| log.flush()) {
            tracing::error!(%error, "cannot write the log of requests");
        }
    }
}
