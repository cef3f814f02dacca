//! Does what its item says; the same in every language.

#![expect(clippy::panic, clippy::print_stdout, reason = "what happens then is what is looked at")]

use sandmill_plugin::llm::{self, Chat, Response};
use sandmill_plugin::log::{self, Level};
use sandmill_plugin::{Blob, Context, Emission, Failure, Item, Manifest, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Deserialize)]
struct Work {
    #[serde(rename = "do")]
    what: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    value: Value,
    #[serde(default = "default_role")]
    role: String,
}

fn default_role() -> String {
    "default".into()
}

#[derive(Deserialize, JsonSchema)]
struct Config {
    #[serde(default)]
    team: String,
}

#[derive(Deserialize, JsonSchema)]
struct Answer {
    topic: String,
    urgency: i64,
}

fn manifest() -> Manifest {
    let manifest = Manifest::new("conform", "1.0.0", "Does what its item says.").config::<Config>().requires(["do"]);
    ["default", "transient", "small", "rejected", "refused", "sloppy", "stubborn", "slow"]
        .into_iter()
        .fold(manifest, |manifest, role| manifest.optional_role(role, "answers"))
}

fn process(item: Item<Work>, cx: &Context<Config>) -> Result<Outcome, Failure> {
    let work = &item.data;
    match work.what.as_str() {
        "echo" => Ok(Outcome::emit(&work.value)),
        "identity" => Ok(Outcome::emit(json!({
            "id": item.id, "index": item.index, "job": cx.job, "attempt": cx.attempt, "calls": cx.budget.calls,
        }))),
        "numbers" => Ok(Outcome::emit(json!([
            9_007_199_254_740_991_i64,
            9_007_199_254_740_993_i64,
            u64::MAX,
            i64::MIN,
            1e308,
            5e-324,
            -0.0,
            0.1,
        ]))),
        "no-json" => Ok(Outcome::emit(f64::NAN)),
        "config" => Ok(Outcome::emit(&cx.config.team)),
        "chat" => Ok(Outcome::emit(ask(work, "Be brief.").temperature(0.5).text()?)),
        "json" => {
            let answer: Answer = ask(work, "Sort it.").json()?;
            Ok(Outcome::emit(json!({"topic": answer.topic, "next": answer.urgency + 1})))
        }
        "error" => {
            Ok(Outcome::emit(match llm::role(&work.role).user(&work.text).on_overflow(llm::Overflow::Error).text() {
                Ok(text) => json!(text),
                Err(error) => told(&error),
            }))
        }
        "several" => several(),
        "too-many" => Ok(Outcome::emit(match llm::all((0..1001).map(|_| llm::chat().user("a")).collect()) {
            Ok(answers) => json!(answers.len()),
            Err(error) => told(&error),
        })),
        "ask-on" => ask_on(),
        "count" => {
            let count = llm::chat().user(&work.text).count_tokens()?;
            Ok(Outcome::emit(json!({"tokens": count.tokens, "window": count.window, "exact": count.exact})))
        }
        "blob" => read(&item.blobs),
        "attach" => {
            let chat = llm::chat().user(&work.text);
            Ok(Outcome::emit(item.blobs.iter().fold(chat, Chat::blob).text()?))
        }
        "log" => {
            for (level, word) in [
                (Level::Trace, "finest"),
                (Level::Debug, "fine"),
                (Level::Info, "plain"),
                (Level::Warn, "careful"),
                (Level::Error, "wrong"),
            ] {
                log::with_fields(level, word, [("n".to_owned(), json!(1)), ("who".to_owned(), json!("J\u{fc}rgen"))]);
            }
            println!("printed");
            Ok(Outcome::emit("logged"))
        }
        _ => end(work, cx.attempt),
    }
}

sandmill_plugin::export!(manifest, process);

/// The ways in which an item ends.
fn end(work: &Work, attempt: u32) -> Result<Outcome, Failure> {
    match work.what.as_str() {
        "none" => Ok(Outcome::emit_many([0; 0])),
        "many" => Ok(Outcome::emissions([
            Emission::new(1),
            Emission::new(json!({"two": work.text})).named("zweite \u{1f600}"),
            Emission::new(Value::Null),
        ])),
        "skip" => Ok(Outcome::skip("nothing to do")),
        "fail" => Err(Failure::permanent("no_text", "there is nothing here").detail(json!({"seen": work.text}))),
        "retry" if attempt < 2 => Err(Failure::retryable("not_yet", "once more")),
        "retry-later" if attempt < 2 => {
            Err(Failure::retryable("not_yet", "in a moment").after(Duration::from_millis(1)))
        }
        "retry" | "retry-later" => Ok(Outcome::emit(attempt)),
        "retry-for-ever" => Err(Failure::retryable("never", "and again")),
        "loop" => spin(),
        "hog" => hog(),
        _ => crash(work),
    }
}

fn ask(work: &Work, system: &str) -> Chat {
    llm::role(&work.role).system(system).user(&work.text)
}

fn told(error: &llm::Error) -> Value {
    json!({"kind": kind(error.kind), "code": error.code})
}

fn kind(kind: llm::ErrorKind) -> &'static str {
    match kind {
        llm::ErrorKind::Transient => "transient",
        llm::ErrorKind::TooLarge => "too-large",
        llm::ErrorKind::Rejected => "rejected",
        llm::ErrorKind::Refused => "refused",
        llm::ErrorKind::Limit => "limit",
        llm::ErrorKind::Denied => "denied",
        llm::ErrorKind::Cancelled => "cancelled",
        llm::ErrorKind::BadAnswer => "bad-answer",
    }
}

fn several() -> Result<Outcome, Failure> {
    let asked = vec![llm::chat().user("a"), llm::role("transient").user("b"), llm::chat().system("d").user("c")];
    let one = |answer: Result<Response, llm::Error>| match answer {
        Ok(response) => json!(response.text),
        Err(error) => told(&error),
    };
    Ok(Outcome::emit(llm::all(asked)?.into_iter().map(one).collect::<Value>()))
}

fn ask_on() -> Result<Outcome, Failure> {
    let mut asked = 0;
    loop {
        match llm::chat().user(format!("question {asked}")).text() {
            Ok(_) => asked += 1,
            Err(error) => return Ok(Outcome::emit(json!({"asked": asked, "error": told(&error)}))),
        }
    }
}

fn read(blobs: &[Blob]) -> Result<Outcome, Failure> {
    let blob = blobs.first().ok_or_else(|| Failure::permanent("no_blob", "the item has no blob"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Outcome::emit(json!({
        "name": blob.name, "mime_type": blob.mime_type, "size": blob.size, "digest": blob.digest,
        "text": text(blob.read_all()?), "middle": text(blob.read(2, 3)?), "behind": text(blob.read(1000, 3)?),
    })))
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn hog() -> Result<Outcome, Failure> {
    let mut held = Vec::new();
    loop {
        held.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&held);
    }
}

#[inline(never)]
fn crash(work: &Work) -> Result<Outcome, Failure> {
    panic!("cannot do {}: {}", work.what, work.text); // this line
}
