//! A server that answers every chat completion alike, after a while: as little as a server can do, since it shares the machine.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use clap::ValueEnum;
use std::time::Duration;

/// What is answered.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    Text,
    /// The JSON that `summarize` asks for.
    Summary,
}

const TEXT: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"a short answer, as they are"}}],"usage":{"prompt_tokens":20,"completion_tokens":6,"total_tokens":26}}"#;
const SUMMARY: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"{\"summary\":\"a short summary, as they are\",\"key_points\":[\"one\",\"another\"]}"}}],"usage":{"prompt_tokens":120,"completion_tokens":20,"total_tokens":140}}"#;

/// Says its address on stdout, and serves until it is killed.
pub(crate) fn serve(latency_ms: u64, kind: Kind) -> anyhow::Result<()> {
    let text = match kind {
        Kind::Text => TEXT,
        Kind::Summary => SUMMARY,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let answer = move |_: axum::body::Bytes| async move {
            if latency_ms > 0 {
                tokio::time::sleep(Duration::from_millis(latency_ms)).await;
            }
            ([(CONTENT_TYPE, "application/json")], text)
        };
        let app = Router::new().route("/v1/chat/completions", post(answer));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("http://{}/v1", listener.local_addr()?);
        axum::serve(listener, app).await?;
        Ok(())
    })
}
