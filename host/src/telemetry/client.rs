//! What sends: the program's own HTTP client, on the network's runtime, wherever the export comes from.
//!
//! Of the headers that the exporter makes only those pass that say what the body is: it reads some from the environment by itself,
//! and those are meant for another collector than the one that was named.

use super::BadSettings;
use super::settings::Settings;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use std::time::Duration;
use tokio::runtime::Handle;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// For one request, answer included.
pub(super) const TIME_MAX: Duration = Duration::from_secs(10);
/// What is read of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

#[derive(Debug, Clone)]
pub(super) struct Client {
    inner: reqwest::Client,
    headers: HeaderMap,
    runtime: Handle,
}

impl Client {
    pub(super) fn new(settings: &Settings, runtime: Handle) -> Result<Self, BadSettings> {
        let inner = crate::provider::client(&settings.base, None, None, CONNECT_TIME_MAX)
            .map_err(|error| BadSettings::of(error.to_string()))?;
        Ok(Self { inner, headers: settings.headers.clone(), runtime })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let mut headers = self.headers.clone();
        for name in [CONTENT_TYPE, CONTENT_ENCODING] {
            if let Some(value) = parts.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        let request = self.inner.request(parts.method, parts.uri.to_string()).headers(headers).timeout(TIME_MAX);
        let sent = self.runtime.spawn(send(request.body(body)));
        Ok(sent.await??)
    }
}

async fn send(request: reqwest::RequestBuilder) -> Result<Response<Bytes>, String> {
    let told = |error: reqwest::Error| crate::provider::chain(&error.without_url());
    let mut response = request.send().await.map_err(told)?;
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(told)? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(format!("an answer of more than {} KiB", ANSWER_BYTES_MAX >> 10));
        }
    }
    let mut answer = Response::new(body.freeze());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    Ok(answer)
}
