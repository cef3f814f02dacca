//! What makes two requests the same: the digest of what was asked, of whom, in canonical form (RFC 8785).
//!
//! JSON inside a request counts by its meaning, not by its spacing or the order of its keys. What is no part of the question
//! (keys, limits, timeouts, prices) is no part of the digest.

use super::form::{Asked, Form};
use crate::domain::Request;
use sha2::{Digest, Sha256};
use std::io;

/// Written at once, rather than some bytes between two quotation marks.
const BUFFER_BYTES: usize = 1 << 10;

/// SHA-256 of the canonical form. `asked`: the models that may answer, each with its parameters.
pub(super) fn request_hash(asked: &[Asked<'_>], request: &Request) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut buffered = io::BufWriter::with_capacity(BUFFER_BYTES, Hashing(&mut hasher));
    // It cannot fail: the numbers are finite, the names are texts, and a digest takes every byte. Should it, another question is another digest
    // all the same.
    let written = serde_json::to_writer(&mut buffered, &Form { asked: Some(asked), request });
    drop(buffered);
    if written.is_err() {
        hasher.update(format!("{request:?}"));
    }
    hasher.finalize().into()
}

struct Hashing<'a>(&'a mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was asked, without the model, as JSON for people.
pub(super) fn form(request: &Request) -> String {
    serde_json::to_string(&Form { asked: None, request }).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::{
        JsonSchema, Media, MediaSource, Message, OtherPart, Pair, Part, ResponseFormat, Speaker, Tool, ToolCall,
        ToolChoice, ToolResult,
    };

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
    fn what_was_paid_with_all_that_a_request_can_have_is_found_again() {
        let pair = |value: &str| vec![Pair { name: "x".into(), value: value.into() }];
        let media = Media {
            mime_type: "image/png".into(),
            source: MediaSource::Bytes(b"png".to_vec().into()),
            extra: pair("1.0"),
        };
        let parts = vec![
            Part::Text("a\n\u{7}é".into()),
            Part::Media(media.clone()),
            Part::ToolCall(ToolCall { id: "1".into(), name: "f".into(), arguments: "{ }".into(), extra: pair("[]") }),
            Part::ToolResult(ToolResult {
                call_id: "1".into(),
                name: "f".into(),
                content: "c".into(),
                is_error: true,
                media: vec![media],
                extra: pair("{}"),
            }),
            Part::Other(OtherPart { kind: "k".into(), value: r#"{"b":1,"a":1e2}"#.into() }),
        ];
        let asked = Request {
            messages: vec![Message { speaker: Speaker::Assistant, parts, cache: false, extra: pair("null") }],
            tools: vec![Tool {
                name: "f".into(),
                description: "d".into(),
                parameters: r#"{"type":"object"}"#.into(),
                extra: pair("2"),
            }],
            tool_choice: Some(ToolChoice::Named("f".into())),
            format: ResponseFormat::JsonSchema(JsonSchema {
                name: "n".into(),
                schema: r#"{"z":1,"a":2}"#.into(),
                strict: true,
                extra: pair("3"),
            }),
            max_output_tokens: Some(7),
            top_p: Some(0.25),
            stop: vec!["s".into()],
            on_overflow: Some("error".into()),
            ..with_extra(r#"{"a":1}"#)
        };
        let parameters = pair("0.10");
        let hash = hex::encode(request_hash(&[("m", &parameters), ("n", &[])], &asked));
        assert_eq!(hash, "ece77189e7b94e7da1f2e32ba4102e2ca0221f238b25cf1b41415f4336565c76");
    }

    #[test]
    fn a_cache_hint_asks_nothing_else() {
        let mut hinted = request("a");
        hinted.messages[0].cache = true;
        assert_eq!(hash_of("m", &request("a")), hash_of("m", &hinted));
    }
}
