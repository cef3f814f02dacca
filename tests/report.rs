//! The report of a job: its page, its figures, and jobs of every sort.

use crate::support::{MockServer, Place, items, plugin, root, signal, until};
use serde_json::{Value, json};
use std::process::Stdio;

const QUICK: [&str; 4] = ["--retry-min", "1ms", "--retry-max", "5ms"];
const PRICES: [&str; 2] = ["--prices", "input=1,output=2"];
/// What a page must not do for anybody.
const HOSTILE: &str = "<script>alert(1)</script>\"'\u{202e}&amp;";

fn questions(n: usize) -> String {
    items(n, |index| json!({"id": format!("q{index}"), "do": "ask", "prompt": format!("what of number {index}?")}))
}

/// Runs `in.jsonl` as the job `j`, in process.
#[track_caller]
fn run(place: &Place, more: &[&str], code: i32) -> Value {
    let plugin = plugin("misbehave");
    let args = ["run", &plugin, "--input", "in.jsonl", "--job", "j", "--json", "--provider", "mock"];
    place.run(&[&args[..], &PRICES, &QUICK, more].concat()).expect(code).summary()
}

#[track_caller]
fn figures(place: &Place, job: &str) -> Value {
    let figures = place.run(&["report", job, "--json"]).expect(0).summary();
    assert_eq!((&figures["kind"], &figures["schema"]), (&json!("sandmill-report"), &json!(1)));
    figures
}

/// All that `key` holds in the pieces of the timeline.
fn sum(figures: &Value, key: &str) -> u64 {
    let pieces = figures["timeline"]["pieces"].as_array().unwrap();
    pieces.iter().map(|piece| piece[key].as_u64().unwrap()).sum()
}

#[test]
fn a_report_tells_what_status_and_summary_tell() {
    let place = Place::new();
    let mut input = questions(40);
    input += &items(2, |index| json!({"id": format!("trap{index}"), "do": "trap"}));
    input += &items(1, |_| json!({"id": HOSTILE, "do": "fail", "code": HOSTILE, "message": HOSTILE}));
    input += &items(1, |_| json!({"id": "s", "do": "skip", "reason": "of no use"}));
    place.write("in.jsonl", input + "{\"cut\n");
    let faults = "rate_limit=15%,server_error=10%,overloaded=5%";
    let args = ["--faults", faults, "--retry-attempts", "30", "--tag", "team=<b>x", "--model", "<i>m"];
    let summary = run(&place, &args, 3);
    let next = &summary["ended"]["next"];
    assert_eq!(next["retry"], "sandmill failed retry j");
    assert_eq!(
        (&next["export"], &next["report"]),
        (&json!("sandmill export j -o j.jsonl"), &json!("sandmill report j"))
    );

    let (figures, status) = (figures(&place, "j"), place.run(&["status", "j", "--json"]).expect(0).summary());
    for key in ["total", "processed", "skipped", "failed", "pending"] {
        assert_eq!(figures["items"][key], status[key], "{key}");
        assert_eq!(figures["items"][key], summary["job"][key], "{key}");
    }
    for key in ["provider_calls", "answered_calls", "unknown_calls", "input_tokens", "output_tokens", "cost_dollars"] {
        assert_eq!(figures["calls"][key], status[key], "{key}");
    }
    let run = &summary["run"];
    let retried: u64 =
        figures["errors"].as_object().unwrap().values().map(|error| error["retried"].as_u64().unwrap()).sum();
    let told: u64 = run["retries"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert!(retried > 0, "{figures}");
    assert_eq!(retried, told, "{figures}");
    assert_eq!(sum(&figures, "done") + sum(&figures, "skipped"), 41);
    assert_eq!((sum(&figures, "failed"), sum(&figures, "answered_calls")), (4, 40));
    assert_eq!(sum(&figures, "input_tokens"), run["input_tokens"]);
    assert_eq!((&figures["latency"]["calls"]["count"], &figures["ended"]["exit_code"]), (&json!(40), &json!(3)));
    let groups = figures["failures"]["groups"].as_array().unwrap();
    assert_eq!((groups.len(), &groups[0]["class"], &groups[0]["count"]), (3, &json!("trap"), &json!(2)));
    assert_eq!(groups[0]["examples"][0]["crash"]["kind"], "trap");
    assert_eq!(groups[0]["examples"][0]["show"], "sandmill failed show j trap0");
    assert_eq!(figures["runs"][0]["tags"]["team"], "<b>x");

    let said = place.run(&["report", "j"]).expect(0).stderr;
    assert!(said.contains("j.html"), "{said}");
    let page = place.read("j.html");
    assert_eq!(place.run(&["report", "j", "-o", "-"]).expect(0).stdout.len(), page.len());
    for part in [
        "&lt;script&gt;alert(1)",
        "\\u{202e}",
        "&lt;b&gt;x",
        "&lt;i&gt;m",
        "Content-Security-Policy",
        "sandmill failed retry j",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for part in ["<script", "<b>x", "<i>m", "\u{202e}", "http://", "https://"] {
        assert!(!page.contains(part), "{part}");
    }
}

#[test]
fn only_a_report_is_replaced() {
    let place = Place::new();
    place.write("in.jsonl", questions(2));
    run(&place, &[], 0);
    place.run(&["report", "j"]).expect(0);
    place.run(&["report", "j"]).expect(0);
    place.run(&["report", "j", "--json", "-o", "j.html"]).expect(0);
    place.run(&["report", "j", "-o", "j.html"]).expect(0);
    for (name, text) in [("j.html", "<!doctype html><p>mine"), ("notes", "mine")] {
        place.write(name, text);
        place.run(&["report", "j", "-o", name]).expect_error(2, &["is no report", "choose another file"]);
        assert_eq!(place.read(name), text);
    }
    let input = place.read("in.jsonl");
    place.run(&["report", "j", "-o", "in.jsonl"]).expect_error(2, &["choose another file"]);
    assert_eq!(place.read("in.jsonl"), input);
    place.run(&["report", "j", "-o", ".sandmill/j.db"]).expect_error(2, &["is no report"]);
    place.run(&["report", "j", "-o", "nowhere/x.html"]).expect_error(2, &["its folder does not exist"]);
    place.run(&["report", "k"]).expect_error(2, &["no job `k`", "`j`"]);
}

#[test]
fn a_job_that_runs_is_reported_as_it_stands_and_one_whose_process_died_too() {
    let place = Place::new();
    let server = MockServer::start(&place, "latency=20ms");
    place.write("in.jsonl", questions(400));
    let plugin = plugin("misbehave");
    let args = ["run", &plugin, "--input", "in.jsonl", "--job", "j", "--provider", "openai", "--model", "m"];
    let args = [&args[..], &["--base-url", &server.url, "--concurrency", "4"], &PRICES].concat();
    let mut child = place.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("some answers", || server.requests() >= 20);
    let running = figures(&place, "j");
    assert_eq!(running["job"]["running"], true, "{}", running["job"]);
    assert!(running["ended"]["state"].is_null() && running["commands"]["retry"].is_null(), "{running}");
    assert!(running["items"]["pending"].as_u64().unwrap() > 0);
    assert!(child.try_wait().unwrap().is_none(), "the run goes on");
    assert!(place.run(&["report", "j", "-o", "-"]).expect(0).stdout.contains("class=\"badge running\">running<"));

    signal(child.id(), "KILL");
    child.wait().unwrap();
    let died = figures(&place, "j");
    assert_eq!((&died["job"]["running"], &died["commands"]["go_on"]), (&json!(false), &json!("sandmill resume j")));
    assert!(place.run(&["report", "j", "-o", "-"]).expect(0).stdout.contains("its process died"));
    // What was under way is unknown from the next run on.
    let under_way = died["calls"]["under_way"].as_u64().unwrap();
    place.run(&["resume", "j"]).expect(0);
    let resumed = figures(&place, "j");
    assert_eq!(resumed["calls"]["unknown_calls"], under_way);
    assert_eq!(resumed["unknown"]["calls"].as_array().unwrap().len() as u64, under_way.min(20));
    assert_eq!((resumed["runs"].as_array().unwrap().len(), &resumed["items"]["processed"]), (2, &json!(400)));
}

#[test]
fn pruned_merged_and_older_jobs_are_reported() {
    let place = Place::new();
    place.write("in.jsonl", questions(5) + &items(1, |_| json!({"id": "trap", "do": "trap"})));
    run(&place, &[], 3);
    let whole = figures(&place, "j");
    place.run(&["job", "backup", "j", "copy.db"]).expect(0);
    place.run(&["job", "prune", "j", "--keep", "outputs"]).expect(0);
    place.run(&["merge", "copy.db", "j", "--into", "all"]).expect(0);
    for job in ["j", "all", "copy.db"] {
        let found = figures(&place, job);
        for key in ["items", "calls", "timeline", "latency", "errors", "routes"] {
            assert_eq!(found[key], whole[key], "{job}: {key}");
        }
    }
    std::fs::copy(root().join("tests/fixtures/store-1.db"), place.path(".sandmill/old.db")).unwrap();
    let old = figures(&place, "old");
    assert_eq!((&old["items"]["total"], &old["items"]["failed"]), (&json!(6), &json!(1)));
    assert_eq!(old["failures"]["groups"][0]["examples"][0]["crash"], Value::Null);
    let page = place.run(&["report", "old", "-o", "-"]).expect(0).stdout;
    assert!(page.contains("budget") && page.ends_with("</html>\n"), "{page}");
}

#[test]
fn a_job_that_never_ran_is_reported() {
    let place = Place::new();
    place.write("in.jsonl", "");
    let summary = run(&place, &[], 0);
    assert_eq!(summary["ended"]["next"], json!({"report": "sandmill report j"}));
    let empty = figures(&place, "j");
    assert_eq!((&empty["items"]["total"], &empty["items"]["success_rate"]), (&json!(0), &json!(1.0)));
    assert!(place.run(&["report", "j", "-o", "-"]).expect(0).stdout.contains("finished"));
}
