//! The mapping of requests and answers.

use super::*;
use crate::domain::{
    ErrorClass, JsonSchema, Media, MediaSource, OtherPart, Pair, Part, Request, ResponseFormat, Speaker, Tool,
    ToolCall, ToolChoice, ToolResult,
};
use crate::provider::address;
use crate::provider::testing::{call, check_never_empty, json_value, message, pair, request, text};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

fn encoded(call: &Call) -> Value {
    serde_json::from_slice(&Gemini.encode(call).unwrap()).unwrap()
}

fn refused(request: Request) -> String {
    let error = Gemini.encode(&call(request)).unwrap_err();
    assert_eq!(error.class, ErrorClass::BadRequest);
    error.message
}

fn completion(answer: &Value) -> Result<Completion, Defect> {
    Gemini.completion(answer, "asked")
}

#[test]
fn the_least_request_holds_nothing_that_was_not_asked_for() {
    let messages = vec![message(Speaker::System, vec![text("s")]), message(Speaker::User, vec![text("u")])];
    let expected = json!({
        "contents": [{"role": "user", "parts": [{"text": "u"}]}],
        "systemInstruction": {"parts": [{"text": "s"}]},
    });
    assert_eq!(encoded(&call(request(messages))), expected);
}

#[test]
fn parameters_go_where_they_belong_and_the_operators_win() {
    let request = Request {
        tools: vec![Tool {
            name: "f".to_owned(),
            description: "d".to_owned(),
            parameters: r#"{"type":"object"}"#.to_owned(),
            extra: vec![],
        }],
        tool_choice: Some(ToolChoice::Named("f".to_owned())),
        format: ResponseFormat::JsonSchema(JsonSchema {
            name: "n".to_owned(),
            schema: "{}".to_owned(),
            strict: true,
            extra: vec![],
        }),
        max_output_tokens: Some(7),
        temperature: Some(0.5),
        top_p: Some(0.9),
        stop: vec!["x".to_owned()],
        seed: Some(u64::MAX),
        extra: vec![pair("topK", "5"), pair("safetySettings", "[]"), pair("temperature", "2")],
        ..request(vec![])
    };
    let config = r#"{"topK":9,"thinkingConfig":{"thinkingBudget":0}}"#;
    let parameters: Arc<[Pair]> = Arc::new([pair("generationConfig", config), pair("topP", "1")]);
    let expected = json!({
        "contents": [],
        "tools": [{"functionDeclarations": [
            {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}},
        ]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "safetySettings": [],
        "generationConfig": {
            "topK": 9, "thinkingConfig": {"thinkingBudget": 0}, "topP": 1, "responseMimeType": "application/json",
            "responseJsonSchema": {}, "maxOutputTokens": 7, "temperature": 0.5, "stopSequences": ["x"],
            "seed": 0x7fff_ffff,
        },
    });
    assert_eq!(encoded(&Call { parameters, ..call(request) }), expected);
}

#[test]
fn the_older_field_for_a_schema_takes_its_place() {
    let schema = JsonSchema { name: "n".to_owned(), schema: "{}".to_owned(), strict: true, extra: vec![] };
    let extra = vec![pair("responseSchema", r#"{"type":"OBJECT"}"#)];
    let body = encoded(&call(Request { format: ResponseFormat::JsonSchema(schema), extra, ..request(vec![]) }));
    let expected = json!({"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}});
    assert_eq!(body["generationConfig"], expected);
}

#[test]
fn a_round_of_tool_calls_is_two_turns_and_signatures_go_back() {
    let tool_call = |id: &str, extra: Vec<Pair>| {
        let (id, name, arguments) = (id.to_owned(), "f".to_owned(), r#"{"a":1}"#.to_owned());
        Part::ToolCall(ToolCall { id, name, arguments, extra })
    };
    let result = |id: &str, content: &str, is_error: bool, media: Vec<Media>| {
        let (call_id, name, content) = (id.to_owned(), "f".to_owned(), content.to_owned());
        message(
            Speaker::Tool,
            vec![Part::ToolResult(ToolResult { call_id, name, content, is_error, media, extra: vec![] })],
        )
    };
    let source = MediaSource::Bytes(b"foo".as_slice().into());
    let image = Media { mime_type: "image/png".to_owned(), source, extra: vec![] };
    let opaque = r#"{"text":"","thoughtSignature":"t"}"#.to_owned();
    let opaque = Part::Other(OtherPart { kind: "thoughtSignature".to_owned(), value: opaque });
    let first = tool_call("sandmill_call_0", vec![pair("thoughtSignature", "\"s\"")]);
    let conversation = vec![
        message(Speaker::User, vec![text("do"), text("")]),
        message(Speaker::Assistant, vec![opaque, first, tool_call("own", vec![])]),
        result("sandmill_call_0", "words", false, vec![image]),
        result("own", r#"{"x":1}"#, false, vec![]),
        result("own", "{", true, vec![]),
        message(Speaker::User, vec![text("go on")]),
    ];
    let expected = json!([
        {"role": "user", "parts": [{"text": "do"}]},
        {"role": "model", "parts": [
            {"text": "", "thoughtSignature": "t"},
            {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s"},
            {"functionCall": {"id": "own", "name": "f", "args": {"a": 1}}},
        ]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "f", "response": {"output": "words"}}},
            {"inlineData": {"mimeType": "image/png", "data": "Zm9v"}},
            {"functionResponse": {"id": "own", "name": "f", "response": {"x": 1}}},
            {"functionResponse": {"id": "own", "name": "f", "response": {"error": "{"}}},
            {"text": "go on"},
        ]},
    ]);
    assert_eq!(encoded(&call(request(conversation)))["contents"], expected);
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
    let config = json!({"responseMimeType": "application/json", "responseJsonSchema": {}, "title": "x"});
    assert_eq!(body["generationConfig"], config);
    let told = json!({"functionResponse": {"id": "1", "name": "f", "response": {"output": "c"}, "title": "x"}});
    assert_eq!(body["contents"][0]["parts"], json!([told]));
}

#[test]
fn what_the_wire_cannot_say_is_refused_before_it_is_sent() {
    let url = MediaSource::Url("https://x/y.mp4".to_owned());
    let video = Part::Media(Media { mime_type: "video/mp4".to_owned(), source: url, extra: vec![] });
    let body = encoded(&call(request(vec![message(Speaker::User, vec![video.clone()])])));
    let expected = json!([{"fileData": {"mimeType": "video/mp4", "fileUri": "https://x/y.mp4"}}]);
    assert_eq!(body["contents"][0]["parts"], expected);
    assert!(refused(request(vec![message(Speaker::System, vec![video])])).contains("`system`"));
    let many = Request { extra: vec![pair("candidateCount", "2")], ..request(vec![]) };
    assert!(refused(many).contains("`candidateCount` belongs to the host"));
}

#[test]
fn an_answer_is_read_whole() {
    let parts = json!([
        {"text": "hm", "thought": true},
        {"text": "a"},
        {"text": "b", "thoughtSignature": "t"},
        {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "s"},
        {"executableCode": {"code": "1"}},
    ]);
    let answer = json!({
        "candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "cachedContentTokenCount": 4,
            "totalTokenCount": 22,
        },
        "modelVersion": "gemini-1", "responseId": "r-1",
    });
    let completion = completion(&answer).unwrap();
    assert_eq!((completion.text.as_str(), completion.finish.as_str()), ("ab", "tool-calls"));
    assert_eq!(completion.model, "gemini-1");
    assert_eq!(completion.extra, [pair("reasoning", "\"hm\"")]);
    let kinds: Vec<_> = completion.opaque.iter().map(|part| (part.kind.as_str(), part.value.as_str())).collect();
    let signature = r#"{"text":"","thoughtSignature":"t"}"#;
    assert_eq!(kinds, [("thoughtSignature", signature), ("executableCode", r#"{"executableCode":{"code":"1"}}"#)]);
    let [call] = &completion.tool_calls[..] else { panic!("one call") };
    assert_eq!((call.id.as_str(), call.arguments.as_str()), ("sandmill_call_0", r#"{"x":1}"#));
    assert_eq!(call.extra, [pair("thoughtSignature", "\"s\"")]);
    let usage = completion.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (10, 12));
    assert_eq!((usage.cache_read_tokens, usage.reasoning_tokens), (4, 7));
    assert_eq!(Gemini.exchange_id(&answer), Some("r-1"));
}

#[test]
fn reasons_are_mapped_and_unknown_ones_kept() {
    let with = |reason: &str| json!({"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": reason}]});
    for (reason, expected) in [("STOP", "stop"), ("MAX_TOKENS", "length"), ("OTHER", "OTHER"), ("", "stop")] {
        assert_eq!(completion(&with(reason)).unwrap().finish, expected);
    }
    for reason in ["SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "RECITATION", "SPII"] {
        assert_eq!(completion(&with(reason)).unwrap().finish, "content-filter");
        let empty = json!({"candidates": [{"finishReason": reason}]});
        assert_eq!(completion(&empty).unwrap().text, "");
    }
    let malformed = completion(&with("MALFORMED_FUNCTION_CALL")).unwrap_err();
    assert_eq!((malformed.class, malformed.code.as_str()), (ErrorClass::Garbage, "malformed_function_call"));
}

#[test]
fn a_blocked_prompt_is_a_refusal_and_nothing_at_all_is_garbage() {
    let blocked = completion(&json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})).unwrap_err();
    assert_eq!((blocked.class, blocked.code.as_str()), (ErrorClass::Refused, "prohibited_content"));
    for (answer, code) in [
        (json!({}), "no_candidates"),
        (json!({"candidates": []}), "no_candidates"),
        (json!({"candidates": [7]}), "wrong_shape"),
        (json!({"candidates": [{"content": {"parts": [{"text": 7}]}}]}), "wrong_shape"),
        (json!({"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]}), "empty_answer"),
        (json!({"candidates": [{"content": {"parts": [{"text": "x", "thought": true}]}}]}), "empty_answer"),
    ] {
        assert_eq!(completion(&answer).unwrap_err().code, code);
    }
}

#[test]
fn addresses_name_the_model_once() {
    let base = address::base("https://h/v1beta").unwrap();
    for model in ["gemini-1", "models/gemini-1"] {
        let url = Gemini.address(&base, model);
        assert_eq!(url.as_str(), "https://h/v1beta/models/gemini-1:generateContent");
        assert_eq!(Gemini.model_address(&base, model).unwrap().as_str(), "https://h/v1beta/models/gemini-1");
    }
    let facts = Gemini.model_facts(&json!({"inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536}), "m");
    assert_eq!(facts, ModelFacts { context: Some(1_048_576), max_output: Some(65_536) });
}

proptest! {
    #[test]
    fn no_json_is_a_success_without_content(
        value in json_value(),
        reason in prop::sample::select(vec!["STOP", "OTHER", ""]),
    ) {
        for answer in [
            value.clone(),
            json!({"candidates": value}),
            json!({"candidates": [value]}),
            json!({"candidates": [{"content": value, "finishReason": reason}], "usageMetadata": value}),
            json!({"candidates": [{"content": {"parts": [value]}, "finishReason": reason}]}),
        ] {
            check_never_empty(completion(&answer));
        }
    }
}

#[test]
fn the_bound_of_an_answer_is_read_where_it_really_stands() {
    let limit = |config: &str| {
        let parameters = Arc::from([pair("generationConfig", config)]);
        let request =
            Request { max_output_tokens: Some(100), ..request(vec![message(Speaker::User, vec![text("q")])]) };
        Gemini.measure(&Call { parameters, ..call(request) }).map(|measure| measure.output_tokens)
    };
    assert_eq!(limit("{}").unwrap(), Some(100));
    assert_eq!(limit(r#"{"maxOutputTokens":5000}"#).unwrap(), Some(5_000));
    assert!(limit(r#"{"candidateCount":4}"#).is_err(), "several candidates are paid for, and one is read");
}
