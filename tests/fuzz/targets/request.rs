//! What a guest asks of a model: taken, counted, and written on every wire.

use super::parts::Fields;
use super::text::is_clean;
use sandmill::domain::{Blob, Request};
use sandmill::provider::fuzzing::Wire;
use sandmill::resilience::fuzzing::{request_hash, tokens_of};
use sandmill::sandbox::fuzzing::llm::{
    JsonSchema, Media, MediaSource, Message, OtherPart, Part, Request as Asked, ResponseFormat, Speaker, Tool,
    ToolCall, ToolChoice, ToolResult,
};
use sandmill::sandbox::fuzzing::request;
use sandmill::sandbox::fuzzing::types::Pair;
use serde_json::Value;
use std::sync::Arc;

/// Models that an operator might name.
const MODELS: [&str; 4] = ["m", "models/m-1", "../../x?y=z#\r\nHost: evil", "a/b:c%00"];

/// Where requests may go.
const HOSTS: [&str; 4] =
    ["api.openai.com", "n.openai.azure.com", "api.anthropic.com", "generativelanguage.googleapis.com"];

/// Fields, each with a letter of what it is ([`Builder::take`]).
pub(crate) fn any(bytes: &[u8]) {
    match request(asked(bytes), &[blob()]) {
        Ok(request) => check(&request),
        Err(error) => assert!(!error.message.is_empty() && is_clean(&error.message), "{:?}", error.message),
    }
}

fn check(request: &Request) {
    assert!(!request.messages.is_empty());
    assert!(request.temperature.is_none_or(f64::is_finite) && request.top_p.is_none_or(f64::is_finite));
    assert_eq!(request_hash(request), request_hash(&request.clone()));
    assert!(tokens_of("gpt-4o", request) > 0);
    for (nth, wire) in Wire::ALL.into_iter().enumerate() {
        let (url, body) = wire.write(MODELS[nth], request.clone()).expect("a wire");
        let host = url.host_str().unwrap_or_default();
        assert!(HOSTS.contains(&host) && !url.as_str().contains(char::is_whitespace), "{url}");
        match body {
            Ok(body) => check_body(wire, &body),
            Err(error) => assert!(is_clean(&error.message), "{:?}", error.message),
        }
    }
}

/// What the host decides is in the body as the host says, once, and nothing of a guest stands in for it.
fn check_body(wire: Wire, body: &[u8]) {
    let text = std::str::from_utf8(body).expect("UTF-8");
    let fields = sandmill::output::fields(text).unwrap_or_else(|| panic!("{wire:?} writes no object: {text}"));
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    assert!(twice.is_none(), "{wire:?} writes {twice:?} twice: {text}");
    assert!(!names.iter().any(|name| name.eq_ignore_ascii_case("stream")), "{text}");
    let model = fields.iter().find(|(name, _)| name == "model").map(|(_, value)| value.get());
    if wire != Wire::Gemini {
        let expected = MODELS[wire as usize];
        let model = model.map(|model| serde_json::from_str::<String>(model).expect("a text"));
        assert_eq!(model.as_deref(), Some(expected));
    }
    // Numbers that no `Value` holds may stand in what a guest embeds; then it is no matter of ours.
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        assert!(value.is_object());
    }
}

fn blob() -> Blob {
    Blob { name: "file".into(), mime_type: "image/png".into(), digest: "0".into(), bytes: Arc::from([1, 2, 3]) }
}

fn asked(bytes: &[u8]) -> Asked {
    let mut builder = Builder {
        asked: Asked {
            role: "default".into(),
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            format: ResponseFormat::Text,
            max_output_tokens: None,
            temperature: None,
            top_p: None,
            stop: Vec::new(),
            seed: None,
            on_overflow: None,
            extra: Vec::new(),
        },
    };
    let mut fields = Fields::of(bytes);
    while let Some((tag, text)) = fields.tagged() {
        builder.take(tag, text, &mut fields);
    }
    builder.asked
}

struct Builder {
    asked: Asked,
}

impl Builder {
    /// Some take the field behind them too.
    fn take(&mut self, tag: u8, text: String, fields: &mut Fields<'_>) {
        let asked = &mut self.asked;
        match tag {
            b'Y' => self.message(Speaker::System, text),
            b'U' => self.message(Speaker::User, text),
            b'A' => self.message(Speaker::Assistant, text),
            b'O' => self.message(Speaker::Tool, text),
            b'.' => self.message_extra(text, fields),
            b'r' => asked.role = text,
            b't' => self.part(Part::Text(text)),
            b'u' | b'b' | b'B' => self.part(Part::Media(media(tag, text, fields))),
            b'c' => self.part(Part::ToolCall(ToolCall {
                id: text.clone(),
                name: text,
                arguments: fields.text(),
                extra: Vec::new(),
            })),
            b'R' => self.part(Part::ToolResult(ToolResult {
                call_id: text.clone(),
                name: text.clone(),
                content: fields.text(),
                is_error: text.len() % 2 == 1,
                media: if text.len() % 5 == 4 { vec![media(b'B', "file".into(), fields)] } else { Vec::new() },
                extra: if text.len() % 3 == 2 {
                    vec![Pair { name: text.clone(), value: fields.text() }]
                } else {
                    Vec::new()
                },
            })),
            b'x' => self.part(Part::Other(OtherPart { kind: text, value: fields.text() })),
            b'T' => asked.tools.push(Tool {
                name: text.clone(),
                description: text,
                parameters: fields.text(),
                extra: Vec::new(),
            }),
            b'C' => asked.tool_choice = Some(choice(text)),
            b'j' => asked.format = ResponseFormat::Json,
            b'J' => {
                asked.format = ResponseFormat::JsonSchema(JsonSchema {
                    strict: text.is_empty(),
                    name: text,
                    schema: fields.text(),
                    extra: Vec::new(),
                });
            }
            b'n' => asked.max_output_tokens = text.parse().ok(),
            b'p' => asked.temperature = text.parse().ok(),
            b'P' => asked.top_p = text.parse().ok(),
            b'S' => asked.stop.push(text),
            b'd' => asked.seed = text.parse().ok(),
            b'o' => asked.on_overflow = Some(text),
            _ => asked.extra.push(Pair { name: text, value: fields.text() }),
        }
    }

    fn message(&mut self, speaker: Speaker, text: String) {
        let cache = text.len() % 3 == 2;
        let parts = if text.is_empty() { Vec::new() } else { vec![Part::Text(text)] };
        self.asked.messages.push(Message { speaker, parts, cache, extra: Vec::new() });
    }

    fn part(&mut self, part: Part) {
        if let Some(message) = self.asked.messages.last_mut() {
            message.parts.push(part);
        }
    }

    fn message_extra(&mut self, name: String, fields: &mut Fields<'_>) {
        let pair = Pair { name, value: fields.text() };
        if let Some(message) = self.asked.messages.last_mut() {
            message.extra.push(pair);
        }
    }
}

fn media(tag: u8, text: String, fields: &mut Fields<'_>) -> Media {
    let source = match tag {
        b'u' => MediaSource::Url(fields.text()),
        b'b' => MediaSource::Bytes(fields.bytes().to_vec()),
        _ => MediaSource::Blob(text.clone()),
    };
    Media { mime_type: text, source, extra: Vec::new() }
}

fn choice(name: String) -> ToolChoice {
    match name.as_str() {
        "" => ToolChoice::Auto,
        "-" => ToolChoice::None,
        "!" => ToolChoice::Required,
        _ => ToolChoice::Named(name),
    }
}
