//! What the operator sees: on a terminal, on a pipe, in a log.

mod log;
mod terminal;

use crate::support::{MockServer, Place, plugin, until};
use serde_json::json;
use terminal::OnTerminal;

/// Colours, the cursor, a title, a bell, a line turned around, letters that take no room, two columns or none.
pub(crate) const HOSTILE: &str = "\u{1b}[2J\u{1b}[31mred\u{1b}]0;title\u{7} \r\n\u{9b}2J\u{202e}turned\u{2066}\u{200b} 語語語 \u{1f469}\u{200d}\u{1f4bb}";

fn items(place: &Place, waiting: usize) {
    let fail = |n: usize| {
        let message = format!("{HOSTILE} {}", "long ".repeat(60));
        json!({ "id": format!("bad-{n}"), "do": "fail", "code": HOSTILE, "message": message })
    };
    let ask = |n: usize| json!({ "id": format!("q-{n}"), "do": "ask", "prompt": format!("question {n}") });
    let lines = (0..3).map(fail).chain((0..waiting).map(ask));
    place.write("in.jsonl", lines.map(|line| line.to_string()).collect::<Vec<_>>().join("\n"));
}

fn arguments<'a>(plugin: &'a str, server: &'a MockServer) -> Vec<&'a str> {
    let ask = ["--provider", "openai", "--base-url", &server.url, "--model", "gpt-4o-mini"];
    let mut all = vec!["run", plugin, "--input", "in.jsonl", "--job", "tickets", "--store", "jobs"];
    all.extend(ask);
    all
}

/// What is left of a text when the sequences that the screen is drawn with are taken out.
fn without_ours(text: &str) -> String {
    let mut rest = String::new();
    let mut left = text;
    while let Some((before, sequence)) = left.split_once("\u{1b}[") {
        rest.push_str(before);
        let end = sequence.find(|c: char| !c.is_ascii_digit()).unwrap_or(sequence.len());
        let is_ours = match sequence[end..].chars().next() {
            Some('A' | 'B' | 'K') => true,
            Some('m') => matches!(&sequence[..end], "0" | "31" | "33"),
            _ => false,
        };
        assert!(is_ours, "ESC[{:?} was written", sequence.chars().take(8).collect::<String>());
        left = &sequence[end + 1..];
    }
    rest + left
}

#[test]
fn on_a_terminal_no_line_is_too_long_at_any_width_and_nothing_hostile_gets_through() {
    let place = Place::new();
    let server = MockServer::start(&place, "latency=60s");
    items(&place, 20);
    let plugin = plugin("misbehave");
    let run = OnTerminal::start(&place, 80, &[], &arguments(&plugin, &server));
    let text =
        run.until("the failures, and what waits", |text| text.contains("3 × plugin") && text.contains("in flight, 0"));
    let block = || run.text().lines().filter(|line| line.contains('░')).count();
    assert!(
        text.contains("  items   0 done, 3 failed, 20 in flight") && text.contains("  route   default: "),
        "{text}"
    );
    assert!(!run.has_wrapped(), "{text}");
    until("the same from a second terminal", || {
        let status = place.run(&["status", "tickets", "--store", "jobs"]).expect(0).stdout;
        assert!(!status.contains(['\u{1b}', '\u{202e}']), "{status:?}");
        let parts = ["0 done, 3 failed, 20 in flight", "route   default: 8 in flight, closed", "3 × plugin; such as "];
        parts.iter().all(|part| status.contains(part))
    });
    for columns in [40, 200, 23, 80] {
        run.resize(columns);
        let text = run.until("the figures, in their new width", |text| text.contains("3 × plugin"));
        assert!(!run.has_wrapped() && block() == 1, "{columns}:\n{text}");
        assert!(text.lines().all(|line| line.chars().count() < columns.into()), "{columns}:\n{text}");
    }
    run.signal("INT");
    run.until("that it stops", |text| text.contains("stopping"));
    run.signal("INT");
    let (code, text, bytes) = run.end();
    assert_eq!(code, Some(130), "{text}");
    assert!(text.contains("go on      sandmill resume --store") && !text.contains("stopping"), "{text}");
    let plain = without_ours(&bytes);
    let acts = |c: char| (c.is_control() && !matches!(c, '\r' | '\n')) || "\u{202e}\u{2066}\u{200b}".contains(c);
    assert!(!plain.contains(acts), "{plain:?}");
    assert!(plain.contains("語語語"), "what is harmless is shown: {plain}");
}

#[test]
fn colours_are_not_for_those_who_do_not_want_them_nor_the_screen_for_a_dumb_terminal() {
    let place = Place::new();
    let plugin = plugin("misbehave");
    let server = MockServer::start(&place, "server_error=100%,in_a_row=1000");
    items(&place, 20);
    let run = |env: Option<_>| {
        OnTerminal::start(&place, 80, env.as_slice(), &[&arguments(&plugin, &server)[..], &["--fresh"]].concat())
    };
    let is_open = |text: &str| text.contains("default: open for");
    for (env, is_drawn, is_coloured) in
        [(None, true, true), (Some(("NO_COLOR", "1")), true, false), (Some(("TERM", "dumb")), false, false)]
    {
        let running = run(env);
        if is_drawn {
            running.until("a breaker that is open", is_open);
        } else {
            running.until("a line that says so", |text| text.contains("; default open for"));
        }
        running.signal("INT");
        running.signal("INT");
        let (_, _, bytes) = running.end();
        assert_eq!((bytes.contains("\u{1b}["), bytes.contains("\u{1b}[31m")), (is_drawn, is_coloured), "{bytes}");
    }
}
