//! The canonical form of a request (RFC 8785): what its digest is taken of, and what people are shown.

use crate::domain::{
    Media, MediaSource, Message, OtherPart, Pair, Part, Request, ResponseFormat, Speaker, Tool, ToolCall, ToolChoice,
    ToolResult,
};
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Changes whenever the canonical form does, so that an answer is never found under another meaning.
const FORM: u32 = 1;

/// A model that may answer, with its parameters.
pub(super) type Asked<'a> = (&'a str, &'a [Pair]);

/// The canonical form, written as it stands here: **names in the order of their bytes**, in which RFC 8785 wants them, so that nothing has to be
/// sorted for each call. What brings JSON of its own goes through [`canonical`].
pub(super) struct Form<'a> {
    /// `None`: without the models, for people.
    pub(super) asked: Option<&'a [Asked<'a>]>,
    pub(super) request: &'a Request,
}

impl Serialize for Form<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { asked, request } = self;
        let (model, parameters, others) = match asked {
            None => (None, &[][..], &[][..]),
            Some([]) => (Some(""), &[][..], &[][..]),
            Some([(model, parameters), others @ ..]) => (Some(*model), *parameters, others),
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("extra", &Pairs(&request.extra))?;
        if asked.is_some() {
            map.serialize_entry("form", &FORM)?;
        }
        map.serialize_entry("format", &Format(&request.format))?;
        map.serialize_entry("max_output_tokens", &request.max_output_tokens)?;
        map.serialize_entry("messages", &Each(&request.messages, Speech))?;
        if let Some(model) = model {
            map.serialize_entry("model", model)?;
        }
        map.serialize_entry("on_overflow", &request.on_overflow)?;
        // These two are left out where there is none, as they were before there were any: what was paid is found again.
        if !others.is_empty() {
            map.serialize_entry("others", &Each(others, Other))?;
        }
        if !parameters.is_empty() {
            map.serialize_entry("parameters", &fields(parameters))?;
        }
        map.serialize_entry("role", &request.role)?;
        // As text: RFC 8785 knows numbers up to 2^53 only.
        map.serialize_entry("seed", &request.seed.map(|seed| seed.to_string()))?;
        map.serialize_entry("stop", &request.stop)?;
        map.serialize_entry("temperature", &request.temperature.map(|number| canonical(&json!(number))))?;
        map.serialize_entry("tool_choice", &request.tool_choice.as_ref().map(Choice))?;
        map.serialize_entry("tools", &Each(&request.tools, Offered))?;
        map.serialize_entry("top_p", &request.top_p.map(|number| canonical(&json!(number))))?;
        map.end()
    }
}

/// A list of what the second makes of each.
struct Each<'a, T, F>(&'a [T], F);

impl<'a, T, F, W> Serialize for Each<'a, T, F>
where
    F: Fn(&'a T) -> W,
    W: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for one in self.0 {
            list.serialize_element(&(self.1)(one))?;
        }
        list.end()
    }
}

/// Names with values, in their order.
struct Pairs<'a>(&'a [Pair]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for pair in self.0 {
            list.serialize_element(&(&pair.name, parsed(&pair.value)))?;
        }
        list.end()
    }
}

struct Other<'a>(&'a Asked<'a>);

impl Serialize for Other<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (model, parameters) = self.0;
        (model, fields(parameters)).serialize(serializer)
    }
}

struct Speech<'a>(&'a Message);

impl Serialize for Speech<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Message { speaker, parts, extra, cache: _ } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("extra", &Pairs(extra))?;
        map.serialize_entry("parts", &Each(parts, Piece))?;
        let speaker = match speaker {
            Speaker::System => "system",
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
            Speaker::Tool => "tool",
        };
        map.serialize_entry("speaker", speaker)?;
        map.end()
    }
}

struct Piece<'a>(&'a Part);

impl Serialize for Piece<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self.0 {
            Part::Text(text) => map.serialize_entry("text", text)?,
            Part::Media(media) => map.serialize_entry("media", &Medium(media))?,
            Part::ToolCall(call) => map.serialize_entry("tool_call", &Called(call))?,
            Part::ToolResult(result) => map.serialize_entry("tool_result", &Returned(result))?,
            Part::Other(other) => map.serialize_entry("other", &Foreign(other))?,
        }
        map.end()
    }
}

struct Foreign<'a>(&'a OtherPart);

impl Serialize for Foreign<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", &self.0.kind)?;
        map.serialize_entry("value", &parsed(&self.0.value))?;
        map.end()
    }
}

struct Medium<'a>(&'a Media);

impl Serialize for Medium<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let source = match &self.0.source {
            MediaSource::Url(url) => json!({"url": url}),
            MediaSource::Bytes(bytes) => json!({"sha256": hex::encode(Sha256::digest(bytes))}),
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("extra", &Pairs(&self.0.extra))?;
        map.serialize_entry("mime_type", &self.0.mime_type)?;
        map.serialize_entry("source", &source)?;
        map.end()
    }
}

struct Returned<'a>(&'a ToolResult);

impl Serialize for Returned<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("call_id", &self.0.call_id)?;
        map.serialize_entry("content", &self.0.content)?;
        extra_if_any(&mut map, &self.0.extra)?;
        map.serialize_entry("is_error", &self.0.is_error)?;
        map.serialize_entry("media", &Each(&self.0.media, Medium))?;
        map.serialize_entry("name", &self.0.name)?;
        map.end()
    }
}

struct Called<'a>(&'a ToolCall);

impl Serialize for Called<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("arguments", &self.0.arguments)?;
        map.serialize_entry("extra", &Pairs(&self.0.extra))?;
        map.serialize_entry("id", &self.0.id)?;
        map.serialize_entry("name", &self.0.name)?;
        map.end()
    }
}

struct Offered<'a>(&'a Tool);

impl Serialize for Offered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("description", &self.0.description)?;
        map.serialize_entry("extra", &Pairs(&self.0.extra))?;
        map.serialize_entry("name", &self.0.name)?;
        map.serialize_entry("parameters", &parsed(&self.0.parameters))?;
        map.end()
    }
}

struct Choice<'a>(&'a ToolChoice);

impl Serialize for Choice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            ToolChoice::Auto => serializer.serialize_str("auto"),
            ToolChoice::None => serializer.serialize_str("none"),
            ToolChoice::Required => serializer.serialize_str("required"),
            ToolChoice::Named(name) => json!({"named": name}).serialize(serializer),
        }
    }
}

struct Format<'a>(&'a ResponseFormat);

impl Serialize for Format<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let schema = match self.0 {
            ResponseFormat::Text => return serializer.serialize_str("text"),
            ResponseFormat::Json => return serializer.serialize_str("json"),
            ResponseFormat::JsonSchema(schema) => schema,
        };
        let mut map = serializer.serialize_map(None)?;
        extra_if_any(&mut map, &schema.extra)?;
        map.serialize_entry("name", &schema.name)?;
        map.serialize_entry("schema", &parsed(&schema.schema))?;
        map.serialize_entry("strict", &schema.strict)?;
        map.end()
    }
}

/// For what had none when the first digests were stored: without them it has the digest that it had then.
fn extra_if_any<M: SerializeMap>(map: &mut M, extra: &[Pair]) -> Result<(), M::Error> {
    if extra.is_empty() { Ok(()) } else { map.serialize_entry("extra", &Pairs(extra)) }
}

/// Each name once, in no order.
fn fields(pairs: &[Pair]) -> Box<RawValue> {
    canonical(&Value::Object(pairs.iter().map(|pair| (pair.name.clone(), value(&pair.value))).collect()))
}

fn parsed(text: &str) -> Box<RawValue> {
    canonical(&value(text))
}

/// Valid JSON, by the domain's promise; should a number be beyond what `Value` holds, the text itself counts.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// By RFC 8785.
fn canonical(value: &Value) -> Box<RawValue> {
    // A `Value` always serialises; its numbers are finite.
    let text = serde_json_canonicalizer::to_string(value).unwrap_or_else(|_| value.to_string());
    RawValue::from_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::hash::request_hash;
    use super::*;
    use crate::domain::JsonSchema;
    use proptest::prelude::*;

    /// With all that a request can have, drawn.
    #[expect(clippy::too_many_lines, reason = "a request can have a lot")]
    fn any_request() -> impl Strategy<Value = Request> {
        let text = || "[a-zß\u{1}-\u{1f}\"\\\\🙂\u{2028}]{0,6}";
        let json = || {
            prop_oneof![
                Just(r#"{"b":[1.0,2e0,"é"],"a":{"z":null,"A":true}}"#),
                Just("1e21"),
                Just("-0.5"),
                Just("\"x\"")
            ]
        };
        let extra = move || {
            prop::collection::vec((text(), json()).prop_map(|(name, value)| Pair { name, value: value.into() }), 0..3)
        };
        let media = move || {
            let source =
                prop_oneof![text().prop_map(MediaSource::Url), Just(MediaSource::Bytes(b"bytes".to_vec().into()))];
            (source, text(), extra()).prop_map(|(source, mime_type, extra)| Media { mime_type, source, extra })
        };
        let result = move || {
            (text(), text(), any::<bool>(), prop::collection::vec(media(), 0..2), extra()).prop_map(
                |(call_id, content, is_error, media, extra)| ToolResult {
                    name: call_id.clone(),
                    call_id,
                    content,
                    is_error,
                    media,
                    extra,
                },
            )
        };
        let call = move || {
            (text(), json(), extra()).prop_map(|(id, arguments, extra)| ToolCall {
                name: id.clone(),
                id,
                arguments: arguments.into(),
                extra,
            })
        };
        let part = move || {
            prop_oneof![
                text().prop_map(Part::Text),
                media().prop_map(Part::Media),
                call().prop_map(Part::ToolCall),
                result().prop_map(Part::ToolResult),
                (text(), json()).prop_map(|(kind, value)| Part::Other(OtherPart { kind, value: value.into() })),
            ]
        };
        let speaker =
            prop_oneof![Just(Speaker::System), Just(Speaker::User), Just(Speaker::Assistant), Just(Speaker::Tool)];
        let message = (speaker, prop::collection::vec(part(), 0..3), extra())
            .prop_map(|(speaker, parts, extra)| Message { speaker, parts, cache: false, extra });
        let tool = (text(), json(), extra()).prop_map(|(name, parameters, extra)| Tool {
            description: name.clone(),
            name,
            parameters: parameters.into(),
            extra,
        });
        let choice = prop_oneof![
            Just(ToolChoice::Auto),
            Just(ToolChoice::None),
            Just(ToolChoice::Required),
            text().prop_map(ToolChoice::Named)
        ];
        let format = prop_oneof![
            Just(ResponseFormat::Text),
            Just(ResponseFormat::Json),
            (text(), json(), any::<bool>(), extra()).prop_map(|(name, schema, strict, extra)| {
                ResponseFormat::JsonSchema(JsonSchema { name, schema: schema.into(), strict, extra })
            }),
        ];
        let numbers = (
            any::<Option<u32>>(),
            prop::option::of(-2.0..1e22_f64),
            prop::option::of(0.0..1.0_f64),
            any::<Option<u64>>(),
        );
        let lists = (
            prop::collection::vec(message, 0..3),
            prop::collection::vec(tool, 0..2),
            prop::collection::vec(text(), 0..2),
            extra(),
        );
        (numbers, lists, prop::option::of(choice), format, text(), prop::option::of(text())).prop_map(
            |(
                (max_output_tokens, temperature, top_p, seed),
                (messages, tools, stop, extra),
                tool_choice,
                format,
                role,
                on_overflow,
            )| Request {
                role,
                messages,
                tools,
                tool_choice,
                format,
                max_output_tokens,
                temperature,
                top_p,
                stop,
                seed,
                on_overflow,
                extra,
            },
        )
    }

    proptest! {
        #[test]
        fn the_form_is_canonical_as_it_is_written(request in any_request(), one in "[a-z]{0,2}", two in "[a-z]{0,2}") {
            let parameters = [Pair { name: "temperature".into(), value: "1.50".into() }, Pair { name: "a".into(), value: "{}".into() }];
            for asked in [&[][..], &[(one.as_str(), &[][..])], &[(one.as_str(), &parameters[..]), (two.as_str(), &parameters[..1])]] {
                let written = serde_json::to_string(&Form { asked: Some(asked), request: &request }).unwrap();
                let value: Value = serde_json::from_str(&written).unwrap();
                prop_assert_eq!(&serde_json_canonicalizer::to_string(&value).unwrap(), &written);
                let hash: [u8; 32] = Sha256::digest(&written).into();
                prop_assert_eq!(request_hash(asked, &request), hash);
            }
        }
    }
}
