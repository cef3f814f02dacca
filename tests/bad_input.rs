//! Bad input gets a clear error that names the way out, a documented exit code, and nothing is lost.

use crate::support::{MockServer, Place, items, plugin};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

fn with_items() -> Place {
    let place = Place::new();
    place.write("in.jsonl", items(3, |index| json!({"id": index, "do": "ask", "prompt": "p", "text": "t"})));
    place
}

#[test]
fn what_is_not_there_or_not_a_plugin_is_told_before_anything_runs() {
    let place = with_items();
    let run = |plugin: &str, more: &[&str]| place.run(&[&["run", plugin, "--input", "in.jsonl"], more].concat());
    place.run(&["run", &plugin("redact"), "--input", "nowhere.jsonl"]).expect_error(2, &["nowhere.jsonl"]);
    run("nowhere.wasm", &[]).expect_error(2, &["there is no plugin at"]);
    place.write("core.wasm", b"\0asm\x01\0\0\0");
    run("core.wasm", &[]).expect_error(2, &["core WebAssembly module", "wasm32-wasip2"]);
    place.write("text.wasm", "hello");
    run("text.wasm", &[]).expect_error(2, &["not WebAssembly"]);
    place.write("empty.wasm", "");
    run("empty.wasm", &[]).expect_error(2, &["empty"]);
    let whole = std::fs::read(crate::support::root().join("plugins/target/wasm32-wasip2/plugin/redact.wasm")).unwrap();
    place.write("cut.wasm", &whole[..whole.len() / 2]);
    run("cut.wasm", &[]).expect_error(2, &["truncated or damaged"]);
    place.write("other.wat", r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m)) (func (export "f") (canon lift (core func $i "f"))))"#);
    run("other.wat", &[]).expect_error(2, &["another world", "`f`"]);
    std::fs::create_dir(place.path("folder")).unwrap();
    run("folder", &[]).expect_error(2, &["plugin.toml"]);
    place.write("folder/plugin.toml", "name = \"x\"\ncomponent = \"x.wasm\"\n[build]\ncommand = [\"true\"]\n");
    run("folder", &[]).expect_error(2, &["has not been built", "sandmill plugin build /"]);
}

#[test]
fn a_malformed_line_fails_alone_and_a_repeated_id_stops_the_batch_before_it_starts() {
    let place = Place::new();
    place.write("in.jsonl", "{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"b\",\n{\"id\":\"c\",\"text\":\"y\"}\n");
    let args = ["run", &plugin("redact"), "--input", "in.jsonl", "--output", "out.jsonl", "--job", "j"];
    place.run(&args).expect(3);
    let ids: Vec<String> = place.rows("out.jsonl").into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["a", "c"]);
    let log = place.run(&["log", "j"]).expect(0).stdout;
    assert!(log.contains("line 2") && log.contains("bad_input"), "{log}");
    place.write("twice.jsonl", "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"a\"}\n");
    let args = ["run", &plugin("redact"), "--input", "twice.jsonl"];
    place.run(&args).expect_error(2, &["`a` comes twice, in lines 1 and 3", "--on-duplicate skip"]);
    place.run(&[&args[..], &["--on-duplicate", "skip"]].concat()).expect(0);
}

#[test]
fn a_provider_that_refuses_the_job_parks_it_and_the_same_command_goes_on() {
    let place = with_items();
    let server = MockServer::start(&place, "key=right,models=good");
    let plugin = plugin("misbehave");
    let base = ["run", &plugin, "--input", "in.jsonl", "--provider", "openai", "--base-url", &server.url];
    let run = |model: &str, key: &str| {
        let mut command = place.command(&[&base[..], &["--model", model, "--on-change", "keep"]].concat());
        let output = command.env("OPENAI_API_KEY", key).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run("good", "wrong");
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("sandmill resume") && said.contains("3 pending") && !said.contains("wrong"), "{said}");
    let (code, said) = run("bad", "right");
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("--model"), "{said}");
    let (code, said) = run("good", "right");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_provider_that_never_answers_parks_the_job() {
    let place = Place::new();
    place.write("in.jsonl", items(40, |index| json!({"id": index, "do": "ask", "prompt": "p"})));
    let plugin = plugin("misbehave");
    let args = [
        "run",
        &plugin,
        "--input",
        "in.jsonl",
        "--provider",
        "openai",
        "--base-url",
        "http://127.0.0.1:9/v1",
        "--model",
        "m",
        "--retry-min",
        "1ms",
        "--retry-max",
        "2ms",
        "--concurrency",
        "2",
        "--json",
    ];
    let ran = place.run(&args).expect(5);
    let summary = ran.summary();
    assert_eq!(summary["job"]["pending"], 40, "{summary}");
    assert!(ran.stderr.contains("nothing ever came") && ran.stderr.contains("connect"), "{}", ran.stderr);
}

#[test]
fn a_run_that_needs_a_model_and_names_none_says_how() {
    let place = with_items();
    let args = ["run", &plugin("summarize"), "--input", "in.jsonl"];
    place.run(&args).expect_error(2, &["--provider openai --model", "--provider mock"]);
    let args = ["run", &plugin("redact"), "--input", "in.jsonl", "--json", "--output", "-"];
    place.run(&args).expect_error(2, &["--summary FILE"]);
}

#[test]
fn a_store_that_is_damaged_foreign_or_newer_is_left_as_it_is() {
    let place = with_items();
    let redact = plugin("redact");
    let args = ["run", &redact, "--input", "in.jsonl", "--job", "j"];
    place.run(&args).expect(0);
    let db = place.path(".sandmill/j.db");
    let good = std::fs::read(&db).unwrap();
    assert_eq!(std::fs::metadata(&db).unwrap().permissions().mode() & 0o777, 0o600);
    let check = |bytes: &[u8], part: &str| {
        std::fs::write(&db, bytes).unwrap();
        place.run(&args).expect_error(2, &[part]);
        assert_eq!(std::fs::read(&db).unwrap(), bytes, "not a byte was changed");
    };
    check(
        b"a text that somebody keeps here, longer than a header of one hundred bytes: ................................",
        "not a Sandmill store",
    );
    let mut damaged = good.clone();
    for byte in &mut damaged[4096..20_000] {
        *byte = 0xAA;
    }
    check(&damaged, "damaged");
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    check(&newer, "newer sandmill");
    let mut foreign = good.clone();
    foreign[68..72].copy_from_slice(&7_u32.to_be_bytes());
    check(&foreign, "not a Sandmill store");
    std::fs::write(&db, &good).unwrap();
    place.run(&args).expect(0);
}

#[test]
fn an_unknown_setting_is_told_with_those_there_are() {
    let place = with_items();
    place.write("sandmill.toml", "[retry]\nattemps = 3\n");
    place.run(&["run", &plugin("redact"), "--input", "in.jsonl"]).expect_error(2, &["attemps", "attempts"]);
}

/// With a store, or an output, on a disk of its own of `size`.
fn check_on_small_disk(args: &str, size: &str, code: i32, parts: &[&str]) {
    let place = Place::new();
    place.write("in.jsonl", items(2_000, |index| json!({"id": index, "text": "jo@example.org ".repeat(20)})));
    let run = format!("$S run {} --input in.jsonl --job j {args}", plugin("redact"));
    let script = format!(
        "mkdir small; mount -t tmpfs -o size={size} none small; code=0; {run} || code=$?; echo $code >&2; \
         mount -o remount,size=64m small; {run}; test $code = {code}"
    );
    let Some(ran) = place.run_with_mounts(&script) else { return };
    let ran = ran.expect(0);
    for part in parts {
        assert!(ran.stderr.contains(part), "`{part}` is not said in:\n{}", ran.stderr);
    }
    assert!(ran.stderr.contains("2000 done"), "{}", ran.stderr);
}

#[test]
fn a_full_disk_ends_the_run_and_with_room_the_same_command_goes_on() {
    let full = ["is full: free some space and run the same command again", "nothing that was acknowledged is lost"];
    check_on_small_disk("--store small", "64k", 2, &full);
    check_on_small_disk("--store small", "600k", 2, &full);
    check_on_small_disk("--store small", "2m", 5, &full);
    check_on_small_disk("--output small/out.jsonl", "100k", 5, &full[..1]);
}

#[test]
fn a_store_or_an_output_that_cannot_be_written_is_told_before_anything_runs() {
    let place = with_items();
    let run = format!("$S run {} --input in.jsonl", plugin("redact"));
    let check = |args: &str, part: &str| {
        let script = format!("mkdir -p fixed; mount -t tmpfs -o ro none fixed; {run} {args}");
        if let Some(ran) = place.run_with_mounts(&script) {
            ran.expect_error(2, &[part]);
        }
    };
    check("--store fixed", "make it writable, or choose another --store");
    check("--store fixed/new", "make it writable, or choose another --store");
    check("--output fixed/out.jsonl", "writable, or choose another --output");
    place
        .run(&["run", &plugin("redact"), "--input", "in.jsonl", "--output", "in.jsonl"])
        .expect_error(2, &["replace the input"]);
}

#[test]
fn a_job_whose_first_process_died_at_once_starts_as_if_it_had_not_been() {
    let place = with_items();
    let args = ["run", &plugin("redact"), "--input", "in.jsonl", "--job", "j"];
    place.run(&args).expect(0);
    // One page without a table, as SQLite leaves it when it is told to keep a log.
    let mut page = std::fs::read(place.path(".sandmill/j.db")).unwrap()[..4096].to_vec();
    page[28..32].copy_from_slice(&1_u32.to_be_bytes());
    page[68..72].fill(0);
    page[100..4096].fill(0);
    page[100] = 0x0d;
    page[105..107].copy_from_slice(&4096_u16.to_be_bytes());
    page[60..64].fill(0);
    place.write(".sandmill/j.db", page);
    place.run(&["status", "j"]).expect_error(2, &["holds nothing yet"]);
    place.run(&args).expect(0);
}
