//! The mock provider behind real HTTP: for tests, for trying a plugin out, and as a yardstick for benchmarks.
//!
//! Speaks every protocol that the host speaks, each at its own address. Everything but the transport is the mock's.

mod door;

use super::mock::{Arrival, Caller, Core, End, Fault, Faults, Moment, Reply, Wire};
use crate::clock::{Clock, SystemClock};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use door::Door;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
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
    let router = router().layer(DefaultBodyLimit::max(BODY_MAX)).with_state(Arc::clone(&mock));
    let listener = Door { listener, mock };
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

fn router() -> Router<Arc<Mock>> {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/chat/completions", post(chat))
        // Azure's.
        .route("/openai/v1/chat/completions", post(chat))
        .route("/openai/deployments/{name}/chat/completions", post(chat))
        .route("/v1/messages", post(messages))
        .route("/messages", post(messages))
        .route("/v1/models", get(models))
        .route("/models", get(models))
        .route("/v1/models/{name}", get(model).post(generate))
        .route("/models/{name}", get(model).post(generate))
        .route("/v1beta/models/{name}", get(model).post(generate))
        .route("/health", get(health))
        .fallback(unknown)
}

async fn chat(State(mock): State<Arc<Mock>>, headers: HeaderMap, body: Bytes) -> Response {
    answer(&mock, Wire::OpenAi, None, &headers, body).await
}

async fn messages(State(mock): State<Arc<Mock>>, headers: HeaderMap, body: Bytes) -> Response {
    answer(&mock, Wire::Anthropic, None, &headers, body).await
}

/// Here the address holds the model and what it is to do.
async fn generate(
    State(mock): State<Arc<Mock>>,
    Path(name): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match name.strip_suffix(":generateContent") {
        Some(model) => answer(&mock, Wire::Gemini, Some(model), &headers, body).await,
        None => unknown(method, uri).await,
    }
}

async fn answer(mock: &Mock, wire: Wire, model: Option<&str>, headers: &HeaderMap, body: Bytes) -> Response {
    let moment = Moment { at: mock.clock.monotonic(), unix_ms: mock.clock.unix_ms() };
    let reply = mock.core.receive(Arrival { wire, caller: caller(headers), body: &body, model, moment });
    drop(body);
    mock.log(wire, &reply);
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
        // The connection breaks when this is written to it.
        End::Closed => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn models(State(mock): State<Arc<Mock>>, headers: HeaderMap) -> Response {
    if !mock.core.admits(caller(&headers)) {
        return error(StatusCode::UNAUTHORIZED, "Incorrect API key provided.");
    }
    let names: Vec<&str> = match mock.core.faults().models() {
        [] => vec!["mock"],
        names => names.iter().map(String::as_str).collect(),
    };
    let list: Vec<_> = names.into_iter().map(|name| mock.facts(name)).collect();
    page(StatusCode::OK, json!({"object": "list", "data": list}).to_string())
}

async fn model(State(mock): State<Arc<Mock>>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let names = mock.core.faults().models();
    if !mock.core.admits(caller(&headers)) {
        error(StatusCode::UNAUTHORIZED, "Incorrect API key provided.")
    } else if names.is_empty() || names.contains(&name) {
        page(StatusCode::OK, mock.facts(&name).to_string())
    } else {
        error(StatusCode::NOT_FOUND, &format!("The model `{name}` does not exist."))
    }
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

/// The key, in whichever header a protocol has it.
fn caller(headers: &HeaderMap) -> Caller<'_> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = || text(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    Caller::Http { key: ["x-api-key", "x-goog-api-key", "api-key"].into_iter().find_map(text).or_else(bearer) }
}

impl Mock {
    fn is_down(&self) -> bool {
        self.core.is_down(self.clock.monotonic())
    }

    /// What is told of a model, in the words of vLLM, Anthropic and Google at once.
    fn facts(&self, name: &str) -> Value {
        let (context, output) = (self.core.faults().context_tokens(), self.core.faults().max_output());
        let mut facts = json!({"id": name, "object": "model", "type": "model", "created": 0, "owned_by": "mock"});
        for (names, number) in [
            (["max_model_len", "max_input_tokens", "inputTokenLimit"], context),
            (["max_completion_tokens", "max_tokens", "outputTokenLimit"], output),
        ] {
            if let Some(number) = number {
                for name in names {
                    facts[name] = number.into();
                }
            }
        }
        facts
    }

    /// A log that cannot be written is said once a line, and stops nobody.
    fn log(&self, wire: Wire, reply: &Reply) {
        let Some(log) = &self.log else { return };
        let line = json!({
            "n": reply.n,
            "t_ms": self.clock.unix_ms(),
            "digest": reply.digest.map(|digest| digest.to_string()),
            "wire": wire.name(),
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
