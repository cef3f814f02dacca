//! From a request as the host speaks of it to the body of a chat completion.
//!
//! Knows the wire's shapes and their limits, no transport. What the wire cannot say is an error here, not a silent loss.

use super::media;
use crate::domain::{Message, Part, Request, ResponseFormat, Speaker, Tool, ToolCall, ToolChoice, ToolResult};
use crate::provider::dialect::{BadRequest, check_reserved, to_bytes, tokens};
use crate::provider::json::{Json, Object};
use crate::provider::{Call, ProviderError};
use serde::Deserialize;
use serde_json::Value;

/// What neither a plugin nor an operator sets.
pub(in crate::provider) const RESERVED: [&str; 6] =
    ["model", "messages", "n", "stream", "stream_options", "background"];

/// The field that bounds the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::provider) enum LimitField {
    /// What every server that speaks this protocol understands.
    MaxTokens,
    /// `OpenAI`'s own API: its reasoning models refuse `max_tokens`. Many other servers ignore or refuse this one.
    MaxCompletionTokens,
}

impl LimitField {
    const ALL: [Self; 2] = [Self::MaxTokens, Self::MaxCompletionTokens];

    pub(super) fn for_host(host: &str) -> Self {
        let own = host == "api.openai.com" || host.ends_with(".api.openai.com");
        if own { Self::MaxCompletionTokens } else { Self::MaxTokens }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// The body to send.
pub(super) fn encode(call: &Call, limit: LimitField) -> Result<Vec<u8>, ProviderError> {
    to_bytes(&body(call, limit)?)
}

/// Where a body has both fields, servers differ in which of them they obey.
pub(super) fn output_limit(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Bounds {
        max_tokens: Option<Value>,
        max_completion_tokens: Option<Value>,
    }
    let Bounds { max_tokens, max_completion_tokens } = serde_json::from_slice(body).ok()?;
    tokens(max_tokens.as_ref()).max(tokens(max_completion_tokens.as_ref()))
}

fn body(call: &Call, limit: LimitField) -> Result<Object<'_>, BadRequest> {
    let request = &*call.request;
    check_reserved(call, &RESERVED)?;
    let mut body = Object::new().with("model", call.model.as_str()).with("messages", messages(&request.messages)?);
    body.merge(&call.parameters)?;
    if !request.tools.is_empty() {
        body.set("tools", request.tools.iter().map(tool).collect::<Result<Vec<_>, _>>()?);
    }
    if let Some(choice) = tool_choice(request) {
        body.set("tool_choice", choice);
    }
    if let Some(format) = response_format(&request.format)? {
        body.set("response_format", format);
    }
    // An operator who sets one of the two means both.
    let is_bounded = LimitField::ALL.iter().any(|field| body.has(field.name()));
    if let Some(tokens) = request.max_output_tokens.filter(|_| !is_bounded) {
        body.set(limit.name(), u64::from(tokens));
    }
    if let Some(temperature) = request.temperature {
        body.set("temperature", temperature);
    }
    if let Some(top_p) = request.top_p {
        body.set("top_p", top_p);
    }
    if !request.stop.is_empty() {
        body.set("stop", request.stop.iter().map(|text| Json::from(text.as_str())).collect::<Vec<_>>());
    }
    if let Some(seed) = request.seed {
        body.set("seed", seed);
    }
    body.merge(&request.extra)?;
    Ok(body)
}

fn messages(messages: &[Message]) -> Result<Vec<Json<'_>>, BadRequest> {
    let mut list = Vec::with_capacity(messages.len());
    // The results of tools must follow the calls without a gap, and hold text only: their media come after the last.
    let mut media_of_results = Vec::new();
    for message in messages {
        if message.speaker != Speaker::Tool {
            push_media(&mut list, &mut media_of_results);
        }
        push_message(message, &mut list, &mut media_of_results)?;
    }
    push_media(&mut list, &mut media_of_results);
    Ok(list)
}

fn push_media<'a>(list: &mut Vec<Json<'a>>, media: &mut Vec<Json<'a>>) {
    if !media.is_empty() {
        list.push(Object::new().with("role", "user").with("content", std::mem::take(media)).into());
    }
}

fn push_message<'a>(
    message: &'a Message,
    list: &mut Vec<Json<'a>>,
    media_of_results: &mut Vec<Json<'a>>,
) -> Result<(), BadRequest> {
    let mut content = Vec::new();
    let mut calls = Vec::new();
    let mut has_result = false;
    for part in &message.parts {
        match part {
            Part::Text(text) => content.push(Object::new().with("type", "text").with("text", text.as_str()).into()),
            Part::Media(media) => content.push(media::part(media)?),
            Part::Other(other) => content.push(Json::raw(&other.value, &format!("the part `{}`", other.kind))?),
            Part::ToolCall(call) => calls.push(tool_call(call)?),
            Part::ToolResult(result) => {
                has_result = true;
                list.push(tool_result(result, message)?);
                for media in &result.media {
                    media_of_results.push(media::part(media)?);
                }
            }
        }
    }
    if !calls.is_empty() && message.speaker != Speaker::Assistant {
        return Err(BadRequest("a tool call stands in a message that is not the assistant's".to_owned()));
    }
    if message.speaker == Speaker::Tool && !(has_result && content.is_empty()) {
        return Err(BadRequest("a message of the speaker `tool` holds tool results, and nothing else".to_owned()));
    }
    if has_result && content.is_empty() && calls.is_empty() {
        return Ok(());
    }
    let mut object = Object::new().with("role", role(message.speaker));
    object.set("content", contents(message, content, !calls.is_empty()));
    if !calls.is_empty() {
        object.set("tool_calls", calls);
    }
    object.merge(&message.extra)?;
    list.push(object.into());
    Ok(())
}

/// A single text is sent as a string: some servers know nothing else.
fn contents<'a>(message: &'a Message, parts: Vec<Json<'a>>, has_calls: bool) -> Json<'a> {
    let mut texts = message.parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        _ => None,
    });
    match (parts.len(), texts.next()) {
        (0, _) if has_calls => Json::Null,
        (0, _) => Json::from(""),
        (1, Some(text)) => Json::from(text),
        _ => Json::List(parts),
    }
}

const fn role(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::System => "system",
        Speaker::User => "user",
        Speaker::Assistant => "assistant",
        Speaker::Tool => "tool",
    }
}

fn tool_call(call: &ToolCall) -> Result<Json<'_>, BadRequest> {
    let function = Object::new().with("name", call.name.as_str()).with("arguments", call.arguments.as_str());
    let mut object = Object::new().with("id", call.id.as_str()).with("type", "function").with("function", function);
    object.merge(&call.extra)?;
    Ok(object.into())
}

/// The wire has no mark for a result that is an error: its text says so.
fn tool_result<'a>(result: &'a ToolResult, message: &'a Message) -> Result<Json<'a>, BadRequest> {
    let mut object = Object::new()
        .with("role", "tool")
        .with("tool_call_id", result.call_id.as_str())
        .with("content", result.content.as_str());
    object.merge(&result.extra)?;
    if message.speaker == Speaker::Tool {
        object.merge(&message.extra)?;
    }
    Ok(object.into())
}

fn tool(tool: &Tool) -> Result<Json<'_>, BadRequest> {
    let mut function = Object::new().with("name", tool.name.as_str());
    if !tool.description.is_empty() {
        function.set("description", tool.description.as_str());
    }
    function.set("parameters", Json::raw(&tool.parameters, &format!("the schema of the tool `{}`", tool.name))?);
    function.merge(&tool.extra)?;
    Ok(Object::new().with("type", "function").with("function", function).into())
}

/// Servers refuse a choice where there is nothing to choose from, though `auto` and `none` are then true anyway.
fn tool_choice(request: &Request) -> Option<Json<'_>> {
    let nothing = request.tools.is_empty();
    match request.tool_choice.as_ref()? {
        ToolChoice::Auto | ToolChoice::None if nothing => None,
        ToolChoice::Auto => Some("auto".into()),
        ToolChoice::None => Some("none".into()),
        ToolChoice::Required => Some("required".into()),
        ToolChoice::Named(name) => {
            let function = Object::new().with("name", name.as_str());
            Some(Object::new().with("type", "function").with("function", function).into())
        }
    }
}

fn response_format(format: &ResponseFormat) -> Result<Option<Json<'_>>, BadRequest> {
    match format {
        ResponseFormat::Text => Ok(None),
        ResponseFormat::Json => Ok(Some(Object::new().with("type", "json_object").into())),
        ResponseFormat::JsonSchema(schema) => {
            let mut inner = Object::new()
                .with("name", schema.name.as_str())
                .with("strict", schema.strict)
                .with("schema", Json::raw(&schema.schema, "the schema of the answer")?);
            inner.merge(&schema.extra)?;
            Ok(Some(Object::new().with("type", "json_schema").with("json_schema", inner).into()))
        }
    }
}
