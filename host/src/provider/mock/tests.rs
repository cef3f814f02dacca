//! What can be counted on when testing against the mock.

use super::prompt::Digest;
use super::*;
use crate::domain::{ErrorClass, Message, Part, Request, ResponseFormat, Speaker};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;

fn call(text: &str, max_output_tokens: Option<u32>) -> Call {
    let message =
        Message { speaker: Speaker::User, parts: vec![Part::Text(text.to_owned())], cache: false, extra: vec![] };
    let request = Request {
        role: "default".to_owned(),
        messages: vec![message],
        tools: vec![],
        tool_choice: None,
        format: ResponseFormat::Text,
        max_output_tokens,
        temperature: None,
        top_p: None,
        stop: vec![],
        seed: None,
        on_overflow: None,
        extra: vec![],
    };
    Call { model: "m".to_owned(), request: Arc::new(request), parameters: Arc::new([]), identity: [0; 32] }
}

fn mock(faults: &str) -> MockProvider {
    MockProvider::new(Faults::parse(faults).unwrap(), 1)
}

fn receive(mock: &Core, wire: Wire, body: &Value) -> Reply {
    let (body, moment) = (body.to_string(), Moment::default());
    mock.receive(Arrival { wire, caller: Caller::InProcess, body: body.as_bytes(), model: Some("m"), moment })
}

fn ask(mock: &Core, body: &Value) -> Value {
    match receive(mock, Wire::OpenAi, body).end {
        End::Whole(body) => serde_json::from_str(&body).unwrap(),
        End::Broken(_) | End::Closed => panic!("no fault was asked for"),
    }
}

#[tokio::test]
async fn an_answer_shows_its_question_and_a_digest_and_is_always_the_same() {
    let mock = mock("");
    let long = "a question of more than forty characters, two\nlines";
    let first = mock.complete(&call(long, None)).await.unwrap().completion;
    assert!(first.text.starts_with("mock answer to a question of more than forty characters… ["), "{}", first.text);
    assert_eq!(first.text.len() - first.text.find('[').unwrap(), 14);
    assert_eq!(first, mock.complete(&call(long, None)).await.unwrap().completion);
    assert_ne!(first.text, mock.complete(&call("another", None)).await.unwrap().completion.text);
    assert_eq!((first.finish.as_str(), first.usage.input_tokens), ("stop", 3 + 13));
    assert_eq!(first.usage.output_tokens, estimate(&first.text));
}

fn estimate(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(4)
}

#[tokio::test]
async fn a_limit_cuts_the_answer() {
    let completion = mock("").complete(&call("x", Some(2))).await.unwrap().completion;
    assert_eq!((completion.text.as_str(), completion.finish.as_str()), ("mock ans", "length"));
    assert_eq!(completion.usage.output_tokens, 2);
}

#[test]
fn json_is_answered_where_json_is_asked_for() {
    let core = Core::new(Faults::default(), 1);
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
    body["response_format"] = json!({"type": "json_object"});
    let text = |answer: &Value| answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let value: Value = serde_json::from_str(&text(&ask(&core, &body))).unwrap();
    assert_eq!(value["answer"], "mock answer to x");
    let schema = json!({"properties": {"n": {"type": "integer", "minimum": 7, "maximum": 7}, "s": {"type": "string"}}});
    body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}});
    let value: Value = serde_json::from_str(&text(&ask(&core, &body))).unwrap();
    assert_eq!(value["n"], 7);
    let digest = receive(&core, Wire::OpenAi, &body).digest.unwrap().to_string();
    assert!(value["s"].as_str().unwrap().contains(&digest));
}

#[test]
fn a_tool_is_called_where_the_request_leaves_no_choice() {
    let core = Core::new(Faults::default(), 1);
    let parameters = json!({"type": "object", "properties": {"city": {"enum": ["Rome"]}}});
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": parameters}}]);
    let messages = json!([{"role": "user", "content": "x"}]);
    let body = json!({"model": "m", "messages": messages, "tools": tools, "tool_choice": "required"});
    let answer = ask(&core, &body);
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    let function = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(*function, json!({"name": "f", "arguments": r#"{"city":"Rome"}"#}));
}

#[tokio::test]
async fn every_fault_is_read_as_what_a_real_one_would_be() {
    for (faults, class) in [
        ("rate_limit=100%", ErrorClass::RateLimited),
        ("overloaded=100%", ErrorClass::Overloaded),
        ("server_error=100%", ErrorClass::ServerError),
        ("timeout=100%,hang=1ms", ErrorClass::Timeout),
        ("garbage=100%", ErrorClass::Garbage),
        ("connection=100%", ErrorClass::Connection),
        ("context=3", ErrorClass::ContextOverflow),
        ("quota_after=0", ErrorClass::QuotaExhausted),
        ("models=other", ErrorClass::ModelUnknown),
    ] {
        let error = mock(faults).complete(&call("x", None)).await.unwrap_err();
        assert_eq!(error.class, class, "{faults}: {error}");
    }
}

#[tokio::test]
async fn no_request_is_hit_more_than_three_times_in_a_row() {
    let mock = mock("server_error=100%");
    for round in 0..2 {
        for _ in 0..3 {
            assert!(mock.complete(&call("x", None)).await.is_err(), "round {round}");
        }
        assert!(mock.complete(&call("x", None)).await.is_ok(), "round {round}");
    }
}

#[tokio::test]
async fn faults_come_as_often_as_they_are_asked_for_and_the_same_for_the_same_seed() {
    let count = async |seed| {
        let mock = MockProvider::new(Faults::parse("server_error=20%").unwrap(), seed);
        let mut failed = HashSet::new();
        for nth in 0..1_000 {
            if mock.complete(&call(&format!("question {nth}"), None)).await.is_err() {
                failed.insert(nth);
            }
        }
        failed
    };
    let first = count(1).await;
    assert!((150..250).contains(&first.len()), "{}", first.len());
    assert_eq!(first, count(1).await);
    assert_ne!(first, count(2).await);
}

#[tokio::test]
async fn garbage_comes_in_every_kind() {
    let mock = mock("garbage=100%");
    let mut codes = HashSet::new();
    for nth in 0..50 {
        codes.insert(mock.complete(&call(&format!("question {nth}"), None)).await.unwrap_err().code);
    }
    let expected = ["not_json", "cut_off", "empty_body", "no_choices"];
    assert_eq!(codes, expected.into_iter().map(str::to_owned).collect());
}

#[tokio::test]
async fn the_quota_counts_answers() {
    let mock = mock("quota_after=2");
    let mut ends = Vec::new();
    for _ in 0..3 {
        ends.push(mock.complete(&call("x", None)).await.is_ok());
    }
    assert_eq!(ends, [true, true, false]);
}

#[tokio::test]
async fn the_context_counts_the_answer_too_and_says_the_numbers() {
    let mock = mock("context=100");
    assert!(mock.complete(&call("x", Some(96))).await.is_ok());
    let error = mock.complete(&call("x", Some(97))).await.unwrap_err();
    let numbers = "maximum context length is 100 tokens. However, you requested 101 tokens (4 in the messages, 97 in";
    assert!(error.message.contains(numbers), "{error}");
    let error = mock.complete(&call(&"x".repeat(400), None)).await.unwrap_err();
    assert!(error.message.contains("your messages resulted in 103 tokens"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn limits_by_the_minute_are_kept_and_told() {
    let mock = mock("rpm=60");
    let first = mock.complete(&call("x", None)).await.unwrap();
    assert_eq!((first.limits.requests.limit, first.limits.requests.remaining), (Some(60), Some(0)));
    let error = mock.complete(&call("x", None)).await.unwrap_err();
    assert_eq!((error.class, error.retry_after), (ErrorClass::RateLimited, Some(Duration::from_secs(1))));
    assert_eq!(error.limits.requests.reset, Some(Duration::from_secs(1)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(mock.complete(&call("x", None)).await.is_ok());
    let never = self::mock("tpm=10").complete(&call(&"x".repeat(100), None)).await.unwrap_err();
    assert_eq!(never.class, ErrorClass::RequestTooLarge);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_at_home_for_the_time_that_was_set() {
    let mock = mock("down=5s..25s");
    let mut ends = Vec::new();
    for _ in 0..4 {
        ends.push(mock.complete(&call("x", None)).await.map(|_| ()).map_err(|error| error.class));
        tokio::time::sleep(Duration::from_millis(9_999)).await;
    }
    let down = Err(ErrorClass::Connection);
    assert_eq!(ends, [Ok(()), down, down, Ok(())]);
}

#[tokio::test]
async fn more_output_than_the_model_has_is_refused_and_none_asked_for_is_cut() {
    let mock = mock("max_output=2,context=4096");
    let error = mock.complete(&call("x", Some(3))).await.unwrap_err();
    assert_eq!((error.class, error.overflow.output_limit), (ErrorClass::MaxOutputTooLarge, Some(2)));
    assert_eq!(mock.complete(&call("x", None)).await.unwrap().completion.finish, "length");
    let facts = mock.model("m").await.unwrap();
    assert_eq!((facts.context, facts.max_output), (Some(4096), Some(2)));
}

#[test]
fn waits_are_those_that_were_asked_for() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
    let wait = |faults: &str| {
        let core = Core::new(Faults::parse(faults).unwrap(), 1);
        receive(&core, Wire::OpenAi, &body).wait.as_millis()
    };
    assert_eq!(wait(""), 0);
    assert_eq!(wait("latency=50ms"), 50);
    assert_eq!(wait("timeout=100%,hang=5s,latency=50ms"), 5_000);
    assert_eq!(wait("rate_limit=100%,latency=50ms"), 0);
    assert!((50..=70).contains(&wait("latency=50ms,jitter=20ms")));
}

#[tokio::test]
async fn a_rate_limit_asks_for_the_wait_that_was_set() {
    for (faults, expected_ms) in [("", Some(1_000)), (",retry_after=20ms", Some(20)), (",retry_after=0s", None)] {
        let error = mock(&format!("rate_limit=100%{faults}")).complete(&call("x", None)).await.unwrap_err();
        assert_eq!(error.retry_after.map(|wait| wait.as_millis()), expected_ms, "{faults}");
    }
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "boolean"})),
        Just(json!({"type": ["null", "string"]})),
        Just(json!({"const": [1]})),
        Just(json!({"enum": ["a", 2, null]})),
        Just(json!({"$ref": "#/$defs/leaf"})),
        (0_u64..30, 0_u64..30)
            .prop_map(|(least, more)| json!({"type": "string", "minLength": least, "maxLength": least + more})),
        (-500_i64..500, 0_i64..300)
            .prop_map(|(least, more)| json!({"type": "integer", "minimum": least, "maximum": least + more})),
        (-500_i64..500).prop_map(|most| json!({"type": "integer", "exclusiveMaximum": most})),
        (-500_i64..500).prop_map(|least| json!({"type": "number", "exclusiveMinimum": least})),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        let field = prop::sample::select(vec!["a", "b", "c"]);
        let fields = prop::collection::btree_map(field, inner.clone(), 0..3);
        prop_oneof![
            (fields, any::<bool>()).prop_map(|(fields, all)| {
                let required: Vec<_> = fields.keys().filter(|_| all).collect();
                json!({"type": "object", "properties": fields, "required": required})
            }),
            (inner.clone(), 0_u64..4, 0_u64..4)
                .prop_map(|(items, least, more)| json!({"type": "array", "items": items, "minItems": least, "maxItems": least + more})),
            prop::collection::vec(inner, 1..3).prop_map(|alternatives| json!({"anyOf": alternatives})),
        ]
    })
}

/// Whether a value fits a schema of the kind above.
fn fits(schema: &Value, value: &Value) -> bool {
    let int = |name: &str| schema.get(name).and_then(Value::as_i64);
    let within = |number: i64, least: &str, most: &str| {
        int(least).is_none_or(|least| number >= least) && int(most).is_none_or(|most| number <= most)
    };
    if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
        return alternatives.iter().any(|schema| fits(schema, value));
    }
    if schema.get("$ref").is_some() {
        return value.is_boolean();
    }
    if let Some(constant) = schema.get("const") {
        return value == constant;
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.contains(value);
    }
    match (schema["type"].as_str(), value) {
        (Some("boolean"), Value::Bool(_)) | (None, Value::String(_)) => true,
        (Some("string"), Value::String(text)) => {
            within(i64::try_from(text.chars().count()).unwrap(), "minLength", "maxLength")
        }
        (Some("integer"), Value::Number(number)) => {
            let number = number.as_i64().unwrap();
            within(number, "minimum", "maximum") && int("exclusiveMaximum").is_none_or(|most| number < most)
        }
        (Some("number"), Value::Number(number)) => {
            number.as_f64().unwrap() > schema["exclusiveMinimum"].as_f64().unwrap()
        }
        (Some("array"), Value::Array(list)) => {
            within(i64::try_from(list.len()).unwrap(), "minItems", "maxItems")
                && list.iter().all(|value| fits(&schema["items"], value))
        }
        (Some("object"), Value::Object(object)) => {
            let required = schema["required"].as_array().unwrap();
            required.iter().all(|name| object.contains_key(name.as_str().unwrap()))
                && object.iter().all(|(name, value)| fits(&schema["properties"][name], value))
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_is_filled_in_fits_the_schema(mut schema in schema(), digest in any::<[u8; 6]>()) {
        schema["$defs"] = json!({"leaf": {"type": "boolean"}});
        let value = schema::fill(&schema, Digest(digest));
        prop_assert!(fits(&schema, &value), "{schema} {value}");
        prop_assert_eq!(schema::fill(&schema, Digest(digest)), value);
    }
}

#[test]
fn schemas_without_an_end_are_ended() {
    let digest = Digest([7; 6]);
    let list = json!({
        "$ref": "#/$defs/node",
        "$defs": {"node": {"type": "object", "required": ["next"], "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}},
    });
    assert_eq!(schema::fill(&list, digest), json!({"next": {"next": {"next": null}}}));
    let tree = json!({"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}});
    assert!(schema::fill(&tree, digest).is_object());
    assert_eq!(schema::fill(&json!({"$ref": "#"}), digest), Value::Null);
    let wide =
        json!({"type": "array", "minItems": 1_000_000_000_u64, "items": {"type": "array", "minItems": 1_000_000_u64}});
    assert!(schema::fill(&wide, digest).is_array());
    let both = json!({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]});
    assert_eq!(schema::fill(&both, digest), json!({"a": 1, "b": 2}));
}
