//! Serves the figures over HTTP, to whoever asks this machine by a name of its own.

use super::host::is_ours;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE as PROMETHEUS;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Bound, and not serving yet: that it can be is known before a run begins.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

struct Served {
    text: Box<dyn Fn() -> Option<Result<String, std::fmt::Error>> + Send + Sync>,
    machine: String,
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

    /// Serves until it is dropped. `text`: asked with each scrape; `None`: there is nothing yet.
    pub fn serve(
        self,
        text: impl Fn() -> Option<Result<String, std::fmt::Error>> + Send + Sync + 'static,
    ) -> impl Future<Output = std::io::Result<()>> + Send {
        let machine = hostname::get().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let served = Arc::new(Served { text: Box::new(text), machine });
        let router = Router::new()
            .route("/metrics", get(metrics))
            .layer(from_fn_with_state(Arc::clone(&served), guard))
            .with_state(served);
        axum::serve(self.listener, router).into_future()
    }
}

async fn guard(State(served): State<Arc<Served>>, headers: HeaderMap, request: Request, next: Next) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if is_ours(host, &served.machine) {
        return next.run(request).await;
    }
    let text = "ask by this machine's name, its address or localhost\n";
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

async fn metrics(State(served): State<Arc<Served>>) -> Response {
    match (served.text)() {
        None => (StatusCode::SERVICE_UNAVAILABLE, "the run has not begun\n").into_response(),
        Some(Ok(text)) => ([(CONTENT_TYPE, PROMETHEUS)], text).into_response(),
        Some(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
