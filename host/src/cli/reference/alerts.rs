//! `[alert]` and its channels.

use super::{CA_FILE, Default, Key, Kind, PROXY, Section, key, parser};
use crate::config;

/// Of every channel.
const RULES: Key = key("rules", Kind::Texts("list of rules"), Default::Said("all"), "what it is told of");

pub(super) const ALERT: Section = Section {
    heading: "`[alert]`",
    before: "What is told of a run while nobody watches, and to whom: one of the four kinds of channels at least. What each rule means: [alerts](alerts.md).",
    after: "Every channel has a name of its own, and may say which rules it is told of; all of them, if it does not.",
    shown_as: "alert",
    parser: parser::<config::Alert>(),
    keys: &[
        key("error_share", Kind::Share, Default::Shown, "told when more of the last items failed; `\"100%\"`: never"),
        key("window", Kind::Number, Default::Shown, "how many items that share is of, at most").within("1 to 100,000"),
        key("min_items", Kind::Number, Default::Shown, "and at least").within("from 1 to `window`"),
        key("consecutive_errors", Kind::Number, Default::Shown, "failed items in a row; 0: never"),
        key("breaker_open", Kind::Duration, Default::Shown, "how long a circuit breaker is not closed; `0s`: never"),
        key("parked", Kind::Bool, Default::Shown, "the run ended before all was done, and not by a signal"),
        key("no_progress", Kind::Duration, Default::Shown, "how long nothing ends; `0s`: never"),
        key("cost", Kind::Dollars, Default::Shown, "what the job has cost"),
        key("finished", Kind::Bool, Default::Shown, "the run ended, in whatever way"),
        key("cleared", Kind::Bool, Default::Shown, "that a condition has passed is told, too"),
        key("quiet", Kind::Duration, Default::Shown, "how long a condition that was told is not told anew"),
        key(
            "details",
            Kind::Bool,
            Default::Shown,
            "ids of items, and what providers and plugins said of failures, go along",
        ),
        key(
            "end_wait",
            Kind::Duration,
            Default::Shown,
            "how long the end of a run waits for alerts that are on their way",
        ),
        key("slack", Kind::Table("table"), Default::Said("none"), "channels by name; see below"),
        key("email", Kind::Table("table"), Default::Said("none"), "likewise"),
        key("webhook", Kind::Table("table"), Default::Said("none"), "likewise"),
        key("command", Kind::Table("table"), Default::Said("none"), "likewise"),
    ],
};

pub(super) const SLACK: Section = Section {
    heading: "`[alert.slack.NAME]`",
    before: "",
    after: "",
    shown_as: "alert.slack.x",
    parser: parser::<config::SlackChannel>(),
    keys: &[
        key(
            "url_env",
            Kind::Text("name"),
            Default::Said("none"),
            "the environment variable that holds the address of the incoming webhook,",
        ),
        key("url_file", Kind::Path, Default::Said("none"), "or the file; one of the two is required"),
        PROXY,
        CA_FILE,
        RULES,
    ],
};

pub(super) const EMAIL: Section = Section {
    heading: "`[alert.email.NAME]`",
    before: "",
    after: "",
    shown_as: "alert.email.x",
    parser: parser::<config::EmailChannel>(),
    keys: &[
        key("host", Kind::Text("name"), Default::Said("required"), "the server that takes mail"),
        key("port", Kind::Number, Default::Said("587, 465, 25, by `security`"), "where it listens"),
        key(
            "security",
            Kind::OneOf("`starttls`, `tls` or `none`"),
            Default::Shown,
            "`none` towards this machine alone",
        ),
        key("user", Kind::Text("text"), Default::Said("none"), "who logs in; with a password"),
        key("password_env", Kind::Text("name"), Default::Said("none"), "the environment variable that holds it"),
        key("password_file", Kind::Path, Default::Said("none"), "or the file"),
        key("from", Kind::Text("address"), Default::Said("required"), "who sends, `Name <a@b.example>` too"),
        key("to", Kind::Texts("list of addresses"), Default::Said("required"), "whom it is sent to"),
        CA_FILE,
        RULES,
    ],
};

pub(super) const WEBHOOK: Section = Section {
    heading: "`[alert.webhook.NAME]`",
    before: "",
    after: "",
    shown_as: "alert.webhook.x",
    parser: parser::<config::WebhookChannel>(),
    keys: &[
        key("url", Kind::Text("URL"), Default::Said("none"), "where to post, if the address is no secret;"),
        key("url_env", Kind::Text("name"), Default::Said("none"), "else the environment variable that holds it,"),
        key("url_file", Kind::Path, Default::Said("none"), "or the file; one of the three is required"),
        key(
            "secret_env",
            Kind::Text("name"),
            Default::Said("none: not signed"),
            "the environment variable that holds the key to sign with",
        ),
        key("secret_file", Kind::Path, Default::Said("none"), "or the file"),
        PROXY,
        CA_FILE,
        RULES,
    ],
};

pub(super) const COMMAND: Section = Section {
    heading: "`[alert.command.NAME]`",
    before: "",
    after: "",
    shown_as: "alert.command.x",
    parser: parser::<config::CommandChannel>(),
    keys: &[
        key("command", Kind::Texts("list of words"), Default::Said("required"), "program and arguments; no shell"),
        key("timeout", Kind::Duration, Default::Shown, "how long it may take"),
        RULES,
    ],
};
