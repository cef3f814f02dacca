//! Plugins tried outside of any job: against cases, offline and while they are recorded, and on one item from the command line.

use crate::support::{MockServer, Place, Ran, Talking, plugin, root};
use serde_json::{Value, json};
use std::path::Path;

const FILE: &str = "p/tests/cases.jsonl";

/// A folder `p` with one of the plugins, built by a copy, and these cases.
struct Cases {
    place: Place,
}

impl Cases {
    fn of(name: &str, lines: &[Value]) -> Self {
        let cases = Self::empty(name);
        cases.write(lines);
        cases
    }

    fn empty(name: &str) -> Self {
        plugin(name);
        let place = Place::new();
        std::fs::create_dir_all(place.path("p/tests")).unwrap();
        let built = root().join(format!("plugins/target/wasm32-wasip2/plugin/{name}.wasm")).display().to_string();
        let toml = format!(
            "name = \"{name}\"\ncomponent = \"built.wasm\"\nsources = [\"source\"]\n[build]\ncommand = [\"cp\", {built:?}, \"built.wasm\"]\n"
        );
        place.write("p/plugin.toml", toml);
        place.write("p/source", "1");
        Self { place }
    }

    fn write(&self, lines: &[Value]) {
        self.place.write(FILE, lines.iter().map(|line| line.to_string() + "\n").collect::<String>());
    }

    /// At once, as an editor that is looked at would not.
    fn replace(&self, name: &str, text: &str) {
        let new = self.place.write("new", text);
        std::fs::rename(new, self.place.path(name)).unwrap();
    }

    #[track_caller]
    fn test(&self, code: i32, more: &[&str]) -> Ran {
        self.place.run(&[&["plugin", "test", "p"], more].concat()).expect(code)
    }

    fn lines(&self) -> Vec<Value> {
        self.place.read(FILE).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not said in:\n{text}");
    }
}

fn asks(prompts: &[&str], answers: Value) -> Value {
    json!({
        "name": "asks", "item": {"id": "a", "do": "ask-then-trap", "prompts": prompts}, "config": {"repaired": true},
        "answers": answers, "expect": {"emit": [{"answers": ["one", "two"]}]},
    })
}

#[test]
fn cases_pass_offline_where_every_way_to_end_is_what_is_expected() {
    let cases = Cases::of(
        "misbehave",
        &[
            asks(&["x", "y"], json!(["one", {"text": "two", "usage": {"input_tokens": 5}}])),
            json!({"name": "skips", "item": {"do": "skip"}, "expect": {"skip": "asked to"}}),
            json!({"name": "fails", "item": {"do": "fail", "code": "c"}, "expect": {"fail": {"class": "plugin", "code": "c"}}}),
            json!({"name": "begins anew", "item": {"do": "retry", "wait_ms": 50}, "expect": {"retry": {"code": "not_yet", "after_ms": 50}}}),
            json!({"name": "the second attempt", "item": {"do": "retry"}, "attempt": 2, "expect": {"emit": [{"attempt": 2}]}}),
            json!({"name": "panics", "item": {"do": "panic"}, "expect": {"trap": {"kind": "panic"}}}),
            json!({"name": "loops", "item": {"do": "loop"}, "expect": {"trap": {"class": "cpu_time"}}}),
            json!({"name": "emits garbage", "item": {"do": "garbage"}, "expect": {"fail": {"class": "bad_output"}}}),
            json!({"name": "is refused", "item": {"do": "ask"}, "answers": [{"error": {"kind": "refused", "code": "policy"}}], "expect": {"fail": {"code": "policy"}}}),
            json!({"name": "sees no clock but its own", "item": {"do": "clock"}, "expect": {"emit": [{}]}}),
        ],
    );
    let ran = cases.test(0, &["--limit-cpu", "200ms"]);
    says(&ran.stdout, &["misbehave (p): 10 cases", "  pass     asks", "10 cases: 10 passed"]);
    assert!(!ran.stdout.contains('\u{1b}'), "colours are for terminals: {}", ran.stdout);
    // What is built follows from the sources; cases are none.
    assert!(cases.place.path("p/built.wasm").exists());
    assert!(cases.test(0, &["--limit-cpu", "200ms"]).stderr.is_empty());
    let clock = || {
        serde_json::from_str::<Value>(&cases.test(0, &["--json", "--filter", "clock"]).stdout).unwrap()["came"].clone()
    };
    assert_eq!(clock(), clock(), "time and randomness are the same whenever it is run");
}

#[test]
fn what_differs_is_shown_line_by_line_with_its_place_in_80_columns() {
    let long = "The committee met on Monday and talked about the budget of the coming year for several hours without an end in sight.";
    let cases = Cases::of(
        "misbehave",
        &[
            json!({"name": "echoes", "item": {"text": long.replace("Monday", "Sunday"), "m": 1}, "expect": {"emit": [{"echo": {"text": long}}]}}),
            json!({"name": "skips", "item": {"do": "skip"}, "expect": {"emit": [1]}}),
            json!({"name": "fine", "item": {"text": "a"}, "expect": {"emit": [{"echo": {"text": "a"}}]}}),
        ],
    );
    let said = cases.test(3, &[]).stdout;
    says(
        &said,
        &["differs  echoes", "at          p/tests/cases.jsonl:1", "- expected   + came", "on Monday", "on Sunday"],
    );
    says(&said, &["-   \"emit\": [", "+   \"skip\": \"asked to\"", "3 cases: 1 passed, 2 differ"]);
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    assert!(!said.contains("\"m\""), "what nobody expects is not compared: {said}");
    let json = cases.test(3, &["--json"]).stdout;
    let states: Vec<Value> =
        json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["state"].clone()).collect();
    assert_eq!(states, ["differs", "differs", "passed"]);
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((&first["line"], &first["came"]["emit"][0]["echo"]["m"]), (&json!(1), &json!(1)), "all of it: {first}");
}

#[test]
fn a_question_without_an_answer_is_shown_with_what_is_left_and_the_way_out() {
    let other = format!("sha256:{}", "0".repeat(64));
    let taped = json!({"text": "two", "request": other, "asked": "what was asked before"});
    let cases = Cases::of("misbehave", &[asks(&["x", "is it so?"], json!(["one", taped]))]);
    let said = cases.test(3, &[]).stdout;
    says(&said, &["asks     asks", "role default: is it so?", "request     sha256:", "what was asked before"]);
    says(&said, &["sandmill plugin test p --record", "1 unanswered", "1 answer left over"]);
    let many = json!({"name": "many", "item": {"do": "ask-many", "prompts": ["a", "b"]}, "answers": [], "expect": {"emit": []}});
    cases.write(&[many]);
    let said = cases.test(3, &["-v"]).stdout;
    says(&said, &["role default: a", "role default: b", "the case has no answers", "nothing is recorded"]);
}

#[test]
fn answers_that_nobody_asks_for_are_told() {
    let cases = Cases::of("misbehave", &[asks(&["x", "y"], json!(["one", "two", "three"]))]);
    says(&cases.test(0, &[]).stdout, &["asks (1 answer left over)", "1 answer left over: nobody asks for"]);
}

#[test]
fn a_trap_that_nobody_expected_has_its_crash_card() {
    let cases = Cases::of(
        "misbehave",
        &[json!({"name": "p", "item": {"do": "panic", "message": "no such row"}, "expect": {"emit": []}})],
    );
    let said = cases.test(3, &[]).stdout;
    says(&said, &["\"trap\": {", "\ncrash       panic, in attempt 1", "no such row", "misbehave/src/lib.rs:"]);
    cases.test(0, &["--update"]);
    assert_eq!(cases.lines()[0]["expect"], json!({"trap": {"class": "trap", "kind": "panic"}}));
    cases.test(0, &[]);
}

#[test]
fn broken_cases_are_all_told_with_their_lines_and_none_is_run() {
    let cases = Cases::empty("misbehave");
    let broken = "{\"name\": \"a\"}\n\n{\"name\": \"b\", \"item\": {}, \"expekt\": {}}\n{\"name\": \"c\", \"item\": {}, \"expect\": {\"skip\": 1}}\n";
    cases.place.write(FILE, broken);
    let parts = [
        "cases.jsonl:1: missing field `item`",
        "cases.jsonl:3: unknown field `expekt`",
        "did you mean `expect`?",
        "cases.jsonl:4: `expect.skip`",
    ];
    let ran = cases.test(2, &["--update", "--record", "--provider", "mock"]);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    ran.expect_error(2, &parts);
    assert_eq!(cases.place.read(FILE), broken, "it is left alone");
    cases.write(&[json!({"name": "c", "item": {}, "config": {"repaired": "yes"}, "expect": {"emit": []}})]);
    let said = cases.test(2, &[]).stdout;
    says(&said, &["broken   c", "cases.jsonl:1", "/repaired", "1 case: 1 broken"]);
    cases
        .place
        .run(&["plugin", "test", "p", "--filter", "nobody"])
        .expect_error(2, &["no case has a name that holds `nobody`"]);
    cases
        .place
        .run(&["plugin", "test", "p", "--provider", "mock"])
        .expect_error(2, &["without --record a case asks nobody"]);
    cases.place.run(&["plugin", "test", "nowhere"]).expect_error(2, &["there is no nowhere"]);
    cases.place.run(&["plugin", "test", "p/source"]).expect_error(2, &["p/source is no file of cases"]);
    std::fs::remove_file(cases.place.path(FILE)).unwrap();
    cases.place.run(&["plugin", "test", "p"]).expect_error(2, &["there are no cases in p", "p/tests/cases.jsonl"]);
}

#[test]
fn answers_are_recorded_over_http_once_and_serve_offline_afterwards() {
    let cases = Cases::empty("misbehave");
    let before = "{ \"name\":\"asks\" , \"item\":{\"do\":\"ask-then-trap\",\"prompts\":[\"x\",\"y\",\"x\"]},\"config\":{ \"repaired\":true}}\r\n\n{\"name\": \"by hand\", \"item\": {\"do\": \"ask\", \"prompt\": \"q\"}, \"answers\": [ \"mine\" ], \"expect\": {\"emit\": [{\"answer\": \"mine\"}]}}";
    cases.place.write(FILE, before);
    let server = MockServer::start(&cases.place, "");
    let url = server.url.clone();
    let provider = ["--record", "--provider", "openai", "--base-url", &url, "--model", "m"];
    let ran = cases.test(3, &provider);
    says(
        &ran.stdout,
        &[
            "new      asks (3 answers recorded)",
            "pass     by hand",
            "look at it, and accept it with --update",
            "3 answers recorded",
        ],
    );
    assert_eq!(server.requests(), 3, "an answer that is there is not asked for");
    let recorded = cases.place.read(FILE);
    let (first, rest) = recorded.split_once("\r\n").unwrap();
    assert!(first.starts_with(&before[..before.find("}\r").unwrap()]), "{first}");
    assert!(before.ends_with(rest), "every other byte is as it was: {rest}");
    let first: Value = serde_json::from_str(first).unwrap();
    let requests: Vec<&str> =
        first["answers"].as_array().unwrap().iter().map(|answer| answer["request"].as_str().unwrap()).collect();
    assert!(requests[0] == requests[2] && requests[0] != requests[1] && requests[0].starts_with("sha256:"), "{first}");
    assert_eq!(first["answers"][1]["asked"], "y");
    assert!(first["answers"][0]["usage"]["input_tokens"].as_u64().unwrap() > 0, "{first}");
    cases.test(3, &provider);
    assert_eq!((server.requests(), cases.place.read(FILE)), (3, recorded), "nothing is asked twice");
    drop(server);

    says(&cases.test(0, &["--update"]).stdout, &["updated  asks", "outcome     done", "2 cases: 1 passed, 1 updated"]);
    let answers: Vec<&Value> = first["answers"].as_array().unwrap().iter().map(|answer| &answer["text"]).collect();
    assert_eq!(cases.lines_of_asks()["expect"], json!({"emit": [{"answers": answers}]}));
    let all = cases.place.read(FILE);
    cases.test(0, &["--update"]);
    assert_eq!(cases.place.read(FILE), all, "what is as expected is left alone");

    // Whoever asks something else is told what was recorded.
    cases.place.write(FILE, all.replacen("[\"x\",\"y\",\"x\"]", "[\"x\",\"z\",\"x\"]", 1));
    let said = cases.test(3, &["--filter", "asks"]).stdout;
    says(&said, &["role default: z", "left are those of:", "\n                y\n"]);
    let ran = cases.test(3, &["--record", "--provider", "mock", "--filter", "asks"]);
    says(&ran.stdout, &["1 answer recorded", "1 answer that nobody asks for taken out"]);
    let texts: Vec<String> =
        cases.lines_of_asks()["answers"].as_array().unwrap().iter().map(|answer| answer["asked"].to_string()).collect();
    assert_eq!(texts, ["\"x\"", "\"z\"", "\"x\""], "in the order in which they are asked");
}

impl Cases {
    /// Of a file with blank lines.
    fn lines_of_asks(&self) -> Value {
        serde_json::from_str(self.place.read(FILE).lines().next().unwrap()).unwrap()
    }
}

#[test]
fn a_budget_ends_the_recording_and_what_was_paid_until_then_is_in_the_file() {
    let asks = |name: &str| json!({"name": name, "item": {"do": "ask-then-trap", "prompts": [name, "b"]}, "config": {"repaired": true}});
    let cases = Cases::of("misbehave", &[asks("one"), asks("two")]);
    let ran = cases.test(6, &["--record", "--update", "--provider", "mock", "--max-calls", "3"]);
    says(&ran.stderr, &["--max-calls"]);
    let lines = cases.lines();
    assert_eq!((lines[0]["answers"].as_array().unwrap().len(), lines[1]["answers"].as_array().unwrap().len()), (2, 1));
    assert_eq!((lines[0]["expect"].is_object(), &lines[1]["expect"]), (true, &Value::Null));
    let ran = cases.test(0, &["--record", "--update", "--provider", "mock", "--max-calls", "1"]);
    says(&ran.stdout, &["pass     one", "updated  two (1 answer recorded)"]);
    cases.test(0, &[]);
}

#[test]
fn all_answers_are_asked_for_anew_on_wish_and_errors_are_recorded_as_such() {
    let case = json!({"name": "a", "item": {"do": "ask", "prompt": "q"}, "answers": ["mine"], "expect": {"emit": [{"answer": "mine"}]}});
    let cases = Cases::of("misbehave", &[case]);
    let provider = ["--provider", "mock", "--faults", "server_error=100%,in_a_row=100", "--retry-attempts", "1"];
    let ran = cases.test(0, &[&["--record=all", "--update"], &provider[..]].concat());
    says(&ran.stdout, &["updated  a (1 answer recorded, 1 of them errors; 1 answer that nobody asks for taken out)"]);
    let line = &cases.lines()[0];
    assert_eq!(line["answers"][0]["error"]["kind"], "transient", "{line}");
    assert!(line["expect"]["fail"]["code"].is_string(), "{line}");
    cases.test(0, &[]);
}

#[test]
fn a_plugin_whose_sources_have_changed_is_built_first_and_a_build_that_fails_is_told() {
    let cases = Cases::of("misbehave", &[json!({"name": "a", "item": {"text": "a"}, "expect": {"emit": [{}]}})]);
    cases.test(0, &[]);
    std::fs::remove_file(cases.place.path("p/built.wasm")).unwrap();
    cases.test(0, &[]);
    cases.place.write("p/source", "2");
    let toml = cases.place.read("p/plugin.toml").replace("\"cp\"", "\"false\"");
    cases.place.write("p/plugin.toml", toml);
    cases.place.run(&["plugin", "test", "p"]).expect_error(2, &["the build of `misbehave` failed"]);
    assert!(Path::new(&cases.place.path(FILE)).exists());
}

#[test]
fn the_cases_of_the_plugins_here_pass() {
    let place = Place::new();
    let plugins = ["redact", "prompt", "summarize", "extract", "classify", "judge", "translate", "clean"].map(plugin);
    let args: Vec<&str> = ["plugin", "test"].into_iter().chain(plugins.iter().map(String::as_str)).collect();
    let said = place.run(&args).expect(0).stdout;
    assert!(said.lines().filter(|line| line.starts_with("  pass ")).count() >= 40, "{said}");
}

#[test]
fn one_item_is_run_from_the_command_line_and_its_answer_is_all_that_stands_on_stdout() {
    let (place, redact, misbehave) = (Place::new(), plugin("redact"), plugin("misbehave"));
    let run =
        |plugin: &str, code: i32, args: &[&str]| place.run(&[&["plugin", "run", plugin], args].concat()).expect(code);
    let ran = run(&redact, 0, &["--text", "to jo@example.com", "--set", "kinds=[\"email\"]"]);
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((answer["redacted"]["email"].as_u64(), ran.stdout.lines().count()), (Some(1), 1), "{answer}");
    let ran = run(&misbehave, 0, &["--item", r#"{"do": "ask", "prompt": "what?"}"#, "--provider", "mock", "-v"]);
    assert!(ran.stdout.starts_with("{\"answer\":\"mock answer to what?"), "{}", ran.stdout);
    says(
        &ran.stderr,
        &["asked       llm.complete, role default: what?", "from mock-1: mock answer to what?", " tokens"],
    );
    assert!(run(&misbehave, 0, &["--item", r#"{"do": "skip"}"#]).stderr.contains("skipped: asked to"));
    let ran = run(&misbehave, 3, &["--item", r#"{"do": "panic", "message": "no such row"}"#]);
    says(&ran.stderr, &["failed, trap/trap", "crash       panic", "no such row"]);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    let retry = r#"{"do": "ask-then-retry", "prompts": ["q"], "until": 3}"#;
    let ran = run(&misbehave, 0, &["--item", retry, "--provider", "mock", "--json"]);
    let all: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&all["attempts"], all["questions"].as_array().unwrap().len()), (&json!(3), 3), "{all}");
    assert_eq!((&all["outcome"]["state"], all["tokens"].as_u64() > Some(0)), (&json!("done"), true), "{all}");
    run(&misbehave, 3, &["--item", retry, "--provider", "mock", "--max-attempts", "2"]);
    place.write("in.jsonl", "{\"id\": \"a\", \"text\": \"one\"}\nbroken\n{\"id\": 7, \"text\": \"two\"}\n");
    assert!(run(&redact, 0, &["--input", "in.jsonl", "--id", "7"]).stdout.contains("two"));
    assert!(run(&redact, 0, &["--input", "in.jsonl"]).stdout.contains("one"));
    let piped = place.run_with_stdin(&["plugin", "run", &redact, "--item", "-"], b"{\"text\": \"x\"}\n").expect(0);
    assert!(piped.stdout.contains("\"x\""));
    for (args, part) in [
        (&["--item", "[1]"][..], "--item: line 1 is an array"),
        (&["--input", "in.jsonl", "--id", "b"], "no item with the id `b`"),
        (&["--input", "-"], "give one with --item -"),
        (&[], "--item <JSON>"),
        (&["--text", "x", "--set", "kinds=1"], "/kinds"),
    ] {
        run(&redact, 2, args).expect_error(2, &[part]);
    }
    run(&misbehave, 0, &["--item", "{}"]);
    assert!(!place.path(".sandmill").exists(), "nothing is stored");
}

#[test]
fn what_ends_a_job_ends_the_run_of_one_item_with_the_same_code() {
    let (place, misbehave) = (Place::new(), plugin("misbehave"));
    let run = |args: &[&str], code: i32, parts: &[&str]| {
        let item = ["plugin", "run", &misbehave, "--item", r#"{"do": "ask-then-trap", "prompts": ["a", "b"]}"#];
        place.run(&[&item[..], args].concat()).expect_error(code, parts);
    };
    run(&["--provider", "mock", "--max-calls", "1"], 6, &["--max-calls"]);
    run(&["--provider", "mock", "--faults", "models=small"], 5, &["mock-1"]);
}

#[test]
fn a_plugin_is_built_and_tested_again_when_a_source_or_a_case_changes_and_a_failed_build_is_waited_on() {
    let echoes =
        |name: &str| json!({"name": name, "item": {"text": "a"}, "expect": {"emit": [{"echo": {"text": "a"}}]}});
    let cases = Cases::of("misbehave", &[echoes("one")]);
    let watching = Talking::start(&cases.place, &["plugin", "test", "p", "--watch"]);
    says(&watching.until("Waiting for a change"), &["pass     one", "1 case: 1 passed"]);
    cases.replace(FILE, &(echoes("one").to_string() + "\n" + &echoes("two").to_string()));
    says(&watching.until("Waiting for a change"), &["── round 2 ──", "pass     two", "2 cases: 2 passed"]);
    let toml = cases.place.read("p/plugin.toml");
    cases.replace("p/plugin.toml", &toml.replace("\"cp\"", "\"false\""));
    says(&watching.until("Waiting for a change"), &["── round 3 ──", "error: the build of `misbehave` failed"]);
    cases.replace("p/plugin.toml", "nonsense");
    says(&watching.until("Waiting for a change"), &["── round 4 ──", "plugin.toml"]);
    cases.replace("p/plugin.toml", &toml);
    says(&watching.until("Waiting for a change"), &["── round 5 ──", "2 cases: 2 passed"]);
    assert_eq!(watching.end("INT"), Some(130));
}

#[test]
fn an_item_is_run_and_a_plugin_is_built_again_when_a_source_changes() {
    let cases = Cases::empty("misbehave");
    let running = Talking::start(&cases.place, &["plugin", "run", "p", "--item", r#"{"text": "a"}"#, "--watch"]);
    says(&running.until("Waiting for a change"), &[r#"{"echo":{"text":"a"}}"#]);
    cases.replace("p/source", "2");
    says(&running.until("Waiting for a change"), &["── round 2 ──", r#"{"echo":{"text":"a"}}"#]);
    assert_eq!(running.end("TERM"), Some(143));
    let building = Talking::start(&cases.place, &["plugin", "build", "p", "--watch"]);
    says(&building.until("Waiting for a change"), &["built p/built.wasm"]);
    cases.replace("p/source", "3");
    says(&building.until("Waiting for a change"), &["── round 2 ──", "built p/built.wasm"]);
    assert_eq!(building.end("INT"), Some(130));
    let stdin = cases.place.run(&["plugin", "run", "p", "--item", "-", "--watch"]);
    stdin.expect_error(2, &["stdin can be read once"]);
    let file = plugin("misbehave") + "/README.md";
    cases.place.run(&["plugin", "build", &file, "--watch"]).expect_error(2, &["has no plugin.toml"]);
}
