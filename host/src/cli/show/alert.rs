//! `[alert]`, as it is in force. Of a secret, where it comes from.

use super::{From, MASK, Sheet, dollars, time};
use crate::alert::RuleSettings;
use crate::config::{Config, Dollars};
use crate::provider::masked;
use std::path::PathBuf;

impl Sheet<'_> {
    pub(super) fn alert(&mut self, config: &Config) {
        let alert = &config.alert;
        if alert.channels() == 0 {
            return;
        }
        let default = RuleSettings::default();
        let percent = |share: f64| format!("{}%", share * 100.0);
        let never = |value: Option<String>, never: &str| value.unwrap_or_else(|| never.to_owned());
        let share = never(default.error_share.map(percent), "100%");
        self.pick("alert.error_share", None, alert.error_share.map(percent), share);
        self.pick("alert.window", None, alert.window, default.window);
        self.pick("alert.min_items", None, alert.min_items, default.min_items);
        let row = default.consecutive_errors.unwrap_or(0);
        self.pick("alert.consecutive_errors", None, alert.consecutive_errors, row);
        let open = never(default.breaker_open.map(time), "0s");
        self.pick("alert.breaker_open", None, alert.breaker_open.map(time), open);
        self.pick("alert.parked", None, alert.parked, default.parked);
        let still = never(default.no_progress.map(time), "0s");
        self.pick("alert.no_progress", None, alert.no_progress.map(time), still);
        let cost = alert.cost.map(|Dollars(micro)| dollars(micro));
        self.pick("alert.cost", None, cost, never(default.cost.map(dollars), "none"));
        self.pick("alert.finished", None, alert.finished, default.finished);
        self.pick("alert.cleared", None, alert.cleared, true);
        self.pick("alert.quiet", None, alert.quiet.map(time), time(default.quiet));
        self.pick("alert.details", None, alert.details, true);
        self.pick("alert.end_wait", None, alert.end_wait.map(time), time(crate::alert::END_WAIT));
        self.hooks(config);
        self.others(config);
    }

    fn hooks(&mut self, config: &Config) {
        for (name, channel) in &config.alert.slack {
            let key = |key: &str| format!("alert.slack.{name}.{key}");
            self.set(&key("url"), source(channel.url_env.as_ref(), channel.url_file.as_ref()));
            self.set(&key("proxy"), channel.proxy.as_deref().map(masked));
            self.set(&key("ca_file"), channel.ca_file.as_ref().map(|path| path.display()));
            self.set(&key("rules"), channel.rules.as_ref().map(|rules| rules.join(", ")));
        }
        for (name, channel) in &config.alert.webhook {
            let key = |key: &str| format!("alert.webhook.{name}.{key}");
            let kept = source(channel.url_env.as_ref(), channel.url_file.as_ref());
            self.set(&key("url"), channel.url.as_deref().map(masked).or(kept));
            self.set(&key("secret"), source(channel.secret_env.as_ref(), channel.secret_file.as_ref()));
            self.set(&key("proxy"), channel.proxy.as_deref().map(masked));
            self.set(&key("ca_file"), channel.ca_file.as_ref().map(|path| path.display()));
            self.set(&key("rules"), channel.rules.as_ref().map(|rules| rules.join(", ")));
        }
    }

    fn others(&mut self, config: &Config) {
        for (name, channel) in &config.alert.email {
            let key = |key: &str| format!("alert.email.{name}.{key}");
            self.set(&key("host"), channel.host.as_ref());
            self.set(&key("port"), channel.port);
            self.pick(&key("security"), None, channel.security.as_deref(), "starttls");
            self.set(&key("user"), channel.user.as_ref());
            self.set(&key("password"), source(channel.password_env.as_ref(), channel.password_file.as_ref()));
            self.set(&key("from"), channel.from.as_ref());
            self.set(&key("to"), Some(channel.to.join(", ")));
            self.set(&key("ca_file"), channel.ca_file.as_ref().map(|path| path.display()));
            self.set(&key("rules"), channel.rules.as_ref().map(|rules| rules.join(", ")));
        }
        for (name, channel) in &config.alert.command {
            let key = |key: &str| format!("alert.command.{name}.{key}");
            // Its arguments may be secret.
            self.line(&key("command"), format!("`{}`", channel.command.first().map_or("", String::as_str)), From::File);
            self.pick(&key("timeout"), None, channel.timeout.map(time), time(crate::alert::COMMAND_TIME));
            self.set(&key("rules"), channel.rules.as_ref().map(|rules| rules.join(", ")));
        }
    }
}

/// Where a secret comes from.
fn source(env: Option<&String>, file: Option<&PathBuf>) -> Option<String> {
    let of_env = env.map(|name| format!("{MASK} from ${name}"));
    of_env.or_else(|| file.map(|path| format!("{MASK} from {}", path.display())))
}
