//! What the tests of all protocols share.

use super::Call;
use super::dialect::Defect;
use crate::domain::{Completion, Message, Pair, Part, Request, ResponseFormat, Speaker};
use proptest::prelude::*;
use serde_json::Value;
use std::sync::Arc;

pub(super) fn pair(name: &str, value: &str) -> Pair {
    Pair { name: name.to_owned(), value: value.to_owned() }
}

pub(super) fn message(speaker: Speaker, parts: Vec<Part>) -> Message {
    Message { speaker, parts, cache: false, extra: vec![] }
}

pub(super) fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

pub(super) fn request(messages: Vec<Message>) -> Request {
    Request {
        role: "default".to_owned(),
        messages,
        tools: vec![],
        tool_choice: None,
        format: ResponseFormat::Text,
        max_output_tokens: None,
        temperature: None,
        top_p: None,
        stop: vec![],
        seed: None,
        on_overflow: None,
        extra: vec![],
    }
}

pub(super) fn call(request: Request) -> Call {
    Call { model: "m".to_owned(), request: Arc::new(request), parameters: Arc::new([]), identity: [0; 32] }
}

/// A success has content, or a reason for having none.
pub(super) fn check_never_empty(result: Result<Completion, Defect>) {
    if let Ok(completion) = result {
        let excused = ["length", "content-filter", "refusal", "model_context_window_exceeded"];
        let is_excused = excused.contains(&completion.finish.as_str());
        assert!(!completion.text.is_empty() || !completion.tool_calls.is_empty() || is_excused, "{completion:?}");
    }
}

/// JSON of the words that answers are made of.
pub(super) fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        prop_oneof![
            Just(""),
            Just("stop"),
            Just("text"),
            Just("tool_calls"),
            Just("refusal"),
            Just("tool_use"),
            Just("x")
        ]
        .prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "choices",
        "message",
        "content",
        "error",
        "finish_reason",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "refusal",
        "type",
        "text",
        "usage",
        "prompt_tokens",
        "code",
        "parts",
        "candidates",
        "functionCall",
        "args",
        "input",
        "details",
        "id",
        "model",
    ]);
    leaf.prop_recursive(6, 64, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(n, v)| (n.to_owned(), v)).collect())),
        ]
    })
}
