//! From the JSON of a message to a completion as the host speaks of it.
//!
//! Strict where content is concerned, lenient where only counts are: a paid answer is not thrown away for its usage.

use crate::domain::{Completion, OtherPart, ToolCall, Usage, sanitize_line};
use crate::provider::dialect::{Defect, counted, pair, pairs};
use serde_json::Value;

const NAME_MAX: usize = 64;
const MODEL_MAX: usize = 256;
const KEPT_OF_ANSWER: [&str; 2] = ["stop_sequence", "container"];
const KEPT_OF_USAGE: [&str; 2] = ["service_tier", "server_tool_use"];

pub(super) fn completion(value: &Value, model_asked: &str) -> Result<Completion, Defect> {
    let blocks = value.get("content").ok_or_else(|| Defect::garbage("no_content", "an answer without content"))?;
    let blocks = match blocks {
        Value::Array(blocks) => blocks.as_slice(),
        Value::Null => &[],
        _ => return Err(Defect::wrong_shape()),
    };
    let mut content = Content::default();
    for block in blocks {
        content.push(block)?;
    }
    let finish = finish(value.get("stop_reason"), !content.tool_calls.is_empty());
    let excused = matches!(finish.as_str(), "length" | "refusal" | "model_context_window_exceeded");
    if content.text.is_empty() && content.tool_calls.is_empty() && !excused {
        return Err(Defect::empty());
    }
    let model = value.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    Ok(Completion {
        text: content.text,
        tool_calls: content.tool_calls,
        finish,
        model: sanitize_line(model.unwrap_or(model_asked), MODEL_MAX),
        usage: usage(value.get("usage")),
        opaque: content.opaque,
        cut: None,
        extra: pairs(value, &KEPT_OF_ANSWER),
    })
}

#[derive(Default)]
struct Content {
    text: String,
    tool_calls: Vec<ToolCall>,
    opaque: Vec<OtherPart>,
}

impl Content {
    fn push(&mut self, block: &Value) -> Result<(), Defect> {
        let kind = block.get("type").and_then(Value::as_str).ok_or_else(Defect::wrong_shape)?;
        match kind {
            "text" => self.text.push_str(block.get("text").and_then(Value::as_str).ok_or_else(Defect::wrong_shape)?),
            "tool_use" => self.tool_calls.push(tool_call(self.tool_calls.len(), block)?),
            // Thinking is signed: it goes back as it came, or not at all.
            other => self.opaque.push(OtherPart { kind: sanitize_line(other, NAME_MAX), value: block.to_string() }),
        }
        Ok(())
    }
}

fn tool_call(nth: usize, block: &Value) -> Result<ToolCall, Defect> {
    let text = |name: &str| block.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let known = |name: &str| matches!(name, "id" | "type" | "name" | "input");
    let extra = block.as_object().into_iter().flatten().filter(|(name, _)| !known(name));
    Ok(ToolCall {
        id: text("id").map_or_else(|| format!("toolu_{nth}"), str::to_owned),
        name: text("name").ok_or_else(Defect::wrong_shape)?.to_owned(),
        arguments: match block.get("input") {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(input) => input.to_string(),
        },
        extra: extra.map(|(name, value)| pair(name, value)).collect(),
    })
}

fn finish(reason: Option<&Value>, has_calls: bool) -> String {
    match reason.and_then(Value::as_str).unwrap_or_default() {
        "max_tokens" => "length".to_owned(),
        "tool_use" => "tool-calls".to_owned(),
        "" | "end_turn" | "stop_sequence" if has_calls => "tool-calls".to_owned(),
        "" | "end_turn" | "stop_sequence" => "stop".to_owned(),
        // `refusal`, `pause_turn` and `model_context_window_exceeded` among them.
        other => sanitize_line(other, NAME_MAX),
    }
}

/// What was read from the cache, and what was written to it, stand beside the input here, not in it.
fn usage(value: Option<&Value>) -> Usage {
    let Some(usage) = value.filter(|usage| usage.is_object()) else {
        return Usage::default();
    };
    let count = |path: &str| counted(usage.pointer(path));
    let (read, written) = (count("/cache_read_input_tokens"), count("/cache_creation_input_tokens"));
    Usage {
        input_tokens: count("/input_tokens") + read + written,
        output_tokens: count("/output_tokens"),
        cache_read_tokens: read,
        cache_write_tokens: written,
        reasoning_tokens: count("/output_tokens_details/thinking_tokens"),
        extra: pairs(usage, &KEPT_OF_USAGE),
    }
}
