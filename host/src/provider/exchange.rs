//! From an HTTP answer to a completion or a classified failure.
//!
//! Pure: the client over the network and the mock provider in the process both end here. A success always has content
//! (text, tool calls, a refusal) or a reason for having none (cut off, filtered); everything else is a failure.

use super::classify::{Facts, Profile, classify};
use super::dialect::{Defect, Dialect};
use super::{Answer, Overflow, ProviderError, rate_headers, retry_after};
use crate::domain::{ErrorClass, sanitize_line};
use reqwest::header::{HeaderMap, LOCATION};
use serde_json::Value;

/// What is kept of a failure's body, in bytes.
const BODY_KEPT_MAX: usize = 4 * 1024;
const REQUEST_ID_MAX: usize = 128;
const LOCATION_MAX: usize = 200;

/// One HTTP answer, whole.
pub(super) struct Exchange<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// What a date in `retry-after` is relative to.
    pub(super) now_unix_ms: u64,
    /// What was asked for, in case that the answer does not name its model.
    pub(super) model: &'a str,
}

pub(super) fn read(exchange: &Exchange<'_>, dialect: &dyn Dialect) -> Result<Answer, ProviderError> {
    if !(200..300).contains(&exchange.status) {
        return Err(failure_of(exchange, dialect.profile()));
    }
    let Ok(body) = std::str::from_utf8(exchange.body) else {
        return Err(garbage(exchange, "not_utf8", "an answer that is not UTF-8"));
    };
    let value: Value = serde_json::from_str(body).map_err(|error| not_json(exchange, body, &error))?;
    if let Some(error) = error_inside(&value) {
        return Err(failure(exchange, Facts::of_json(error), dialect.profile()));
    }
    match dialect.completion(&value, exchange.model) {
        Ok(completion) => Ok(Answer {
            completion,
            request_id: request_id(exchange.headers)
                .or_else(|| Some(sanitize_line(dialect.exchange_id(&value)?, REQUEST_ID_MAX))),
            limits: rate_headers::parse(exchange.headers, exchange.now_unix_ms),
        }),
        Err(defect) => Err(defective(exchange, &defect)),
    }
}

/// What an answer is whose status says that it is a failure.
pub(super) fn failure_of(exchange: &Exchange<'_>, profile: &Profile) -> ProviderError {
    let facts = Facts::of_body(exchange.status, &String::from_utf8_lossy(exchange.body));
    failure(exchange, facts, profile)
}

/// An error in an answer of the status 200: at its top, or (`OpenRouter`) in its first choice.
fn error_inside(value: &Value) -> Option<&Value> {
    let holds_one = |part: &&Value| match part.get("error") {
        Some(Value::Object(error)) => !error.is_empty(),
        Some(Value::String(error)) => !error.is_empty(),
        _ => false,
    };
    // Gemini wraps its errors in a list.
    let root = value.get(0).unwrap_or(value);
    Some(root).filter(holds_one).or_else(|| root.pointer("/choices/0").filter(holds_one))
}

fn failure(exchange: &Exchange<'_>, mut facts: Facts, profile: &Profile) -> ProviderError {
    let asked = retry_after::parse(exchange.headers, exchange.now_unix_ms);
    facts.has_retry_after = asked.is_some();
    let class = classify(profile, &facts);
    let words = match facts.words.as_str() {
        "" if exchange.body.is_empty() => "an empty body",
        "" => "no message",
        words => words,
    };
    let way_out = way_out(class, exchange).map(|hint| format!("; {hint}")).unwrap_or_default();
    ProviderError {
        code: facts.codes.first().cloned().unwrap_or_else(|| class.name().to_owned()),
        retry_after: asked.or(facts.wait),
        overflow: if is_about_size(class) { facts.overflow } else { Overflow::default() },
        ..bare(exchange, class, format!("status {}: {words}{way_out}", exchange.status))
    }
}

const fn is_about_size(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::ContextOverflow | ErrorClass::MaxOutputTooLarge)
}

fn way_out(class: ErrorClass, exchange: &Exchange<'_>) -> Option<String> {
    match class {
        ErrorClass::Authentication => Some("check the API key".to_owned()),
        ErrorClass::Permission => Some("check what the API key may do".to_owned()),
        ErrorClass::QuotaExhausted => Some("add credit, or raise the limit at the provider".to_owned()),
        ErrorClass::ModelUnknown => Some(match exchange.headers.get(LOCATION) {
            Some(to) => {
                let to = sanitize_line(&String::from_utf8_lossy(to.as_bytes()), LOCATION_MAX);
                format!("redirects are not followed, this one leads to {to}: check --base-url")
            }
            None => "check --model and --base-url".to_owned(),
        }),
        ErrorClass::RateLimited
        | ErrorClass::Overloaded
        | ErrorClass::Timeout
        | ErrorClass::Connection
        | ErrorClass::ServerError
        | ErrorClass::Garbage
        | ErrorClass::ContextOverflow
        | ErrorClass::MaxOutputTooLarge
        | ErrorClass::RequestTooLarge
        | ErrorClass::BadRequest
        | ErrorClass::Refused => None,
    }
}

fn not_json(exchange: &Exchange<'_>, body: &str, error: &serde_json::Error) -> ProviderError {
    let start = body.trim_start();
    if start.is_empty() {
        garbage(exchange, "empty_body", "an empty body")
    } else if start.starts_with('<') {
        garbage(exchange, "not_json", "a page instead of JSON: check --base-url if it stays so")
    } else if error.is_eof() {
        garbage(exchange, "cut_off", "JSON that is cut off")
    } else {
        garbage(exchange, "not_json", "an answer that is not JSON")
    }
}

fn garbage(exchange: &Exchange<'_>, code: &str, message: &str) -> ProviderError {
    defective(exchange, &Defect::garbage(code, message))
}

fn defective(exchange: &Exchange<'_>, defect: &Defect) -> ProviderError {
    ProviderError {
        code: defect.code.clone(),
        retry_after: retry_after::parse(exchange.headers, exchange.now_unix_ms),
        ..bare(exchange, defect.class, format!("status {}, and {}", exchange.status, defect.message))
    }
}

fn bare(exchange: &Exchange<'_>, class: ErrorClass, message: String) -> ProviderError {
    let kept = &exchange.body[..exchange.body.len().min(BODY_KEPT_MAX)];
    ProviderError {
        status: Some(exchange.status),
        should_retry: retry_after::should_retry(exchange.headers),
        limits: Box::new(rate_headers::parse(exchange.headers, exchange.now_unix_ms)),
        request_id: request_id(exchange.headers),
        body: String::from_utf8_lossy(kept).into_owned(),
        ..ProviderError::new(class, message)
    }
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let value = ["x-request-id", "request-id", "apim-request-id"].iter().find_map(|name| headers.get(*name))?;
    Some(sanitize_line(value.to_str().ok()?, REQUEST_ID_MAX))
}
