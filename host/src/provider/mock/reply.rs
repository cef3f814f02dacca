//! What the mock sends back: bodies in `OpenAI`'s words.

use super::draw::Fault;
use super::faults::Faults;
use super::prompt::{Digest, Form, Prompt, estimate_tokens};
use super::schema;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::time::Duration;

/// The start of the question that an answer repeats, in characters.
const QUESTION_SHOWN: usize = 40;

/// Everything about one request and what becomes of it; known before the wait begins.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Counts the requests to this mock, from 1.
    pub(crate) n: u64,
    pub(crate) model: Option<String>,
    pub(crate) digest: Option<Digest>,
    pub(crate) input_tokens: u64,
    pub(crate) fault: Option<Fault>,
    pub(crate) wait: Duration,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) end: End,
}

#[derive(Debug)]
pub(crate) enum End {
    Whole(String),
    /// So much of a body, then the connection breaks.
    Broken(String),
}

/// Status and body.
pub(super) type Page = (u16, String);

pub(super) fn headers(n: u64, fault: Option<Fault>, faults: &Faults) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-request-id", &format!("mock-{n}"));
    set("content-type", if fault == Some(Fault::Garbage) { "text/html" } else { "application/json" });
    if fault == Some(Fault::RateLimit) && !faults.retry_after.is_zero() {
        let milliseconds = faults.retry_after.as_millis();
        if milliseconds.is_multiple_of(1000) {
            set("retry-after", &(milliseconds / 1000).to_string());
        } else {
            set("retry-after-ms", &milliseconds.to_string());
        }
    }
    headers
}

pub(super) fn error(status: u16, message: &str, kind: &str, code: Option<&str>) -> Page {
    (status, json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string())
}

/// A limit by the minute is passed. How long to wait stands in the words, and in the reset of the headers.
pub(super) fn too_fast(model: &str, wait: Duration) -> Page {
    let wait = humantime::format_duration(Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(0) + 1));
    let wait = wait.to_string().replace(' ', "");
    let message = format!("Rate limit reached for {model} in organization org-mock. Please try again in {wait}.");
    error(429, &message, "requests", Some("rate_limit_exceeded"))
}

/// The page of a fault that was drawn; none for those that are no page.
pub(super) fn of_drawn(fault: Fault, prompt: &Prompt, nth: u32, faults: &Faults) -> Page {
    match fault {
        Fault::RateLimit => {
            let wait = humantime::format_duration(faults.retry_after);
            let message = format!(
                "Rate limit reached for {} in organization org-mock on requests per min (RPM): Limit 3, \
                 Used 3, Requested 1. Please try again in {wait}.",
                prompt.model
            );
            error(429, &message, "requests", Some("rate_limit_exceeded"))
        }
        Fault::Overloaded => {
            error(503, "The engine is currently overloaded, please try again later", "server_error", None)
        }
        Fault::Timeout => error(504, "The mock kept its client waiting, as it was told to", "timeout_error", None),
        Fault::Garbage => (200, garbage(prompt, nth)),
        Fault::ServerError
        | Fault::Connection
        | Fault::Key
        | Fault::Model
        | Fault::Context
        | Fault::Quota
        | Fault::BadRequest => {
            error(500, "The server had an error while processing your request. Sorry about that!", "server_error", None)
        }
    }
}

/// Not JSON, cut off, nothing, a page, no choices: in turns.
fn garbage(prompt: &Prompt, nth: u32) -> String {
    match (prompt.digest.number("garbage") + u64::from(nth)) % 5 {
        0 => r#"{"id": "chatcmpl-mock", "choices": [{"index" 0, message: "#.to_owned() + "oops}]}",
        1 => {
            let whole = answer(prompt);
            whole.chars().take(whole.chars().count() / 2).collect()
        }
        2 => String::new(),
        3 => "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>".to_owned(),
        _ => json!({"id": "chatcmpl-mock", "object": "chat.completion", "model": prompt.model}).to_string(),
    }
}

pub(super) fn context_exceeded(prompt: &Prompt, window: u64) -> Page {
    let input = prompt.input_tokens;
    let message = match prompt.tokens_max {
        Some(output) => format!(
            "This model's maximum context length is {window} tokens. However, you requested {} tokens \
             ({input} in the messages, {output} in the completion). Please reduce the length of the messages \
             or completion.",
            input.saturating_add(output)
        ),
        None => format!(
            "This model's maximum context length is {window} tokens. However, your messages resulted in {input} \
             tokens. Please reduce the length of the messages."
        ),
    };
    error(400, &message, "invalid_request_error", Some("context_length_exceeded"))
}

pub(super) fn model_unknown(model: &str) -> Page {
    let message = format!("The model `{model}` does not exist or you do not have access to it.");
    error(404, &message, "invalid_request_error", Some("model_not_found"))
}

pub(super) fn quota_used_up() -> Page {
    let message = "You exceeded your current quota, please check your plan and billing details.";
    error(429, message, "insufficient_quota", Some("insufficient_quota"))
}

pub(super) fn wrong_key() -> Page {
    error(401, "Incorrect API key provided.", "invalid_request_error", Some("invalid_api_key"))
}

/// The answer to a prompt: always the same.
pub(super) fn answer(prompt: &Prompt) -> String {
    let digest = prompt.digest;
    let (message, finish, output_tokens) = match &prompt.form {
        Form::Text => text_message(prompt, &format!("mock answer to {} [{digest}]", question(prompt))),
        Form::Json => {
            let value = json!({"answer": format!("mock answer to {}", question(prompt)), "digest": digest.to_string()});
            text_message(prompt, &value.to_string())
        }
        Form::Schema(schema) => text_message(prompt, &schema::fill(schema, digest).to_string()),
        Form::Call { name, parameters } => {
            let arguments = schema::fill(parameters, digest).to_string();
            let function = json!({"name": name, "arguments": arguments});
            let call = json!({"id": format!("call_{digest}"), "type": "function", "function": function});
            let message = json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [call]});
            (message, "tool_calls", estimate_tokens(&arguments))
        }
    };
    let usage = json!({
        "prompt_tokens": prompt.input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": prompt.input_tokens + output_tokens,
    });
    json!({
        "id": format!("chatcmpl-mock-{digest}"),
        "object": "chat.completion",
        "created": 0,
        "model": prompt.model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    })
    .to_string()
}

/// The message, why it ended, and its tokens: cut where the request says so.
fn text_message(prompt: &Prompt, text: &str) -> (Value, &'static str, u64) {
    let tokens = estimate_tokens(text);
    let (text, finish, tokens) = match prompt.tokens_max.filter(|most| *most < tokens) {
        Some(most) => {
            let characters = usize::try_from(most.saturating_mul(4)).unwrap_or(usize::MAX);
            (text.chars().take(characters).collect(), "length", most)
        }
        None => (text.to_owned(), "stop", tokens),
    };
    (json!({"role": "assistant", "content": text, "refusal": null}), finish, tokens)
}

fn question(prompt: &Prompt) -> String {
    let mut characters = prompt.question.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut start: String = characters.by_ref().take(QUESTION_SHOWN).collect();
    if characters.next().is_some() {
        start.push('…');
    }
    start
}
