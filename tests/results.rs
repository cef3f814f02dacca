//! What comes out of a job: exports, the dead letters, and several jobs made into one.

use crate::support::{Place, Ran, items, plugin, signal, until};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Three that ask, two that trap, one that fails, two that are well, and a line that is no item.
fn mixed(place: &Place, more: &[&str]) -> Ran {
    let mut input =
        items(3, |index| json!({"id": format!("ask{index}"), "do": "ask", "prompt": format!("number {index}")}));
    input += &items(2, |index| json!({"id": format!("trap{index}"), "do": "trap"}));
    input += &items(1, |_| json!({"id": "fail", "do": "fail", "code": "odd", "message": "=1+1"}));
    input += &items(2, |index| json!({"id": format!("ok{index}"), "text": index}));
    place.write("in.jsonl", input + "{\"cut\n");
    let plugin = plugin("misbehave");
    place.run(&[&["run", &plugin, "--input", "in.jsonl", "--job", "j", "--json"], more].concat())
}

#[test]
fn an_export_has_the_items_and_the_columns_that_are_wanted() {
    let place = Place::new();
    let priced = ["--provider", "mock", "--prices", "input=1,output=1", "--output", "out.csv"];
    mixed(&place, &priced).expect(3);
    // As the run wrote it.
    place.run(&["export", "j", "-o", "again.csv"]).expect(0);
    assert_eq!(place.read("again.csv"), place.read("out.csv"));
    let columns = "id,state,output.answer,input.prompt,calls,cost,route,model,attempts,class";
    let all = ["export", "j", "-o", "-", "--only", "all", "--columns", columns];
    let rows = lines(&place.run(&all).expect(0).stdout);
    assert_eq!(rows.len(), 9);
    let answer = rows[0]["output.answer"].as_str().unwrap();
    assert!(answer.contains("number 0"), "{answer}");
    assert!(rows[0]["cost"].as_f64().unwrap() > 0.0);
    let known = |row: &Value| ["state", "calls", "route", "model", "attempts"].map(|name| row[name].clone());
    assert_eq!(known(&rows[0]), [json!("done"), json!(1), json!("default"), json!("mock-1"), json!(1)]);
    assert_eq!(known(&rows[8]), [json!("failed"), json!(0), Value::Null, Value::Null, json!(0)]);
    assert_eq!(rows[4]["class"], "trap");
    // In the order in which they ended, of which the line that is no item is the first.
    let ended = ["export", "j", "-o", "-", "--only", "failed", "--order", "completion", "--columns", "id,ended_at"];
    let rows = lines(&place.run(&ended).expect(0).stdout);
    assert_eq!((rows.len(), rows[0]["id"].as_str().unwrap()), (4, "line 9"));
    assert!(rows.is_sorted_by_key(|row| row["ended_at"].as_str().unwrap().to_owned()));
    // A table that a spreadsheet takes no formula from.
    let csv = ["export", "j", "-o", "failed.csv", "--only", "failed", "--columns", "id,message"];
    place.run(&csv).expect(0);
    assert!(place.read("failed.csv").contains("fail,'=1+1\n"), "{}", place.read("failed.csv"));
}

#[test]
fn parquet_is_written_by_a_run_and_by_an_export() {
    let place = Place::new();
    mixed(&place, &["--provider", "mock", "--output", "out.parquet"]).expect(3);
    place.run(&["export", "j", "-o", "all.parquet", "--only", "all", "--columns", "id,usage,ended_at"]).expect(0);
    let stdout = place.command(&["export", "j", "-o", "-", "--format", "parquet"]).output().unwrap().stdout;
    for bytes in [std::fs::read(place.path("out.parquet")).unwrap(), stdout] {
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    }
    let bytes = std::fs::read(place.path("all.parquet")).unwrap();
    assert!(bytes.windows(8).any(|window| window == b"ended_at"));
}

#[test]
fn an_export_that_cannot_be_is_told_and_replaces_nothing() {
    let place = Place::new();
    mixed(&place, &["--provider", "mock"]).expect(3);
    place.write("out.csv", "kept");
    let export = |args: &[&str]| place.run(&[&["export", "j"], args].concat());
    export(&["-o", "out.csv", "--columns", "id,prize"]).expect_error(2, &["no column `prize`", "input.KEY"]);
    export(&["-o", "out.csv", "--columns", "id,id"]).expect_error(2, &["twice"]);
    export(&["-o", "out.xlsx"]).expect_error(2, &["--format"]);
    export(&["-o", "in.jsonl"]).expect_error(2, &["is the job's input"]);
    export(&["-o", ".sandmill/j.db", "--format", "csv"]).expect_error(2, &["as a job's store"]);
    export(&["-o", "nowhere/out.csv"]).expect_error(2, &["its folder does not exist"]);
    assert_eq!(place.read("out.csv"), "kept");
    place.run(&["export", "k", "-o", "-"]).expect_error(2, &["no job `k`", "`j`"]);
}

#[test]
fn chosen_failed_items_are_tried_again_and_nothing_else_is() {
    let place = Place::new();
    place.write("sandmill.toml", "[route.good]\nprovider = \"mock\"\nmodel = \"m\"\n");
    // Without a provider those that ask fail.
    mixed(&place, &["--output", "out.jsonl"]).expect(3);
    let list = place.run(&["failed", "list", "j"]).expect(0).stdout;
    assert_eq!(list.lines().count(), 1 + 7);
    assert!(list.lines().all(|line| line.chars().count() <= 80), "{list}");
    let list = lines(&place.run(&["failed", "list", "j", "--json", "--class", "trap"]).expect(0).stdout);
    assert_eq!(list.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(), ["trap0", "trap1"]);
    let since = ["failed", "list", "j", "--json", "--since"];
    assert_eq!(lines(&place.run(&[&since[..], &["1h"]].concat()).expect(0).stdout).len(), 7);
    assert!(place.run(&[&since[..], &["2200-01-01"]].concat()).expect(0).stdout.is_empty());

    let retry = ["failed", "retry", "j", "--json"];
    let wrong = place.run(&[&retry[..], &["--class", "typo"]].concat());
    wrong.expect_error(2, &["`typo` is no class", "attempts_exhausted"]);
    let none = place.run(&[&retry[..], &["--class", "memory"]].concat()).expect(0);
    assert!(none.stderr.contains("No failed item is among these"), "{}", none.stderr);
    let asked = ["--class", "plugin", "--code", "no_model", "--route", "good"];
    // The others have failed still.
    let summary = place.run(&[&retry[..], &asked].concat()).expect(3).summary();
    assert_eq!((&summary["run"]["processed"], &summary["run"]["attempts"]), (&json!(3), &json!(3)), "{summary}");
    let all = ["export", "j", "-o", "-", "--only", "all", "--columns", "id,state,attempts"];
    let rows = lines(&place.run(&all).expect(0).stdout);
    let state = |row: &Value| (row["state"].as_str().unwrap().to_owned(), row["attempts"].as_u64().unwrap());
    let expected = [("done", 2), ("done", 2), ("done", 2), ("failed", 1), ("failed", 1), ("failed", 1), ("done", 1)];
    assert_eq!(rows.iter().map(state).take(7).collect::<Vec<_>>(), expected.map(|(state, n)| (state.to_owned(), n)));
    assert_eq!(place.rows("out.jsonl").len(), 5);

    // What the job asks from now on is what it asked before.
    mixed(&place, &["--output", "out.jsonl"]).expect_error(2, &["--on-change"]);
    let show = place.run(&["failed", "show", "j", "trap0"]).expect(0).stdout;
    assert!(show.contains("\"do\":\"trap\"") && show.contains("backtrace") && show.contains("attempts    1"), "{show}");
    let show = place.run(&["failed", "show", "j", "fail", "--json"]).expect(0).summary();
    assert_eq!((&show["code"], &show["input"]["message"]), (&json!("odd"), &json!("=1+1")));
    place.run(&["failed", "show", "j", "ok0"]).expect_error(2, &["is done, and not failed"]);
    place.run(&["failed", "show", "j", "none"]).expect_error(2, &["no item `none`"]);
}

/// What Python's own CSV reader makes of two files: the rows of the second are those of the first with its ids, and four cells more.
const COMPARE: &str = r"
import csv, sys
before, after = ([row for row in csv.reader(open(name, newline='', encoding='utf-8'))] for name in sys.argv[1:3])
width = len(before[0])
assert after[0] == before[0] + ['error_class', 'error_reason', 'attempts', 'last_error_at'], after[0]
originals = {row[0]: row for row in before[1:]}
assert sorted(row[0] for row in after[1:]) == sys.argv[3:], after
for row in after[1:]:
    assert row[:width] == originals[row[0]], (row, originals[row[0]])
    assert row[width] == 'plugin' and row[width + 1].startswith('failed: ') and row[width + 2] == '1', row
    assert row[width + 3].endswith('Z'), row
";

#[test]
fn another_program_reads_the_dead_letters_back_with_their_originals_intact() {
    let place = Place::new();
    let odd = "id,do,note,empty\na,fail,\"=SUM(A1:A2), \"\"so\"\" \n and on\",\nb,fail,ümläut 語;-1,' \nc,ok,fine,x\nd,fail,,\"\t,\"\n";
    place.write("in.csv", odd);
    place.run(&["run", &plugin("misbehave"), "--input", "in.csv", "--job", "j"]).expect(3);
    place.run(&["failed", "export", "j", "-o", "dead.csv"]).expect(0);
    place.run(&["failed", "export", "j", "-o", "dead.jsonl"]).expect(0);
    let dead = lines(&place.read("dead.jsonl"));
    assert_eq!(dead.len(), 3);
    assert_eq!(dead[0]["note"], "=SUM(A1:A2), \"so\" \n and on");
    assert_eq!((&dead[0]["error_class"], &dead[0]["attempts"]), (&json!("plugin"), &json!(1)));
    let python = Command::new("python3")
        .args(["-c", COMPARE])
        .args([place.path("in.csv"), place.path("dead.csv")])
        .args(["a", "b", "d"])
        .stdin(Stdio::null())
        .output();
    match python {
        Err(error) => eprintln!("not tested with Python: {error}"),
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
    }
    // Fed in again, they fail again, and keep what failed them before.
    place.run(&["run", &plugin("misbehave"), "--input", "dead.csv", "--job", "k"]).expect(3);
    place.run(&["failed", "export", "k", "-o", "-"]).expect(0);
    let dead = lines(&place.run(&["failed", "export", "k", "-o", "-"]).expect(0).stdout);
    assert_eq!((&dead[0]["error_class"], &dead[0]["sandmill.error_class"]), (&json!("plugin"), &json!("plugin")));
}

fn status(place: &Place, job: &str) -> Value {
    place.run(&["status", job, "--json"]).expect(0).summary()
}

#[test]
fn eight_shards_two_of_them_interrupted_and_one_overlapping_make_the_single_run() {
    let place = Place::new();
    place.write(
        "in.jsonl",
        items(80, |index| json!({"id": format!("i{index}"), "do": "ask", "prompt": format!("n{index}")})),
    );
    let plugin = plugin("misbehave");
    let base = ["run", &plugin, "--input", "in.jsonl", "--provider", "mock"];
    place.run(&[&base[..], &["--job", "single", "--output", "single.jsonl"]].concat()).expect(0);
    let jobs: Vec<String> = (1..=8).map(|number| format!("s{number}")).collect();
    for (number, job) in (1..=8).zip(&jobs) {
        let shard = format!("{number}/8");
        let args = [&base[..], &["--shard", &shard, "--job", job]].concat();
        match number {
            // Stopped by its budget.
            3 => drop(place.run(&[&args[..], &["--max-calls", "2"]].concat()).expect(6)),
            // Killed.
            5 => {
                let slow = [&args[..], &["--concurrency", "1", "--faults", "latency=1s"]].concat();
                let mut child = place.command(&slow).stderr(Stdio::null()).spawn().unwrap();
                until("a shard's store", || place.path(".sandmill/s5.db").exists());
                until("a shard's first item", || {
                    let ran = place.run(&["status", job, "--json"]);
                    ran.code == 0 && ran.summary()["processed"].as_u64().unwrap() > 0
                });
                signal(child.id(), "KILL");
                child.wait().unwrap();
            }
            _ => drop(place.run(&args).expect(0)),
        }
    }
    assert!(status(&place, "s3")["pending"].as_u64().unwrap() > 0);
    assert!(status(&place, "s5")["pending"].as_u64().unwrap() > 0);
    place.run(&[&base[..], &["--shard", "1/4", "--job", "over"]].concat()).expect(0);
    let jobs: Vec<&str> = jobs.iter().map(String::as_str).chain(["over"]).collect();

    let merged = place.run(&[&["merge", "--into", "all", "--json"], &jobs[..]].concat()).expect(0);
    let report = merged.summary();
    assert_eq!(
        (&report["total"], &report["concatenated"], &report["generations"]),
        (&json!(80), &json!(false), &json!(1))
    );
    let calls: u64 = jobs.iter().map(|job| status(&place, job)["provider_calls"].as_u64().unwrap()).sum();
    assert_eq!(report["calls"].as_u64().unwrap(), calls, "no call leaves the books");
    assert_eq!(status(&place, "all")["provider_calls"].as_u64().unwrap(), calls);
    // The merged job does what the interrupted ones did not get to, whatever became of the input.
    std::fs::remove_file(place.path("in.jsonl")).unwrap();
    place.run(&["resume", "all"]).expect(0);
    place.run(&["export", "all", "-o", "all.jsonl"]).expect(0);
    assert_eq!(place.read("all.jsonl"), place.read("single.jsonl"));
    // As one file, and out of files.
    place.run(&["merge", ".sandmill/all.db", "s1", "--strict", "--output", "file.jsonl"]).expect(0);
    assert_eq!(place.read("file.jsonl"), place.read("single.jsonl"));
    place.run(&["merge", "s1", "--into", "all"]).expect_error(2, &["there is a job `all` already"]);
    place.run(&["merge", "s1", "--output", "nowhere/out.jsonl"]).expect_error(2, &["its folder does not exist"]);
    place.run(&["merge", "s1", "nothing", "--into", "x"]).expect_error(2, &["no job `nothing` in"]);
}

#[test]
fn inputs_that_contradict_each_other_are_told_and_strictly_not_merged() {
    let place = Place::new();
    let plugin = plugin("misbehave");
    for (job, text) in [("a", "one"), ("b", "two")] {
        place.write("in.jsonl", items(3, |index| json!({"id": index, "text": if index == 1 { text } else { "same" }})));
        place.run(&["run", &plugin, "--input", "in.jsonl", "--job", job]).expect(0);
    }
    let strict = place.run(&["merge", "a", "b", "--output", "out.jsonl", "--strict"]).expect(3);
    assert!(
        strict.stderr.contains("1 items have different contents") && strict.stderr.contains(": 1"),
        "{}",
        strict.stderr
    );
    assert!(!place.path("out.jsonl").exists());
    place.run(&["merge", "b", "a", "--output", "out.jsonl"]).expect(0);
    let rows = place.rows("out.jsonl");
    assert_eq!((rows.len(), &rows[1].1["echo"]["text"]), (3, &json!("two")), "the job that was run last");
}
