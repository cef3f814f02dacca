//! Chat completions, in `OpenAI`'s words.

use super::{Body, Counted, Trouble, span};
use crate::provider::mock::prompt::Prompt;
use crate::provider::mock::reply::{Answer, Said};
use serde_json::{Value, json};

pub(super) fn read(body: &[u8]) -> Result<Body, String> {
    serde_json::from_slice(body).map_err(|error| format!("the body is not a request: {error}"))
}

pub(super) fn answer(prompt: &Prompt, answer: &Answer) -> Value {
    let (message, finish) = match &answer.said {
        Said::Text { text, is_cut } => {
            let finish = if *is_cut { "length" } else { "stop" };
            (json!({"role": "assistant", "content": text, "refusal": null}), finish)
        }
        Said::Call { name, arguments } => {
            let function = json!({"name": name, "arguments": arguments.to_string()});
            let call = json!({"id": format!("call_{}", prompt.digest), "type": "function", "function": function});
            (json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [call]}), "tool_calls")
        }
    };
    let usage = json!({
        "prompt_tokens": prompt.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": prompt.input_tokens + answer.output_tokens,
    });
    json!({
        "id": format!("chatcmpl-mock-{}", prompt.digest),
        "object": "chat.completion",
        "created": 0,
        "model": prompt.model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    })
}

pub(super) fn hollow(prompt: &Prompt) -> Value {
    json!({"id": "chatcmpl-mock", "object": "chat.completion", "model": prompt.model})
}

pub(super) fn error(trouble: Trouble<'_>) -> (u16, Value) {
    let invalid = "invalid_request_error";
    match trouble {
        Trouble::RateLimit { model, counted, limit, requested, wait } => {
            let (kind, what) = match counted {
                Counted::Requests => ("requests", "requests per min (RPM)"),
                Counted::Tokens => ("tokens", "tokens per min (TPM)"),
            };
            let message = format!(
                "Rate limit reached for {model} in organization org-mock on {what}: Limit {limit}, Used {limit}, \
                 Requested {requested}. Please try again in {}.",
                span(wait)
            );
            page(429, &message, kind, Some("rate_limit_exceeded"))
        }
        Trouble::TooLarge { model, limit, requested } => {
            let message = format!(
                "Request too large for {model} in organization org-mock on tokens per min (TPM): Limit {limit}, \
                 Requested {requested}. The input or output tokens must be reduced in order to run successfully."
            );
            page(429, &message, "tokens", Some("rate_limit_exceeded"))
        }
        Trouble::Overloaded => {
            page(503, "The engine is currently overloaded, please try again later", "server_error", None)
        }
        Trouble::ServerError => {
            page(500, "The server had an error while processing your request. Sorry about that!", "server_error", None)
        }
        Trouble::Timeout => page(504, "The mock kept its client waiting, as it was told to", "timeout_error", None),
        Trouble::Context { input, output, window } => {
            page(400, &context(input, output, window), invalid, Some("context_length_exceeded"))
        }
        Trouble::MaxOutput { asked, most, .. } => {
            let message = format!(
                "max_tokens is too large: {asked}. This model supports at most {most} completion tokens, whereas you \
                 provided {asked}."
            );
            let (status, mut body) = page(400, &message, invalid, Some("invalid_value"));
            body["error"]["param"] = "max_tokens".into();
            (status, body)
        }
        Trouble::Model(model) => {
            let message = format!("The model `{model}` does not exist or you do not have access to it.");
            page(404, &message, invalid, Some("model_not_found"))
        }
        Trouble::Quota => {
            let message = "You exceeded your current quota, please check your plan and billing details.";
            page(429, message, "insufficient_quota", Some("insufficient_quota"))
        }
        Trouble::Key => page(401, "Incorrect API key provided.", invalid, Some("invalid_api_key")),
        Trouble::BadRequest(message) => page(400, message, invalid, None),
    }
}

fn page(status: u16, message: &str, kind: &str, code: Option<&str>) -> (u16, Value) {
    (status, json!({"error": {"message": message, "type": kind, "param": null, "code": code}}))
}

fn context(input: u64, output: Option<u64>, window: u64) -> String {
    match output {
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
    }
}
