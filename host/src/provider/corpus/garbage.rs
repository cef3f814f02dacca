//! What comes with the status 200 and is no answer: never a success, and never a panic.

use super::{Recorded, anthropic, gemini, openai};
use crate::domain::ErrorClass::Garbage;

/// The same in every protocol.
const PLAIN: &[(&str, &str, &str)] = &[
    ("any server: nothing", "", "empty_body"),
    ("any server: white space", " \r\n", "empty_body"),
    ("any server: a page", "<!doctype html><title>Welcome</title>", "not_json"),
    ("any server: plain text", "upstream unavailable", "not_json"),
    ("any server: malformed JSON", r#"{"id":"x","model":}"#, "not_json"),
    ("any server: JSON and more", r#"{"id":"x"} trailing"#, "not_json"),
    ("any server: a stream", "data: {\"id\":\"x\"}\n\ndata: [DONE]\n\n", "not_json"),
    ("any server: half an object", r#"{"id":"x","mod"#, "cut_off"),
];

/// JSON without anything in it.
const EMPTY: &[(&str, &str)] = &[
    ("any server: {}", "{}"),
    ("any server: []", "[]"),
    ("any server: null", "null"),
    ("any server: a number", "7"),
    ("any server: a text", r#""Once""#),
];

const OWN: &[Recorded] = &[
    openai("any server: half an answer", 200, r#"{"choices":[{"message":{"content":"Once up"#, Garbage, "cut_off"),
    openai("any server: no choice", 200, r#"{"choices":[]}"#, Garbage, "no_choices"),
    openai("any server: choices that are no list", 200, r#"{"choices":{"message":{}}}"#, Garbage, "no_choices"),
    openai("any server: a choice without a message", 200, r#"{"choices":[{}]}"#, Garbage, "wrong_shape"),
    openai("any server: null for a choice", 200, r#"{"choices":[null]}"#, Garbage, "wrong_shape"),
    openai(
        "any server: null for content",
        200,
        r#"{"choices":[{"message":{"role":"assistant","content":null},"finish_reason":"stop"}]}"#,
        Garbage,
        "empty_answer",
    ),
    openai(
        "any server: an empty text",
        200,
        r#"{"choices":[{"message":{"role":"assistant","content":""},"finish_reason":"stop"}]}"#,
        Garbage,
        "empty_answer",
    ),
    openai(
        "any server: a number for content",
        200,
        r#"{"choices":[{"message":{"content":7}}]}"#,
        Garbage,
        "wrong_shape",
    ),
    openai(
        "any server: a part without a type",
        200,
        r#"{"choices":[{"message":{"content":[{"text":"Once"}]}}]}"#,
        Garbage,
        "wrong_shape",
    ),
    openai(
        "any server: a call without a name",
        200,
        r#"{"choices":[{"message":{"content":"Once","tool_calls":[{"function":{}}]}}]}"#,
        Garbage,
        "wrong_shape",
    ),
    anthropic("any server: half an answer", 200, r#"{"content":[{"type":"text","text":"Once up"#, Garbage, "cut_off"),
    anthropic("any server: no block", 200, r#"{"content":[],"stop_reason":"end_turn"}"#, Garbage, "empty_answer"),
    anthropic(
        "any server: null for content",
        200,
        r#"{"content":null,"stop_reason":"end_turn"}"#,
        Garbage,
        "empty_answer",
    ),
    anthropic(
        "any server: an empty text",
        200,
        r#"{"content":[{"type":"text","text":""}],"stop_reason":"end_turn"}"#,
        Garbage,
        "empty_answer",
    ),
    anthropic("any server: a text for content", 200, r#"{"content":"Once"}"#, Garbage, "wrong_shape"),
    anthropic("any server: a block without a type", 200, r#"{"content":[{"text":"Once"}]}"#, Garbage, "wrong_shape"),
    anthropic(
        "any server: a text that is a number",
        200,
        r#"{"content":[{"type":"text","text":7}]}"#,
        Garbage,
        "wrong_shape",
    ),
    anthropic("any server: a call without a name", 200, r#"{"content":[{"type":"tool_use"}]}"#, Garbage, "wrong_shape"),
    gemini(
        "any server: half an answer",
        200,
        r#"{"candidates":[{"content":{"parts":[{"text":"Once up"#,
        Garbage,
        "cut_off",
    ),
    gemini("any server: no candidate", 200, r#"{"candidates":[]}"#, Garbage, "no_candidates"),
    gemini(
        "any server: null for content",
        200,
        r#"{"candidates":[{"content":null,"finishReason":"STOP"}]}"#,
        Garbage,
        "empty_answer",
    ),
    gemini(
        "any server: an empty text",
        200,
        r#"{"candidates":[{"content":{"parts":[{"text":""}]},"finishReason":"STOP"}]}"#,
        Garbage,
        "empty_answer",
    ),
    gemini(
        "any server: parts that are no list",
        200,
        r#"{"candidates":[{"content":{"parts":7}}]}"#,
        Garbage,
        "wrong_shape",
    ),
    gemini(
        "any server: a part that is no object",
        200,
        r#"{"candidates":[{"content":{"parts":[7]}}]}"#,
        Garbage,
        "wrong_shape",
    ),
    gemini(
        "any server: a call without a name",
        200,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{}}]}}]}"#,
        Garbage,
        "wrong_shape",
    ),
];

pub(super) fn cases() -> Vec<Recorded> {
    let mut cases = Vec::new();
    for (from, body, code) in PLAIN {
        let same = [openai, anthropic, gemini].map(|made| made(from, 200, body, Garbage, code));
        cases.extend(same);
    }
    for (from, body) in EMPTY {
        cases.push(openai(from, 200, body, Garbage, "no_choices"));
        cases.push(anthropic(from, 200, body, Garbage, "no_content"));
        cases.push(gemini(from, 200, body, Garbage, "no_candidates"));
    }
    cases.extend(OWN);
    cases
}
