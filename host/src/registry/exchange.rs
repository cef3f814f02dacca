//! One question over HTTP, with redirects, each answer within a bound.

use super::{Reference, RegistryError};
use crate::domain::sanitize_text;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, Url};
use serde::Deserialize;
use std::error::Error;
use std::time::Duration;

const REDIRECTS_MAX: usize = 5;
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// Of a complaint, in bytes: what is read, and what is shown.
const COMPLAINT_BYTES_MAX: usize = 16 << 10;
const COMPLAINT_SHOWN_MAX: usize = 300;
const USER_AGENT: &str = concat!("sandmill/", env!("CARGO_PKG_VERSION"));

/// What goes out.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) url: Url,
    pub(super) accept: &'static str,
    /// Of a POST.
    pub(super) form: Option<String>,
    pub(super) authorization: Option<HeaderValue>,
}

/// The connections, and who may be asked without TLS.
pub(super) struct Wire {
    client: Client,
    /// For this machine, which no proxy leads to.
    local: Client,
    insecure: Vec<String>,
}

impl Wire {
    /// `idle`: how long nothing may come. `insecure`: hosts, with their ports if need be.
    pub(super) fn new(idle: Duration, insecure: Vec<String>) -> Result<Self, RegistryError> {
        let builder = || {
            Client::builder()
                .user_agent(USER_AGENT)
                .connect_timeout(CONNECT_TIME_MAX)
                .read_timeout(idle)
                .redirect(reqwest::redirect::Policy::none())
                .http1_only()
        };
        let failed = |error: reqwest::Error| RegistryError::Client(chain(&error));
        let (client, local) = (builder().build().map_err(failed)?, builder().no_proxy().build().map_err(failed)?);
        Ok(Self { client, local, insecure })
    }

    /// The address of a path at a registry, in the scheme that it is asked in.
    pub(super) fn address(&self, reference: &Reference, path: &str) -> Result<Url, RegistryError> {
        let host = reference.host();
        let parsed = |scheme: &str| {
            Url::parse(&format!("{scheme}://{host}/v2/{}/{path}", reference.repository()))
                .map_err(|error| RegistryError::BadReference { text: reference.to_string(), reason: error.to_string() })
        };
        let plain = parsed("http")?;
        if self.may_be_plain(&plain) { Ok(plain) } else { parsed("https") }
    }

    /// Follows redirects; the credentials stay where they belong.
    pub(super) async fn ask(&self, reference: &Reference, mut question: Question) -> Result<Response, RegistryError> {
        for _ in 0..=REDIRECTS_MAX {
            let response = self.send(reference, &question).await?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let to = to.and_then(|to| question.url.join(to).ok());
            let to = to.ok_or_else(|| untrusted(reference, "the registry leads nowhere with a redirect".into()))?;
            self.check_way(reference, &question.url, &to)?;
            if origin(&question.url) != origin(&to) {
                question.authorization = None;
            }
            question.url = to;
        }
        Err(untrusted(reference, format!("the registry leads on more than {REDIRECTS_MAX} times")))
    }

    /// Whether what was asked of one address may be asked of another that it names.
    pub(super) fn check_way(&self, reference: &Reference, from: &Url, to: &Url) -> Result<(), RegistryError> {
        let is_fine = match to.scheme() {
            "https" => true,
            "http" => from.scheme() == "http" && self.may_be_plain(to),
            _ => false,
        };
        if is_fine && to.username().is_empty() && to.password().is_none() {
            return Ok(());
        }
        let shown = sanitize_text(&format!("{}://{}", to.scheme(), to.host_str().unwrap_or_default()), 200);
        Err(untrusted(
            reference,
            format!("the registry leads to {shown}, which is not asked: what it sends must come over TLS"),
        ))
    }

    async fn send(&self, reference: &Reference, question: &Question) -> Result<Response, RegistryError> {
        let method = if question.form.is_some() { Method::POST } else { Method::GET };
        let client = if is_this_machine(&question.url) { &self.local } else { &self.client };
        let mut request = client.request(method, question.url.clone()).header(ACCEPT, question.accept);
        if let Some(authorization) = &question.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(form) = &question.form {
            request =
                request.header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
        }
        request.send().await.map_err(|error| broken(reference, &question.url, error))
    }

    /// Without TLS, this machine is asked, and whom the operator names.
    fn may_be_plain(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let with_port = url.port().map(|port| format!("{host}:{port}"));
        is_this_machine(url) || self.insecure.iter().any(|named| named == host || Some(named) == with_port.as_ref())
    }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The body of an answer, if it is no longer than that. `what`: what is too long otherwise.
pub(super) async fn body(
    reference: &Reference,
    mut response: Response,
    bytes_max: u64,
    what: &str,
) -> Result<Vec<u8>, RegistryError> {
    let too_long = || untrusted(reference, format!("{what} is longer than {bytes_max} bytes"));
    if response.content_length().is_some_and(|length| length > bytes_max) {
        return Err(too_long());
    }
    let url = response.url().clone();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(reference, &url, error))? {
        if (body.len() + chunk.len()) as u64 > bytes_max {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a registry says of a failure, `: ` before it; nothing if it says nothing that can be shown.
pub(super) async fn complaint(mut response: Response, secrets: &[&str]) -> String {
    #[derive(Deserialize)]
    struct Envelope {
        errors: Vec<Complaint>,
    }
    #[derive(Deserialize)]
    struct Complaint {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let mut body = Vec::new();
    // A complaint that breaks off has said what it says.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > COMPLAINT_BYTES_MAX {
            return String::new();
        }
    }
    let Ok(Envelope { errors }) = serde_json::from_slice(&body) else { return String::new() };
    let Some(first) = errors.first() else { return String::new() };
    let said = [&first.code, &first.message].map(String::as_str).into_iter().filter(|text| !text.is_empty());
    let text = said.collect::<Vec<_>>().join(": ");
    if text.is_empty() || secrets.iter().any(|secret| text.contains(secret)) {
        return String::new();
    }
    format!(": {}", sanitize_text(&text, COMPLAINT_SHOWN_MAX))
}

pub(super) fn untrusted(reference: &Reference, reason: String) -> RegistryError {
    RegistryError::Untrusted { reference: reference.to_string(), reason }
}

fn origin(url: &Url) -> (&str, Option<&str>, Option<u16>) {
    (url.scheme(), url.host_str(), url.port_or_known_default())
}

fn broken(reference: &Reference, url: &Url, error: reqwest::Error) -> RegistryError {
    let error = error.without_url();
    let host = sanitize_text(url.host_str().unwrap_or_default(), 200);
    if error.is_timeout() && !error.is_connect() {
        return RegistryError::TooSlow {
            reference: reference.to_string(),
            reason: format!("{host} has sent nothing for too long"),
        };
    }
    RegistryError::Unreachable { host, reason: chain(&error) }
}

/// An error and its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    sanitize_text(&text, 500)
}
