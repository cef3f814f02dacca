//! What a plugin asks of a model.

use super::json::check as check_json;
use super::pairs::pairs_from_wit;
use super::{MESSAGE_BYTES_MAX, NAME_BYTES_MAX, wl};
use crate::domain::{
    Blob, JsonSchema, LlmError, LlmErrorKind, Media, MediaSource, Message, OtherPart, Part, Request, ResponseFormat,
    Speaker, Tool, ToolCall, ToolChoice, ToolResult, sanitize_line,
};
use crate::schema;
use std::sync::Arc;

/// The error is for the plugin: its request is wrong.
pub(in crate::sandbox) fn request_from_wit(request: wl::Request, blobs: &[Blob]) -> Result<Request, LlmError> {
    convert_request(request, blobs).map_err(|message| LlmError {
        kind: LlmErrorKind::Rejected,
        code: "bad_request".into(),
        message,
        extra: Vec::new(),
    })
}

fn convert_request(request: wl::Request, blobs: &[Blob]) -> Result<Request, String> {
    for (value, name) in [(request.temperature, "temperature"), (request.top_p, "top-p")] {
        if value.is_some_and(|value| !value.is_finite()) {
            return Err(format!("{name} is not a finite number"));
        }
    }
    if let Some(policy) = &request.on_overflow
        && !matches!(policy.as_str(), "truncate" | "truncate-middle" | "error")
    {
        return Err(format!(
            "on-overflow `{}` is not known: truncate, truncate-middle or error",
            sanitize_line(policy, NAME_BYTES_MAX)
        ));
    }
    if request.messages.is_empty() {
        return Err("the request has no messages".into());
    }
    Ok(Request {
        role: request.role,
        messages: request
            .messages
            .into_iter()
            .map(|message| message_from_wit(message, blobs))
            .collect::<Result<_, _>>()?,
        tools: request.tools.into_iter().map(tool_from_wit).collect::<Result<_, _>>()?,
        tool_choice: request.tool_choice.map(|choice| match choice {
            wl::ToolChoice::Auto => ToolChoice::Auto,
            wl::ToolChoice::None => ToolChoice::None,
            wl::ToolChoice::Required => ToolChoice::Required,
            wl::ToolChoice::Named(name) => ToolChoice::Named(name),
        }),
        format: match request.format {
            wl::ResponseFormat::Text => ResponseFormat::Text,
            wl::ResponseFormat::Json => ResponseFormat::Json,
            wl::ResponseFormat::JsonSchema(schema) => {
                schema::check_bounds(&schema.schema)
                    .map_err(|why| format!("the response's schema cannot be used: {why}"))?;
                ResponseFormat::JsonSchema(JsonSchema {
                    name: schema.name,
                    schema: schema.schema,
                    strict: schema.strict,
                    extra: pairs_from_wit(schema.extra)?,
                })
            }
        },
        max_output_tokens: request.max_output_tokens,
        temperature: request.temperature,
        top_p: request.top_p,
        stop: request.stop,
        seed: request.seed,
        on_overflow: request.on_overflow,
        extra: pairs_from_wit(request.extra)?,
    })
}

fn message_from_wit(message: wl::Message, blobs: &[Blob]) -> Result<Message, String> {
    Ok(Message {
        speaker: match message.speaker {
            wl::Speaker::System => Speaker::System,
            wl::Speaker::User => Speaker::User,
            wl::Speaker::Assistant => Speaker::Assistant,
            wl::Speaker::Tool => Speaker::Tool,
        },
        parts: message.parts.into_iter().map(|part| part_from_wit(part, blobs)).collect::<Result<_, _>>()?,
        cache: message.cache,
        extra: pairs_from_wit(message.extra)?,
    })
}

fn part_from_wit(part: wl::Part, blobs: &[Blob]) -> Result<Part, String> {
    Ok(match part {
        wl::Part::Text(text) => Part::Text(text),
        wl::Part::Media(media) => Part::Media(media_from_wit(media, blobs)?),
        wl::Part::ToolCall(call) => Part::ToolCall(ToolCall {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
            extra: pairs_from_wit(call.extra)?,
        }),
        wl::Part::ToolResult(result) => Part::ToolResult(ToolResult {
            call_id: result.call_id,
            name: result.name,
            content: result.content,
            is_error: result.is_error,
            media: result.media.into_iter().map(|media| media_from_wit(media, blobs)).collect::<Result<_, _>>()?,
            extra: pairs_from_wit(result.extra)?,
        }),
        wl::Part::Other(other) => {
            check_json(&other.value, "a part's value")?;
            Part::Other(OtherPart { kind: other.kind, value: other.value })
        }
    })
}

fn media_from_wit(media: wl::Media, blobs: &[Blob]) -> Result<Media, String> {
    Ok(Media {
        mime_type: media.mime_type,
        source: match media.source {
            wl::MediaSource::Url(url) => MediaSource::Url(url),
            wl::MediaSource::Bytes(bytes) => MediaSource::Bytes(bytes.into()),
            wl::MediaSource::Blob(name) => MediaSource::Bytes(Arc::clone(&find_blob(blobs, &name)?.bytes)),
        },
        extra: pairs_from_wit(media.extra)?,
    })
}

pub(in crate::sandbox) fn find_blob<'a>(blobs: &'a [Blob], name: &str) -> Result<&'a Blob, String> {
    blobs.iter().find(|blob| blob.name == name).ok_or_else(|| {
        let known: Vec<&str> = blobs.iter().map(|blob| blob.name.as_str()).collect();
        format!(
            "the item has no blob `{}`; it has: [{}]",
            sanitize_line(name, NAME_BYTES_MAX),
            sanitize_line(&known.join(", "), MESSAGE_BYTES_MAX)
        )
    })
}

fn tool_from_wit(tool: wl::Tool) -> Result<Tool, String> {
    check_json(&tool.parameters, &format!("the parameters of tool `{}`", sanitize_line(&tool.name, 60)))?;
    Ok(Tool {
        name: tool.name,
        description: tool.description,
        parameters: tool.parameters,
        extra: pairs_from_wit(tool.extra)?,
    })
}
