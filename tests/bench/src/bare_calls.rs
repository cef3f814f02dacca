//! Yardstick: the same requests, by reqwest in a loop.

use crate::process;
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Sends `calls` requests, so many at once, and reads each answer's text.
pub(crate) fn run(url: &str, calls: usize, at_once: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let all = async {
        let client = reqwest::Client::builder().pool_max_idle_per_host(at_once).no_proxy().build()?;
        let (url, left) = (format!("{url}/chat/completions"), Arc::new(AtomicUsize::new(calls)));
        let tasks: Vec<_> =
            (0..at_once).map(|_| tokio::spawn(ask(client.clone(), url.clone(), Arc::clone(&left)))).collect();
        for task in tasks {
            task.await??;
        }
        Ok(())
    };
    process::tell(|| runtime.block_on(all))
}

async fn ask(client: reqwest::Client, url: String, left: Arc<AtomicUsize>) -> anyhow::Result<()> {
    while let Ok(number) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
        let body =
            json!({ "model": "m", "messages": [{ "role": "user", "content": format!("what of number {number}?") }] });
        let request = client.post(&url).header("content-type", "application/json").body(serde_json::to_vec(&body)?);
        let response = request.send().await?;
        if !response.status().is_success() {
            bail!("status {}", response.status());
        }
        let answer: Value = serde_json::from_slice(&response.bytes().await?)?;
        answer["choices"][0]["message"]["content"].as_str().context("an answer without text")?;
    }
    Ok(())
}
