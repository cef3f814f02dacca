//! What a failed exchange says about itself, read out of the many shapes in which it is said.
//!
//! Knows shapes, not meanings.

use crate::domain::sanitize_line;
use crate::provider::{Overflow, overflow, retry_after};
use serde_json::Value;
use std::time::Duration;

/// What is kept of a provider's words, in bytes.
const WORDS_MAX: usize = 497;
const CODE_MAX: usize = 80;

#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::provider) struct Facts {
    /// None: the error stands in an answer whose status says success.
    pub(in crate::provider) status: Option<u16>,
    /// The error's own codes in lower case, the most telling first.
    pub(in crate::provider) codes: Vec<String>,
    /// Whether the first of `codes` was given as a code, rather than as a type.
    pub(super) has_code: bool,
    /// One line, bounded, without control characters.
    pub(in crate::provider) words: String,
    /// `words` in lower case.
    pub(super) lower: String,
    pub(super) mark: Option<Mark>,
    /// The field of the request that is complained of.
    pub(super) param: Option<String>,
    pub(in crate::provider) overflow: Overflow,
    /// The wait that the body asks for.
    pub(in crate::provider) wait: Option<Duration>,
    /// Whether a header asks for a wait.
    pub(in crate::provider) has_retry_after: bool,
}

/// What stands in an error beside codes and prose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Gemini names the quota that was hit: this one does not come back within a run.
    DailyQuota,
    /// `OpenRouter` says that its moderation flagged the input.
    Moderated,
}

impl Facts {
    /// Reads the body of a failure, whatever it is.
    pub(in crate::provider) fn of_body(status: u16, body: &str) -> Self {
        let mut facts = match serde_json::from_str::<Value>(body) {
            Ok(value) => Self::of_json(&value),
            Err(_) => Self::of_words(plain_words(body)),
        };
        facts.status = Some(status);
        facts
    }

    /// Reads an error object, or whatever holds one.
    pub(in crate::provider) fn of_json(value: &Value) -> Self {
        // Gemini wraps the whole in a list.
        let root = value.get(0).unwrap_or(value);
        let error = root.get("error").unwrap_or(root);
        let mut facts = Self::of_words(&message(error).or_else(|| message(root)).unwrap_or_default());
        let own = [
            error.pointer("/details/error_code"),
            error.pointer("/innererror/code"),
            error.get("code"),
            error.pointer("/metadata/error_type"),
        ];
        facts.codes.extend(own.into_iter().flatten().filter_map(code));
        // Google's `ErrorInfo`.
        let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
        facts.codes.extend(details.filter_map(|detail| code(detail.get("reason")?)));
        facts.has_code = !facts.codes.is_empty();
        facts.codes.extend([error.get("status"), error.get("type")].into_iter().flatten().filter_map(code));
        facts.status = error.get("code").and_then(status);
        facts.mark = mark(error);
        facts.param = error.get("param").and_then(Value::as_str).map(str::to_lowercase);
        if let Some(overflow) = overflow_fields(error) {
            facts.overflow = overflow;
        }
        if let Some(wait) = retry_delay(error) {
            facts.wait = Some(wait);
        }
        facts
    }

    fn of_words(words: &str) -> Self {
        let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = sanitize_line(&line, WORDS_MAX);
        let lower = words.to_lowercase();
        Self { overflow: overflow::parse(&lower), wait: retry_after::of_prose(&lower), lower, words, ..Self::default() }
    }

    /// The number behind a word, as in `Limit 30000, Requested 31538` or `limit: 0`.
    pub(super) fn number_after(&self, word: &str) -> Option<u64> {
        self.lower.match_indices(word).find_map(|(at, _)| {
            let rest = self.lower[at + word.len()..].trim_start_matches([' ', ':']);
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..end].parse().ok()
        })
    }
}

fn mark(error: &Value) -> Option<Mark> {
    if error.pointer("/metadata/flagged_input").is_some() {
        return Some(Mark::Moderated);
    }
    let daily = error.get("details").is_some_and(|details| details.to_string().contains("PerDay"));
    daily.then_some(Mark::DailyQuota)
}

/// llama.cpp's.
fn overflow_fields(error: &Value) -> Option<Overflow> {
    let number = |name: &str| error.get(name).and_then(Value::as_u64).filter(|number| *number > 0);
    let (input, limit) = (number("n_prompt_tokens"), number("n_ctx"));
    (input.is_some() || limit.is_some()).then_some(Overflow { limit, input, ..Overflow::default() })
}

/// Gemini's `RetryInfo`.
fn retry_delay(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    details.iter().find_map(|detail| retry_after::of_text(detail.get("retryDelay")?.as_str()?))
}

/// Codes in the shape of a number repeat the status: they are none.
fn code(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| !text.is_empty() && text.parse::<f64>().is_err())?;
    Some(sanitize_line(text, CODE_MAX).to_lowercase()).filter(|code| !code.trim().is_empty())
}

fn status(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number).ok().filter(|status| (400..600).contains(status))
}

fn message(value: &Value) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    let found =
        ["message", "detail", "error", "msg"].iter().find_map(|key| value.get(key).filter(|found| !found.is_null()))?;
    Some(match found {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

/// A page's title, or the start of a text that is no page.
fn plain_words(body: &str) -> &str {
    let title = body.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    let words = title.map_or(body, |(title, _)| title).trim();
    let end = words.char_indices().nth(WORDS_MAX).map_or(words.len(), |(at, _)| at);
    &words[..end]
}
