//! The protocols that the mock speaks: their bodies read into one shape, its answers and errors written in each.

mod anthropic;
mod gemini;
mod openai;

use super::limiter::{Counted, Level};
use super::prompt::{Body, Prompt};
use super::reply::{Answer, Page};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    OpenAi,
    Anthropic,
    Gemini,
}

/// What the mock has to complain of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble<'a> {
    RateLimit { model: &'a str, counted: Counted, limit: u64, requested: u64, wait: Duration },
    TooLarge { model: &'a str, limit: u64, requested: u64 },
    Overloaded,
    ServerError,
    Timeout,
    Context { input: u64, output: Option<u64>, window: u64 },
    MaxOutput { model: &'a str, asked: u64, most: u64 },
    Model(&'a str),
    Quota,
    Key,
    BadRequest(&'a str),
}

impl Wire {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// Reads a request. `model` is the one in the address, where that is its place. The error is for the client.
    pub(super) fn read(self, body: &[u8], model: Option<&str>) -> Result<Prompt, String> {
        let parsed = match self {
            Self::OpenAi => openai::read(body),
            Self::Anthropic => anthropic::read(body),
            Self::Gemini => gemini::read(body, model.unwrap_or_default()),
        };
        Prompt::of(parsed?)
    }

    pub(super) fn answer(self, prompt: &Prompt, answer: &Answer) -> String {
        match self {
            Self::OpenAi => openai::answer(prompt, answer),
            Self::Anthropic => anthropic::answer(prompt, answer),
            Self::Gemini => gemini::answer(prompt, answer),
        }
        .to_string()
    }

    /// An answer that lacks what makes it one.
    pub(super) fn hollow(self, prompt: &Prompt) -> String {
        match self {
            Self::OpenAi => openai::hollow(prompt),
            Self::Anthropic => anthropic::hollow(prompt),
            Self::Gemini => gemini::hollow(prompt),
        }
        .to_string()
    }

    pub(super) fn error(self, trouble: Trouble<'_>) -> Page {
        let (status, body) = match self {
            Self::OpenAi => openai::error(trouble),
            Self::Anthropic => anthropic::error(trouble),
            Self::Gemini => gemini::error(trouble),
        };
        (status, body.to_string())
    }

    /// The name of the exchange, the wait that is asked for, and how the limits stand.
    pub(super) fn headers(self, n: u64, wait: Option<Duration>, levels: &[Level], now_unix_ms: u64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut set = |name: &str, value: &str| {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        };
        set(if self == Self::Anthropic { "request-id" } else { "x-request-id" }, &format!("mock-{n}"));
        // Gemini says it in the body.
        if let Some(wait) = wait.filter(|wait| !wait.is_zero() && self != Self::Gemini) {
            let milliseconds = wait.as_nanos().div_ceil(1_000_000);
            if milliseconds.is_multiple_of(1000) {
                set("retry-after", &(milliseconds / 1000).to_string());
            } else {
                set("retry-after-ms", &milliseconds.to_string());
            }
        }
        for Level { counted, limit, remaining, reset } in levels {
            let kind = match counted {
                Counted::Requests => "requests",
                Counted::Tokens => "tokens",
            };
            match self {
                Self::OpenAi => {
                    set(&format!("x-ratelimit-limit-{kind}"), &limit.to_string());
                    set(&format!("x-ratelimit-remaining-{kind}"), &remaining.to_string());
                    set(&format!("x-ratelimit-reset-{kind}"), &span(*reset));
                }
                Self::Anthropic => {
                    let reset_ms = u64::try_from(reset.as_millis()).unwrap_or(u64::MAX);
                    let then = i64::try_from(now_unix_ms.saturating_add(reset_ms)).unwrap_or_default();
                    set(&format!("anthropic-ratelimit-{kind}-limit"), &limit.to_string());
                    set(&format!("anthropic-ratelimit-{kind}-remaining"), &remaining.to_string());
                    if let Ok(then) = jiff::Timestamp::from_millisecond(then) {
                        set(&format!("anthropic-ratelimit-{kind}-reset"), &then.to_string());
                    }
                }
                Self::Gemini => {}
            }
        }
        headers
    }
}

/// As `OpenAI` writes it: `599ms`, `1m30s`.
fn span(time: Duration) -> String {
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    let time = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX));
    humantime::format_duration(time).to_string().replace(' ', "")
}
