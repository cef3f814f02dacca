//! Which faults the mock provider has, and how they are written: `latency=50ms,rate_limit=5%`.

use super::draw::Fault;
use crate::provider::ApiKey;
use std::ops::Range;
use std::time::Duration;

/// One setting, for help texts.
#[derive(Debug, Clone, Copy)]
pub struct FaultHelp {
    pub name: &'static str,
    /// What a value looks like.
    pub example: &'static str,
    pub meaning: &'static str,
}

const fn help(name: &'static str, example: &'static str, meaning: &'static str) -> FaultHelp {
    FaultHelp { name, example, meaning }
}

/// How the mock provider behaves. The default answers every request at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// How often each fault is drawn for one request, from 0 to 1.
    pub(super) rates: [(Fault, f64); 6],
    /// How long an answer takes.
    pub(super) latency: Duration,
    /// Up to so much is added to the latency.
    pub(super) jitter: Duration,
    /// How long a `timeout` keeps its client waiting.
    pub(super) hang: Duration,
    /// What a `rate_limit` asks for; zero: it does not say.
    pub(super) retry_after: Duration,
    /// At most so many drawn faults hit one request in a row.
    pub(super) in_a_row: u32,
    /// The model's context window.
    pub(super) context_tokens: Option<u64>,
    /// The most that the model writes.
    pub(super) max_output: Option<u64>,
    pub(super) requests_per_minute: Option<u64>,
    pub(super) tokens_per_minute: Option<u64>,
    /// When nobody is at home, from the first request on.
    pub(super) down: Option<Range<Duration>>,
    /// The quota is used up after so many answers.
    pub(super) quota_after: Option<u64>,
    /// The models that exist; empty: every model does.
    pub(super) models: Vec<String>,
    /// The one key that is let in.
    pub(super) key: Option<ApiKey>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            rates: Fault::DRAWN.map(|fault| (fault, 0.0)),
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            hang: HANG_MAX,
            retry_after: Duration::from_secs(1),
            in_a_row: 3,
            context_tokens: None,
            max_output: None,
            requests_per_minute: None,
            tokens_per_minute: None,
            down: None,
            quota_after: None,
            models: Vec::new(),
            key: None,
        }
    }
}

/// No wait of the mock is longer, so that a forgotten server does not keep connections for ever.
const HANG_MAX: Duration = Duration::from_mins(1);

impl Faults {
    /// Every setting that `parse` knows.
    pub const HELP: [FaultHelp; 20] = [
        help("rate_limit", "5%", "429: too many requests, with a Retry-After"),
        help("overloaded", "2%", "503: overloaded"),
        help("server_error", "3%", "500, a fault of the provider's own"),
        help("timeout", "1%", "no answer until the client gives up, or for `hang`, then 504"),
        help("garbage", "2%", "200 with malformed or truncated JSON, an empty body, HTML, or no choices"),
        help("connection", "1%", "the connection breaks in mid-answer"),
        help("in_a_row", "3", "at most so many of the above hit one request in a row (default: 3)"),
        help("latency", "50ms", "how long an answer takes (default: none)"),
        help("jitter", "20ms", "up to so much is added to the latency (default: none)"),
        help("hang", "5s", "how long a `timeout` lasts (default and most: 60s)"),
        help("retry_after", "1s", "the wait that a `rate_limit` asks for; 0s: it names none (default: 1s)"),
        help("context", "4096", "the context window in tokens: 400 for what is longer"),
        help("max_output", "1024", "the most tokens that an answer has: 400 for a request that wants more"),
        help("rpm", "600", "429 beyond so many requests a minute; one second's worth may come at once"),
        help("tpm", "90000", "429 beyond so many tokens a minute, read and written; likewise"),
        help("down", "5s..25s", "connections are closed without an answer, so long after the first request"),
        help("quota_after", "100", "429 insufficient_quota after so many answers"),
        help("models", "small;large", "404 for every other model (default: every model exists)"),
        help("key", "SECRET", "401 for every other key; over HTTP only"),
        help("none", "", "no fault; the same as an empty list"),
    ];

    /// Reads settings that are separated by commas. A rate is a percentage (`5%`) or a fraction (`0.05`); a time has a
    /// unit (`50ms`, `1s`).
    pub fn parse(text: &str) -> Result<Self, BadFaults> {
        let mut faults = Self::default();
        let mut seen = Vec::new();
        for setting in text.split(',').map(str::trim).filter(|setting| !setting.is_empty() && *setting != "none") {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            let (name, value) = (name.trim(), value.trim());
            if seen.contains(&name) {
                return Err(BadFaults::Twice(name.to_owned()));
            }
            seen.push(name);
            faults.set(name, value)?;
        }
        let sum: f64 = faults.rates.iter().map(|(_, rate)| rate).sum();
        // The rates are decimal fractions: ten times 10 % is a little more than 1.
        if sum > 1.0 + 1e-9 { Err(BadFaults::MoreThanAll { percent: sum * 100.0 }) } else { Ok(faults) }
    }

    /// The models that exist; empty: every model does.
    pub(crate) fn models(&self) -> &[String] {
        &self.models
    }

    pub(crate) const fn context_tokens(&self) -> Option<u64> {
        self.context_tokens
    }

    pub(crate) const fn max_output(&self) -> Option<u64> {
        self.max_output
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), BadFaults> {
        let known = Self::HELP.iter().find(|help| help.name == name);
        let bad = |reason: &str| BadFaults::Value {
            name: name.to_owned(),
            reason: reason.to_owned(),
            example: known.map(|help| help.example).unwrap_or_default(),
        };
        if let Some(slot) = self.rates.iter_mut().find(|(fault, _)| fault.name() == name) {
            slot.1 = rate(value).map_err(bad)?;
            return Ok(());
        }
        match name {
            "latency" => self.latency = time(value).map_err(bad)?,
            "jitter" => self.jitter = time(value).map_err(bad)?,
            "hang" => self.hang = time(value).map_err(bad)?,
            "retry_after" => self.retry_after = time(value).map_err(bad)?,
            "in_a_row" => self.in_a_row = value.parse().map_err(|_| bad("is not a whole number"))?,
            "context" => self.context_tokens = Some(value.parse().map_err(|_| bad("is not a whole number"))?),
            "max_output" => self.max_output = Some(positive(value).map_err(bad)?),
            "rpm" => self.requests_per_minute = Some(positive(value).map_err(bad)?),
            "tpm" => self.tokens_per_minute = Some(positive(value).map_err(bad)?),
            "down" => self.down = Some(range(value).map_err(bad)?),
            "quota_after" => self.quota_after = Some(value.parse().map_err(|_| bad("is not a whole number"))?),
            "models" => self.models = names(value).map_err(bad)?,
            "key" if value.is_empty() => return Err(bad("is missing")),
            "key" => self.key = Some(ApiKey::new(value.to_owned())),
            _ => return Err(BadFaults::Unknown { name: name.to_owned(), nearest: nearest(name) }),
        }
        Ok(())
    }
}

/// Why a text does not say which faults are wanted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadFaults {
    #[error("unknown fault `{name}`: did you mean `{nearest}`? There are {}", all_names())]
    Unknown { name: String, nearest: &'static str },
    #[error("the value of the fault `{name}` {reason}: write {name}={example}")]
    Value { name: String, reason: String, example: &'static str },
    #[error("the fault `{0}` is named twice")]
    Twice(String),
    #[error("the rates of the faults add up to {percent:.1} %: 100 % is all requests")]
    MoreThanAll { percent: f64 },
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |number| (number.trim_end(), 0.01));
    let rate = number.parse::<f64>().map_err(|_| "is neither a percentage nor a fraction")? * unit;
    if (0.0..=1.0).contains(&rate) { Ok(rate) } else { Err("is not between 0 % and 100 %") }
}

fn time(text: &str) -> Result<Duration, &'static str> {
    let time = humantime::parse_duration(text).map_err(|_| "is not a time with a unit")?;
    if time <= HANG_MAX { Ok(time) } else { Err("is longer than 60s") }
}

fn positive(text: &str) -> Result<u64, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or("is not a whole number above 0")
}

/// Not bounded as the other times are: nothing waits for it.
fn range(text: &str) -> Result<Range<Duration>, &'static str> {
    let time = |text: &str| humantime::parse_duration(text.trim()).map_err(|_| "is not two times with units");
    let (start, end) = text.split_once("..").ok_or("is not two times with units")?;
    let (start, end) = (time(start)?, time(end)?);
    if start < end { Ok(start..end) } else { Err("ends before it begins") }
}

fn names(text: &str) -> Result<Vec<String>, &'static str> {
    let names: Vec<_> = text.split(';').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.is_empty() { Err("is missing") } else { Ok(names) }
}

fn all_names() -> String {
    Faults::HELP.map(|help| help.name).join(", ")
}

fn nearest(name: &str) -> &'static str {
    let distance = |help: &FaultHelp| edit_distance(name, help.name);
    Faults::HELP.iter().min_by_key(|help| distance(help)).map(|help| help.name).unwrap_or_default()
}

/// Levenshtein's, by rows. The names are short; of what is written, so much is looked at.
fn edit_distance(written: &str, name: &str) -> usize {
    let mut row: Vec<usize> = (0..=name.chars().count()).collect();
    for (i, a) in written.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in name.chars().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_what_is_set() {
        let faults = Faults::parse(
            " latency=50ms, rate_limit=5%,garbage=0.02,context=4096,models=a;b,quota_after=3,retry_after=0s,",
        )
        .unwrap();
        assert_eq!(faults.latency, Duration::from_millis(50));
        let expected = Faults {
            rates: Fault::DRAWN.map(|fault| match fault {
                Fault::RateLimit => (fault, 0.05),
                Fault::Garbage => (fault, 0.02),
                _ => (fault, 0.0),
            }),
            latency: Duration::from_millis(50),
            context_tokens: Some(4096),
            models: vec!["a".to_owned(), "b".to_owned()],
            quota_after: Some(3),
            retry_after: Duration::ZERO,
            ..Faults::default()
        };
        assert_eq!(faults, expected);
        assert_eq!(Faults::parse("none"), Ok(Faults::default()));
        assert_eq!(Faults::parse(""), Ok(Faults::default()));
    }

    fn check(text: &str, expected: &str) {
        let error = Faults::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn what_cannot_be_read_says_what_to_write() {
        check(
            "ratelimit=5%",
            "unknown fault `ratelimit`: did you mean `rate_limit`? There are rate_limit, overloaded,",
        );
        check("rate_limit=5", "the value of the fault `rate_limit` is not between 0 % and 100 %: write rate_limit=5%");
        check("rate_limit", "the value of the fault `rate_limit` is neither a percentage nor a fraction");
        check("latency=50", "the value of the fault `latency` is not a time with a unit: write latency=50ms");
        check("hang=2m", "the value of the fault `hang` is longer than 60s");
        check("rpm=0", "the value of the fault `rpm` is not a whole number above 0: write rpm=600");
        check("down=5s", "the value of the fault `down` is not two times with units: write down=5s..25s");
        check("down=5s..5s", "the value of the fault `down` ends before it begins");
        check("garbage=1%,garbage=2%", "the fault `garbage` is named twice");
        check("garbage=60%,timeout=50%", "the rates of the faults add up to 110.0 %");
    }

    #[test]
    fn every_setting_of_the_help_is_understood_as_it_stands_there() {
        for help in Faults::HELP {
            let text =
                if help.example.is_empty() { help.name.to_owned() } else { format!("{}={}", help.name, help.example) };
            assert!(Faults::parse(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_key_does_not_show() {
        let faults = Faults::parse("key=hunter2").unwrap();
        assert!(!format!("{faults:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Faults::parse(&text);
        }

        #[test]
        fn no_text_with_a_known_name_makes_it_panic(nth in 0..Faults::HELP.len(), value in "[-0-9.a-z%; ]{0,12}") {
            if let Ok(faults) = Faults::parse(&format!("{}={value}", Faults::HELP[nth].name)) {
                prop_assert!(faults.rates.iter().all(|(_, rate)| (0.0..=1.0).contains(rate)));
                prop_assert!(faults.hang <= HANG_MAX && faults.latency <= HANG_MAX);
            }
        }

        #[test]
        fn percentages_and_fractions_are_the_same(thousandths in 0_u32..=1000) {
            let fraction = f64::from(thousandths) / 1000.0;
            let by_fraction = Faults::parse(&format!("timeout={fraction}")).unwrap();
            let by_percent = Faults::parse(&format!("timeout={}%", fraction * 100.0)).unwrap();
            let rate = |faults: &Faults| faults.rates.iter().map(|(_, rate)| rate).sum::<f64>();
            prop_assert!((rate(&by_fraction) - rate(&by_percent)).abs() < 1e-12);
        }
    }
}
