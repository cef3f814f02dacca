//! From the JSON of a chat completion to a completion as the host speaks of it.
//!
//! Strict where content is concerned, lenient where only counts are: a paid answer is not thrown away for its usage.

use crate::domain::{Completion, OtherPart, ToolCall, Usage, sanitize_line};
use crate::provider::dialect::{Defect, counted, pair, pairs};
use serde_json::Value;

const FINISH_MAX: usize = 64;
const MODEL_MAX: usize = 256;
/// What a message or its choice may hold beyond text and tool calls that is worth keeping.
const KEPT_OF_MESSAGE: [&str; 6] =
    ["refusal", "reasoning_content", "reasoning", "reasoning_details", "annotations", "audio"];
const KEPT_OF_ANSWER: [&str; 3] = ["system_fingerprint", "service_tier", "provider"];
const KEPT_OF_USAGE: [&str; 2] = ["cost", "cost_details"];

pub(super) fn completion(value: &Value, model_asked: &str) -> Result<Completion, Defect> {
    let choice = value.get("choices").and_then(Value::as_array).and_then(|list| list.first()).ok_or_else(no_choices)?;
    let message = choice.get("message").filter(|message| message.is_object()).ok_or_else(Defect::wrong_shape)?;
    let content = content(message.get("content"))?;
    let tool_calls = tool_calls(message.get("tool_calls"))?;
    let refused =
        content.refused || message.get("refusal").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let finish = finish(choice.get("finish_reason"), refused, !tool_calls.is_empty())?;
    let excused = matches!(finish.as_str(), "length" | "content-filter" | "refusal");
    if content.text.is_empty() && tool_calls.is_empty() && !excused {
        return Err(Defect::empty());
    }
    let mut extra = pairs(message, &KEPT_OF_MESSAGE);
    extra.extend(pairs(value, &KEPT_OF_ANSWER));
    let model = value.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    Ok(Completion {
        text: content.text,
        tool_calls,
        finish,
        model: sanitize_line(model.unwrap_or(model_asked), MODEL_MAX),
        usage: usage(value.get("usage")),
        opaque: content.opaque,
        cut: None,
        extra,
    })
}

#[derive(Default)]
struct Content {
    text: String,
    refused: bool,
    opaque: Vec<OtherPart>,
}

fn content(value: Option<&Value>) -> Result<Content, Defect> {
    let mut content = Content::default();
    match value {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => content.text.clone_from(text),
        Some(Value::Array(parts)) => {
            for part in parts {
                content.push(part)?;
            }
        }
        Some(_) => return Err(Defect::wrong_shape()),
    }
    Ok(content)
}

impl Content {
    fn push(&mut self, part: &Value) -> Result<(), Defect> {
        let kind = part.get("type").and_then(Value::as_str).ok_or_else(Defect::wrong_shape)?;
        match kind {
            "text" | "output_text" => {
                self.text.push_str(part.get("text").and_then(Value::as_str).ok_or_else(Defect::wrong_shape)?);
            }
            "refusal" => self.refused = true,
            // Mistral's `thinking` is one of these: sent back as it came.
            other => self.opaque.push(OtherPart { kind: sanitize_line(other, FINISH_MAX), value: part.to_string() }),
        }
        Ok(())
    }
}

fn tool_calls(value: Option<&Value>) -> Result<Vec<ToolCall>, Defect> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(calls)) => calls.iter().enumerate().map(|(nth, call)| tool_call(nth, call)).collect(),
        Some(_) => Err(Defect::wrong_shape()),
    }
}

fn tool_call(nth: usize, call: &Value) -> Result<ToolCall, Defect> {
    let call = call.as_object().ok_or_else(Defect::wrong_shape)?;
    let function = call.get("function").and_then(Value::as_object).ok_or_else(Defect::wrong_shape)?;
    let name =
        function.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()).ok_or_else(Defect::wrong_shape)?;
    let arguments = match function.get("arguments") {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(Value::String(text)) => text.clone(),
        // Some servers send the object itself.
        Some(other) => other.to_string(),
    };
    let id = call.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
    let known = |name: &str| matches!(name, "id" | "type" | "function" | "index");
    // Gemini's signatures of thoughts (`extra_content`) must be sent back with the call.
    let extra = call.iter().filter(|(name, _)| !known(name)).map(|(name, value)| pair(name, value)).collect();
    Ok(ToolCall {
        id: id.map_or_else(|| format!("call_{nth}"), str::to_owned),
        name: name.to_owned(),
        arguments,
        extra,
    })
}

fn finish(reason: Option<&Value>, refused: bool, has_calls: bool) -> Result<String, Defect> {
    let reason = reason.and_then(Value::as_str).unwrap_or_default();
    Ok(match reason {
        // `OpenRouter`: what stands in the content is what was written until then.
        "error" => return Err(Defect::garbage("finish_error", "an answer that the provider broke off")),
        _ if refused => "refusal".to_owned(),
        "length" => "length".to_owned(),
        "content_filter" => "content-filter".to_owned(),
        "tool_calls" | "function_call" => "tool-calls".to_owned(),
        // Several servers say `stop`, or nothing, when they stop for a call.
        "" | "stop" if has_calls => "tool-calls".to_owned(),
        "" | "stop" => "stop".to_owned(),
        other => sanitize_line(other, FINISH_MAX),
    })
}

fn usage(value: Option<&Value>) -> Usage {
    let Some(usage) = value.filter(|usage| usage.is_object()) else {
        return Usage::default();
    };
    let top = |name: &str| counted(usage.get(name));
    let detail = |group: &str, name: &str| counted(usage.get(group).and_then(|group| group.get(name)));
    let input_tokens = top("prompt_tokens");
    // xAI and Gemini leave reasoning out of `completion_tokens`, and count it in the total.
    let output_tokens = top("completion_tokens").max(top("total_tokens").saturating_sub(input_tokens));
    Usage {
        input_tokens,
        output_tokens,
        // DeepSeek has a name of its own.
        cache_read_tokens: detail("prompt_tokens_details", "cached_tokens").max(top("prompt_cache_hit_tokens")),
        cache_write_tokens: detail("prompt_tokens_details", "cache_write_tokens"),
        reasoning_tokens: detail("completion_tokens_details", "reasoning_tokens"),
        extra: pairs(usage, &KEPT_OF_USAGE),
    }
}

fn no_choices() -> Defect {
    Defect::garbage("no_choices", "an answer without choices")
}
