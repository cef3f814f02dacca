//! One endpoint over HTTP, whatever is spoken there.
//!
//! Sends one request and reads one answer. Nothing is streamed, no redirect is followed, and the key goes into the
//! headers of its dialect and nowhere else. A key that is refused is read again from where it comes from, and if it is
//! another one by now, the request is sent a second time: the server has looked at nothing but the first key.

use super::dialect::Dialect;
use super::exchange::{Exchange, failure_of, read};
use super::key::{ApiKey, Current, Keys};
use super::probe::{Met, NAMES_MAX, Probe};
use super::{Answer, Call, HttpSettings, Measure, ModelFacts, Provider, ProviderError, ProviderSettingsError, address};
use crate::clock::Clock;
use crate::domain::{ErrorClass, sanitize_line};
use crate::heavy;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Method, Proxy, Request, Response, Url};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The largest body that is read.
const BODY_MAX: usize = 32 * 1024 * 1024;
/// uvicorn, and with it vLLM, closes an idle connection after 5 s, as does llama.cpp: one that is reused at that
/// moment is reset. Under load connections are not idle that long.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Notices a peer that is gone without a word, while an answer may take minutes.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
/// For a question about a model, which no run waits long for.
const MODEL_TIME_MAX: Duration = Duration::from_secs(10);
/// What is shown of the name of a model.
const NAME_BYTES_MAX: usize = 200;
/// Shorter secrets are not looked for in what is shown: they would be found in words.
const KEY_BYTES_SEARCHED_MIN: usize = 4;
const HEADER_BYTES_SEARCHED_MIN: usize = 16;
const USER_AGENT: &str = concat!("sandmill/", env!("CARGO_PKG_VERSION"));

/// One endpoint, and the connections to it.
pub(super) struct HttpProvider {
    name: String,
    client: Client,
    base: Url,
    dialect: Box<dyn Dialect>,
    /// Of every request, the key's apart.
    usual_headers: HeaderMap,
    /// Set by the operator; they win over the dialect's and the key's.
    headers: HeaderMap,
    /// Tells the provider of requests that are one and the same.
    idempotency_header: Option<HeaderName>,
    keys: Arc<Keys>,
    clock: Arc<dyn Clock>,
}

/// What is asked of a server, whatever the key is.
struct Asked {
    method: Method,
    url: Url,
    /// Of this request alone.
    headers: HeaderMap,
    body: Bytes,
}

/// An HTTP answer as it came.
struct Received {
    status: u16,
    headers: HeaderMap,
    body: BytesMut,
}

impl HttpProvider {
    /// Reads the key, which blocks.
    pub(super) fn new(
        settings: HttpSettings,
        base: Url,
        dialect: Box<dyn Dialect>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ProviderSettingsError> {
        let (proxy, ca_file) = (settings.proxy.as_deref(), settings.ca_file.as_deref());
        let client = client(&base, proxy, ca_file, settings.connect_timeout)?;
        let headers = settings.headers.iter().map(|(name, value)| header(name, value));
        Ok(Self {
            client,
            headers: headers.collect::<Result<_, _>>()?,
            idempotency_header: settings.idempotency_header.as_deref().map(header_name).transpose()?,
            keys: Arc::new(Keys::read(settings.key)?),
            name: settings.name,
            base,
            usual_headers: usual_headers(dialect.as_ref()),
            dialect,
            clock,
        })
    }

    /// Sends once, or twice if the key was refused and there is a newer one.
    async fn exchange(&self, asked: &Asked) -> Result<(Received, Current), ProviderError> {
        let key = self.keys.current();
        let sent = self.client.execute(self.request(asked, &key)?);
        let received = receive(sent).await?;
        if received.status == 401
            && let Some(newer) = Box::pin(self.keys.newer_than(key.clone())).await
        {
            let again = self.client.execute(self.request(asked, &newer)?);
            return Ok((Box::pin(receive(again)).await?, newer));
        }
        Ok((received, key))
    }

    fn request(&self, asked: &Asked, key: &Current) -> Result<Request, ProviderError> {
        let mut request = Request::new(asked.method.clone(), asked.url.clone());
        *request.headers_mut() = self.headers_with(key)?;
        request.headers_mut().extend(asked.headers.clone());
        if !asked.body.is_empty() {
            *request.body_mut() = Some(asked.body.clone().into());
        }
        Ok(request)
    }

    fn headers_with(&self, key: &Current) -> Result<HeaderMap, ProviderError> {
        let mut headers = self.usual_headers.clone();
        for (name, value) in key.key.iter().flat_map(|key| self.dialect.key_headers(key.reveal())) {
            let unsendable = |_| ProviderError::new(ErrorClass::Authentication, "the API key cannot be sent");
            let mut value = HeaderValue::from_str(&value).map_err(unsendable)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.extend(self.headers.clone());
        Ok(headers)
    }

    fn completion_of(&self, call: &Call) -> Result<Asked, ProviderError> {
        let body = Bytes::from(heavy::in_place(call.request.bytes(), || self.dialect.encode(call))?);
        let url = self.dialect.address(&self.base, &call.model);
        Ok(Asked { method: Method::POST, url, headers: self.idempotency(call, &body)?, body })
    }

    async fn look_up(&self, url: Url) -> Result<(Received, Current), ProviderError> {
        self.exchange(&Asked { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }).await
    }

    /// The key stands for the question and for what is really sent: a provider refuses another body under the same key.
    fn idempotency(&self, call: &Call, body: &[u8]) -> Result<HeaderMap, ProviderError> {
        let Some(name) = &self.idempotency_header else { return Ok(HeaderMap::new()) };
        let digest = Sha256::new().chain_update(call.identity).chain_update(body).finalize();
        let value = HeaderValue::from_str(&hex::encode(&digest[..16]))
            .map_err(|error| ProviderError::new(ErrorClass::BadRequest, error.to_string()))?;
        Ok(HeaderMap::from_iter([(name.clone(), value)]))
    }

    fn read(&self, received: &Received, key: &Current, model: &str) -> Result<Answer, ProviderError> {
        let exchange = self.as_exchange(received, &received.body, model);
        let result = read(&exchange, self.dialect.as_ref());
        // Some servers repeat the key in their complaint about it.
        if result.is_err()
            && let Some(clean) = self.without_secrets(&received.body, key)
        {
            return read(&Exchange { body: clean.as_bytes(), ..exchange }, self.dialect.as_ref());
        }
        result
    }

    fn as_exchange<'a>(&self, received: &'a Received, body: &'a [u8], model: &'a str) -> Exchange<'a> {
        let now_unix_ms = self.clock.unix_ms();
        Exchange { status: received.status, headers: &received.headers, body, now_unix_ms, model }
    }

    /// Of an answer that says something of models.
    fn met(&self, body: &[u8], model: &str) -> Met {
        let Ok(answer) = serde_json::from_slice::<Value>(body) else { return Met::Silent };
        match self.dialect.models_named(&answer) {
            None if self.dialect.model_address(&self.base, model).is_none() => Met::Silent,
            Some(names) if names.is_empty() => Met::Silent,
            Some(names) if !names.iter().any(|name| name == model) => {
                Met::Lacks(names.into_iter().take(NAMES_MAX).map(|name| sanitize_line(&name, NAME_BYTES_MAX)).collect())
            }
            None | Some(_) => Met::Knows(self.dialect.model_facts(&answer, model)),
        }
    }

    /// The body without the key and the operator's headers, if any of them stands in it.
    fn without_secrets(&self, body: &[u8], key: &Current) -> Option<String> {
        let key = key.key.as_ref().map(ApiKey::reveal).filter(|key| key.len() >= KEY_BYTES_SEARCHED_MIN);
        let headers = self.headers.values().filter_map(|value| value.to_str().ok());
        let headers = headers.filter(|value| value.len() >= HEADER_BYTES_SEARCHED_MIN);
        let text = String::from_utf8_lossy(body);
        let found: Vec<&str> = key.into_iter().chain(headers).filter(|secret| text.contains(*secret)).collect();
        let clean = |text: String, secret: &&str| text.replace(secret, "[key]");
        (!found.is_empty()).then(|| found.iter().fold(text.into_owned(), clean))
    }
}

#[async_trait]
impl Provider for HttpProvider {
    async fn complete(&self, call: &Call) -> Result<Answer, ProviderError> {
        let asked = self.completion_of(call)?;
        let (received, key) = self.exchange(&asked).await?;
        self.read(&received, &key, &call.model)
    }

    fn measure(&self, call: &Call) -> Result<Measure, ProviderError> {
        heavy::in_place(call.request.bytes(), || self.dialect.measure(call))
    }

    async fn model(&self, name: &str) -> Result<ModelFacts, ProviderError> {
        let Some(url) = self.dialect.model_address(&self.base, name) else {
            return Ok(ModelFacts::default());
        };
        let late = |_| ProviderError::new(ErrorClass::Timeout, "no answer about the model within 10 s");
        let (received, key) = tokio::time::timeout(MODEL_TIME_MAX, self.look_up(url)).await.map_err(late)??;
        if (200..300).contains(&received.status) {
            let answer = serde_json::from_slice(&received.body).unwrap_or_default();
            return Ok(self.dialect.model_facts(&answer, name));
        }
        let clean = self.without_secrets(&received.body, &key);
        let body = clean.as_ref().map_or(&received.body[..], |clean| clean.as_bytes());
        let error = failure_of(&self.as_exchange(&received, body, name), self.dialect.profile());
        match error.class {
            // There is no such list, or the key may not see it: nothing is told.
            ErrorClass::ModelUnknown
            | ErrorClass::Permission
            | ErrorClass::BadRequest
            | ErrorClass::Garbage
            | ErrorClass::Refused
            | ErrorClass::ContextOverflow
            | ErrorClass::MaxOutputTooLarge
            | ErrorClass::RequestTooLarge => Ok(ModelFacts::default()),
            ErrorClass::RateLimited
            | ErrorClass::Overloaded
            | ErrorClass::Timeout
            | ErrorClass::Connection
            | ErrorClass::ServerError
            | ErrorClass::Authentication
            | ErrorClass::QuotaExhausted => Err(error),
        }
    }

    async fn probe(&self, model: &str) -> Option<Probe> {
        let lists = self.dialect.model_address(&self.base, model);
        // Where nothing is told of models, whoever answers at the base is there.
        let url = lists.clone().unwrap_or_else(|| self.base.clone());
        let began = self.clock.monotonic();
        let late = |_| ProviderError::new(ErrorClass::Timeout, "no answer within 10 s");
        let answered = tokio::time::timeout(MODEL_TIME_MAX, self.look_up(url)).await.map_err(late).flatten();
        let took = self.clock.monotonic().saturating_sub(began);
        let (received, key) = match answered {
            Ok(answered) => answered,
            Err(error) => return Some(Probe { took, ahead_ms: None, met: Met::Failed(Box::new(error)) }),
        };
        let date = received.headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        let since = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok());
        let date_ms = since.and_then(|since| i64::try_from(since.as_millis()).ok());
        let now_ms = i64::try_from(self.clock.unix_ms()).unwrap_or(i64::MAX);
        // It answered somewhere in that second.
        let ahead_ms = date_ms.map(|date_ms| date_ms.saturating_add(500).saturating_sub(now_ms));
        let met = if (200..300).contains(&received.status) {
            self.met(&received.body, model)
        } else {
            let clean = self.without_secrets(&received.body, &key);
            let body = clean.as_ref().map_or(&received.body[..], |clean| clean.as_bytes());
            let error = failure_of(&self.as_exchange(&received, body, model), self.dialect.profile());
            Met::failure(error, lists.is_none() || self.dialect.models_named(&Value::Null).is_some())
        };
        Some(Probe { took, ahead_ms, met })
    }

    fn has_key(&self) -> bool {
        self.keys.current().key.is_some()
    }

    fn is_vendors_own(&self) -> bool {
        address::is_vendors_own(&self.base)
    }

    fn output_by_default(&self) -> Option<u32> {
        self.dialect.output_by_default()
    }

    fn describe(&self) -> String {
        format!("{} at {}", self.name, address::shown(&self.base))
    }
}

impl std::fmt::Debug for HttpProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpProvider").field("base_url", &address::shown(&self.base)).finish_non_exhaustive()
    }
}

/// A client that follows no redirect. `proxy`: without one as the environment says, and none towards this machine; `ca_file`: PEM,
/// certificates that are trusted beside the system's.
pub(crate) fn client(
    base: &Url,
    proxy: Option<&str>,
    ca_file: Option<&Path>,
    connect_timeout: Duration,
) -> Result<Client, ProviderSettingsError> {
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_MAX)
        .tcp_keepalive(TCP_KEEPALIVE)
        .redirect(reqwest::redirect::Policy::none())
        // Nothing is sent that is not in the books; with none allowed, no request is copied for the case.
        .retry(reqwest::retry::never().max_retries_per_request(0))
        // On HTTP/2 all requests share a connection: they queue for its streams, and are lost together with it.
        .http1_only();
    match proxy {
        Some(proxy) => {
            // The error may hold the proxy's password.
            builder = builder.proxy(Proxy::all(proxy).map_err(|_| ProviderSettingsError::BadProxy)?);
        }
        None if address::is_loopback(base) => builder = builder.no_proxy(),
        None => {}
    }
    if let Some(path) = ca_file {
        let bad = |reason: String| ProviderSettingsError::BadCaFile { path: path.to_path_buf(), reason };
        let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| bad(chain(&error)))?;
        if certificates.is_empty() {
            return Err(bad("it holds no certificate in PEM".to_owned()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| ProviderSettingsError::Client(chain(&error)))
}

/// The error names the header, and does not show its value.
fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), ProviderSettingsError> {
    let parsed = header_name(name)?;
    let bad = |_| ProviderSettingsError::BadHeader(sanitize_line(name, 100));
    let mut value = HeaderValue::from_str(value).map_err(bad)?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

fn header_name(name: &str) -> Result<HeaderName, ProviderSettingsError> {
    name.parse().map_err(|_| ProviderSettingsError::BadHeader(sanitize_line(name, 100)))
}

/// Of a dialect.
fn usual_headers(dialect: &dyn Dialect) -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, json.clone()), (ACCEPT, json)]);
    for (name, value) in dialect.headers() {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

/// The whole answer to a request that is sent.
async fn receive(sent: impl Future<Output = reqwest::Result<Response>>) -> Result<Received, ProviderError> {
    let mut response = sent.await.map_err(broken)?;
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let (body, end) = receive_body(&mut response).await;
    match end {
        Err(error) if (200..300).contains(&status) => Err(ProviderError { status: Some(status), ..error }),
        // The status of a failure says more than that its body broke off.
        Ok(()) | Err(_) => Ok(Received { status, headers, body }),
    }
}

/// The body as far as it came, and how it ended.
async fn receive_body(response: &mut Response) -> (BytesMut, Result<(), ProviderError>) {
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
pub(super) fn connection_broken(status: Option<u16>) -> ProviderError {
    let error = ProviderError::new(ErrorClass::Connection, "the connection broke before the answer was complete");
    ProviderError { code: CONNECTION_BROKEN.to_owned(), status, ..error }
}

/// An error and its causes, in one line; what repeats its cause is left out.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    sanitize_line(&text, 500)
}

#[cfg(test)]
mod tests;
