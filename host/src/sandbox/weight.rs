//! How many bytes a guest hands over with a request: near enough to tell what takes long to check.

use super::bindings::v1_0::sandmill::plugin::llm as wl;
use super::bindings::v1_0::sandmill::plugin::types::Pair;

pub(super) fn of_request(request: &wl::Request) -> usize {
    let tools = request
        .tools
        .iter()
        .map(|tool| tool.name.len() + tool.description.len() + tool.parameters.len() + of_pairs(&tool.extra));
    let schema = match &request.format {
        wl::ResponseFormat::JsonSchema(schema) => schema.schema.len() + of_pairs(&schema.extra),
        wl::ResponseFormat::Text | wl::ResponseFormat::Json => 0,
    };
    request.messages.iter().map(of_message).sum::<usize>()
        + tools.sum::<usize>()
        + schema
        + request.stop.iter().map(String::len).sum::<usize>()
        + of_pairs(&request.extra)
}

/// Of how many pieces it is made: each costs the host some hundred bytes, however empty it is.
pub(super) fn pieces_of_request(request: &wl::Request) -> usize {
    let message =
        |message: &wl::Message| 1 + message.extra.len() + message.parts.iter().map(pieces_of_part).sum::<usize>();
    let tools = request.tools.iter().map(|tool| 1 + tool.extra.len());
    let of_schema = match &request.format {
        wl::ResponseFormat::JsonSchema(schema) => schema.extra.len(),
        wl::ResponseFormat::Text | wl::ResponseFormat::Json => 0,
    };
    request.messages.iter().map(message).sum::<usize>()
        + tools.sum::<usize>()
        + request.stop.len()
        + request.extra.len()
        + of_schema
}

fn pieces_of_part(part: &wl::Part) -> usize {
    let media = |media: &wl::Media| 1 + media.extra.len();
    1 + match part {
        wl::Part::Text(_) | wl::Part::Other(_) => 0,
        wl::Part::Media(one) => media(one),
        wl::Part::ToolCall(call) => call.extra.len(),
        wl::Part::ToolResult(result) => result.extra.len() + result.media.iter().map(media).sum::<usize>(),
    }
}

fn of_message(message: &wl::Message) -> usize {
    message.parts.iter().map(of_part).sum::<usize>() + of_pairs(&message.extra)
}

fn of_part(part: &wl::Part) -> usize {
    match part {
        wl::Part::Text(text) => text.len(),
        wl::Part::Media(media) => of_media(media),
        wl::Part::ToolCall(call) => call.name.len() + call.arguments.len() + of_pairs(&call.extra),
        wl::Part::ToolResult(result) => {
            let media = result.media.iter().map(of_media).sum::<usize>();
            result.name.len() + result.content.len() + media + of_pairs(&result.extra)
        }
        wl::Part::Other(other) => other.value.len(),
    }
}

fn of_media(media: &wl::Media) -> usize {
    let source = match &media.source {
        wl::MediaSource::Url(url) => url.len(),
        wl::MediaSource::Bytes(bytes) => bytes.len(),
        // Stays where it is.
        wl::MediaSource::Blob(_) => 0,
    };
    source + of_pairs(&media.extra)
}

fn of_pairs(pairs: &[Pair]) -> usize {
    pairs.iter().map(|pair| pair.name.len() + pair.value.len()).sum()
}
