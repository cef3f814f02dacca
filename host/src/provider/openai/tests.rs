//! The mapping of requests and answers.

use super::*;
use crate::domain::{
    ErrorClass, JsonSchema, Media, MediaSource, Message, OtherPart, Pair, Part, Request, ResponseFormat, Speaker, Tool,
    ToolCall, ToolChoice, ToolResult,
};
use crate::provider::Answer;
use crate::provider::exchange::{Exchange, read};
use crate::provider::testing::{call, json_value, message, pair, request, text};
use proptest::prelude::*;
use request::encode;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::json;
use std::sync::Arc;

fn media(mime_type: &str, source: MediaSource, extra: Vec<Pair>) -> Part {
    Part::Media(Media { mime_type: mime_type.to_owned(), source, extra })
}

fn bytes(bytes: &[u8]) -> MediaSource {
    MediaSource::Bytes(bytes.into())
}

fn encoded(request: Request) -> Value {
    serde_json::from_slice(&encode(&call(request), LimitField::MaxTokens).unwrap()).unwrap()
}

fn messages(messages: Vec<Message>) -> Value {
    encoded(request(messages))["messages"].take()
}

fn refused(request: Request) -> String {
    let error = encode(&call(request), LimitField::MaxTokens).unwrap_err();
    assert_eq!(error.class, ErrorClass::BadRequest);
    error.message
}

fn answer(body: &str) -> Result<Answer, ProviderError> {
    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", HeaderValue::from_static("req-1"));
    let exchange = Exchange { status: 200, headers: &headers, body: body.as_bytes(), now_unix_ms: 0, model: "asked" };
    read(&exchange, &OpenAi::local())
}

fn completion(choice: &Value) -> crate::domain::Completion {
    answer(&json!({ "choices": [choice] }).to_string()).unwrap().completion
}

#[test]
fn the_least_request_holds_nothing_that_was_not_asked_for() {
    let body =
        encoded(request(vec![message(Speaker::System, vec![text("s")]), message(Speaker::User, vec![text("u")])]));
    let expected = json!([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]);
    assert_eq!(body, json!({"model": "m", "messages": expected}));
}

#[test]
fn parameters_go_where_they_belong() {
    let body = encoded(Request {
        tools: vec![Tool {
            name: "f".to_owned(),
            description: "d".to_owned(),
            parameters: r#"{"type":"object"}"#.to_owned(),
            extra: vec![pair("strict", "true")],
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
        extra: vec![pair("temperature", "2"), pair("top_k", "5")],
        ..request(vec![])
    });
    let function = json!({"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true});
    let expected = json!({
        "model": "m",
        "messages": [],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": {}}},
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["x"],
        "seed": u64::MAX,
        "top_k": 5,
    });
    assert_eq!(body, expected);
}

#[test]
fn what_the_operator_sets_wins() {
    let request = Request {
        temperature: Some(0.5),
        max_output_tokens: Some(7),
        extra: vec![pair("top_k", "5"), pair("min_p", "1")],
        ..request(vec![])
    };
    let parameters = [pair("top_k", "9"), pair("temperature", "1"), pair("max_completion_tokens", "99")];
    let call = Call { parameters: Arc::new(parameters), ..call(request) };
    let body: Value = serde_json::from_slice(&encode(&call, LimitField::MaxTokens).unwrap()).unwrap();
    let expected = json!({
        "model": "m", "messages": [], "top_k": 9, "temperature": 1, "max_completion_tokens": 99, "min_p": 1,
    });
    assert_eq!(body, expected);
    let call = Call { parameters: Arc::new([pair("stream", "true")]), ..call };
    assert!(encode(&call, LimitField::MaxTokens).unwrap_err().message.contains("leave it out of the parameters"));
}

#[test]
fn a_schema_keeps_the_order_of_its_properties() {
    let schema = r#"{"properties":{"z":{},"a":{}}}"#.to_owned();
    let format = ResponseFormat::JsonSchema(JsonSchema {
        name: "n".to_owned(),
        schema: schema.clone(),
        strict: false,
        extra: vec![],
    });
    let body = encode(&call(Request { format, ..request(vec![]) }), LimitField::MaxTokens).unwrap();
    assert!(String::from_utf8(body).unwrap().contains(&schema));
}

#[test]
fn what_a_plugin_adds_to_a_schema_or_a_tools_result_stands_beside_it() {
    let (name, schema) = ("n".to_owned(), "{}".to_owned());
    let extra = vec![pair("description", "\"x\""), pair("name", "\"y\"")];
    let format = ResponseFormat::JsonSchema(JsonSchema { name, schema, strict: true, extra });
    let Part::ToolResult(result) = tool_result("1", vec![]) else { panic!("a result") };
    let result = ToolResult { extra: vec![pair("cache", "true"), pair("role", "\"user\"")], ..result };
    let asked = vec![message(Speaker::Tool, vec![Part::ToolResult(result)])];
    let body = encoded(Request { format, ..request(asked) });
    let inner = json!({"name": "n", "strict": true, "schema": {}, "description": "x"});
    assert_eq!(body["response_format"], json!({"type": "json_schema", "json_schema": inner}));
    let told = json!({"role": "tool", "tool_call_id": "1", "content": "result of 1", "cache": true});
    assert_eq!(body["messages"], json!([told]));
}

#[test]
fn only_openais_own_hosts_get_the_newer_limit() {
    for (host, field) in [
        ("api.openai.com", LimitField::MaxCompletionTokens),
        ("eu.api.openai.com", LimitField::MaxCompletionTokens),
        ("notapi.openai.com", LimitField::MaxTokens),
        ("127.0.0.1", LimitField::MaxTokens),
    ] {
        assert_eq!(LimitField::for_host(host), field, "{host}");
    }
}

#[test]
fn every_kind_of_part_has_its_place() {
    let parts = vec![
        text("look"),
        media("image/png", MediaSource::Url("https://x/y.png".to_owned()), vec![pair("detail", "\"low\"")]),
        media("image/png", bytes(b"foo"), vec![]),
        media("audio/mpeg", bytes(b"foo"), vec![]),
        media("application/pdf", bytes(b"foo"), vec![pair("filename", "\"a.pdf\"")]),
        media("text/csv", bytes(b"foo"), vec![]),
        media("application/pdf", MediaSource::Url(String::new()), vec![pair("file_id", "\"file-1\"")]),
        Part::Other(OtherPart { kind: "x".to_owned(), value: r#"{"type":"x","y":1}"#.to_owned() }),
    ];
    let expected = json!([{"role": "user", "content": [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,Zm9v"}},
        {"type": "input_audio", "input_audio": {"data": "Zm9v", "format": "mp3"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,Zm9v", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "data:text/csv;base64,Zm9v", "filename": "file.csv"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "x", "y": 1},
    ]}]);
    assert_eq!(messages(vec![message(Speaker::User, parts)]), expected);
}

fn tool_result(id: &str, media: Vec<Media>) -> Part {
    let (call_id, name, content) = (id.to_owned(), "f".to_owned(), format!("result of {id}"));
    Part::ToolResult(ToolResult { call_id, name, content, is_error: false, media, extra: vec![] })
}

#[test]
fn a_round_of_tool_calls_stays_in_order_with_media_behind_the_results() {
    let arguments = r#"{"a":1}"#.to_owned();
    let extra = vec![pair("extra_content", r#"{"s":"t"}"#)];
    let call = Part::ToolCall(ToolCall { id: "1".to_owned(), name: "f".to_owned(), arguments, extra });
    let image = Media { mime_type: "image/png".to_owned(), source: bytes(b"foo"), extra: vec![] };
    let function = json!({"name": "f", "arguments": "{\"a\":1}"});
    let calls = json!([{"id": "1", "type": "function", "function": function, "extra_content": {"s": "t"}}]);
    let image_part = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,Zm9v"}});
    let expected = json!([
        {"role": "assistant", "content": null, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "1", "content": "result of 1"},
        {"role": "tool", "tool_call_id": "2", "content": "result of 2"},
        {"role": "user", "content": [image_part]},
        {"role": "user", "content": "go on"},
    ]);
    let conversation = vec![
        message(Speaker::Assistant, vec![call]),
        message(Speaker::Tool, vec![tool_result("1", vec![image])]),
        message(Speaker::Tool, vec![tool_result("2", vec![])]),
        message(Speaker::User, vec![text("go on")]),
    ];
    assert_eq!(messages(conversation), expected);
}

#[test]
fn what_the_wire_cannot_say_is_refused_before_it_is_sent() {
    let sound = media("audio/wav", MediaSource::Url("https://x".to_owned()), vec![]);
    assert!(refused(request(vec![message(Speaker::User, vec![sound])])).contains("send its bytes"));
    assert!(refused(request(vec![message(Speaker::Tool, vec![text("x")])])).contains("tool results"));
    let stream = Request { extra: vec![pair("stream", "true")], ..request(vec![]) };
    assert!(refused(stream).contains("`stream` belongs to the host"));
    let broken = Request { extra: vec![pair("top_k", "}")], ..request(vec![]) };
    assert!(refused(broken).contains("`top_k` is not JSON"));
}

#[test]
fn an_answer_is_read_whole() {
    let usage = json!({
        "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.1,
        "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2},
    });
    let message = json!({"role": "assistant", "content": "hi", "reasoning_content": "hm"});
    let body = json!({
        "model": "m-2024", "usage": usage, "service_tier": "flex",
        "choices": [{"message": message, "finish_reason": "length"}],
    });
    let answer = answer(&body.to_string()).unwrap();
    assert_eq!(answer.request_id.as_deref(), Some("req-1"));
    let completion = answer.completion;
    assert_eq!(
        (completion.text.as_str(), completion.finish.as_str(), completion.model.as_str()),
        ("hi", "length", "m-2024")
    );
    let usage = completion.usage;
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.reasoning_tokens),
        (10, 5, 4, 2)
    );
    assert_eq!(usage.extra, [pair("cost", "0.1")]);
    assert_eq!(completion.extra, [pair("reasoning_content", "\"hm\""), pair("service_tier", "\"flex\"")]);
}

#[test]
fn reasoning_that_stands_in_the_total_alone_is_counted_as_output() {
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115});
    let body = json!({"choices": [{"message": {"content": "hi"}}], "usage": usage});
    assert_eq!(answer(&body.to_string()).unwrap().completion.usage.output_tokens, 105);
}

#[test]
fn usage_of_a_wrong_shape_does_not_spoil_the_answer() {
    for usage in [json!(null), json!([]), json!({"prompt_tokens": "many", "prompt_tokens_details": 3})] {
        let body = json!({"choices": [{"message": {"content": "hi"}}], "usage": usage});
        assert_eq!(answer(&body.to_string()).unwrap().completion.usage.input_tokens, 0);
    }
}

#[test]
fn finishes_are_mapped_and_unknown_ones_kept() {
    for (reason, expected) in [
        (json!("stop"), "stop"),
        (json!("length"), "length"),
        (json!("content_filter"), "content-filter"),
        (json!("tool_calls"), "tool-calls"),
        (json!("model_context_window_exceeded"), "model_context_window_exceeded"),
        (json!(null), "stop"),
    ] {
        assert_eq!(completion(&json!({"message": {"content": "x"}, "finish_reason": reason})).finish, expected);
    }
}

#[test]
fn an_answer_without_words_counts_only_with_a_reason() {
    for reason in ["length", "content_filter"] {
        assert_eq!(completion(&json!({"message": {"content": null}, "finish_reason": reason})).text, "");
    }
    let refusal = completion(&json!({"message": {"content": null, "refusal": "I won't"}, "finish_reason": "stop"}));
    assert_eq!((refusal.finish.as_str(), &refusal.extra[..]), ("refusal", &[pair("refusal", "\"I won't\"")][..]));
    let empty = json!({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]});
    assert_eq!(answer(&empty.to_string()).unwrap_err().code, "empty_answer");
}

#[test]
fn content_in_parts_is_joined_and_unknown_parts_are_kept() {
    let thinking = json!({"type": "thinking", "thinking": "hm"});
    let parts = json!([thinking, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    let completion = completion(&json!({"message": {"content": parts}, "finish_reason": "stop"}));
    assert_eq!(completion.text, "ab");
    assert_eq!(completion.opaque, [OtherPart { kind: "thinking".to_owned(), value: thinking.to_string() }]);
}

#[test]
fn tool_calls_are_read_even_if_the_server_says_stop() {
    let calls = json!([
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}, "extra_content": {"s": 1}},
        {"function": {"name": "g", "arguments": {"y": 2}}},
    ]);
    let completion = completion(&json!({"message": {"content": null, "tool_calls": calls}, "finish_reason": "stop"}));
    assert_eq!(completion.finish, "tool-calls");
    let [first, second] = &completion.tool_calls[..] else { panic!("two calls") };
    assert_eq!((first.id.as_str(), first.arguments.as_str()), ("a", "{\"x\":1}"));
    assert_eq!(first.extra, [pair("extra_content", "{\"s\":1}")]);
    assert_eq!((second.id.as_str(), second.arguments.as_str()), ("call_1", "{\"y\":2}"));
}

fn check_arbitrary(status: u16, body: &[u8]) {
    let result =
        read(&Exchange { status, headers: &HeaderMap::new(), body, now_unix_ms: 0, model: "m" }, &OpenAi::local());
    if let Ok(Answer { completion, .. }) = result {
        assert!((200..300).contains(&status));
        let excused = ["length", "content-filter", "refusal"].contains(&completion.finish.as_str());
        assert!(!completion.text.is_empty() || !completion.tool_calls.is_empty() || excused);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(status in 100_u16..600, body in prop::collection::vec(any::<u8>(), 0..200)) {
        check_arbitrary(status, &body);
        check_arbitrary(200, &body);
    }

    #[test]
    fn no_json_is_a_success_without_content(status in 200_u16..600, value in json_value(), parts in json_value()) {
        check_arbitrary(status, value.to_string().as_bytes());
        for body in [
            json!({"choices": value}),
            json!({"choices": [value]}),
            json!({"choices": [{"message": value, "finish_reason": "stop"}], "usage": parts}),
            json!({"choices": [{"message": {"content": value, "tool_calls": parts}}]}),
            json!({"error": value}),
        ] {
            check_arbitrary(200, body.to_string().as_bytes());
            check_arbitrary(status, body.to_string().as_bytes());
        }
    }
}

#[test]
fn what_bounds_the_answer_is_read_from_what_is_sent() {
    let limit = |parameters: Vec<Pair>, asked: Option<u32>| {
        let request = Request { max_output_tokens: asked, ..request(vec![message(Speaker::User, vec![text("q")])]) };
        let call = Call { parameters: Arc::from(parameters), ..call(request) };
        OpenAi::local().measure(&call).unwrap().output_tokens
    };
    assert_eq!(limit(vec![], None), None);
    assert_eq!(limit(vec![], Some(7)), Some(7));
    assert_eq!(limit(vec![pair("max_tokens", "9000")], Some(7)), Some(9_000));
    assert_eq!(limit(vec![pair("max_completion_tokens", "9e3")], Some(7)), Some(9_000));
    let both = vec![pair("max_tokens", "10"), pair("max_completion_tokens", "9000")];
    assert_eq!(limit(both, None), Some(9_000), "servers differ in which they obey");
}
