//! Slack's incoming webhooks, and webhooks of anybody: JSON by POST over TLS, or to this machine. No redirect is followed.
//!
//! The address is a secret: of a hook of Slack's it is the only one. Signatures are those of <https://www.standardwebhooks.com>.

use super::{Channel, SendError, revealed, without};
use crate::alert::Alert;
use crate::clock::Clock;
use crate::provider::{ApiKey, chain, client, is_loopback, wait_asked};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url};
use sha2::Sha256;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What is read of an answer, in bytes.
const ANSWER_MAX: usize = 2_000;
/// The shortest key that signs, in bytes; Standard Webhooks recommends 24 to 64.
const KEY_MIN: usize = 16;
/// Before keys in the form of Standard Webhooks.
const KEY_PREFIX: &str = "whsec_";

/// What is posted.
pub(in crate::alert) enum Form {
    Slack,
    /// `key`: what it is signed with.
    Json {
        key: Option<Vec<u8>>,
    },
}

pub(in crate::alert) struct Hook {
    client: Client,
    url: Url,
    form: Form,
    /// As it was given, so that it is shown nowhere.
    secret: Option<ApiKey>,
    clock: Arc<dyn Clock>,
}

/// A key as it is written: `whsec_` and base64, or any text.
pub(in crate::alert) fn signing_key(secret: &ApiKey) -> Result<Vec<u8>, String> {
    let text = secret.reveal();
    let key = match text.strip_prefix(KEY_PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| format!("behind {KEY_PREFIX} it is not base64"))?,
        None => text.as_bytes().to_vec(),
    };
    if key.len() < KEY_MIN {
        return Err(format!("it is shorter than {KEY_MIN} bytes: make one with `openssl rand -base64 32`"));
    }
    Ok(key)
}

impl Hook {
    /// `url` is not shown in errors.
    pub(in crate::alert) fn new(
        url: &ApiKey,
        form: Form,
        secret: Option<ApiKey>,
        proxy: Option<&str>,
        ca_file: Option<&Path>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let url = Url::parse(url.reveal()).map_err(|error| format!("the address is no URL: {error}"))?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err("the address must begin with https://: http:// is for this machine alone".into()),
            _ => return Err("the address must begin with https://".into()),
        }
        let client = client(&url, proxy, ca_file, CONNECT_TIMEOUT).map_err(|error| error.to_string())?;
        Ok(Self { client, url, form, secret, clock })
    }

    fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    fn headers(&self, alert: &Alert, body: &str) -> Result<HeaderMap, SendError> {
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let Form::Json { key } = &self.form else { return Ok(headers) };
        let timestamp = self.clock.unix_ms() / 1_000;
        let signature = key.as_deref().map(|key| signature(key, &alert.id, timestamp, body)).transpose()?;
        let texts = [
            ("webhook-id", Some(alert.id.clone())),
            ("webhook-timestamp", Some(timestamp.to_string())),
            ("webhook-signature", signature),
        ];
        for (name, text) in texts {
            let Some(text) = text else { continue };
            let value = HeaderValue::from_str(&text)
                .map_err(|_| SendError::last(format!("the header {name} cannot be sent")))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(headers)
    }

    /// The other side's words, without the secrets.
    async fn said(&self, response: Response) -> String {
        let text = String::from_utf8_lossy(&start(response).await).into_owned();
        let url = [self.url.as_str(), self.url.path(), self.url.query().unwrap_or_default()];
        let user = [self.url.username(), self.url.password().unwrap_or_default()];
        without(url.into_iter().chain(user).chain([revealed(self.secret.as_ref())]), text.trim())
    }
}

#[async_trait]
impl Channel for Hook {
    async fn send(&self, alert: &Alert) -> Result<(), SendError> {
        let body = match self.form {
            Form::Slack => alert.to_slack().to_string(),
            Form::Json { .. } => alert.to_json().to_string(),
        };
        let headers = self.headers(alert, &body)?;
        let sending = self.client.post(self.url.clone()).headers(headers).body(body).send();
        let response = sending.await.map_err(|error| SendError::passing(chain(&error.without_url())))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let wait = wait_asked(response.headers(), self.clock.unix_ms());
        let said = self.said(response).await;
        let message = format!("it answered {}: {said}", status.as_u16());
        if status.is_redirection() {
            return Err(SendError::last(format!("it answered {}: redirects are not followed", status.as_u16())));
        }
        let may_pass = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
        Err(if may_pass { SendError { wait, ..SendError::passing(message) } } else { SendError::last(message) })
    }

    fn describe(&self) -> String {
        let kind = match self.form {
            Form::Slack => "slack",
            Form::Json { .. } => "webhook",
        };
        format!("{kind} at {}", self.host())
    }
}

/// `v1,` and the base64 of HMAC-SHA256 over id, time and body, with dots between.
fn signature(key: &[u8], id: &str, timestamp: u64, body: &str) -> Result<String, SendError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| SendError::last("the key cannot be signed with"))?;
    for part in [id, ".", &timestamp.to_string(), ".", body] {
        mac.update(part.as_bytes());
    }
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// As far as it came and is wanted.
async fn start(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < ANSWER_MAX
        && let Ok(Some(chunk)) = response.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(ANSWER_MAX);
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn refused(url: &str) -> String {
        let hook = Hook::new(&ApiKey::new(url.into()), Form::Slack, None, None, None, Arc::new(SystemClock::new()));
        hook.err().unwrap()
    }

    #[test]
    fn only_this_machine_is_told_without_tls_and_the_address_is_not_shown() {
        for url in ["http://hooks.example.com/SECRET", "ftp://hooks.example.com/SECRET", "SECRET"] {
            let error = refused(url);
            assert!(!error.contains("SECRET"), "{error}");
        }
        for url in ["http://127.0.0.1:1/SECRET", "http://localhost/SECRET", "https://hooks.example.com/SECRET"] {
            let clock = Arc::new(SystemClock::new());
            let hook = Hook::new(&ApiKey::new(url.into()), Form::Slack, None, None, None, clock).ok().unwrap();
            assert!(!hook.describe().contains("SECRET"), "{}", hook.describe());
        }
    }

    /// The example of the specification: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        let key = signing_key(&ApiKey::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".into())).unwrap();
        let body = "{\"email\":\"test@example.com\",\"username\":\"test_user\"}";
        let signed = signature(&key, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body).unwrap();
        assert_eq!(signed, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    #[test]
    fn a_key_that_cannot_sign_is_refused_and_not_shown() {
        for (key, expected) in [("whsec_!!", "not base64"), ("whsec_c2hvcnQ=", "shorter"), ("hush-hush", "shorter")] {
            let error = signing_key(&ApiKey::new(key.into())).unwrap_err();
            assert!(error.contains(expected) && !error.contains(key), "{error}");
        }
        assert_eq!(signing_key(&ApiKey::new("a plain text of some length".into())).unwrap().len(), 27);
    }
}
