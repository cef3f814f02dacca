//! `[alert]`: what is told of a run while nobody watches, and to whom.

use super::{Dollars, duration, fraction};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `[alert]`: the rules, and the channels by kind.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alert {
    /// The share of failed items beyond which it is told; `100%`: never.
    #[serde(deserialize_with = "fraction")]
    pub error_share: Option<f64>,
    /// How many of the items that ended last the share is of, and how many there have to be.
    pub window: Option<usize>,
    pub min_items: Option<usize>,
    /// Failed items in a row; 0: never.
    pub consecutive_errors: Option<u32>,
    /// How long a circuit breaker is not closed; `0s`: never.
    #[serde(deserialize_with = "duration")]
    pub breaker_open: Option<Duration>,
    /// The run ended before all was done, and not by a signal.
    pub parked: Option<bool>,
    /// How long nothing moves; `0s`: never.
    #[serde(deserialize_with = "duration")]
    pub no_progress: Option<Duration>,
    /// What the job costs.
    pub cost: Option<Dollars>,
    /// The run ended, in whatever way.
    pub finished: Option<bool>,
    /// That a condition has passed is told, too.
    pub cleared: Option<bool>,
    /// How long a condition that was told is not told anew.
    #[serde(deserialize_with = "duration")]
    pub quiet: Option<Duration>,
    /// Ids of items, and what providers and plugins said of failures, go along.
    pub details: Option<bool>,
    /// How long the end of a run waits for what is on its way.
    #[serde(deserialize_with = "duration")]
    pub end_wait: Option<Duration>,
    pub slack: BTreeMap<String, SlackChannel>,
    pub email: BTreeMap<String, EmailChannel>,
    pub webhook: BTreeMap<String, WebhookChannel>,
    pub command: BTreeMap<String, CommandChannel>,
}

/// `[alert.slack.NAME]`: an incoming webhook, whose address is a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlackChannel {
    pub url_env: Option<String>,
    pub url_file: Option<PathBuf>,
    pub proxy: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub rules: Option<Vec<String>>,
}

/// `[alert.email.NAME]`: a server that takes mail over SMTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmailChannel {
    pub host: Option<String>,
    pub port: Option<u16>,
    /// `starttls`, `tls` or `none`.
    pub security: Option<String>,
    pub user: Option<String>,
    pub password_env: Option<String>,
    pub password_file: Option<PathBuf>,
    pub from: Option<String>,
    pub to: Vec<String>,
    pub ca_file: Option<PathBuf>,
    pub rules: Option<Vec<String>>,
}

/// `[alert.webhook.NAME]`: JSON by HTTP, signed if need be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookChannel {
    pub url: Option<String>,
    pub url_env: Option<String>,
    pub url_file: Option<PathBuf>,
    /// What it is signed with.
    pub secret_env: Option<String>,
    pub secret_file: Option<PathBuf>,
    pub proxy: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub rules: Option<Vec<String>>,
}

/// `[alert.command.NAME]`: a program that reads JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommandChannel {
    /// Program and arguments.
    pub command: Vec<String>,
    #[serde(deserialize_with = "duration")]
    pub timeout: Option<Duration>,
    pub rules: Option<Vec<String>>,
}

/// Where a secret stands, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretPlace<'a> {
    pub section: String,
    pub variable: Option<&'a str>,
    pub file: Option<&'a Path>,
}

impl Alert {
    /// How many there are to be told.
    pub fn channels(&self) -> usize {
        self.slack.len() + self.email.len() + self.webhook.len() + self.command.len()
    }

    /// Where the secrets of all channels stand.
    pub fn secrets(&self) -> Vec<SecretPlace<'_>> {
        let mut places = Vec::new();
        let mut add = |kind: &str, name: &str, variable, file| {
            places.push(SecretPlace { section: format!("alert.{kind}.{name}"), variable, file });
        };
        for (name, at) in &self.slack {
            add("slack", name, at.url_env.as_deref(), at.url_file.as_deref());
        }
        for (name, at) in &self.email {
            add("email", name, at.password_env.as_deref(), at.password_file.as_deref());
        }
        for (name, at) in &self.webhook {
            add("webhook", name, at.url_env.as_deref(), at.url_file.as_deref());
            add("webhook", name, at.secret_env.as_deref(), at.secret_file.as_deref());
        }
        places
    }

    pub(super) fn resolve(&mut self, folder: &Path) {
        let of_slack = self.slack.values_mut().flat_map(|channel| [&mut channel.url_file, &mut channel.ca_file]);
        let of_email = self.email.values_mut().flat_map(|channel| [&mut channel.password_file, &mut channel.ca_file]);
        let of_webhook = self
            .webhook
            .values_mut()
            .flat_map(|channel| [&mut channel.url_file, &mut channel.secret_file, &mut channel.ca_file]);
        for path in of_slack.chain(of_email).chain(of_webhook).flatten() {
            *path = folder.join(&*path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_channels_are_read_and_their_paths_are_relative_to_the_file() {
        let text = "error_share = \"2%\"\ncost = 1.5\nbreaker_open = \"10m\"\n[slack.ops]\nurl_file = \"hook\"\n\
                    [email.mail]\npassword_file = \"/run/p\"\nca_file = \"ca.pem\"\n[webhook.w]\nsecret_file = \"s\"";
        let mut alert: Alert = toml::from_str(text).unwrap();
        alert.resolve(Path::new("/srv"));
        assert_eq!((alert.error_share, alert.cost), (Some(0.02), Some(Dollars(1_500_000))));
        assert_eq!(alert.slack["ops"].url_file.as_deref(), Some(Path::new("/srv/hook")));
        let mail = &alert.email["mail"];
        assert_eq!(mail.password_file.as_deref(), Some(Path::new("/run/p")));
        assert_eq!(mail.ca_file.as_deref(), Some(Path::new("/srv/ca.pem")));
        assert_eq!(alert.webhook["w"].secret_file.as_deref(), Some(Path::new("/srv/s")));
    }

    #[test]
    fn every_variable_and_file_that_holds_a_secret_is_named() {
        let text = "[slack.ops]\nurl_file = \"a\"\n[email.mail]\npassword_env = \"B\"\nca_file = \"none\"\n\
                    [webhook.w]\nurl_env = \"C\"\nsecret_file = \"d\"";
        let alert: Alert = toml::from_str(text).unwrap();
        let places = alert.secrets();
        let variables: Vec<_> = places.iter().filter_map(|at| Some((at.section.as_str(), at.variable?))).collect();
        let files: Vec<_> = places.iter().filter_map(|at| Some((at.section.as_str(), at.file?.to_str()?))).collect();
        assert_eq!(variables, [("alert.email.mail", "B"), ("alert.webhook.w", "C")]);
        assert_eq!(files, [("alert.slack.ops", "a"), ("alert.webhook.w", "d")]);
    }

    #[test]
    fn an_unknown_rule_or_kind_is_told_with_those_that_there_are() {
        let refused = |text: &str| toml::from_str::<Alert>(text).unwrap_err().to_string();
        assert!(refused("error_rate = \"5%\"").contains("`error_share`"));
        assert!(refused("[slak.ops]\nurl_env = \"X\"").contains("`slack`"));
        assert!(refused("[slack.ops]\nurl = \"https://hooks.slack.com/x\"").contains("`url_env`"));
    }
}
