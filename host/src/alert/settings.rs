//! From `[alert]` to rules and channels. Reads the secrets, so that one that is missing is told before the first call.

use super::channel::{Channel, CommandLine, Form, Hook, Mail, Security, Server, signing_key};
use super::{Rule, RuleSettings, Target};
use crate::clock::Clock;
use crate::config::{self, Dollars, did_you_mean};
use crate::provider::{ApiKey, KeySource};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a command may take.
pub const COMMAND_TIME: Duration = Duration::from_secs(30);
/// How long the end of a run waits for what is on its way.
pub const END_WAIT: Duration = Duration::from_secs(10);

/// What cannot work, by the section in which it stands.
#[derive(Debug, thiserror::Error)]
#[error("[{section}]: {reason}")]
pub struct AlertError {
    section: String,
    reason: String,
}

/// What is told, and to whom.
#[derive(Clone)]
pub struct Plan {
    pub rules: RuleSettings,
    /// One at least.
    pub targets: Vec<Target>,
    /// That a condition has passed is told, too.
    pub has_cleared: bool,
    /// Ids of items, and what was said of failures, go along.
    pub has_details: bool,
    /// How long the end of a run waits for what is on its way.
    pub end_wait: Duration,
}

impl Plan {
    /// `None`: nobody is to be told anything. Blocks while it reads secrets.
    pub fn new(config: &config::Alert, clock: &Arc<dyn Clock>) -> Result<Option<Self>, AlertError> {
        if *config == config::Alert::default() {
            return Ok(None);
        }
        let bad = |reason: String| AlertError { section: "alert".into(), reason };
        let rules = rules(config).map_err(bad)?;
        let targets = targets(config, clock)?;
        if targets.is_empty() {
            return Err(bad("nobody is told: add [alert.slack.NAME], [alert.email.NAME], [alert.webhook.NAME] or [alert.command.NAME]".into()));
        }
        let names: BTreeSet<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        if names.len() < targets.len() {
            return Err(bad("two channels have the same name: give each its own, whatever its kind".into()));
        }
        let (has_cleared, has_details) = (config.cleared.unwrap_or(true), config.details.unwrap_or(true));
        let end_wait = config.end_wait.unwrap_or(END_WAIT);
        Ok(Some(Self { rules, targets, has_cleared, has_details, end_wait }))
    }
}

/// What is set, over the defaults.
fn rules(config: &config::Alert) -> Result<RuleSettings, String> {
    let default = RuleSettings::default();
    let lasting = |time: Option<Duration>, default: Option<Duration>| match time {
        Some(Duration::ZERO) => None,
        Some(time) => Some(time),
        None => default,
    };
    let settings = RuleSettings {
        // More than all cannot fail.
        error_share: config.error_share.or(default.error_share).filter(|share| *share < 1.0),
        window: config.window.unwrap_or(default.window),
        min_items: config.min_items.unwrap_or(default.min_items),
        consecutive_errors: config.consecutive_errors.or(default.consecutive_errors).filter(|count| *count > 0),
        breaker_open: lasting(config.breaker_open, default.breaker_open),
        parked: config.parked.unwrap_or(default.parked),
        no_progress: lasting(config.no_progress, default.no_progress),
        cost: config.cost.map(|Dollars(micro)| micro),
        finished: config.finished.unwrap_or(default.finished),
        quiet: config.quiet.unwrap_or(default.quiet),
    };
    if !(1..=100_000).contains(&settings.window) {
        return Err("`window` is a number of items from 1 to 100,000".into());
    }
    if !(1..=settings.window).contains(&settings.min_items) {
        return Err(format!("`min_items` is a number of items from 1 to `window` ({})", settings.window));
    }
    Ok(settings)
}

fn targets(config: &config::Alert, clock: &Arc<dyn Clock>) -> Result<Vec<Target>, AlertError> {
    let mut targets = Vec::new();
    let mut add = |kind: &str, name: &str, rules: Option<&[String]>, channel: Result<Arc<dyn Channel>, String>| {
        let at = |reason: String| AlertError { section: format!("alert.{kind}.{name}"), reason };
        let rules = rules.map(|names| names.iter().map(|name| rule(name)).collect::<Result<_, _>>()).transpose();
        targets.push(Target { name: name.to_owned(), rules: rules.map_err(at)?, channel: channel.map_err(at)? });
        Ok(())
    };
    for (name, channel) in &config.slack {
        add("slack", name, channel.rules.as_deref(), slack(channel, clock))?;
    }
    for (name, channel) in &config.email {
        add("email", name, channel.rules.as_deref(), email(channel))?;
    }
    for (name, channel) in &config.webhook {
        add("webhook", name, channel.rules.as_deref(), webhook(channel, clock))?;
    }
    for (name, channel) in &config.command {
        let made = CommandLine::new(&channel.command, channel.timeout.unwrap_or(COMMAND_TIME));
        add("command", name, channel.rules.as_deref(), made.map(|made| Arc::new(made) as Arc<dyn Channel>))?;
    }
    Ok(targets)
}

fn rule(name: &str) -> Result<Rule, String> {
    Rule::from_name(name).ok_or_else(|| {
        let known = Rule::ALL.map(Rule::name);
        format!("`rules`: `{name}` is none: {}{}", known.join(", "), did_you_mean(name, &known))
    })
}

fn slack(channel: &config::SlackChannel, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Channel>, String> {
    let url = secret("url", channel.url_env.as_ref(), channel.url_file.as_deref())?.ok_or(
        "it needs the address of the incoming webhook, which is a secret: url_env = \"SLACK_WEBHOOK_URL\", or url_file",
    )?;
    let (proxy, ca_file) = (channel.proxy.as_deref(), channel.ca_file.as_deref());
    Ok(Arc::new(Hook::new(&url, Form::Slack, None, proxy, ca_file, Arc::clone(clock))?))
}

fn webhook(channel: &config::WebhookChannel, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Channel>, String> {
    let kept = secret("url", channel.url_env.as_ref(), channel.url_file.as_deref())?;
    let url = match (&channel.url, kept) {
        (Some(url), None) => ApiKey::new(url.clone()),
        (None, Some(url)) => url,
        (Some(_), Some(_)) => return Err("url, url_env and url_file say the same thing: leave one of them".into()),
        (None, None) => return Err("it needs an address: url = \"https://…\", or url_env, or url_file".into()),
    };
    let secret = secret("secret", channel.secret_env.as_ref(), channel.secret_file.as_deref())?;
    let key = secret.as_ref().map(signing_key).transpose().map_err(|reason| format!("the secret: {reason}"))?;
    let (proxy, ca_file) = (channel.proxy.as_deref(), channel.ca_file.as_deref());
    Ok(Arc::new(Hook::new(&url, Form::Json { key }, secret, proxy, ca_file, Arc::clone(clock))?))
}

fn email(channel: &config::EmailChannel) -> Result<Arc<dyn Channel>, String> {
    let needed = |key: &str, value: &Option<String>, example: &str| {
        value.clone().ok_or_else(|| format!("it needs `{key}`: {key} = \"{example}\""))
    };
    let host = needed("host", &channel.host, "smtp.example.com")?;
    let from = needed("from", &channel.from, "Sandmill <batch@example.com>")?;
    let name = channel.security.as_deref().unwrap_or("starttls");
    let security = Security::from_name(name)
        .ok_or_else(|| format!("security = \"{name}\" is not known: starttls, tls, or none for this machine"))?;
    let password = secret("password", channel.password_env.as_ref(), channel.password_file.as_deref())?;
    let login = match (channel.user.clone(), password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        (Some(_), None) => return Err("`user` needs a password: password_env = \"NAME\", or password_file".into()),
        (None, Some(_)) => return Err("a password needs `user`".into()),
    };
    let server = Server { host: &host, port: channel.port, security, login, ca_file: channel.ca_file.as_deref() };
    Ok(Arc::new(Mail::new(server, &from, &channel.to)?))
}

/// From an environment variable or a file, by name; empty counts as missing.
fn secret(key: &str, env: Option<&String>, file: Option<&Path>) -> Result<Option<ApiKey>, String> {
    let (key, source) = match (env, file) {
        (None, None) => return Ok(None),
        (Some(name), None) => (format!("{key}_env"), KeySource::Env(name.clone())),
        (None, Some(path)) => (format!("{key}_file"), KeySource::File(path.to_path_buf())),
        (Some(_), Some(_)) => return Err(format!("{key}_env and {key}_file say the same thing: leave one of them")),
    };
    match source.secret() {
        Ok(Some(secret)) if secret.reveal().is_empty() => Err(format!("{key}: what it names is empty")),
        Ok(secret) => Ok(secret),
        Err(reason) => Err(format!("{key}: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn plan(text: &str) -> Result<Option<Plan>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, format!("[alert]\n{text}")).unwrap();
        let (config, clock) = (config::load(Some(file.path())).unwrap(), SystemClock::new());
        let clock: Arc<dyn Clock> = Arc::new(clock);
        Plan::new(&config.alert, &clock).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_set_is_nobody_told_and_rules_without_a_channel_are_an_error() {
        assert!(plan("").unwrap().is_none());
        assert!(plan("cost = 5").err().unwrap().contains("[alert.slack.NAME]"));
    }

    #[test]
    fn what_is_set_goes_over_the_defaults_and_never_is_never() {
        let command = "[alert.command.c]\ncommand = [\"true\"]\n";
        let rules = |text: &str| plan(&format!("{text}\n{command}")).unwrap().unwrap().rules;
        assert_eq!(rules(""), RuleSettings::default());
        let never = rules(
            "error_share = \"100%\"\nbreaker_open = \"0s\"\nno_progress = \"0s\"\nconsecutive_errors = 0\nparked = false",
        );
        assert!(Rule::ALL.into_iter().all(|rule| !never.has(rule)), "{never:?}");
        let set = rules("error_share = \"1%\"\nconsecutive_errors = 4\ncost = 2.5\nfinished = true\nquiet = \"1h\"");
        assert_eq!((set.error_share, set.consecutive_errors, set.cost), (Some(0.01), Some(4), Some(2_500_000)));
        assert!(set.finished && set.quiet == Duration::from_hours(1));
    }

    #[test]
    fn what_cannot_work_is_told_by_its_section_and_key() {
        for (text, expected) in [
            ("[alert.slack.ops]", "[alert.slack.ops]: it needs the address"),
            (
                "[alert.slack.ops]\nurl_env = \"SANDMILL_NO_SUCH\"",
                "[alert.slack.ops]: url_env: the environment has no SANDMILL_NO_SUCH",
            ),
            (
                "[alert.webhook.w]\nurl = \"http://example.com\"",
                "[alert.webhook.w]: the address must begin with https://",
            ),
            ("[alert.webhook.w]\nurl = \"https://a\"\nurl_env = \"HOME\"", "leave one of them"),
            ("[alert.webhook.w]\nurl = \"https://a\"\nsecret_file = \"/no/such\"", "secret_file: /no/such: "),
            (
                "[alert.email.m]\nhost = \"h\"\nfrom = \"a@b.c\"\nuser = \"u\"\nto = [\"a@b.c\"]",
                "`user` needs a password",
            ),
            ("[alert.email.m]\nfrom = \"a@b.c\"", "[alert.email.m]: it needs `host`"),
            ("[alert.email.m]\nhost = \"h\"\nfrom = \"a@b.c\"\nsecurity = \"ssl\"", "starttls, tls, or none"),
            ("[alert.command.c]\nrules = [\"costs\"]\ncommand = [\"true\"]", "did you mean `cost`?"),
            ("[alert.command.c]", "[alert.command.c]: `command` is empty"),
            ("[alert.command.x]\ncommand = [\"true\"]\n[alert.webhook.x]\nurl = \"https://a\"", "the same name"),
            ("window = 10\nmin_items = 50\n[alert.command.c]\ncommand = [\"true\"]", "from 1 to `window` (10)"),
        ] {
            let error = plan(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.contains(expected), "{error}");
        }
    }
}
