//! Whom alerts are told: one file a kind, each sends one alert once. When to try again is decided elsewhere (`deliver`).

mod command;
mod email;
mod http;

use super::Alert;
use crate::domain::sanitize_line;
use crate::provider::ApiKey;
use async_trait::async_trait;
use std::time::Duration;

pub(super) use command::CommandLine;
pub(super) use email::{Mail, Security, Server};
pub(super) use http::{Form, Hook, signing_key};

/// What is shown of an error, in bytes.
const ERROR_MAX: usize = 300;
/// Shorter secrets are not looked for in what is shown: they would be found in words.
const SECRET_MIN: usize = 6;

/// Sends an alert, once.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Dropping the future ends what was begun.
    async fn send(&self, alert: &Alert) -> Result<(), SendError>;

    /// For messages, without secrets: `slack at hooks.slack.com`.
    fn describe(&self) -> String;
}

/// Why an alert did not arrive; without secrets, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    pub message: String,
    /// Trying again would end the same.
    pub is_final: bool,
    /// What the other side asks to wait.
    pub wait: Option<Duration>,
}

impl SendError {
    /// What may pass.
    pub(super) fn passing(message: impl AsRef<str>) -> Self {
        Self { message: sanitize_line(message.as_ref(), ERROR_MAX), is_final: false, wait: None }
    }

    pub(super) fn last(message: impl AsRef<str>) -> Self {
        Self { is_final: true, ..Self::passing(message) }
    }
}

/// A text of somebody else's, without what is secret, should it have said that back.
fn without<'a>(secrets: impl IntoIterator<Item = &'a str>, text: &str) -> String {
    let found = secrets.into_iter().filter(|secret| secret.len() >= SECRET_MIN && text.contains(secret));
    found.fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

fn revealed(secret: Option<&ApiKey>) -> &str {
    secret.map_or("", ApiKey::reveal)
}
