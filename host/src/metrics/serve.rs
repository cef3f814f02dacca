//! Serves the figures over HTTP, to whoever asks this machine by a name of its own.

use crate::web::{Bounded, is_ours, machine, one_host};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE as PROMETHEUS;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Connections at once; a scrape takes one.
const CONNECTIONS_MAX: usize = 64;

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
        let served = Arc::new(Served { text: Box::new(text), machine: machine() });
        let router = Router::new()
            .route("/metrics", get(metrics))
            .layer(from_fn_with_state(Arc::clone(&served), guard))
            .with_state(served);
        axum::serve(Bounded::new(self.listener, CONNECTIONS_MAX, None), router).into_future()
    }
}

async fn guard(State(served): State<Arc<Served>>, headers: HeaderMap, request: Request, next: Next) -> Response {
    if one_host(&headers).is_some_and(|host| is_ours(host, &served.machine)) {
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
