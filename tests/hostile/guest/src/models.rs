//! What is asked of models.

use super::returned::ESCAPES;
use super::{Run, emit, fail};
use sandmill_plugin::bindings::sandmill::plugin::llm::{
    Error, JsonSchema, Media, MediaSource, Message, OtherPart, Part, Request, ResponseFormat, Speaker, Tool, complete,
    complete_many, count_tokens,
};
use sandmill_plugin::bindings::sandmill::plugin::types::{Failure, Outcome, Pair};
use serde_json::{Value, json};

pub(super) fn run(attack: &str, data: &Value) -> Run {
    let n = data["n"].as_u64().unwrap_or(1_000_000);
    Some(match attack {
        "ask" => ask(&request("?")),
        "ask-then-trap" => ask(&request(data["prompt"].as_str().unwrap_or("?"))).and_then(|_| trap()),
        "error-then-trap" => match complete(&Request { role: "nobody".into(), ..request("?") }) {
            Err(_) => trap(),
            Ok(_) => Ok(emit("\"answered\"")),
        },
        "ask-for-ever" => for_ever(|n| complete(&request(&format!("question {n}"))).map(|_| ())),
        "ask-wrongly-for-ever" => {
            let wrong = Request { temperature: Some(f64::NAN), ..request("?") };
            for_ever_whatever(|_| drop(complete(&wrong)))
        }
        "ask-without-leave-for-ever" => {
            let denied = Request { role: "nobody".into(), ..request("?") };
            for_ever_whatever(|_| drop(complete(&denied)))
        }
        "ask-a-million-at-once" => {
            // As many as the memory holds.
            let requests: Vec<Request> =
                (0..n.min(150_000)).map(|_| Request { messages: Vec::new(), ..request("") }).collect();
            many(&requests)
        }
        "ask-too-many-at-once" => many(&vec![request("?"); 1_001]),
        "ask-none-at-once" => many(&[]),
        "prompt-of-a-gigabyte" => ask(&repeated(1_000)),
        "prompt-of-megabytes" => ask(&repeated(4)),
        "prompt-of-endless-parts" => {
            let parts = vec![Part::Text(String::new()); 500_000];
            ask(&with_message(Message { speaker: Speaker::User, parts, cache: true, extra: Vec::new() }))
        }
        "no-messages" => ask(&Request { messages: Vec::new(), ..request("") }),
        "count-for-ever" => for_ever_whatever(|n| drop(count_tokens(&request(&format!("question {n}"))))),
        "count-megabytes-for-ever" => {
            let text = (0..1_000_000_u32)
                .map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 28) as u8))
                .collect::<String>();
            let request = request(&text);
            for_ever_whatever(|_| drop(count_tokens(&request)))
        }
        "hostile-fields" => ask(&hostile_fields()),
        "deep-schema" => ask(&Request { format: schema(&nested(99)), ..request("?") }),
        "too-deep-schema" => ask(&Request { format: schema(&nested(100_000)), ..request("?") }),
        "schema-in-a-circle" => ask(&Request { format: schema("{\"$ref\":\"#\"}"), ..request("{}") }),
        "schema-that-doubles" => {
            ask(&Request { format: schema(data["schema"].as_str().unwrap_or("{}")), ..request("{}") })
        }
        "deep-at-the-bottom" => {
            Ok(emit(deepest(&Request { format: schema(&nested(99)), ..request("?") }, 0).to_string()))
        }
        _ => return None,
    })
}

fn request(text: &str) -> Request {
    with_message(Message {
        speaker: Speaker::User,
        parts: vec![Part::Text(text.into())],
        cache: false,
        extra: Vec::new(),
    })
}

fn with_message(message: Message) -> Request {
    Request {
        role: "default".into(),
        messages: vec![message],
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
    }
}

/// So many parts of one megabyte each.
fn repeated(parts: usize) -> Request {
    // One buffer of a megabyte: its parts are bytes that the guest holds once each, as far as its memory goes.
    let text = "word ".repeat(200_000);
    let held: Vec<Part> = (0..parts.min(100)).map(|_| Part::Text(text.clone())).collect();
    with_message(Message { speaker: Speaker::User, parts: held, cache: false, extra: Vec::new() })
}

fn ask(request: &Request) -> Result<Outcome, Failure> {
    complete(request).map(|answer| emit(json!({ "answer": answer.text }).to_string())).map_err(of)
}

fn many(requests: &[Request]) -> Result<Outcome, Failure> {
    complete_many(requests).map(|answers| emit(answers.len().to_string())).map_err(of)
}

fn of(error: Error) -> Failure {
    fail(error.code, error.message)
}

/// Until the host says no.
fn for_ever(mut call: impl FnMut(u64) -> Result<(), Error>) -> Result<Outcome, Failure> {
    for n in 0.. {
        call(n).map_err(of)?;
    }
    Ok(emit("null"))
}

/// Whatever the host says.
fn for_ever_whatever(mut call: impl FnMut(u64)) -> ! {
    for n in 0.. {
        call(n);
    }
    unreachable!()
}

#[expect(clippy::unnecessary_wraps, reason = "nothing is returned where it traps")]
fn trap() -> Result<Outcome, Failure> {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    Ok(emit("null"))
}

fn nested(depth: usize) -> String {
    "{\"not\":".repeat(depth) + "{}" + &"}".repeat(depth)
}

fn schema(text: &str) -> ResponseFormat {
    ResponseFormat::JsonSchema(JsonSchema {
        name: "answer".into(),
        schema: text.into(),
        strict: true,
        extra: Vec::new(),
    })
}

fn hostile_fields() -> Request {
    let pair = || Pair { name: ESCAPES.into(), value: "{\"a\":1e999}".into() };
    Request {
        role: "default".into(),
        tools: vec![Tool {
            name: ESCAPES.into(),
            description: ESCAPES.into(),
            parameters: "{\"type\":\"\\ud800\"}".into(),
            extra: vec![pair()],
        }],
        stop: vec![String::new(), ESCAPES.into()],
        max_output_tokens: Some(0),
        temperature: Some(-1e300),
        top_p: Some(1e300),
        seed: Some(u64::MAX),
        on_overflow: Some("truncate".into()),
        extra: vec![pair()],
        ..with_message(Message {
            speaker: Speaker::Assistant,
            parts: vec![
                Part::Text(ESCAPES.into()),
                Part::Media(Media {
                    mime_type: ESCAPES.into(),
                    source: MediaSource::Url("file:///etc/passwd".into()),
                    extra: vec![pair()],
                }),
                Part::Other(OtherPart { kind: ESCAPES.into(), value: "1e999".into() }),
            ],
            cache: true,
            extra: vec![pair()],
        })
    }
}

/// Goes down until hardly any stack is left, and has the host work on the way.
#[expect(unconditional_recursion, reason = "that is what it is for")]
fn deepest(request: &Request, depth: u32) -> u64 {
    let answered = if depth.is_multiple_of(64) { u64::from(count_tokens(request).is_ok()) } else { 0 };
    std::hint::black_box(deepest(request, depth + 1)) + answered
}
