//! The mapping of requests and answers.

use super::*;
use crate::domain::{
    ErrorClass, JsonSchema, Media, MediaSource, Message, OtherPart, Pair, Part, Request, ResponseFormat, Speaker, Tool,
    ToolCall, ToolChoice, ToolResult,
};
use crate::provider::address;
use crate::provider::testing::{call, check_never_empty, message, pair, request, text};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

fn dialect() -> Anthropic {
    Anthropic::new(&address::base("https://api.anthropic.com/v1").unwrap())
}

fn encoded(call: &Call) -> Value {
    serde_json::from_slice(&dialect().encode(call).unwrap()).unwrap()
}

fn refused(request: Request) -> String {
    let error = dialect().encode(&call(request)).unwrap_err();
    assert_eq!(error.class, ErrorClass::BadRequest);
    error.message
}

fn completion(answer: &Value) -> Result<Completion, Defect> {
    dialect().completion(answer, "asked")
}

#[test]
fn the_least_request_has_a_system_apart_and_a_bound() {
    let messages = vec![message(Speaker::System, vec![text("s")]), message(Speaker::User, vec![text("u")])];
    let expected = json!({
        "model": "m",
        "system": [{"type": "text", "text": "s"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "u"}]}],
        "max_tokens": 4096,
    });
    assert_eq!(encoded(&call(request(messages))), expected);
    assert_eq!(dialect().output_by_default(), Some(4096), "whoever reckons with it is told the same number");
}

#[test]
fn parameters_go_where_they_belong_and_the_operators_win() {
    let format = ResponseFormat::JsonSchema(JsonSchema {
        name: "n".to_owned(),
        schema: "{}".to_owned(),
        strict: true,
        extra: vec![],
    });
    let request = Request {
        tools: vec![Tool {
            name: "f".to_owned(),
            description: "d".to_owned(),
            parameters: r#"{"type":"object"}"#.to_owned(),
            extra: vec![pair("strict", "true")],
        }],
        tool_choice: Some(ToolChoice::Named("f".to_owned())),
        format,
        max_output_tokens: Some(7),
        temperature: Some(0.5),
        top_p: Some(0.9),
        stop: vec!["x".to_owned()],
        seed: Some(1),
        extra: vec![pair("top_k", "5"), pair("output_config", r#"{"effort":"low","format":1}"#)],
        ..request(vec![])
    };
    let parameters: Arc<[Pair]> = Arc::new([pair("top_k", "9"), pair("output_config", r#"{"effort":"high"}"#)]);
    let body = encoded(&Call { parameters, ..call(request) });
    let expected = json!({
        "model": "m", "messages": [], "max_tokens": 7, "temperature": 0.5, "top_p": 0.9, "top_k": 9,
        "stop_sequences": ["x"], "tool_choice": {"type": "tool", "name": "f"},
        "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": true}],
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {}}},
    });
    assert_eq!(body, expected);
}

#[test]
fn json_without_a_schema_is_asked_for_in_words() {
    let body = encoded(&call(Request { format: ResponseFormat::Json, ..request(vec![]) }));
    assert!(body["system"][0]["text"].as_str().unwrap().contains("JSON"));
}

#[test]
fn a_round_of_tool_calls_is_two_turns() {
    let thinking = r#"{"type":"thinking","thinking":"hm","signature":"s=="}"#;
    let tool_call = |id: &str, arguments: &str| {
        let (id, name, arguments) = (id.to_owned(), "f".to_owned(), arguments.to_owned());
        Part::ToolCall(ToolCall { id, name, arguments, extra: vec![] })
    };
    let image = Media {
        mime_type: "image/png".to_owned(),
        source: MediaSource::Bytes(b"foo".as_slice().into()),
        extra: vec![],
    };
    let result = |id: &str, is_error: bool, media: Vec<Media>| {
        let (call_id, name, content) = (id.to_owned(), "f".to_owned(), format!("result of {id}"));
        message(
            Speaker::Tool,
            vec![Part::ToolResult(ToolResult { call_id, name, content, is_error, media, extra: vec![] })],
        )
    };
    let opaque = Part::Other(OtherPart { kind: "thinking".to_owned(), value: thinking.to_owned() });
    let conversation = vec![
        message(Speaker::User, vec![text("do")]),
        message(Speaker::Assistant, vec![opaque, text(""), tool_call("1", r#"{"a":1}"#), tool_call("2", "")]),
        result("1", false, vec![image]),
        result("2", true, vec![]),
        message(Speaker::User, vec![text("go on")]),
    ];
    let source = json!({"type": "base64", "media_type": "image/png", "data": "Zm9v"});
    let expected = json!([
        {"role": "user", "content": [{"type": "text", "text": "do"}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s=="},
            {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "2", "name": "f", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "1", "content": [
                {"type": "text", "text": "result of 1"}, {"type": "image", "source": source},
            ]},
            {"type": "tool_result", "tool_use_id": "2", "content": "result of 2", "is_error": true},
            {"type": "text", "text": "go on"},
        ]},
    ]);
    assert_eq!(encoded(&call(request(conversation)))["messages"], expected);
}

#[test]
fn the_last_four_marks_of_the_cache_are_sent() {
    let marked = |words: &str| Message { cache: true, ..message(Speaker::User, vec![text(words)]) };
    let mut conversation = vec![Message { speaker: Speaker::System, ..marked("0") }];
    conversation.extend(["1", "2", "3", "4"].map(marked));
    let body = encoded(&call(request(conversation)));
    assert_eq!(body["system"], json!([{"type": "text", "text": "0"}]));
    let expected: Vec<_> = ["1", "2", "3", "4"]
        .map(|words| json!({"type": "text", "text": words, "cache_control": {"type": "ephemeral"}}))
        .into();
    assert_eq!(body["messages"], json!([{"role": "user", "content": expected}]));
}

#[test]
fn media_are_images_and_documents() {
    let media = |mime_type: &str, source: MediaSource, extra: Vec<Pair>| {
        Part::Media(Media { mime_type: mime_type.to_owned(), source, extra })
    };
    let bytes = |bytes: &[u8]| MediaSource::Bytes(bytes.into());
    let parts = vec![
        media("image/png", MediaSource::Url("https://x/y.png".to_owned()), vec![]),
        media("application/pdf", bytes(b"foo"), vec![pair("title", "\"t\"")]),
        media("text/csv", bytes(b"a,b"), vec![]),
        media("application/pdf", MediaSource::Url(String::new()), vec![pair("file_id", "\"file-1\"")]),
    ];
    let expected = json!([
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "Zm9v"}, "title": "t"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}},
        {"type": "document", "source": {"type": "file", "file_id": "file-1"}},
    ]);
    assert_eq!(encoded(&call(request(vec![message(Speaker::User, parts)])))["messages"][0]["content"], expected);
    let sound = media("audio/wav", bytes(b"foo"), vec![]);
    assert!(refused(request(vec![message(Speaker::User, vec![sound])])).contains("`audio`"));
}

#[test]
fn what_a_plugin_adds_to_a_schema_or_a_tools_result_stands_beside_it() {
    let extra = || vec![pair("title", "\"x\"")];
    let (name, schema) = ("n".to_owned(), "{}".to_owned());
    let format = ResponseFormat::JsonSchema(JsonSchema { name, schema, strict: true, extra: extra() });
    let (call_id, name, content) = ("1".to_owned(), "f".to_owned(), "c".to_owned());
    let result = ToolResult { call_id, name, content, is_error: false, media: vec![], extra: extra() };
    let asked = vec![message(Speaker::Tool, vec![Part::ToolResult(result)])];
    let body = encoded(&call(Request { format, ..request(asked) }));
    assert_eq!(body["output_config"]["format"], json!({"type": "json_schema", "schema": {}, "title": "x"}));
    let told = json!({"type": "tool_result", "tool_use_id": "1", "content": "c", "title": "x"});
    assert_eq!(body["messages"][0]["content"], json!([told]));
}

#[test]
fn what_the_wire_cannot_say_is_refused_before_it_is_sent() {
    let arguments = "[1]".to_owned();
    let odd = Part::ToolCall(ToolCall { id: "1".to_owned(), name: "f".to_owned(), arguments, extra: vec![] });
    let said = refused(request(vec![message(Speaker::Assistant, vec![odd.clone()])]));
    assert!(said.contains("what the tool `f` is called with is no JSON object"), "{said}");
    assert!(refused(request(vec![message(Speaker::User, vec![odd])])).contains("not the assistant's"));
    let stream = Request { extra: vec![pair("stream", "true")], ..request(vec![]) };
    assert!(refused(stream).contains("`stream` belongs to the host"));
}

#[test]
fn an_answer_is_read_whole() {
    let thinking = json!({"type": "thinking", "thinking": "hm", "signature": "s"});
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-1", "stop_reason": "tool_use",
        "stop_sequence": null,
        "content": [
            thinking, {"type": "text", "text": "a"}, {"type": "text", "text": "b"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": 1}},
        ],
        "usage": {
            "input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20,
            "service_tier": "standard",
        },
    });
    let completion = completion(&answer).unwrap();
    assert_eq!((completion.text.as_str(), completion.finish.as_str()), ("ab", "tool-calls"));
    assert_eq!(completion.model, "claude-1");
    assert_eq!(completion.opaque, [OtherPart { kind: "thinking".to_owned(), value: thinking.to_string() }]);
    let [call] = &completion.tool_calls[..] else { panic!("one call") };
    assert_eq!((call.id.as_str(), call.name.as_str(), call.arguments.as_str()), ("toolu_1", "f", r#"{"x":1}"#));
    let usage = completion.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (130, 5));
    assert_eq!((usage.cache_read_tokens, usage.cache_write_tokens), (100, 20));
    assert_eq!(usage.extra, [pair("service_tier", "\"standard\"")]);
}

#[test]
fn reasons_are_mapped_and_unknown_ones_kept() {
    for (reason, expected) in [
        (json!("end_turn"), "stop"),
        (json!("stop_sequence"), "stop"),
        (json!("max_tokens"), "length"),
        (json!("refusal"), "refusal"),
        (json!("model_context_window_exceeded"), "model_context_window_exceeded"),
        (json!("pause_turn"), "pause_turn"),
        (json!(null), "stop"),
    ] {
        let answer = json!({"content": [{"type": "text", "text": "x"}], "stop_reason": reason});
        assert_eq!(completion(&answer).unwrap().finish, expected);
    }
}

#[test]
fn an_answer_without_words_counts_only_with_a_reason() {
    for reason in ["max_tokens", "refusal", "model_context_window_exceeded"] {
        assert_eq!(completion(&json!({"content": [], "stop_reason": reason})).unwrap().text, "");
    }
    for (answer, code) in [
        (json!({"content": [], "stop_reason": "end_turn"}), "empty_answer"),
        (json!({"content": null}), "empty_answer"),
        (json!({"content": "x"}), "wrong_shape"),
        (json!({"content": [7]}), "wrong_shape"),
        (json!({}), "no_content"),
    ] {
        assert_eq!(completion(&answer).unwrap_err().code, code);
    }
}

#[test]
fn a_models_limits_are_read() {
    let facts = |answer: Value| dialect().model_facts(&answer, "m");
    let expected = ModelFacts { context: Some(200_000), max_output: Some(64_000) };
    assert_eq!(facts(json!({"id": "m", "max_input_tokens": 200_000, "max_tokens": 64_000})), expected);
    assert_eq!(facts(json!({"id": "m", "max_input_tokens": null})), ModelFacts::default());
    let base = address::base("http://h/v1").unwrap();
    assert_eq!(dialect().model_address(&base, "a/b").unwrap().as_str(), "http://h/v1/models/a%2Fb");
}

#[test]
fn others_than_anthropic_get_a_bearer_too() {
    let names = |base: &str| {
        let headers = Anthropic::new(&address::base(base).unwrap()).key_headers("k");
        headers.into_iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names("https://api.anthropic.com/v1"), ["x-api-key"]);
    assert_eq!(names("http://127.0.0.1:8000/v1"), ["x-api-key", "authorization"]);
}

proptest! {
    #[test]
    fn no_json_is_a_success_without_content(
        value in crate::provider::testing::json_value(),
        reason in prop::sample::select(vec!["end_turn", "tool_use", "", "pause_turn"]),
    ) {
        for answer in [
            value.clone(),
            json!({"content": value, "stop_reason": reason}),
            json!({"content": [value], "stop_reason": reason, "usage": value}),
        ] {
            check_never_empty(completion(&answer));
        }
    }
}
