//! The Messages API, in Anthropic's words.

use super::{Body, Counted, Trouble};
use crate::provider::mock::prompt::{Content, Message, Prompt};
use crate::provider::mock::reply::{Answer, Said};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Request {
    model: String,
    max_tokens: Option<u64>,
    system: Option<Content>,
    messages: Vec<Turn>,
    #[serde(default)]
    tools: Vec<Value>,
    tool_choice: Option<Value>,
    output_config: Option<Value>,
    stream: Option<bool>,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: Content,
}

pub(super) fn read(body: &[u8]) -> Result<Body, String> {
    let request: Request =
        serde_json::from_slice(body).map_err(|error| format!("the body is not a request: {error}"))?;
    let max_tokens = request.max_tokens.ok_or("max_tokens: Field required")?;
    let system = request.system.into_iter().map(|content| Message::of("system", content));
    let turns = request.messages.into_iter().map(|turn| Message::of(&turn.role, turn.content));
    let tool = |tool: &Value| json!({"function": {"name": tool["name"], "parameters": tool["input_schema"]}});
    let choice = request.tool_choice.and_then(|choice| match choice["type"].as_str() {
        Some("any") => Some("required".into()),
        Some("tool") => Some(json!({"function": {"name": choice["name"]}})),
        _ => None,
    });
    let schema = request.output_config.and_then(|config| config.pointer("/format/schema").cloned());
    Ok(Body {
        model: request.model,
        messages: system.chain(turns).collect(),
        tools: Some(request.tools.iter().map(tool).collect()),
        tool_choice: choice,
        response_format: schema.map(|schema| json!({"type": "json_schema", "json_schema": {"schema": schema}})),
        max_tokens: Some(max_tokens),
        max_completion_tokens: None,
        stream: request.stream,
    })
}

pub(super) fn answer(prompt: &Prompt, answer: &Answer) -> Value {
    let (block, reason) = match &answer.said {
        Said::Text { text, is_cut } => {
            (json!({"type": "text", "text": text}), if *is_cut { "max_tokens" } else { "end_turn" })
        }
        Said::Call { name, arguments } => {
            let id = format!("toolu_{}", prompt.digest);
            (json!({"type": "tool_use", "id": id, "name": name, "input": arguments}), "tool_use")
        }
    };
    json!({
        "id": format!("msg_mock_{}", prompt.digest),
        "type": "message",
        "role": "assistant",
        "model": prompt.model,
        "content": [block],
        "stop_reason": reason,
        "stop_sequence": null,
        "usage": {
            "input_tokens": prompt.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": answer.output_tokens,
        },
    })
}

pub(super) fn hollow(prompt: &Prompt) -> Value {
    json!({"id": "msg_mock", "type": "message", "role": "assistant", "model": prompt.model})
}

pub(super) fn error(trouble: Trouble<'_>) -> (u16, Value) {
    let invalid = |message: &str| page(400, "invalid_request_error", message);
    match trouble {
        Trouble::RateLimit { counted, limit, .. } => {
            let what = match counted {
                Counted::Requests => "requests",
                Counted::Tokens => "tokens",
            };
            let message =
                format!("This request would exceed your organization's rate limit of {limit} {what} per minute.");
            page(429, "rate_limit_error", &message)
        }
        Trouble::TooLarge { limit, requested, .. } => {
            let message = format!("Request too large: Limit {limit}, Requested {requested} tokens per minute.");
            page(429, "rate_limit_error", &message)
        }
        Trouble::Overloaded => page(529, "overloaded_error", "Overloaded"),
        Trouble::ServerError => page(500, "api_error", "Internal server error"),
        Trouble::Timeout => page(504, "timeout_error", "The mock kept its client waiting, as it was told to"),
        Trouble::Context { input, output, window } => match output.filter(|_| input <= window) {
            Some(output) => invalid(&format!(
                "input length and `max_tokens` exceed context limit: {input} + {output} > {window}, decrease input \
                 length or `max_tokens` and try again"
            )),
            None => invalid(&format!("prompt is too long: {input} tokens > {window} maximum")),
        },
        Trouble::MaxOutput { model, asked, most } => invalid(&format!(
            "max_tokens: {asked} > {most}, which is the maximum allowed number of output tokens for {model}"
        )),
        Trouble::Model(model) => page(404, "not_found_error", &format!("model: {model}")),
        Trouble::Quota => {
            invalid("Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.")
        }
        Trouble::Key => page(401, "authentication_error", "invalid x-api-key"),
        Trouble::BadRequest(message) => invalid(message),
    }
}

fn page(status: u16, kind: &str, message: &str) -> (u16, Value) {
    (status, json!({"type": "error", "error": {"type": kind, "message": message}}))
}
