//! Items that crash their plugin: what is known of it afterwards, how one is run again without anybody being asked, and when a plugin
//! that crashes on everything stops its job.

use crate::support::{MockServer, Place, items, plugin, root};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::os::unix::fs::PermissionsExt;

const STORE: &str = ".sandmill/j.db";

/// A job `j` of these items.
struct Job {
    place: Place,
}

impl Job {
    fn new(input: &[Value]) -> Self {
        let place = Place::new();
        place.write("in.jsonl", items(input.len(), |n| input[n].clone()));
        Self { place }
    }

    #[track_caller]
    fn run(&self, code: i32, more: &[&str]) -> String {
        let plugin = plugin("misbehave");
        let args = ["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--job", "j", "--concurrency", "1"];
        self.place.run(&[&args[..], more].concat()).expect(code).stderr
    }

    #[track_caller]
    fn debug(&self, code: i32, more: &[&str]) -> String {
        self.place.run(&[&["debug", "j"], more].concat()).expect(code).stdout
    }

    #[track_caller]
    fn debug_json(&self, code: i32, more: &[&str]) -> Value {
        serde_json::from_str(&self.debug(code, &[more, &["--json"]].concat())).unwrap()
    }

    #[track_caller]
    fn card(&self, item: &str) -> Value {
        let shown = self.place.run(&["failed", "show", "j", item, "--json"]).expect(0).stdout;
        serde_json::from_str::<Value>(&shown).unwrap()["card"].clone()
    }

    fn store(&self) -> Vec<u8> {
        Sha256::digest(std::fs::read(self.place.path(STORE)).unwrap()).to_vec()
    }
}

fn prompts() -> Value {
    json!({"id": "asks", "do": "ask-then-trap", "prompts": ["one", "two"]})
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not said in:\n{text}");
    }
}

#[test]
fn an_item_that_trapped_traps_again_at_the_same_line_with_nobody_to_ask_and_the_store_as_it_was() {
    let job = Job::new(&[prompts(), json!({"id": "panics", "do": "panic"}), json!({"id": "fine", "do": "ok"})]);
    let server = MockServer::start(&job.place, "");
    let url = server.url.clone();
    let said = job.run(3, &["--provider", "openai", "--base-url", &url, "--model", "m"]);
    says(&said, &["sandmill debug j asks shows how"]);
    drop(server);
    let before = job.store();
    let mut read_only = std::fs::metadata(job.place.path(STORE)).unwrap().permissions();
    read_only.set_mode(0o400);
    std::fs::set_permissions(job.place.path(STORE), read_only).unwrap();

    let said = job.debug(3, &["asks"]);
    says(
        &said,
        &[
            "offline: nothing is asked, nothing is stored",
            "llm.complete, role default: one",
            "from the journal: call 1 to m",
        ],
    );
    says(&said, &["failed, trap/trap", "as in the job", "panic, in attempt 1", "trapped after 2 answers, as asked to"]);
    says(&said, &["plugins/misbehave/src/lib.rs:", "last call llm.complete, question 2 of the attempt"]);
    let again = job.debug_json(3, &["asks"]);
    let card = job.card("asks");
    assert_eq!((&again["card"]["kind"], &again["as_before"]), (&json!("panic"), &json!(true)), "{again}");
    for key in ["cause", "said", "frames", "stderr", "attempt", "plugin", "host_calls"] {
        assert_eq!(again["card"][key], card[key], "{key}");
    }
    let frames = card["frames"].as_array().unwrap();
    let is_authors = |frame: &&Value| frame["file"].as_str().is_some_and(|file| file.ends_with("misbehave/src/lib.rs"));
    let line = usize::try_from(frames.iter().find(is_authors).unwrap()["line"].as_u64().unwrap()).unwrap();
    let source = std::fs::read_to_string(root().join("plugins/misbehave/src/lib.rs")).unwrap();
    assert!(source.lines().nth(line - 1).unwrap().contains("assert!(repaired"), "line {line}");

    let panics = job.debug_json(3, &["panics"]);
    assert_eq!((&panics["as_before"], &panics["questions"]), (&json!(true), &json!([])), "{panics}");
    let fine = job.debug_json(0, &["fine"]);
    assert_eq!(
        (&fine["outcome"]["state"], &fine["as_before"], &fine["card"]),
        (&json!("done"), &json!(true), &Value::Null)
    );
    assert_eq!(job.store(), before, "the store is as it was");
    job.place.run(&["debug", "j", "nobody"]).expect_error(2, &["no item `nobody`"]);
}

#[test]
fn what_is_known_of_a_crash_is_shown_within_80_columns_and_in_lists_and_exports() {
    let job = Job::new(&[
        json!({"id": "it's", "do": "panic", "message": "\u{1b}[31mred\u{1b}[0m \u{202e}alert\nsecond line"}),
    ]);
    job.run(3, &[]);
    let shown = job.place.run(&["failed", "show", "j", "it's"]).expect(0).stdout;
    says(
        &shown,
        &["crash       panic, in attempt 1", "red alert", "second line", r"again     sandmill debug j 'it'\''s'"],
    );
    let all_but_input = shown.split("\ninput\n").next().unwrap();
    assert!(!all_but_input.contains(['\u{1b}', '\u{202e}']) && !all_but_input.contains("[31m"), "{shown}");
    let card = shown.split("crash   ").nth(1).unwrap().split("  backtrace").next().unwrap();
    assert!(card.lines().all(|line| line.chars().count() <= 80), "{card}");
    let listed: Value =
        serde_json::from_str(&job.place.run(&["failed", "list", "j", "--json"]).expect(0).stdout).unwrap();
    assert_eq!(listed["crash"]["kind"], "panic", "{listed}");
    assert!(listed["crash"]["at"].as_str().unwrap().contains("misbehave/src/lib.rs:"), "{listed}");
    let columns = ["export", "j", "-o", "-", "--only", "failed", "--columns", "id,card"];
    let exported: Value = serde_json::from_str(&job.place.run(&columns).expect(0).stdout).unwrap();
    assert_eq!(exported["card"]["kind"], "panic", "{exported}");
}

#[test]
fn a_timeout_tells_where_it_was_and_what_it_called_last() {
    let job =
        Job::new(&[json!({"id": "a", "do": "ask-then-loop", "prompts": ["one"]}), json!({"id": "b", "do": "loop"})]);
    job.run(3, &["--provider", "mock", "--limit-wall", "300ms"]);
    let card = job.card("a");
    assert_eq!((&card["kind"], &card["last_call"]["function"]), (&json!("timeout"), &json!("llm.complete")), "{card}");
    assert_eq!((&card["last_call"]["questions"], &card["last_call"]["role"]), (&json!(1), &json!("default")), "{card}");
    assert!(card["last_call"]["before_end_us"].is_u64(), "it had returned: {card}");
    let functions: Vec<&str> =
        card["frames"].as_array().unwrap().iter().filter_map(|f| f["function"].as_str()).collect();
    assert!(functions.iter().any(|name| name.contains("spin")), "a timeout has a backtrace too: {functions:?}");
    assert_eq!(job.card("b")["last_call"], Value::Null);
    let again = job.debug_json(3, &["a", "--limit-wall", "10s", "--limit-cpu", "100ms"]);
    assert_eq!((&again["outcome"]["class"], &again["as_before"]), (&json!("cpu_time"), &json!(false)), "{again}");
}

#[test]
fn each_attempt_is_answered_from_its_own_and_a_question_without_an_answer_stops_the_guest() {
    let job = Job::new(&[
        json!({"id": "retried", "do": "ask-then-retry", "prompts": ["one"], "until": 3}),
        json!({"id": "waits", "do": "ask", "prompt": "never asked"}),
    ]);
    job.run(6, &["--provider", "mock", "--max-calls", "3"]);
    let last = job.debug_json(0, &["retried"]);
    assert_eq!(
        (&last["attempt"], &last["outcome"]["state"], &last["as_before"]),
        (&json!(3), &json!("done"), &json!(true))
    );
    let first = job.debug_json(3, &["retried", "--attempt", "1"]);
    assert_eq!((&first["outcome"]["state"], &first["as_before"]), (&json!("rejected"), &Value::Null), "{first}");
    let answer = |report: &Value| report["questions"][0]["answer"].as_str().unwrap().to_owned();
    assert!(answer(&first).contains("call 1 ") && answer(&last).contains("call 3 "), "{first}\n{last}");
    job.place.run(&["debug", "j", "retried", "--attempt", "9"]).expect_error(2, &["attempt 9", "there is 1, 2, 3"]);
    let said = job.debug(3, &["waits"]);
    says(&said, &["role default: never asked", "nothing is recorded, and the plugin is stopped", "no recorded answer"]);
}

#[test]
fn a_plugin_that_has_changed_is_run_all_the_same_and_both_are_named() {
    let job = Job::new(&[json!({"id": "a", "do": "panic"})]);
    plugin("misbehave");
    let mut bytes = std::fs::read(root().join("plugins/target/wasm32-wasip2/plugin/misbehave.wasm")).unwrap();
    job.place.write("p.wasm", &bytes);
    let old = hex::encode(Sha256::digest(&bytes));
    job.place.run(&["run", "p.wasm", "--input", "in.jsonl", "--job", "j"]).expect(3);
    // An empty section of its own.
    bytes.extend([0, 2, 1, b'x']);
    job.place.write("p.wasm", &bytes);
    let new = hex::encode(Sha256::digest(&bytes));
    says(&job.debug(3, &["a"]), &["the plugin has changed", &old, &new, "as in the job"]);
    assert_eq!(job.debug_json(3, &["a"])["plugin"], json!({"recorded": old, "now": new}));
}

#[test]
fn a_core_dump_is_the_owners_alone_and_its_name_tells_nothing_of_the_item() {
    let job = Job::new(&[json!({"id": "../../secret", "do": "panic"}), json!({"id": "fine", "do": "ok"})]);
    job.run(3, &[]);
    let report = job.debug_json(3, &["../../secret", "--coredump", "cores"]);
    let files: Vec<_> =
        std::fs::read_dir(job.place.path("cores")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(
        report["coredump"].as_str().unwrap(),
        format!("cores/{}", files[0].file_name().unwrap().to_str().unwrap())
    );
    assert!(!files[0].display().to_string().contains("secret"));
    assert_eq!(std::fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
    let dump = std::fs::read(&files[0]).unwrap();
    let has = |name: &[u8]| dump.windows(name.len()).any(|window| window == name);
    assert!(dump.starts_with(b"\0asm\x01\0\0\0") && has(b"corestack") && has(b"coreinstances"), "{} bytes", dump.len());
    assert!(has(b"panicked, as asked to"), "the memory is in it");
    says(&job.debug(0, &["fine", "--coredump", "cores"]), &["core dump   none"]);
}

#[test]
fn a_plugin_that_crashes_on_every_item_stops_its_job_and_the_job_goes_on_once_it_is_mended() {
    let item = |n: usize| json!({"id": n.to_string(), "do": "ask-then-trap", "prompts": ["one"]});
    let job = Job::new(&(0..12).map(item).collect::<Vec<_>>());
    let provider = ["--provider", "mock", "--max-consecutive-errors", "0"];
    let said = job.run(4, &[&provider[..], &["--max-traps", "3"]].concat());
    says(&said, &["crashed on 3 items", "--max-traps 3", "3 times by trap", "trapped after 1 answers", "(item 0)"]);
    says(&said, &["sandmill debug j 0 shows how", "0 done", "sandmill resume j"]);
    let default = job.run(4, &[&provider[..], &["--fresh"]].concat());
    says(&default, &["crashed on 10 items"]);
    job.run(0, &[&provider[..], &["--set", "repaired=true", "--on-change", "keep"]].concat());
    assert_eq!(job.place.rows("out.jsonl").len(), 12);
    let off = job.run(3, &[&provider[..], &["--fresh", "--max-traps", "0"]].concat());
    says(&off, &["12 failed"]);
}

#[test]
fn what_a_plugin_itself_fails_is_no_crash() {
    let job = Job::new(&(0..12).map(|n| json!({"id": n.to_string(), "do": "fail"})).collect::<Vec<_>>());
    let said = job.run(3, &["--max-consecutive-errors", "0", "--max-traps", "1"]);
    assert!(!said.contains("sandmill debug"), "{said}");
}
