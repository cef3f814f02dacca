//! From a request as the host speaks of it to the body of `generateContent`.
//!
//! The wire knows two speakers who take turns, and the system beside them. Caching needs no marks.

use super::OWN_IDS;
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
pub(in crate::provider) const RESERVED: [&str; 5] =
    ["model", "contents", "systemInstruction", "candidateCount", "stream"];
/// The fields that stand at the top of the body; all others belong to the configuration of the generation.
const AT_TOP: [&str; 8] =
    ["safetySettings", "cachedContent", "labels", "tools", "toolConfig", "serviceTier", "store", "generationConfig"];
const CONFIG: &str = "generationConfig";
/// Seeds are 32 bits wide here.
const SEED_MASK: u64 = 0x7fff_ffff;

/// The body to send.
pub(super) fn encode(call: &Call) -> Result<Vec<u8>, ProviderError> {
    to_bytes(&body(call)?)
}

pub(super) fn output_limit(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Bounds {
        generation_config: Option<Value>,
    }
    let config = serde_json::from_slice::<Bounds>(body).ok()?.generation_config?;
    tokens(config.get("maxOutputTokens"))
}

fn body(call: &Call) -> Result<Object<'_>, BadRequest> {
    let request = &*call.request;
    check_reserved(call, &RESERVED)?;
    let (system, contents) = conversation(&request.messages)?;
    let mut body = Object::new().with("contents", contents);
    if !system.is_empty() {
        body.set("systemInstruction", Object::new().with("parts", system));
    }
    let mut config = Object::new();
    merge(&mut body, &mut config, &call.parameters)?;
    if !request.tools.is_empty() {
        let declarations = request.tools.iter().map(tool).collect::<Result<Vec<_>, _>>()?;
        body.set("tools", vec![Object::new().with("functionDeclarations", declarations).into()]);
    }
    if let Some(calling) = calling(request) {
        body.set("toolConfig", Object::new().with("functionCallingConfig", calling));
    }
    configure(&mut config, request)?;
    if let ResponseFormat::JsonSchema(schema) = &request.format {
        merge(&mut body, &mut config, &schema.extra)?;
    }
    merge(&mut body, &mut config, &request.extra)?;
    if !config.is_empty() {
        body.set(CONFIG, config);
    }
    Ok(body)
}

/// Puts each field where it belongs, unless it is set already.
fn merge<'a>(body: &mut Object<'a>, config: &mut Object<'a>, pairs: &'a [Pair]) -> Result<(), BadRequest> {
    for pair in pairs {
        if pair.name == CONFIG {
            config.merge_object(&pair.value, "the field `generationConfig`")?;
        } else if AT_TOP.contains(&pair.name.as_str()) {
            body.merge(std::slice::from_ref(pair))?;
        } else {
            config.merge(std::slice::from_ref(pair))?;
        }
    }
    Ok(())
}

fn configure<'a>(config: &mut Object<'a>, request: &'a Request) -> Result<(), BadRequest> {
    match &request.format {
        ResponseFormat::Text => {}
        ResponseFormat::Json => config.set("responseMimeType", "application/json"),
        ResponseFormat::JsonSchema(schema) => {
            config.set("responseMimeType", "application/json");
            // The older field knows less of JSON Schema; whoever needs it sets it.
            if !config.has("responseSchema") && !request.extra.iter().any(|pair| pair.name == "responseSchema") {
                config.set("responseJsonSchema", Json::raw(&schema.schema, "the schema of the answer")?);
            }
        }
    }
    if let Some(tokens) = request.max_output_tokens {
        config.set("maxOutputTokens", u64::from(tokens));
    }
    if let Some(temperature) = request.temperature {
        config.set("temperature", temperature);
    }
    if let Some(top_p) = request.top_p {
        config.set("topP", top_p);
    }
    if !request.stop.is_empty() {
        config.set("stopSequences", request.stop.iter().map(|text| Json::from(text.as_str())).collect::<Vec<_>>());
    }
    if let Some(seed) = request.seed {
        config.set("seed", seed & SEED_MASK);
    }
    Ok(())
}

/// The system's parts, and the turns of the others.
fn conversation(messages: &[Message]) -> Result<(Vec<Json<'_>>, Vec<Json<'_>>), BadRequest> {
    let (mut system, mut turns) = (Vec::new(), Turns::new("parts"));
    for message in messages {
        let new = parts(message)?;
        match message.speaker {
            Speaker::System => system.extend(new),
            Speaker::User | Speaker::Tool => turns.push("user", new, &message.extra)?,
            Speaker::Assistant => turns.push("model", new, &message.extra)?,
        }
    }
    Ok((system, turns.finish()))
}

/// Empty texts say nothing.
fn parts(message: &Message) -> Result<Vec<Json<'_>>, BadRequest> {
    let mut parts = Vec::with_capacity(message.parts.len());
    for part in &message.parts {
        match part {
            Part::Text(text) if text.is_empty() => {}
            Part::Text(text) => parts.push(Object::new().with("text", text.as_str()).into()),
            Part::Other(other) => parts.push(Json::raw(&other.value, &format!("the part `{}`", other.kind))?),
            _ if message.speaker == Speaker::System => {
                return Err(BadRequest("a message of the speaker `system` holds text, and nothing else".to_owned()));
            }
            Part::Media(media) => parts.push(medium(media)?),
            Part::ToolCall(call) if message.speaker == Speaker::Assistant => parts.push(function_call(call)?),
            Part::ToolCall(_) => {
                return Err(BadRequest("a tool call stands in a message that is not the assistant's".to_owned()));
            }
            Part::ToolResult(result) => {
                parts.push(function_response(result)?);
                for media in &result.media {
                    parts.push(medium(media)?);
                }
            }
        }
    }
    Ok(parts)
}

fn medium(media: &Media) -> Result<Json<'_>, BadRequest> {
    let mime_type = media.mime_type.as_str();
    let mut part = match &media.source {
        MediaSource::Url(url) => {
            Object::new().with("fileData", Object::new().with("mimeType", mime_type).with("fileUri", url.as_str()))
        }
        MediaSource::Bytes(bytes) => Object::new()
            .with("inlineData", Object::new().with("mimeType", mime_type).with("data", base64::encode(bytes))),
    };
    part.merge(&media.extra)?;
    Ok(part.into())
}

/// Signatures of thoughts stand beside the call, in its `extra`.
fn function_call(call: &ToolCall) -> Result<Json<'_>, BadRequest> {
    let mut inner = Object::new();
    if !call.id.starts_with(OWN_IDS) {
        inner.set("id", call.id.as_str());
    }
    inner.set("name", call.name.as_str());
    inner.set("args", Json::object(&call.arguments, &format!("what the tool `{}` is called with", call.name))?);
    let mut part = Object::new().with("functionCall", inner);
    part.merge(&call.extra)?;
    Ok(part.into())
}

fn function_response(result: &ToolResult) -> Result<Json<'_>, BadRequest> {
    let mut inner = Object::new();
    if !result.call_id.starts_with(OWN_IDS) {
        inner.set("id", result.call_id.as_str());
    }
    if result.name.is_empty() {
        return Err(BadRequest("the result of a tool needs the tool's name with this provider".to_owned()));
    }
    inner.set("name", result.name.as_str());
    let words = || Json::from(result.content.as_str());
    let is_object = result.content.trim_start().starts_with('{');
    match Json::object(&result.content, "the result") {
        _ if result.is_error => inner.set("response", Object::new().with("error", words())),
        Ok(object) if is_object => inner.set("response", object),
        _ => inner.set("response", Object::new().with("output", words())),
    }
    inner.merge(&result.extra)?;
    Ok(Object::new().with("functionResponse", inner).into())
}

fn tool(tool: &Tool) -> Result<Json<'_>, BadRequest> {
    let mut declaration = Object::new().with("name", tool.name.as_str());
    if !tool.description.is_empty() {
        declaration.set("description", tool.description.as_str());
    }
    let is_older = tool.extra.iter().any(|pair| pair.name == "parameters");
    if !is_older {
        let schema = Json::raw(&tool.parameters, &format!("the schema of the tool `{}`", tool.name))?;
        declaration.set("parametersJsonSchema", schema);
    }
    declaration.merge(&tool.extra)?;
    Ok(declaration.into())
}

fn calling(request: &Request) -> Option<Object<'_>> {
    let nothing = request.tools.is_empty();
    let mode = |mode: &'static str| Object::new().with("mode", mode);
    match request.tool_choice.as_ref()? {
        ToolChoice::Auto | ToolChoice::None if nothing => None,
        ToolChoice::Auto => Some(mode("AUTO")),
        ToolChoice::None => Some(mode("NONE")),
        ToolChoice::Required => Some(mode("ANY")),
        ToolChoice::Named(name) => Some(mode("ANY").with("allowedFunctionNames", vec![name.as_str().into()])),
    }
}
