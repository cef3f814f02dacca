//! From the JSON of `generateContent` to a completion as the host speaks of it.
//!
//! Strict where content is concerned, lenient where only counts are: a paid answer is not thrown away for its usage.

use super::OWN_IDS;
use crate::domain::{Completion, ErrorClass, OtherPart, Pair, ToolCall, Usage, sanitize_line};
use crate::provider::dialect::{Defect, counted, pair, pairs};
use serde_json::{Value, json};

const NAME_MAX: usize = 64;
const MODEL_MAX: usize = 256;
const KEPT_OF_CANDIDATE: [&str; 4] = ["groundingMetadata", "citationMetadata", "safetyRatings", "finishMessage"];
const KEPT_OF_USAGE: [&str; 2] = ["trafficType", "serviceTier"];
const SIGNATURE: &str = "thoughtSignature";

pub(super) fn completion(value: &Value, model_asked: &str) -> Result<Completion, Defect> {
    let candidate = value.get("candidates").and_then(Value::as_array).and_then(|list| list.first());
    let candidate = candidate.ok_or_else(|| blocked(value).unwrap_or_else(no_candidates))?;
    let mut content = Content::default();
    match candidate.pointer("/content/parts") {
        // A candidate that was stopped before its first word has no content.
        None | Some(Value::Null) if candidate.is_object() => {}
        Some(Value::Array(parts)) => {
            for part in parts {
                content.push(part)?;
            }
        }
        _ => return Err(Defect::wrong_shape()),
    }
    let finish = finish(candidate.get("finishReason"), !content.tool_calls.is_empty())?;
    let excused = matches!(finish.as_str(), "length" | "content-filter");
    if content.text.is_empty() && content.tool_calls.is_empty() && !excused {
        return Err(blocked(value).unwrap_or_else(Defect::empty));
    }
    let mut extra = pairs(candidate, &KEPT_OF_CANDIDATE);
    if !content.thoughts.is_empty() {
        extra.push(Pair { name: "reasoning".to_owned(), value: Value::from(content.thoughts).to_string() });
    }
    let model = value.get("modelVersion").and_then(Value::as_str).filter(|model| !model.is_empty());
    Ok(Completion {
        text: content.text,
        tool_calls: content.tool_calls,
        finish,
        model: sanitize_line(model.unwrap_or(model_asked), MODEL_MAX),
        usage: usage(value.get("usageMetadata")),
        opaque: content.opaque,
        cut: None,
        extra,
    })
}

fn no_candidates() -> Defect {
    Defect::garbage("no_candidates", "an answer without candidates")
}

/// The prompt was refused, and nothing was written.
fn blocked(value: &Value) -> Option<Defect> {
    let reason = value.pointer("/promptFeedback/blockReason").and_then(Value::as_str)?;
    let code = sanitize_line(reason, NAME_MAX).to_lowercase();
    let code = if code.trim().is_empty() { "blocked".to_owned() } else { code };
    Some(Defect { class: ErrorClass::Refused, message: format!("the prompt was blocked: {code}"), code })
}

#[derive(Default)]
struct Content {
    text: String,
    /// Summaries of what was thought: shown, never sent back.
    thoughts: String,
    tool_calls: Vec<ToolCall>,
    opaque: Vec<OtherPart>,
}

impl Content {
    fn push(&mut self, part: &Value) -> Result<(), Defect> {
        let fields = part.as_object().ok_or_else(Defect::wrong_shape)?;
        if let Some(call) = fields.get("functionCall") {
            let call = tool_call(self.tool_calls.len(), call, part)?;
            self.tool_calls.push(call);
        } else if let Some(text) = fields.get("text") {
            let text = text.as_str().ok_or_else(Defect::wrong_shape)?;
            let is_thought = fields.get("thought").and_then(Value::as_bool) == Some(true);
            if is_thought { &mut self.thoughts } else { &mut self.text }.push_str(text);
            if let Some(signature) = fields.get(SIGNATURE) {
                // Its text goes back as text: the signature alone is kept.
                self.keep(SIGNATURE, &json!({"text": "", SIGNATURE: signature}));
            }
        } else if let Some(kind) = fields.keys().find(|name| !matches!(name.as_str(), "thought" | SIGNATURE)) {
            self.keep(kind, part);
        } else if !fields.is_empty() {
            self.keep(SIGNATURE, part);
        }
        Ok(())
    }

    fn keep(&mut self, kind: &str, part: &Value) {
        self.opaque.push(OtherPart { kind: sanitize_line(kind, NAME_MAX), value: part.to_string() });
    }
}

fn tool_call(nth: usize, call: &Value, part: &Value) -> Result<ToolCall, Defect> {
    let text = |name: &str| call.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let extra = part.as_object().into_iter().flatten().filter(|(name, _)| *name != "functionCall");
    Ok(ToolCall {
        id: text("id").map_or_else(|| format!("{OWN_IDS}{nth}"), str::to_owned),
        name: text("name").ok_or_else(Defect::wrong_shape)?.to_owned(),
        arguments: match call.get("args") {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(arguments) => arguments.to_string(),
        },
        // The signature among them, which must be sent back with the call.
        extra: extra.map(|(name, value)| pair(name, value)).collect(),
    })
}

fn finish(reason: Option<&Value>, has_calls: bool) -> Result<String, Defect> {
    Ok(match reason.and_then(Value::as_str).unwrap_or_default() {
        "MAX_TOKENS" => "length".to_owned(),
        "SAFETY"
        | "PROHIBITED_CONTENT"
        | "BLOCKLIST"
        | "RECITATION"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => "content-filter".to_owned(),
        reason @ ("MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "MALFORMED_RESPONSE") => {
            return Err(Defect::garbage(&reason.to_lowercase(), "a call of a tool that is none"));
        }
        "" | "STOP" | "FINISH_REASON_UNSPECIFIED" if has_calls => "tool-calls".to_owned(),
        "" | "STOP" | "FINISH_REASON_UNSPECIFIED" => "stop".to_owned(),
        other => sanitize_line(other, NAME_MAX),
    })
}

/// Thoughts stand beside what was written here, not in it.
fn usage(value: Option<&Value>) -> Usage {
    let Some(usage) = value.filter(|usage| usage.is_object()) else {
        return Usage::default();
    };
    let count = |name: &str| counted(usage.get(name));
    let thoughts = count("thoughtsTokenCount");
    Usage {
        input_tokens: count("promptTokenCount") + count("toolUsePromptTokenCount"),
        output_tokens: count("candidatesTokenCount") + thoughts,
        cache_read_tokens: count("cachedContentTokenCount"),
        cache_write_tokens: 0,
        reasoning_tokens: thoughts,
        extra: pairs(usage, &KEPT_OF_USAGE),
    }
}
