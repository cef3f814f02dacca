//! The plugins that people run, each over its own sample: with the mock provider, and with a server whose answers are known.

use crate::support::{Place, Ran, plugin, read_post, root};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Answers each question as the test says, in the form of a chat completion.
struct Answering {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Answering {
    /// `answer` is given all that the question says.
    fn start(answer: impl Fn(&str) -> Value + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (status, body) = match read_post(&stream) {
                    Some(body) => {
                        count.fetch_add(1, Ordering::SeqCst);
                        (200, completion(&answer(&said(&body)).to_string()))
                    }
                    None => (404, String::new()),
                };
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
                stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).unwrap();
            }
        });
        Self { url, asked }
    }

    fn args(&self) -> [&str; 6] {
        ["--provider", "openai", "--base-url", &self.url, "--model", "m"]
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn said(body: &[u8]) -> String {
    let request: Value = serde_json::from_slice(body).unwrap();
    let texts = request["messages"].as_array().unwrap().iter().map(|message| match &message["content"] {
        Value::String(text) => text.clone(),
        parts => parts.as_array().unwrap().iter().filter_map(|part| part["text"].as_str()).collect(),
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn completion(text: &str) -> String {
    let message = json!({"role": "assistant", "content": text});
    json!({"id": "x", "object": "chat.completion", "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})
    .to_string()
}

/// Between the tags of a fence.
fn fenced<'a>(said: &'a str, name: &str) -> &'a str {
    let from = said.find(&format!("<{name}>\n")).unwrap() + name.len() + 3;
    &said[from..from + said[from..].find(&format!("\n</{name}>")).unwrap()]
}

/// The sample of a plugin through it.
fn run(place: &Place, name: &str, sample: &str, sets: &[&str], more: &[&str]) -> Ran {
    let (plugin, input) = (plugin(name), root().join(format!("plugins/{name}/sample/{sample}")));
    let mut args =
        vec!["run", &plugin, "--input", input.to_str().unwrap(), "--output", "out.jsonl", "--json", "--job", "j"];
    for set in sets {
        args.extend(["--set", set]);
    }
    place.run(&[&args[..], more].concat())
}

fn rows(place: &Place) -> BTreeMap<String, Value> {
    place.rows("out.jsonl").into_iter().collect()
}

const INVOICE: &str = r#"fields={"number":"string","issued":"date","total":"number"}"#;

#[test]
fn extract_makes_a_record_of_every_document_of_its_sample() {
    let place = Place::new();
    let summary = run(&place, "extract", "documents.jsonl", &[INVOICE], &["--provider", "mock"]).expect(0).summary();
    assert_eq!((&summary["job"]["processed"], &summary["job"]["skipped"]), (&json!(37), &json!(1)), "{summary}");
    for (id, record) in rows(&place) {
        let date = record["issued"].as_str().unwrap();
        assert!(date.len() == 10 && record["number"].is_string() && record["total"].is_number(), "{id}: {record}");
    }
}

#[test]
fn extract_takes_what_stands_in_the_document_and_has_a_wrong_record_mended() {
    let place = Place::new();
    let server = Answering::start(|said| {
        let document = fenced(said, "document");
        let behind = |mark: &str| Some(document.split_once(mark)?.1.lines().next()?.to_owned());
        let number = behind("Invoice ");
        let date = if said.contains("That cannot be used") { None } else { behind("Date: ").or(Some("soon".into())) };
        let quote = json!({"number": number, "issued": date, "total": "not in any document"});
        json!({"record": {"number": number, "issued": date, "total": 1.0}, "evidence": quote})
    });
    let summary =
        run(&place, "extract", "documents.jsonl", &[INVOICE, "evidence=drop"], &server.args()).expect(0).summary();
    assert_eq!(summary["job"]["processed"], 37, "{summary}");
    let rows = rows(&place);
    let evidence = json!({"number": "INV-1200", "issued": "1 January 2024", "total": null});
    assert_eq!(
        rows["doc-001"],
        json!({"number": "INV-1200", "issued": "2024-01-01", "total": null, "evidence": evidence})
    );
    assert_eq!(rows["doc-037"]["issued"], Value::Null, "`soon` does not stand there, and is no date");
    // Of nine documents in four the date is one, or has no words to stand by.
    assert!(server.asked() >= 37, "{}", server.asked());
}

#[test]
fn extract_reads_a_long_document_in_parts_and_each_record_stands_once() {
    let place = Place::new();
    let entries = (0..400).map(|n| format!("Entry {n}: the house number {n} was sold for {n} pounds."));
    let entries = entries.collect::<Vec<_>>().join(
        "
",
    );
    place.write("in.jsonl", json!({"id": "register", "text": entries}).to_string() + "\n");
    let server = Answering::start(|said| {
        let numbers = fenced(said, "document").lines().filter_map(|line| line.strip_prefix("Entry ")?.split_once(':'));
        let records: Vec<Value> = numbers.map(|(n, _)| json!({"number": n.parse::<u32>().unwrap()})).collect();
        json!({"records": records})
    });
    let plugin = plugin("extract");
    let args = ["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--context", "4000"];
    let sets = ["--set", r#"fields={"number":"integer"}"#, "--set", "many=true", "--set", "overlap_tokens=100"];
    place.run(&[&args[..], &sets, &server.args()].concat()).expect(0);
    let numbers: Vec<u64> =
        place.rows("out.jsonl").iter().map(|(_, record)| record["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..400).collect::<Vec<u64>>());
    assert!(server.asked() > 3, "{}", server.asked());
}

const LABELS: &str = r#"labels=["billing",{"name":"bug","description":"does not work"},"praise"]"#;

#[test]
fn classify_puts_every_ticket_of_its_sample_under_one_of_the_labels() {
    let place = Place::new();
    let sets = [LABELS, "other=other", "template={{subject}} {{body}}"];
    let summary = run(&place, "classify", "tickets.jsonl", &sets, &["--provider", "mock"]).expect(0).summary();
    assert_eq!((&summary["job"]["processed"], &summary["job"]["skipped"]), (&json!(39), &json!(1)), "{summary}");
    for (id, output) in rows(&place) {
        assert!(["billing", "bug", "praise", "other"].contains(&output["label"].as_str().unwrap()), "{id}: {output}");
        assert!((0.0..=1.0).contains(&output["confidence"].as_f64().unwrap()), "{id}: {output}");
    }
}

#[test]
fn classify_asks_again_for_a_label_that_is_none() {
    let place = Place::new();
    let server = Answering::start(|said| {
        let is_told = said.contains("\"Money!\" is none of the labels");
        json!({"label": if is_told { "**Billing**" } else { "Money!" }, "confidence": 0.75})
    });
    let ran = run(&place, "classify", "tickets.jsonl", &[LABELS, "enforce=false"], &server.args()).expect(0);
    let expected = json!({"label": "billing", "confidence": 0.75, "flagged": false});
    assert!(rows(&place).values().all(|output| *output == expected));
    assert_eq!((server.asked(), &ran.summary()["run"]["provider_calls"]), (2 * 39, &json!(2 * 39)));
}

#[test]
fn classify_gets_a_label_of_a_server_that_heeds_no_schema() {
    let place = Place::new();
    // The host asks three times, and then the plugin once, without naming the labels in the schema.
    let server = Answering::start(|_| json!({"label": "Bug.", "confidence": 1}));
    place.write("in.jsonl", "{\"id\":\"a\",\"text\":\"It broke.\"}\n");
    let plugin = plugin("classify");
    let args = ["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--set", LABELS];
    place.run(&[&args[..], &server.args()].concat()).expect(0);
    assert_eq!((server.asked(), &rows(&place)["a"]["label"]), (4, &json!("bug")));
}

#[test]
fn judge_grades_every_answer_of_its_sample_by_several_votes() {
    let place = Place::new();
    let sets = ["rubric=5 is right, 1 is wrong", "reference_field=reference", "votes=3"];
    let summary = run(&place, "judge", "answers.jsonl", &sets, &["--provider", "mock"]).expect(0).summary();
    assert_eq!(
        (&summary["job"]["processed"], &summary["run"]["provider_calls"]),
        (&json!(36), &json!(3 * 36)),
        "{summary}"
    );
    for (id, output) in rows(&place) {
        assert!((1..=5).contains(&output["grade"].as_i64().unwrap()), "{id}: {output}");
        assert_eq!((&output["votes"].as_array().unwrap().len(), &output["failed"]), (&3, &json!(0)), "{id}: {output}");
    }
}

#[test]
fn judge_takes_no_place_for_a_preference() {
    let place = Place::new();
    let sets = [r#"compare=["answer","other_answer"]"#, "rubric=The better one is right"];
    let server = Answering::start(|_| json!({"reasons": "it comes first", "better": "first"}));
    run(&place, "judge", "answers.jsonl", &sets, &server.args()).expect(0);
    let ties = rows(&place);
    assert!(ties.values().all(|output| output["winner"] == "tie"));
    let by_place = ties.values().filter(|output| output["votes"][0]["by_place"] == true).count();
    // The two answers of one item are the same, about which nobody is asked.
    assert_eq!((ties.len(), by_place, server.asked()), (36, 35, 70));

    let place = Place::new();
    let server = Answering::start(|said| {
        let better = if said.contains("<first-answer>\nCanberra") || said.contains("<first-answer>\nThe capital") {
            "first"
        } else {
            "second"
        };
        json!({"reasons": "r", "better": better})
    });
    run(&place, "judge", "answers.jsonl", &sets, &server.args()).expect(0);
    assert_eq!(rows(&place)["q-001"]["winner"], "a");
}

#[test]
fn judge_asks_several_models_by_their_roles_and_says_which_is_missing() {
    let place = Place::new();
    place.write(
        "sandmill.toml",
        "[provider.m]\nprotocol = \"mock\"\n[route.one]\nprovider = \"m\"\nmodel = \"x\"\n[route.two]\nprovider = \"m\"\nmodel = \"y\"\n",
    );
    let sets = ["rubric=r", r#"judges=["default","judge-2"]"#];
    let routes = ["--route", "default=one", "--route", "judge-2=two", "--max-consecutive-errors", "0"];
    run(&place, "judge", "answers.jsonl", &sets, &routes).expect(0);
    for (id, output) in rows(&place) {
        let judges: Vec<&str> =
            output["votes"].as_array().unwrap().iter().filter_map(|v| v["judge"].as_str()).collect();
        assert_eq!(judges, ["default", "judge-2"], "{id}");
    }
    place.run(&["job", "rm", "j", "--yes"]).expect(0);
    let one = ["--route", "default=one", "--max-consecutive-errors", "0"];
    run(&place, "judge", "answers.jsonl", &sets, &one).expect(3);
    let failed = place.run(&["failed", "list", "j", "--json"]).expect(0).stdout;
    let first: Value = serde_json::from_str(failed.lines().next().unwrap()).unwrap();
    assert!(first["code"] == "no_model" && first.to_string().contains("--route judge-2=NAME"), "{first}");
}

#[test]
fn translate_gives_every_text_of_its_sample_and_keeps_what_is_to_be_kept() {
    let place = Place::new();
    let sets = ["target=German", "keep=[]"];
    let summary = run(&place, "translate", "texts.jsonl", &sets, &["--provider", "mock"]).expect(0).summary();
    assert_eq!((&summary["job"]["processed"], &summary["job"]["skipped"]), (&json!(38), &json!(1)), "{summary}");

    // A translator that loses placeholders until it is told.
    let place = Place::new();
    let server = Answering::start(|said| {
        let is_review = said.contains("<source>");
        let source = fenced(said, if is_review { "source" } else { "text" });
        let is_told = said.contains("That cannot be used");
        let translation =
            if is_told { format!("» {source}") } else { format!("» {source}").replace("{name}", "Name") };
        if is_review {
            return json!({"changes": [], "translation": translation});
        }
        json!({"source_language": "en", "is_in_target_language": false, "translation": translation})
    });
    run(&place, "translate", "texts.jsonl", &["target=German"], &server.args()).expect(0);
    let (rows, texts) = (rows(&place), sample_texts());
    for (id, output) in &rows {
        assert_eq!(output["translation"], format!("» {}", texts[id]), "{id}");
    }
    let told = texts.values().filter(|text| text.contains("{name}")).count();
    assert_eq!((rows.len(), told, server.asked()), (38, 2, 2 * 38 + told));
}

#[test]
fn translate_fails_what_is_not_kept_and_says_what_is_missing() {
    let place = Place::new();
    let server = Answering::start(|said| {
        if said.contains("<source>") {
            return json!({"changes": [], "translation": "kurz"});
        }
        json!({"source_language": "en", "is_in_target_language": false, "translation": "kurz"})
    });
    place.write("in.jsonl", "{\"id\":\"a\",\"text\":\"Pay 1,200 EUR to {name}.\"}\n{\"id\":\"b\",\"text\":\"Save\"}\n");
    let plugin = plugin("translate");
    let args = ["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--job", "j", "--max-attempts", "1"];
    place.run(&[&args[..], &["--set", "target=German"], &server.args()].concat()).expect(3);
    assert_eq!(rows(&place)["b"]["translation"], "kurz");
    let shown = place.run(&["failed", "show", "j", "a"]).expect(0).stdout;
    assert!(shown.contains("not_kept") && shown.contains("number 1200") && shown.contains("{name}"), "{shown}");
}

#[test]
fn clean_asks_only_about_what_its_rules_leave_in_doubt() {
    let place = Place::new();
    let summary = run(&place, "clean", "mails.jsonl", &["ask=false"], &[]).expect(0).summary();
    assert_eq!((&summary["job"]["processed"], &summary["job"]["skipped"]), (&json!(32), &json!(1)), "{summary}");

    let place = Place::new();
    let server = Answering::start(|said| {
        let paragraphs = said.split("Paragraph ").skip(1).zip(1..);
        let is_notice = |text: &str| text.contains("to unsubscribe from") || text.contains("All rights reserved");
        json!({"boilerplate": paragraphs.filter(|(text, _)| is_notice(text)).map(|(_, n)| n).collect::<Vec<i32>>()})
    });
    run(&place, "clean", "mails.jsonl", &[], &server.args()).expect(0);
    let rows = rows(&place);
    let asked = rows.values().filter(|output| output["asked"] != 0).count();
    assert!(asked > 5 && asked < rows.len() && server.asked() == asked, "{asked} of {}", rows.len());
    for (id, output) in &rows {
        let text = output["text"].as_str().unwrap();
        let is_clean = !text.contains("to unsubscribe from") && !text.contains("Page 1") && !text.contains("  ");
        assert!(is_clean, "{id}: {output}");
    }
    assert!(rows["m-02"]["text"].as_str().unwrap().contains("keep the draft confidential"), "{}", rows["m-02"]);
}

fn sample_texts() -> BTreeMap<String, String> {
    let sample = std::fs::read_to_string(root().join("plugins/translate/sample/texts.jsonl")).unwrap();
    let text = |line: &str| {
        let item: Value = serde_json::from_str(line).unwrap();
        (item["id"].as_str().unwrap().to_owned(), item["text"].as_str().unwrap().to_owned())
    };
    sample.lines().map(text).collect()
}
