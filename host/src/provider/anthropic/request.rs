//! From a request as the host speaks of it to the body of a message.
//!
//! The wire knows two speakers who take turns, and the system beside them. There is no seed: one is a wish for the same
//! answer again, and is left out.

use crate::domain::{
    Media, MediaSource, Message, Pair, Part, Request, ResponseFormat, Speaker, Tool, ToolCall, ToolChoice, ToolResult,
    base64,
};
use crate::provider::dialect::{BadRequest, check_reserved, to_bytes, tokens};
use crate::provider::json::{Json, Object};
use crate::provider::turns::Turns;
use crate::provider::{Call, ProviderError};
use serde::Deserialize;
use serde_json::Value;

/// What neither a plugin nor an operator sets.
pub(in crate::provider) const RESERVED: [&str; 5] = ["model", "messages", "system", "stream", "container"];
/// The wire insists on a bound; this one, every model takes. Whoever reckons with a request asks for it first.
pub(super) const MAX_TOKENS: u32 = 4096;
/// More marks than these are refused.
const CACHE_MARKS_MAX: usize = 4;
/// The wire has a way to ask for a schema, and none to ask for JSON alone.
const JSON_WANTED: &str = "Answer with one JSON value and nothing else: no code fence, no words around it.";

/// The body to send.
pub(super) fn encode(call: &Call) -> Result<Vec<u8>, ProviderError> {
    to_bytes(&body(call)?)
}

pub(super) fn output_limit(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Bounds {
        max_tokens: Option<Value>,
    }
    tokens(serde_json::from_slice::<Bounds>(body).ok()?.max_tokens.as_ref())
}

fn body(call: &Call) -> Result<Object<'_>, BadRequest> {
    let request = &*call.request;
    check_reserved(call, &RESERVED)?;
    let mut body = Object::new().with("model", call.model.as_str());
    let (system, turns) = conversation(request)?;
    if !system.is_empty() {
        body.set("system", system);
    }
    body.set("messages", turns);
    if let Some(config) = output_config(call)? {
        body.set("output_config", config);
    }
    body.merge(&call.parameters)?;
    body.set("max_tokens", u64::from(request.max_output_tokens.unwrap_or(MAX_TOKENS)));
    if !request.tools.is_empty() {
        body.set("tools", request.tools.iter().map(tool).collect::<Result<Vec<_>, _>>()?);
    }
    if let Some(choice) = tool_choice(request) {
        body.set("tool_choice", choice);
    }
    if let Some(temperature) = request.temperature {
        body.set("temperature", temperature);
    }
    if let Some(top_p) = request.top_p {
        body.set("top_p", top_p);
    }
    if !request.stop.is_empty() {
        body.set("stop_sequences", request.stop.iter().map(|text| Json::from(text.as_str())).collect::<Vec<_>>());
    }
    body.merge(&request.extra)?;
    Ok(body)
}

/// The system's blocks, and the turns of the others.
fn conversation(request: &Request) -> Result<(Vec<Json<'_>>, Vec<Json<'_>>), BadRequest> {
    let (mut system, mut turns) = (Vec::new(), Turns::new("content"));
    let marks = request.messages.iter().filter(|message| message.cache).count();
    // The later a mark, the more it covers.
    let mut marks_too_many = marks.saturating_sub(CACHE_MARKS_MAX);
    for message in &request.messages {
        let is_marked = message.cache && marks_too_many == 0;
        marks_too_many -= usize::from(message.cache && !is_marked);
        let blocks = blocks(message, is_marked)?;
        match message.speaker {
            Speaker::System => system.extend(blocks),
            Speaker::User | Speaker::Tool => turns.push("user", blocks, &message.extra)?,
            Speaker::Assistant => turns.push("assistant", blocks, &message.extra)?,
        }
    }
    if request.format == ResponseFormat::Json {
        system.push(text(JSON_WANTED).into());
    }
    Ok((system, turns.finish()))
}

/// Empty texts are refused by the wire, and say nothing.
fn blocks(message: &Message, is_marked: bool) -> Result<Vec<Json<'_>>, BadRequest> {
    let takes_mark = |part: &Part| !matches!(part, Part::Other(_)) && !is_empty(part);
    let marked = message.parts.iter().rposition(takes_mark).filter(|_| is_marked);
    let mut blocks = Vec::with_capacity(message.parts.len());
    for (nth, part) in message.parts.iter().enumerate().filter(|(_, part)| !is_empty(part)) {
        let mut block = match part {
            Part::Text(words) => text(words),
            Part::Other(other) => {
                blocks.push(Json::raw(&other.value, &format!("the part `{}`", other.kind))?);
                continue;
            }
            _ if message.speaker == Speaker::System => {
                return Err(BadRequest("a message of the speaker `system` holds text, and nothing else".to_owned()));
            }
            Part::Media(medium) => media(medium)?,
            Part::ToolCall(call) if message.speaker == Speaker::Assistant => tool_use(call)?,
            Part::ToolCall(_) => {
                return Err(BadRequest("a tool call stands in a message that is not the assistant's".to_owned()));
            }
            Part::ToolResult(result) => tool_result(result)?,
        };
        if marked == Some(nth) {
            block.set("cache_control", Object::new().with("type", "ephemeral"));
        }
        blocks.push(block.into());
    }
    Ok(blocks)
}

fn is_empty(part: &Part) -> bool {
    matches!(part, Part::Text(text) if text.is_empty())
}

fn text(words: &str) -> Object<'_> {
    Object::new().with("type", "text").with("text", words)
}

fn media(media: &Media) -> Result<Object<'_>, BadRequest> {
    let kind = match media.mime_type.split('/').next().unwrap_or_default() {
        "image" => "image",
        "application" | "text" => "document",
        family => return Err(BadRequest(format!("media of the kind `{family}` cannot be sent to this provider"))),
    };
    let mut block = Object::new().with("type", kind).with("source", source(media)?);
    for pair in media.extra.iter().filter(|pair| pair.name != "file_id") {
        block.merge(std::slice::from_ref(pair))?;
    }
    Ok(block)
}

fn source(media: &Media) -> Result<Object<'_>, BadRequest> {
    if let Some(file) = media.extra.iter().find(|pair| pair.name == "file_id") {
        return Ok(Object::new().with("type", "file").with("file_id", Json::raw(&file.value, "the field `file_id`")?));
    }
    Ok(match &media.source {
        MediaSource::Url(url) => Object::new().with("type", "url").with("url", url.as_str()),
        MediaSource::Bytes(bytes) if media.mime_type.starts_with("text/") => Object::new()
            .with("type", "text")
            .with("media_type", "text/plain")
            .with("data", String::from_utf8_lossy(bytes).into_owned()),
        MediaSource::Bytes(bytes) => Object::new()
            .with("type", "base64")
            .with("media_type", media.mime_type.as_str())
            .with("data", base64::encode(bytes)),
    })
}

fn tool_use(call: &ToolCall) -> Result<Object<'_>, BadRequest> {
    let mut block = Object::new()
        .with("type", "tool_use")
        .with("id", call.id.as_str())
        .with("name", call.name.as_str())
        .with("input", Json::object(&call.arguments, &format!("what the tool `{}` is called with", call.name))?);
    block.merge(&call.extra)?;
    Ok(block)
}

fn tool_result(result: &ToolResult) -> Result<Object<'_>, BadRequest> {
    let mut block = Object::new().with("type", "tool_result").with("tool_use_id", result.call_id.as_str());
    if result.media.is_empty() {
        block.set("content", result.content.as_str());
    } else {
        let mut content = Vec::with_capacity(1 + result.media.len());
        if !result.content.is_empty() {
            content.push(text(&result.content).into());
        }
        for medium in &result.media {
            content.push(media(medium)?.into());
        }
        block.set("content", content);
    }
    if result.is_error {
        block.set("is_error", true);
    }
    block.merge(&result.extra)?;
    Ok(block)
}

fn tool(tool: &Tool) -> Result<Json<'_>, BadRequest> {
    let mut object = Object::new().with("name", tool.name.as_str());
    if !tool.description.is_empty() {
        object.set("description", tool.description.as_str());
    }
    object.set("input_schema", Json::raw(&tool.parameters, &format!("the schema of the tool `{}`", tool.name))?);
    object.merge(&tool.extra)?;
    Ok(object.into())
}

fn tool_choice(request: &Request) -> Option<Object<'_>> {
    let nothing = request.tools.is_empty();
    let kind = |kind: &'static str| Object::new().with("type", kind);
    match request.tool_choice.as_ref()? {
        ToolChoice::Auto | ToolChoice::None if nothing => None,
        ToolChoice::Auto => Some(kind("auto")),
        ToolChoice::None => Some(kind("none")),
        ToolChoice::Required => Some(kind("any")),
        ToolChoice::Named(name) => Some(kind("tool").with("name", name.as_str())),
    }
}

/// The schema of the answer, beside what else stands in the same field (`effort`).
fn output_config<'a>(call: &'a Call) -> Result<Option<Object<'a>>, BadRequest> {
    let ResponseFormat::JsonSchema(schema) = &call.request.format else {
        return Ok(None);
    };
    let mut format = Object::new()
        .with("type", "json_schema")
        .with("schema", Json::raw(&schema.schema, "the schema of the answer")?);
    format.merge(&schema.extra)?;
    let mut config = Object::new();
    let merge = |config: &mut Object<'a>, pairs: &'a [Pair]| {
        let mut named = pairs.iter().filter(|pair| pair.name == "output_config");
        named.try_for_each(|pair| config.merge_object(&pair.value, "the field `output_config`"))
    };
    merge(&mut config, &call.parameters)?;
    config.set("format", format);
    merge(&mut config, &call.request.extra)?;
    Ok(Some(config))
}
