//! What makes two requests the same: the digest of what was asked, of whom, in canonical form (RFC 8785).
//!
//! JSON inside a request counts by its meaning, not by its spacing or the order of its keys. What is no part of the question
//! (keys, limits, timeouts, prices) is no part of the digest.

use crate::domain::{
    Media, MediaSource, Message, Pair, Part, Request, ResponseFormat, Speaker, Tool, ToolCall, ToolChoice, ToolResult,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Changes whenever the canonical form does, so that an answer is never found under another meaning.
const FORM: u32 = 1;

/// SHA-256 of the canonical form. `asked`: the models that may answer, each with its parameters.
pub(super) fn request_hash(asked: &[(&str, &[Pair])], request: &Request) -> [u8; 32] {
    let (model, parameters) = asked.first().copied().unwrap_or_default();
    let mut form = form(request);
    form["form"] = FORM.into();
    form["model"] = model.into();
    // Left out where there is none, as it was before there were any: what was paid is found again.
    if !parameters.is_empty() {
        form["parameters"] = fields(parameters);
    }
    if asked.len() > 1 {
        form["others"] =
            asked[1..].iter().map(|(model, parameters)| json!([model, fields(parameters)])).collect::<Value>();
    }
    // A `Value` always serialises; its numbers are finite.
    let canonical = serde_json_canonicalizer::to_vec(&form).unwrap_or_else(|_| form.to_string().into_bytes());
    Sha256::digest(canonical).into()
}

/// What was asked, without the model: for people, and for the digest.
pub(super) fn form(request: &Request) -> Value {
    json!({
        "role": request.role,
        "messages": request.messages.iter().map(message).collect::<Vec<_>>(),
        "tools": request.tools.iter().map(tool).collect::<Vec<_>>(),
        "tool_choice": request.tool_choice.as_ref().map(tool_choice),
        "format": format(&request.format),
        "max_output_tokens": request.max_output_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": request.stop,
        // As text: RFC 8785 knows numbers up to 2^53 only.
        "seed": request.seed.map(|seed| seed.to_string()),
        "on_overflow": request.on_overflow,
        "extra": pairs(&request.extra),
    })
}

fn message(message: &Message) -> Value {
    json!({
        "speaker": match message.speaker {
            Speaker::System => "system",
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
            Speaker::Tool => "tool",
        },
        "parts": message.parts.iter().map(part).collect::<Vec<_>>(),
        "extra": pairs(&message.extra),
    })
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({"text": text}),
        Part::Media(item) => json!({"media": media(item)}),
        Part::ToolCall(call) => json!({"tool_call": tool_call(call)}),
        Part::ToolResult(result) => json!({"tool_result": tool_result(result)}),
        Part::Other(other) => json!({"other": {"kind": other.kind, "value": parsed(&other.value)}}),
    }
}

fn media(media: &Media) -> Value {
    let source = match &media.source {
        MediaSource::Url(url) => json!({"url": url}),
        MediaSource::Bytes(bytes) => json!({"sha256": hex::encode(Sha256::digest(bytes))}),
    };
    json!({"mime_type": media.mime_type, "source": source, "extra": pairs(&media.extra)})
}

fn tool_result(result: &ToolResult) -> Value {
    let form = json!({
        "call_id": result.call_id,
        "name": result.name,
        "content": result.content,
        "is_error": result.is_error,
        "media": result.media.iter().map(media).collect::<Vec<_>>(),
    });
    with_extra(form, &result.extra)
}

fn tool_call(call: &ToolCall) -> Value {
    json!({"id": call.id, "name": call.name, "arguments": call.arguments, "extra": pairs(&call.extra)})
}

fn tool(tool: &Tool) -> Value {
    json!({
        "name": tool.name,
        "description": tool.description,
        "parameters": parsed(&tool.parameters),
        "extra": pairs(&tool.extra),
    })
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({"named": name}),
    }
}

fn format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::Text => json!("text"),
        ResponseFormat::Json => json!("json"),
        ResponseFormat::JsonSchema(schema) => {
            let form = json!({"name": schema.name, "schema": parsed(&schema.schema), "strict": schema.strict});
            with_extra(form, &schema.extra)
        }
    }
}

/// For what had none when the first digests were stored: without them it has the digest that it had then.
fn with_extra(mut form: Value, extra: &[Pair]) -> Value {
    if !extra.is_empty() {
        form["extra"] = pairs(extra);
    }
    form
}

fn pairs(pairs: &[Pair]) -> Value {
    pairs.iter().map(|pair| json!([pair.name, parsed(&pair.value)])).collect()
}

/// Each name once, in no order.
fn fields(pairs: &[Pair]) -> Value {
    Value::Object(pairs.iter().map(|pair| (pair.name.clone(), parsed(&pair.value))).collect())
}

/// Valid JSON, by the domain's promise; should a number be beyond what `Value` holds, the text itself counts.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::resilience) fn request(text: &str) -> Request {
        Request {
            role: "default".into(),
            messages: vec![Message {
                speaker: Speaker::User,
                parts: vec![Part::Text(text.into())],
                cache: false,
                extra: Vec::new(),
            }],
            tools: Vec::new(),
            tool_choice: None,
            format: ResponseFormat::Text,
            max_output_tokens: None,
            temperature: Some(0.1),
            top_p: None,
            stop: Vec::new(),
            seed: Some(u64::MAX),
            on_overflow: None,
            extra: Vec::new(),
        }
    }

    fn with_extra(value: &str) -> Request {
        Request { extra: vec![Pair { name: "x".into(), value: value.into() }], ..request("a") }
    }

    fn hash_of(model: &str, request: &Request) -> [u8; 32] {
        request_hash(&[(model, &[])], request)
    }

    #[test]
    fn json_counts_by_its_meaning() {
        let hash = |value| hash_of("m", &with_extra(value));
        assert_eq!(hash(r#"{"a":1,"b":[1.0, 2]}"#), hash(r#"{ "b":[1,2e0],"a":1 }"#));
        assert_ne!(hash(r#"{"a":1}"#), hash(r#"{"a":"1"}"#));
    }

    #[test]
    fn another_question_or_another_model_is_another_request() {
        assert_ne!(hash_of("m", &request("a")), hash_of("m", &request("b")));
        assert_ne!(hash_of("m", &request("a")), hash_of("n", &request("a")));
        assert_eq!(hash_of("m", &request("a")), hash_of("m", &request("a")));
    }

    #[test]
    fn another_parameter_of_the_route_is_another_request_and_their_order_is_not() {
        let pair = |name: &str, value: &str| Pair { name: name.into(), value: value.into() };
        let hash = |pairs: &[Pair]| request_hash(&[("m", pairs)], &request("a"));
        let (warm, cold) = (pair("temperature", "1"), pair("temperature", "0"));
        let seed = pair("seed", "7");
        assert_ne!(hash(&[]), hash(std::slice::from_ref(&warm)));
        assert_ne!(hash(std::slice::from_ref(&warm)), hash(&[cold]));
        assert_eq!(hash(&[warm.clone(), seed.clone()]), hash(&[seed, warm.clone()]));
        let several = request_hash(&[("m", &[]), ("m", &[warm])], &request("a"));
        assert_ne!(several, hash(&[]));
    }

    #[test]
    fn what_was_paid_without_parameters_is_found_again() {
        let hash = hex::encode(hash_of("m", &request("a")));
        assert_eq!(hash, "ee010d2ca3beda782dc9b2a7fb7fe90a1485cac30efb24582fe41f3c817a5f06");
    }

    #[test]
    fn a_cache_hint_asks_nothing_else() {
        let mut hinted = request("a");
        hinted.messages[0].cache = true;
        assert_eq!(hash_of("m", &request("a")), hash_of("m", &hinted));
    }
}
