//! One plugin's evil strings, through everything that shows or hands on what a plugin says: terminal, log, files, pages, Slack.
//!
//! `docs/security.md` lists the crossings.

use crate::alerts::hooks::Receiver;
use crate::dashboard::Watched;
use crate::support::{Place, plugin, until};
use serde_json::{Value, json};

/// What would run as a script, mention everybody, colour, clear and rename a terminal, turn a line around, hide, forge a line, and be
/// computed by a spreadsheet.
const EVIL: &str = "=HYPERLINK(\"http://evil.example.com\")<script>window.hacked=1</script><!channel> \u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\u{200b}\u{2028}\r\nWARNING: forged";
/// An id may be all but control characters.
const EVIL_ID: &str = "=1+1<img src=x onerror=alert(1)>\u{202e}\u{200b}<!channel>";

/// What is made of what a plugin says, by the crossing's name.
struct Crossing {
    name: &'static str,
    text: String,
}

/// What in a text would do something to who reads it, in a terminal or anywhere else; empty: nothing.
fn hidden(name: &str, text: &str) -> Vec<String> {
    let acts =
        |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202e}' | '\u{200b}' | '\u{2028}');
    let around = |at: usize| text.floor_char_boundary(at.saturating_sub(60))..text.ceil_char_boundary(at + 20);
    text.find(acts).map(|at| format!("{name}: {:?}", &text[around(at)])).into_iter().collect()
}

/// Where what is said is told apart by lines.
fn forged(name: &str, text: &str) -> Vec<String> {
    let forged = text.lines().any(|line| line.starts_with("WARNING: forged"));
    forged.then(|| format!("{name}: a line is forged:\n{text}")).into_iter().chain(hidden(name, text)).collect()
}

/// To a browser, and to Slack.
fn markup(name: &str, text: &str) -> Vec<String> {
    let found = ["<script", "<img", "<!channel"].into_iter().filter(|part| text.contains(part));
    found.map(|part| format!("{name}: {part}")).chain(hidden(name, text)).collect()
}

fn evil_input() -> String {
    let with = |id: &str, way: &str| json!({"id": format!("{id}{EVIL_ID}"), "do": way, "text": EVIL, "code": EVIL, "message": EVIL});
    [("a", "fail"), ("b", "panic"), ("c", "log"), ("d", "stdout"), ("e", "ok")]
        .map(|(id, way)| with(id, way).to_string() + "\n")
        .concat()
}

/// Runs the job `j`, which is held at its end until its page was looked at.
fn run(place: &Place, receiver: &Receiver, crossings: &mut Vec<Crossing>) {
    place.write("hook", format!("{}/hook\n", receiver.url));
    place.write(
        "sandmill.toml",
        "[alert]\nfinished = true\nend_wait = \"4m\"\n[alert.slack.ops]\nurl_file = \"hook\"\n\
         [alert.command.hold]\ncommand = [\"sh\", \"-c\", \"touch ended; while [ ! -e go ]; do sleep 0.02; done\"]\ntimeout = \"4m\"\n",
    );
    place.write("in.jsonl", evil_input());
    let misbehave = plugin("misbehave");
    let args = ["run", &misbehave, "--input", "in.jsonl", "--output", "out.csv", "--job", "j", "--json", "-v"];
    let run = Watched::start(place, &[&args[..], &["--dashboard", "0"]].concat());
    until("the end of the work", || place.path("ended").exists());
    let page = run.bare("GET", "/", &format!("Cookie: {}\r\n", run.cookie)).2;
    assert!(!page.contains("hacked"), "no text of others is in the page itself:\n{page}");
    crossings.push(Crossing { name: "dashboard: figures", text: run.data().to_string() });
    let failures = run.json("/failures");
    for row in failures["failures"].as_array().unwrap() {
        let card = run.json(&format!("/failures/{}", row["item"]));
        crossings.push(Crossing { name: "dashboard: a card", text: card.to_string() });
    }
    crossings.push(Crossing { name: "dashboard: failures", text: failures.to_string() });
    place.write("go", "");
    let (code, summary, terminal) = run.end();
    assert_eq!(code, 3, "{terminal}");
    crossings.push(Crossing { name: "terminal, with -v", text: terminal });
    crossings.push(Crossing { name: "summary", text: summary.to_string() });
}

/// What commands show of it.
fn show(place: &Place, crossings: &mut Vec<Crossing>) {
    let (failed, crashed) = (format!("a{EVIL_ID}"), format!("b{EVIL_ID}"));
    for (name, command) in [
        ("status", &["status", "j"][..]),
        ("log", &["log", "j"]),
        ("log of an item", &["log", "j", "--item", &failed]),
        ("cost by item", &["cost", "j", "--by", "item"]),
        ("failed list", &["failed", "list", "j"]),
        ("failed list, JSON", &["failed", "list", "j", "--json"]),
        ("failed show", &["failed", "show", "j", &failed]),
        ("failed show of a crash", &["failed", "show", "j", &crashed]),
        ("failed show, JSON", &["failed", "show", "j", &crashed, "--json"]),
        ("report, JSON", &["report", "j", "--json"]),
    ] {
        let ran = place.run(command).expect(0);
        crossings.push(Crossing { name, text: ran.stdout + &ran.stderr });
    }
}

#[test]
fn what_a_plugin_says_is_harmless_wherever_it_comes_out() {
    let (place, receiver, mut crossings) = (Place::new(), Receiver::start(&[]), Vec::new());
    run(&place, &receiver, &mut crossings);
    show(&place, &mut crossings);
    let mut found: Vec<String> = crossings.iter().flat_map(|crossing| forged(crossing.name, &crossing.text)).collect();
    for name in ["dashboard: failures", "terminal, with -v", "log", "failed list, JSON", "failed show"] {
        let came_out =
            crossings.iter().any(|crossing| crossing.name == name && crossing.text.contains("window.hacked=1"));
        assert!(came_out, "{name}: what was said does not come out at all");
    }

    place.run(&["report", "j"]).expect(0);
    let report = place.read("j.html");
    assert!(report.contains("&lt;script&gt;window.hacked=1"), "it comes out there too");
    found.extend(markup("report", &report));

    // A spreadsheet computes nothing.
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(place.path("out.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let cells: Vec<&str> = rows.iter().flatten().collect();
    assert!(cells.iter().any(|cell| cell.contains("window.hacked=1")), "{cells:?}");
    assert!(!cells.iter().any(|cell| cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{cells:?}");

    // Slack mentions nobody, links nothing, and no line is turned around.
    let slack = receiver.requests().into_iter().find(|request| request.path == "/hook").unwrap();
    found.extend(forged("Slack", &slack.body));
    let texts = texts(&slack.json());
    assert!(texts.iter().any(|text| text.contains("window.hacked=1")), "{texts:?}");
    found.extend(texts.iter().flat_map(|text| [markup("Slack", text), forged("Slack", text)].concat()));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}
