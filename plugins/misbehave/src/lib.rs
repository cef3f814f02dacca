//! Misbehaves as the item says, to test a host with: traps, loops, floods, lies, probes. What each way does stands in the README.

mod probes;

use sandmill_plugin::{Context, Emission, Failure, Item, Manifest, Outcome, llm};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// What an item may say besides.
#[derive(Debug, Deserialize)]
pub struct Wish {
    #[serde(rename = "do", default)]
    way: String,
    size: Option<usize>,
    n: Option<usize>,
    ms: Option<u64>,
    wait_ms: Option<u64>,
    until: Option<u32>,
    code: Option<String>,
    message: Option<String>,
    text: Option<Value>,
    prompt: Option<String>,
    #[serde(default)]
    prompts: Vec<String>,
    addr: Option<String>,
    /// Fields of the provider's own that `ask` adds.
    #[serde(default)]
    extra: serde_json::Map<String, Value>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// Whether `ask-then-trap` answers instead.
    #[serde(default)]
    repaired: bool,
}

fn manifest() -> Manifest {
    Manifest::new("misbehave", env!("CARGO_PKG_VERSION"), "Misbehaves as the item says, to test a host with.")
        .config::<Config>()
        .optional_role("default", "any model")
}

fn process(item: Item<Wish>, cx: &Context<Config>) -> Result<Outcome, Failure> {
    let wish = &item.data;
    match wish.way.as_str() {
        "" if !item.blobs.is_empty() => probes::blobs(&item.blobs).map(Outcome::emit),
        "" | "ok" => Ok(echo(wish)),
        "skip" => Ok(Outcome::skip("asked to")),
        "many" => Ok(Outcome::emit_many(0..wish.n.unwrap_or(3))),
        "fail" => Err(Failure::permanent(text(wish.code.as_ref(), "failed"), text(wish.message.as_ref(), "asked to"))),
        "retry" => retry(wish, cx.attempt),
        "ask" => ask_with(&text(wish.prompt.as_ref(), "?"), &wish.extra),
        "ask-many" => ask_many(&wish.prompts),
        "ask-holding" => ask_holding(&text(wish.prompt.as_ref(), "?"), wish.size.unwrap_or(10_000_000)),
        "ask-then-trap" => ask_then_trap(&wish.prompts, cx.config.repaired),
        "ask-then-loop" => {
            ask_each(&wish.prompts)?;
            spin()
        }
        "ask-then-retry" => {
            let answers = ask_each(&wish.prompts)?;
            retry(wish, cx.attempt).map(|_| Outcome::emit(json!({ "answers": answers })))
        }
        "blob" => probes::blobs(&item.blobs).map(Outcome::emit),
        "clock" => Ok(Outcome::emit(probes::clock())),
        "env" => Ok(Outcome::emit(probes::environment())),
        "fs" => Ok(Outcome::emit(probes::files())),
        "net" => Ok(Outcome::emit(probes::network(wish.addr.as_deref().unwrap_or("127.0.0.1:80")))),
        "sleep" => {
            std::thread::sleep(Duration::from_millis(wish.ms.unwrap_or(1_000)));
            Ok(Outcome::emit(json!({ "slept_ms": wish.ms })))
        }
        "log" | "stdout" | "stderr" => Ok(flood(wish)),
        "garbage" => Ok(emit_text("{not json".to_owned())),
        "deep" => Ok(emit_text(format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000)))),
        "huge" => Ok(emit_text(huge(wish.size.unwrap_or(100_000_000)))),
        "trap" | "loop" | "allocate" | "panic" | "recurse" | "exit" => end_badly(wish),
        other => Err(Failure::permanent("unknown_behaviour", format!("there is no way to `{other}`"))),
    }
}

fn text(given: Option<&String>, otherwise: &str) -> String {
    given.map_or_else(|| otherwise.to_owned(), Clone::clone)
}

fn echo(wish: &Wish) -> Outcome {
    let mut fields = wish.rest.clone();
    fields.insert("text".to_owned(), wish.text.clone().unwrap_or_default());
    Outcome::emit(json!({ "echo": fields }))
}

fn emit_text(json: String) -> Outcome {
    Outcome::emissions([Emission::from_json(json)])
}

fn retry(wish: &Wish, attempt: u32) -> Result<Outcome, Failure> {
    if attempt >= wish.until.unwrap_or(2) {
        return Ok(Outcome::emit(json!({ "attempt": attempt })));
    }
    let failure = Failure::retryable("not_yet", format!("attempt {attempt} is not enough"));
    Err(match wish.wait_ms {
        Some(ms) => failure.after(Duration::from_millis(ms)),
        None => failure,
    })
}

fn ask(prompt: &str) -> Result<String, Failure> {
    Ok(llm::chat().user(prompt).text()?)
}

fn ask_with(prompt: &str, extra: &serde_json::Map<String, Value>) -> Result<Outcome, Failure> {
    let chat = llm::chat().user(prompt);
    let chat = extra.iter().fold(chat, |chat, (name, value)| chat.extra(name, value));
    Ok(Outcome::emit(json!({ "answer": chat.text()? })))
}

fn ask_each(prompts: &[String]) -> Result<Vec<String>, Failure> {
    prompts.iter().map(|prompt| ask(prompt)).collect()
}

fn ask_many(prompts: &[String]) -> Result<Outcome, Failure> {
    let answers = llm::all(prompts.iter().map(|prompt| llm::chat().user(prompt.as_str())).collect())?;
    let texts = answers.into_iter().map(|answer| Ok(answer?.text)).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Outcome::emit(json!({ "answers": texts })))
}

/// With so many bytes held while it waits.
fn ask_holding(prompt: &str, size: usize) -> Result<Outcome, Failure> {
    let held = std::hint::black_box(vec![1_u8; size]);
    let answer = ask(prompt)?;
    Ok(Outcome::emit(json!({ "answer": answer, "held": std::hint::black_box(held).len() })))
}

fn ask_then_trap(prompts: &[String], repaired: bool) -> Result<Outcome, Failure> {
    let answers = ask_each(prompts)?;
    assert!(repaired, "trapped after {} answers, as asked to", answers.len());
    Ok(Outcome::emit(json!({ "answers": answers })))
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "that is what it is for")]
fn flood(wish: &Wish) -> Outcome {
    let line = match &wish.text {
        Some(Value::String(text)) => text.clone(),
        _ => "x".repeat(wish.size.unwrap_or(20)),
    };
    let n = wish.n.unwrap_or(1);
    for _ in 0..n {
        match wish.way.as_str() {
            "log" => sandmill_plugin::log::info(&line),
            "stdout" => println!("{line}"),
            _ => eprintln!("{line}"),
        }
    }
    Outcome::emit(json!({ "lines": n }))
}

/// One allocation of exactly its size, filled at once.
fn huge(size: usize) -> String {
    let mut json = vec![b'x'; size + 2];
    json[0] = b'"';
    json[size + 1] = b'"';
    String::from_utf8(json).unwrap_or_default()
}

#[expect(clippy::panic, clippy::disallowed_methods, reason = "that is what it is for")]
fn end_badly(wish: &Wish) -> Result<Outcome, Failure> {
    match wish.way.as_str() {
        "trap" => trap(),
        "loop" => spin(),
        "allocate" => allocate(),
        "recurse" => Ok(Outcome::emit(recurse(0))),
        "exit" => std::process::exit(3),
        _ => panic!("{}", text(wish.message.as_ref(), "panicked, as asked to")),
    }
}

#[cfg(target_arch = "wasm32")]
fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() -> ! {
    std::process::abort()
}

fn spin() -> ! {
    let mut count = 0_u64;
    loop {
        count = std::hint::black_box(count.wrapping_add(1));
    }
}

fn allocate() -> ! {
    let mut kept = Vec::new();
    loop {
        kept.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

/// Small frames, so that the engine's stack ends before the one that the compiler keeps in memory.
#[expect(unconditional_recursion, clippy::only_used_in_recursion, reason = "that is what it is for")]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(depth + 1)) + 1
}

sandmill_plugin::export!(manifest, process);
