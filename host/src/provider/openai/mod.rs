//! `OpenAI`'s chat completions, which most providers and every local server speak too.
//!
//! The client here sends one request and reads one answer. Nothing is streamed, no redirect is followed, and the key
//! goes into one header and nowhere else. `request` and `response` are pure, and shared with the mock provider.

mod classify;
mod completion;
#[cfg(test)]
mod corpus;
mod facts;
mod media;
mod models;
mod request;
mod response;
mod rules;
#[cfg(test)]
mod tests;

use super::{Answer, ApiKey, Call, ModelFacts, Provider, ProviderError, ProviderSettingsError};
use crate::clock::Clock;
use crate::domain::ErrorClass;
use async_trait::async_trait;
use bytes::BytesMut;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Response, Url};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

pub(super) use request::{LimitField, encode};
pub(super) use response::{Exchange, read};

/// The largest body that is read.
const BODY_MAX: usize = 32 * 1024 * 1024;
/// uvicorn, and with it vLLM, closes an idle connection after 5 s, as does llama.cpp: one that is reused at that
/// moment is reset. Under load connections are not idle that long.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Notices a peer that is gone without a word, while an answer may take minutes.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
/// Shorter keys are not looked for in what is shown: they would be found in words.
const KEY_BYTES_SEARCHED_MIN: usize = 4;
const USER_AGENT: &str = concat!("sandmill/", env!("CARGO_PKG_VERSION"));

/// One endpoint, and the connections to it.
pub struct OpenAi {
    client: Client,
    endpoint: Url,
    models: Url,
    /// The base URL as it may be shown.
    shown: String,
    api_key: Option<ApiKey>,
    authorization: Option<HeaderValue>,
    limit_field: LimitField,
    clock: Arc<dyn Clock>,
}

impl OpenAi {
    pub fn new(
        base_url: &str,
        api_key: Option<ApiKey>,
        connect_timeout: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ProviderSettingsError> {
        let (endpoint, models, shown) = endpoints(base_url)?;
        let host = endpoint.host_str().unwrap_or_default();
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(IDLE_MAX)
            .tcp_keepalive(TCP_KEEPALIVE)
            .redirect(reqwest::redirect::Policy::none())
            // On HTTP/2 all requests share a connection: they queue for its streams, and are lost together with it.
            .http1_only();
        if is_loopback(host) {
            builder = builder.no_proxy();
        }
        Ok(Self {
            client: builder.build().map_err(|error| ProviderSettingsError::Client(chain(&error)))?,
            limit_field: LimitField::for_host(host),
            endpoint,
            models,
            shown,
            authorization: api_key.as_ref().map(authorization).transpose()?,
            api_key,
            clock,
        })
    }

    async fn send(&self, body: Vec<u8>) -> Result<Response, ProviderError> {
        let mut request = self.client.post(self.endpoint.clone()).body(body);
        request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        request.send().await.map_err(broken)
    }

    fn read(&self, status: u16, headers: &HeaderMap, body: &[u8], model: &str) -> Result<Answer, ProviderError> {
        let exchange = Exchange { status, headers, body, now_unix_ms: self.clock.unix_ms(), model };
        let result = read(&exchange);
        // Some servers repeat the key in their complaint about it.
        if result.is_err()
            && let Some(clean) = self.without_key(body)
        {
            return read(&Exchange { body: clean.as_bytes(), ..exchange });
        }
        result
    }

    /// The body without the key, if the key stands in it.
    fn without_key(&self, body: &[u8]) -> Option<String> {
        let key = self.api_key.as_ref()?.reveal();
        let text = String::from_utf8_lossy(body);
        (key.len() >= KEY_BYTES_SEARCHED_MIN && text.contains(key)).then(|| text.replace(key, "[key]"))
    }
}

#[async_trait]
impl Provider for OpenAi {
    async fn complete(&self, call: &Call) -> Result<Answer, ProviderError> {
        let mut response = self.send(encode(call, self.limit_field)?).await?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let (body, end) = receive(&mut response).await;
        match end {
            Err(error) if (200..300).contains(&status) => Err(ProviderError { status: Some(status), ..error }),
            // The status of a failure says more than that its body broke off.
            Ok(()) | Err(_) => self.read(status, &headers, &body, &call.model),
        }
    }

    async fn model(&self, name: &str) -> Result<ModelFacts, ProviderError> {
        let mut request = self.client.get(self.models.clone()).header(ACCEPT, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let mut response = request.send().await.map_err(broken)?;
        let (body, end) = receive(&mut response).await;
        end?;
        Ok(models::facts(&body, name))
    }

    fn describe(&self) -> String {
        format!("openai at {}", self.shown)
    }
}

impl std::fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenAi").field("base_url", &self.shown).finish_non_exhaustive()
    }
}

/// The body as far as it came, and how it ended.
async fn receive(response: &mut Response) -> (BytesMut, Result<(), ProviderError>) {
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > BODY_MAX => return (body, Err(too_large())),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body, Ok(())),
            Err(error) => return (body, Err(broken(error))),
        }
    }
}

fn too_large() -> ProviderError {
    let message = format!("an answer of more than {} MB", BODY_MAX / 1024 / 1024);
    ProviderError { code: "body_too_large".to_owned(), ..ProviderError::new(ErrorClass::Garbage, message) }
}

/// What the transport has to say. With the code `connect_failed`, the request was not sent.
fn broken(error: reqwest::Error) -> ProviderError {
    let error = error.without_url();
    let (class, code) = if error.is_connect() {
        (ErrorClass::Connection, "connect_failed")
    } else if error.is_timeout() {
        (ErrorClass::Timeout, "timeout")
    } else if error.is_builder() {
        (ErrorClass::BadRequest, "not_sent")
    } else {
        (ErrorClass::Connection, CONNECTION_BROKEN)
    };
    ProviderError { code: code.to_owned(), ..ProviderError::new(class, chain(&error)) }
}

const CONNECTION_BROKEN: &str = "connection_broken";

/// What a connection that is cut in mid-answer ends in, for providers without a wire.
pub(super) fn connection_broken(status: u16) -> ProviderError {
    let error = ProviderError::new(ErrorClass::Connection, "the connection broke before the answer was complete");
    ProviderError { code: CONNECTION_BROKEN.to_owned(), status: Some(status), ..error }
}

/// An error and its causes, in one line; what repeats its cause is left out.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    crate::domain::sanitize_text(&text, 500)
}

fn authorization(key: &ApiKey) -> Result<HeaderValue, ProviderSettingsError> {
    let secret = key.reveal();
    if secret.is_empty() {
        return Err(ProviderSettingsError::EmptyApiKey);
    }
    if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ProviderSettingsError::BadApiKey);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {secret}")).map_err(|_| ProviderSettingsError::BadApiKey)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Where requests go, and what may be shown of it. A query (Azure's `api-version`) is kept, but not shown.
fn endpoints(base_url: &str) -> Result<(Url, Url, String), ProviderSettingsError> {
    let bad = |reason: &str| ProviderSettingsError::BadBaseUrl {
        // A password stands before the last @.
        url: base_url.rsplit_once('@').map_or_else(|| base_url.to_owned(), |(_, rest)| format!("…@{rest}")),
        reason: reason.to_owned(),
    };
    let mut url = Url::parse(base_url).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("a name or password in it would be shown: give the API key instead"));
    }
    if url.path().trim_end_matches('/').ends_with("/chat/completions") {
        return Err(bad("leave out /chat/completions"));
    }
    url.set_fragment(None);
    let mut shown = url.clone();
    shown.set_query(None);
    let mut models = url.clone();
    for (url, path) in [(&mut url, &["chat", "completions"][..]), (&mut models, &["models"])] {
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
    }
    Ok((url, models, shown.as_str().trim_end_matches('/').to_owned()))
}

/// What runs on this machine is never asked for through a proxy.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
