//! Limits, each met by a small plugin in text.

mod calls;
mod load;
mod met;

use super::{Compiling, Engine, Job, Limits, Plugin, SandboxError};
use crate::domain::{
    AttemptNumber, Blob, Budget, CallEnd, Completion, Emission, Failure, FailureClass, Item, ItemId, ItemSeq, Llm,
    LlmError, Outcome, Request, TokenCount, Verdict,
};
use std::sync::Arc;

const PLUGIN: &str = include_str!("plugin.wat");
const HOST: &str = include_str!("host.wat");

/// Makes the host's functions callable, beside [`HOST`].
const LOWER: &str = r#"
    (core func $log (canon lower (func $log "log") (memory (core memory $libc "memory"))))
    (core func $read (canon lower (func $blobs "read") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core func $now (canon lower (func $clock "now")))
    (core func $subscribe (canon lower (func $clock "subscribe-duration")))
    (core func $drop (canon resource.drop $pollable))
    (core func $stdout (canon lower (func $stdout "get-stdout")))
    (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
      (memory (core memory $libc "memory"))))"#;
const CORE_IMPORTS: &str = r#"
    (import "host" "log" (func $log (param i32 i32 i32 i32 i32)))
    (import "host" "read" (func $read (param i32 i32 i64 i32 i32)))
    (import "host" "now" (func $now (result i64)))
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "drop" (func $drop (param i32)))
    (import "host" "stdout" (func $stdout (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))"#;
const WITH: &str = r#"(with "host" (instance (export "log" (func $log)) (export "read" (func $read))
    (export "now" (func $now)) (export "subscribe" (func $subscribe)) (export "drop" (func $drop))
    (export "stdout" (func $stdout)) (export "write" (func $write))))"#;

/// A plugin whose sections are those given, and nothing else.
fn plugin(sections: &[(&str, &str)]) -> String {
    let known = [
        "imports",
        "pages",
        "realloc",
        "lower",
        "core-imports",
        "fields",
        "process",
        "describe",
        "post",
        "start",
        "with",
    ];
    assert!(sections.iter().all(|(name, _)| known.contains(name)));
    known.into_iter().fold(PLUGIN.to_owned(), |text, name| {
        let default = if name == "pages" { "4" } else { "" };
        let given = sections.iter().find(|(section, _)| *section == name).map_or(default, |(_, given)| *given);
        text.replace(&format!("@{name}@"), given)
    })
}

/// One that can call the host: `process` does `process`, `fields` defines what that needs.
fn calling(process: &str, others: &[(&str, &str)]) -> String {
    let host =
        [("imports", HOST), ("lower", LOWER), ("core-imports", CORE_IMPORTS), ("with", WITH), ("process", process)];
    plugin(&[&host[..], others].concat())
}

async fn load(limits: Limits, text: &str) -> Result<Plugin, SandboxError> {
    Plugin::load(
        Arc::new(Engine::new(limits, 4).unwrap()),
        &Compiling::here(),
        text.as_bytes(),
        true,
        crate::domain::Digest::of(text.as_bytes()),
    )
    .await
}

/// What a plugin is refused with before any item runs.
async fn refusal(limits: Limits, text: &str) -> String {
    match load(limits, text).await {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error.to_string(),
    }
}

async fn run(plugin: &Plugin, json: &str, llm: Arc<dyn Llm>) -> Verdict {
    let job = Job { name: "j".into(), created_unix_ms: 0, config: "{}".into() };
    let blob =
        Blob { name: "blob".into(), mime_type: "x/y".into(), digest: String::new(), bytes: vec![7; 1 << 20].into() };
    let id = ItemId::new("i").unwrap();
    let item = Item { seq: ItemSeq(1), id, index: 0, json: json.into(), blobs: Arc::new([blob]) };
    plugin.run_attempt(&job, &item, AttemptNumber::FIRST, Budget::default(), llm).await.verdict
}

async fn verdict(limits: Limits, text: &str) -> Verdict {
    run(&load(limits, text).await.unwrap(), "{}", Arc::new(NoModel)).await
}

async fn failure(limits: Limits, text: &str) -> Failure {
    match verdict(limits, text).await {
        Verdict::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn of_class(failure: &Failure, class: FailureClass, flag: &str) {
    assert_eq!(failure.class, class, "{failure:?}");
    assert!(failure.message.contains(flag), "{failure:?}");
}

const DONE: Verdict = Verdict::Finished(Outcome::Done(Vec::<Emission>::new()));

struct NoModel;

#[async_trait::async_trait]
impl Llm for NoModel {
    async fn complete(&self, _: Request) -> Result<Completion, CallEnd> {
        Err(CallEnd::Suspended)
    }

    async fn complete_many(&self, _: Vec<Request>) -> Result<Vec<Result<Completion, LlmError>>, CallEnd> {
        Err(CallEnd::Suspended)
    }

    async fn count_tokens(&self, _: Request) -> Result<TokenCount, CallEnd> {
        Err(CallEnd::Suspended)
    }
}

#[tokio::test]
async fn a_plugin_in_text_does_nothing_and_is_done() {
    assert_eq!(verdict(Limits::default(), &plugin(&[])).await, DONE);
    assert_eq!(verdict(Limits::default(), &calling("", &[])).await, DONE);
}
