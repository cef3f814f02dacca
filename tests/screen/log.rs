//! `--log-format json`: one object a line, whatever happens.

use super::HOSTILE;
use crate::support::{Place, plugin};
use serde_json::{Value, json};

fn lines(stderr: &str) -> Vec<Value> {
    stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

fn run(place: &Place, more: &[&str]) -> (Vec<Value>, Value) {
    let plugin = plugin("misbehave");
    let job = ["run", &plugin, "--input", "in.jsonl", "--job", "j", "--fresh", "--json", "--log-format", "json"];
    let models = ["--provider", "mock", "--faults", "rate_limit=100%,in_a_row=1,retry_after=0s"];
    let ran = place.run(&[&job[..], &models, more].concat());
    let summary = serde_json::from_str(&ran.stdout).unwrap_or_default();
    assert!(!ran.stderr.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{}", ran.stderr);
    (lines(&ran.stderr), summary)
}

#[test]
fn every_line_is_an_object_that_says_where_it_happened() {
    let place = Place::new();
    let items = [
        json!({ "id": "q", "do": "ask", "prompt": "one" }),
        json!({ "id": "r", "do": "retry", "until": 2 }),
        json!({ "id": "bad", "do": "fail", "code": "no", "message": HOSTILE }),
    ];
    place.write("in.jsonl", items.map(|item| format!("{item}\n")).concat());
    let (told, summary) = run(&place, &["-v"]);
    for line in &told {
        assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z') && time.len() == 24), "{line}");
        assert!(line["job"] == "j" && line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    let retry = of(&told, "call_retry")[0];
    assert_eq!([&retry["item"], &retry["attempt"], &retry["route"]], [&json!("q"), &json!(1), &json!("default")]);
    assert_eq!([&retry["level"], &retry["class"]], ["WARN", "rate_limited"]);
    let answered = of(&told, "call_answered")[0];
    assert_eq!(
        [&answered["item"], &answered["try"], &answered["provider"]],
        [&json!("q"), &json!(2), &json!("the mock provider")]
    );
    assert!(answered["input_tokens"].as_u64() > Some(0) && answered["run"] == 1, "{answered}");
    let again = of(&told, "item_retry")[0];
    assert_eq!([&again["item"], &again["attempt"]], [&json!("r"), &json!(1)]);
    let failed = of(&told, "item_failed");
    assert_eq!(
        (failed.len(), &failed[0]["item"], &failed[0]["class"], &failed[0]["code"]),
        (1, &json!("bad"), &json!("plugin"), &json!("no"))
    );
    assert!(failed[0]["reason"].as_str().is_some_and(|reason| reason.contains("語語語")), "{}", failed[0]);
    let done: Vec<&Value> = of(&told, "item_done").into_iter().map(|line| &line["attempt"]).collect();
    assert_eq!(done.len(), 2, "{done:?}");
    let last = told.last().unwrap();
    assert_eq!((&last["event"], &last["level"], &last["summary"]), (&json!("summary"), &json!("ERROR"), &summary));
    assert!(last["message"].as_str().is_some_and(|text| text.contains("go on with sandmill resume j")), "{last}");
}

#[test]
fn how_much_is_said_follows_from_the_level() {
    let place = Place::new();
    place.write("in.jsonl", "{\"id\":\"q\",\"do\":\"ask\"}\n{\"id\":\"bad\",\"do\":\"fail\"}\n");
    let levels = |more: &[&str]| -> Vec<String> {
        let (told, _) = run(&place, more);
        told.iter().map(|line| line["level"].as_str().unwrap().to_owned()).collect()
    };
    let normal = levels(&[]);
    assert!(normal.contains(&"WARN".into()) && !normal.contains(&"DEBUG".into()), "{normal:?}");
    assert_eq!(levels(&["-q"]), ["ERROR"], "how it ended");
    assert_eq!(levels(&["-q", "--allow-failed", "50%"]), Vec::<String>::new(), "all is well");
}

#[test]
fn what_ends_the_program_before_a_run_is_an_object_too() {
    let place = Place::new();
    place.write("in.jsonl", "");
    place.write("sandmill.toml", "[run]\nlog_format = \"json\"\n");
    let job = ["run", "no.wasm", "--input", "in.jsonl"];
    for args in [&job[..], &["resume", "nobody", "--log-format", "json"], &["run", "--log-format=json", "--bogus"]] {
        let ran = place.run(args).expect(2);
        let told = lines(&ran.stderr);
        assert_eq!(told.len(), 1, "{}", ran.stderr);
        assert_eq!(
            (&told[0]["level"], &told[0]["exit_code"], &told[0]["event"]),
            (&json!("ERROR"), &json!(2), &json!("error"))
        );
    }
    place.write("sandmill.toml", "[run]\nlog_format = \"xml\"\n");
    place.run(&job).expect_error(2, &["[run] log_format is `xml`", "\"json\""]);
    place.run(&["config", "check"]).expect_error(2, &["log_format"]);
}
