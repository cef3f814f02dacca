//! Figures against what plain lists say, and against the document.

use super::*;
use crate::domain::{CrashCard, test_card};
use crate::report::JobCommand;
use crate::store::Reader;
use crate::store::testing::{CallEndOf, CallOf, EndOf, Rows, RunOf};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

const HOUR: u64 = 3_600_000;

pub(in crate::report) fn gathered(reader: &Reader) -> Figures {
    let around = Around { name: "j".into(), now_ms: 100 * HOUR, state: "finished".into(), ..Around::default() };
    Figures::gather(reader, &JobCommand::new("j", None), around).unwrap()
}

/// A job with something of everything; `text` stands wherever a text of others can.
pub(in crate::report) fn full(text: &str) -> Figures {
    let dir = tempfile::tempdir().unwrap();
    let rows = Rows::new(dir.path(), text);
    let summary = json!({
        "run": {"processed": 1, "skipped": 1, "failed": 2, "provider_calls": 5, "cost_dollars": 0.5},
        "ended": {"parked_until_ms": 9},
    });
    let tags = json!({text: text}).to_string();
    rows.run(&RunOf { started_ms: HOUR, ended_ms: None, tags: tags.clone(), ..RunOf::default() });
    rows.run(&RunOf {
        started_ms: 9 * HOUR,
        ended_ms: Some(9 * HOUR + 60_000),
        reason: text.into(),
        summary: Some(summary.to_string()),
        tags,
    });
    let at = 9 * HOUR;
    for (item, suffix) in (1..).zip(["", "1", "2", "3", "4", "5"]) {
        rows.item(&format!("{text}{suffix}"));
        rows.attempt(item, 2, at);
    }
    rows.attempt(3, 1, HOUR + 2);
    let failed = EndOf {
        state: "failed",
        attempt: Some(3),
        run: Some(2),
        ended_ms: at + 9_000,
        class: text.into(),
        code: format!("{text}!"),
        message: text.into(),
        card: Some(CrashCard { cause: text.into(), said: Some(text.into()), stderr: vec![text.into()], ..test_card() }),
        ..EndOf::default()
    };
    let well =
        EndOf { state: "done", attempt: Some(1), run: Some(2), ended_ms: at + 2_000, truncated: 2, ..EndOf::default() };
    rows.end(1, &well);
    rows.end(2, &EndOf { state: "skipped", attempt: Some(2), truncated: 0, ..well });
    rows.end(3, &failed);
    rows.end(4, &EndOf { attempt: Some(4), card: None, ..failed.clone() });
    rows.end(5, &EndOf { attempt: None, run: None, class: "bad_input".into(), card: None, ..failed });
    rows.reject(2, text, text);
    let call = CallOf {
        item: 1,
        attempt: 1,
        route: text.into(),
        model: text.into(),
        has_price: true,
        sent_ms: at,
        ..CallOf::default()
    };
    let answered = CallEndOf {
        state: "answered",
        ended_ms: at + 1_000,
        input_tokens: 10,
        output_tokens: 2,
        cost: 70,
        ..CallEndOf::default()
    };
    let away = CallEndOf { state: "failed", ended_ms: at + 500, class: text.into(), ..CallEndOf::default() };
    rows.call(&call, Some(&away));
    rows.call(&CallOf { sent_ms: at + 700, ..call.clone() }, Some(&answered));
    rows.call(&call, Some(&CallEndOf { state: "taken", ..CallEndOf::default() }));
    rows.call(&CallOf { item: 2, attempt: 2, sent_ms: at + 3, ..call.clone() }, None);
    let lost = CallEndOf { state: "unknown", ended_ms: at, cost: 5, lost_tokens: 9, ..CallEndOf::default() };
    rows.call(&CallOf { item: 3, attempt: 7, sent_ms: HOUR + 5, ..call }, Some(&lost));
    for (ms, from, to) in [(1_000, "closed", "open"), (4_000, "open", "half-open"), (5_000, "half-open", "closed")] {
        rows.event(2, at + ms, text, "breaker", &json!({"from": from, "to": to, "reason": text, "pause_ms": 3_000}));
    }
    rows.event(2, at + 500, text, "concurrency", &json!({"from": 8, "to": 16, "reason": text}));
    rows.event(2, at + 30_000, text, "concurrency", &json!({"from": 16, "to": 12, "reason": text}));
    gathered(&rows.reader())
}

#[test]
fn a_small_job_is_told_whole() {
    let figures = full("x");
    let ItemFigures { total, processed, skipped, failed, pending, executions, .. } = figures.items;
    assert_eq!((total, processed, skipped, failed, pending, executions), (6, 1, 1, 3, 1, 7));
    let calls = &figures.calls;
    assert_eq!((calls.provider_calls, calls.answered_calls, calls.failed_calls), (4, 1, 1));
    assert_eq!((calls.unknown_calls, calls.under_way, calls.taken, calls.cost), (1, 1, 1, Dollars(75)));
    let expected = ErrorFigures { calls: 1, retried: 1, waited_ms: 200, waited_max_ms: 200 };
    assert_eq!(figures.errors, BTreeMap::from([("x".to_owned(), expected)]));
    let spans: Vec<_> = figures.breakers.iter().map(|span| (span.state.as_str(), span.to_ms - span.from_ms)).collect();
    assert_eq!(spans, [("open", 3_000), ("half-open", 1_000)]);
    let groups: Vec<_> = figures.failures.groups.iter().map(|group| (group.count, group.examples.len())).collect();
    assert_eq!(groups, [(2, 2), (1, 1)]);
    assert_eq!((figures.cut.items, figures.cut.requests, figures.unknown.tokens), (1, 2, 9));
    assert_eq!(figures.slowest[0].took_ms, 9_000);
    let dear: Vec<_> = figures.dearest.iter().map(|item| (item.calls, item.cost.0)).collect();
    assert_eq!(dear, [(2, 70), (1, 5), (1, 0)]);
    // The first run died: the books tell of a call at five milliseconds.
    assert_eq!(figures.job.active_ms, 5 + 60_000);
    let pieces = &figures.timeline.pieces;
    assert!(pieces[1].follows_gap && pieces[0].concurrency.is_empty());
    let limits: Vec<u64> = pieces.iter().filter_map(|piece| piece.concurrency.get("x").copied()).collect();
    assert_eq!(
        (limits.first(), limits.last(), limits.is_sorted_by(|one, next| one >= next)),
        (Some(&16), Some(&12), true)
    );
    assert_eq!(figures.ended.parked_until_ms, Some(9));
    assert_eq!((figures.runs[1].processed, figures.runs[0].processed), (Some(2), None));
    let Commands { go_on, retry, export } = figures.commands;
    let commands = [go_on, retry, export].map(Option::unwrap);
    assert_eq!(commands, ["sandmill resume j", "sandmill failed retry j", "sandmill export j -o j.jsonl"]);
}

#[test]
fn a_job_without_a_run_has_figures() {
    let dir = tempfile::tempdir().unwrap();
    let rows = Rows::new(dir.path(), "x");
    let figures = gathered(&rows.reader());
    assert_eq!((figures.items.total, figures.timeline.pieces.len()), (0, 0));
    assert_eq!(figures.commands, Commands::default());
    assert!(crate::report::page(&figures).unwrap().contains("never run"));
}

/// `calls.cost_dollars`; lists and tables whose keys are names count as what they hold.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(table) if !table.is_empty() => {
            for (name, value) in table {
                // A name of the test's own.
                let name = if name == "x" { "NAME" } else { name };
                let dot = if path.is_empty() { "" } else { "." };
                keys(value, &format!("{path}{dot}{name}"), found);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for value in list {
                keys(value, path, found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

#[test]
fn the_document_names_every_key_and_no_other() {
    let mut written = BTreeSet::new();
    keys(&serde_json::to_value(full("x")).unwrap(), "", &mut written);
    // Told where it is null, too: only what is there has parts.
    written.remove("failures.groups.examples.crash");
    written.remove("timeline.pieces.failed_calls");
    written.remove("timeline.pieces.concurrency");
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/report.md")).unwrap();
    let first_cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let mut named = BTreeSet::new();
    for cell in first_cells {
        // `a.b`, `c` stands for `a.b` and `a.c`.
        let mut words = cell.split('`').step_by(2).filter(|word| !word.is_empty());
        let first = words.next().unwrap();
        let parent = first.rsplit_once('.').map_or("", |(parent, _)| parent);
        named.insert(first.to_owned());
        named.extend(words.map(|word| if parent.is_empty() { word.to_owned() } else { format!("{parent}.{word}") }));
    }
    assert_eq!(named, written, "what docs/report.md names, and what the figures have");
}

#[derive(Debug, Clone)]
struct Call {
    hash: u8,
    sent: u64,
    took: u64,
    /// 0: answered, 1: failed, 2: unknown, 3: under way.
    how: u8,
    class: u8,
    route: u8,
    tokens: u64,
    cost: u64,
}

#[derive(Debug, Clone)]
struct Item {
    /// 0: pending, 1: done, 2: skipped, 3: failed.
    state: u8,
    began: u64,
    took: u64,
    code: u8,
    calls: Vec<Call>,
}

fn item() -> impl Strategy<Value = Item> {
    let call = (0..3_u8, 0..20_000_u64, 0..9_000_u64, 0..4_u8, 0..3_u8, 0..2_u8, 0..99_u64, 0..999_u64).prop_map(
        |(hash, sent, took, how, class, route, tokens, cost)| Call {
            hash,
            sent,
            took,
            how,
            class,
            route,
            tokens,
            cost,
        },
    );
    (0..4_u8, 0..20_000_u64, 0..9_000_u64, 0..3_u8, prop::collection::vec(call, 0..6))
        .prop_map(|(state, began, took, code, calls)| Item { state, began, took, code, calls })
}

const STATES: [&str; 4] = ["pending", "done", "skipped", "failed"];
const RUN: u64 = 5 * HOUR;
const LONG: u64 = 30_000;

fn build(dir: &Path, items: &[Item]) -> Reader {
    let rows = Rows::new(dir, "x");
    rows.run(&RunOf { started_ms: RUN, ended_ms: Some(RUN + LONG), tags: "{}".into(), ..RunOf::default() });
    for (nth, item) in (1..).zip(items) {
        rows.item(&format!("i{nth}"));
        rows.attempt(nth, 1, RUN + item.began);
        if item.state > 0 {
            let code = format!("c{}", item.code);
            rows.end(
                nth,
                &EndOf {
                    state: STATES[usize::from(item.state)],
                    attempt: Some(nth),
                    run: Some(1),
                    ended_ms: RUN + item.began + item.took,
                    class: "plugin".into(),
                    code,
                    ..EndOf::default()
                },
            );
        }
        for call in &item.calls {
            let sent = CallOf {
                item: nth,
                attempt: nth,
                hash: call.hash,
                route: format!("r{}", call.route),
                sent_ms: RUN + call.sent,
                ..CallOf::default()
            };
            let end = CallEndOf {
                state: ["answered", "failed", "unknown"].get(usize::from(call.how)).unwrap_or(&""),
                ended_ms: RUN + call.sent + call.took,
                class: if call.how == 1 { format!("e{}", call.class) } else { String::new() },
                input_tokens: call.tokens,
                cost: call.cost,
                ..CallEndOf::default()
            };
            rows.call(&sent, (call.how < 3).then_some(&end));
        }
    }
    rows.reader()
}

/// How long a call was under way within a piece.
fn overlap(call: &Call, piece: &Piece) -> u64 {
    let (from, to) = (RUN + call.sent, RUN + call.sent + call.took);
    to.min(piece.start_ms + piece.covered_ms).saturating_sub(from.max(piece.start_ms))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sums_are_those_of_plain_lists(items in prop::collection::vec(item(), 0..12)) {
        let dir = tempfile::tempdir().unwrap();
        let reader = build(dir.path(), &items);
        let figures = gathered(&reader);
        let of_state = |state: u8| items.iter().filter(|item| item.state == state).count() as u64;
        let sums = &figures.items;
        prop_assert_eq!([sums.pending, sums.processed, sums.skipped, sums.failed], [0, 1, 2, 3].map(of_state));
        let calls: Vec<&Call> = items.iter().flat_map(|item| &item.calls).collect();
        let of_kind = |how: u8| calls.iter().filter(|call| call.how == how).count() as u64;
        let books = &figures.calls;
        let kinds = [books.answered_calls, books.failed_calls, books.unknown_calls, books.under_way];
        prop_assert_eq!(kinds, [0, 1, 2, 3].map(of_kind));
        let cost: u64 = calls.iter().filter(|call| call.how < 3).map(|call| call.cost).sum();
        let usage = reader.usage().unwrap();
        prop_assert_eq!((books.cost, books.provider_calls, books.input_tokens), (Dollars(cost), usage.calls, usage.input_tokens));
        prop_assert_eq!((usage.cost, usage.unknown), (cost, books.unknown_calls));

        let pieces = &figures.timeline.pieces;
        prop_assert_eq!(pieces.iter().map(|piece| piece.covered_ms).sum::<u64>(), LONG);
        prop_assert_eq!(pieces.iter().map(|piece| piece.cost.0).sum::<u64>(), cost);
        for piece in pieces {
            let within = |at: u64| (piece.start_ms..piece.start_ms + piece.covered_ms).contains(&(RUN + at));
            let ended = |state: u8| items.iter().filter(|item| item.state == state && within(item.began + item.took)).count() as u64;
            prop_assert_eq!([piece.done, piece.skipped, piece.failed], [1, 2, 3].map(ended));
            let answered = calls.iter().filter(|call| call.how == 0 && within(call.sent + call.took)).count() as u64;
            prop_assert_eq!(piece.answered_calls, answered);
            let under_way: u64 = calls.iter().filter(|call| call.how < 2).map(|call| overlap(call, piece)).sum();
            let mean = as_float(under_way) / as_float(piece.covered_ms);
            prop_assert!((piece.calls_under_way - mean).abs() < 1e-6, "{} for {mean}", piece.calls_under_way);
        }
    }

    #[test]
    fn what_was_waited_for_and_what_stands_out_is_that_of_plain_lists(items in prop::collection::vec(item(), 0..12)) {
        let dir = tempfile::tempdir().unwrap();
        let figures = gathered(&build(dir.path(), &items));
        let mut errors: BTreeMap<String, ErrorFigures> = BTreeMap::new();
        for item in &items {
            for (nth, call) in item.calls.iter().enumerate().filter(|(_, call)| call.how == 1) {
                let figures = errors.entry(format!("e{}", call.class)).or_default();
                figures.calls += 1;
                if let Some(again) = item.calls[nth + 1..].iter().find(|again| again.hash == call.hash) {
                    let waited = again.sent.saturating_sub(call.sent + call.took);
                    figures.retried += 1;
                    figures.waited_ms += waited;
                    figures.waited_max_ms = figures.waited_max_ms.max(waited);
                }
            }
        }
        prop_assert_eq!(figures.errors, errors);
        let mut took: Vec<u64> = items.iter().filter(|item| item.state > 0).map(|item| item.took).collect();
        took.sort_unstable_by_key(|took| std::cmp::Reverse(*took));
        let latency = &figures.latency.items;
        prop_assert_eq!((latency.count, latency.max_ms), (took.len() as u64, took.first().copied().unwrap_or(0)));
        prop_assert_eq!(figures.slowest.iter().map(|item| item.took_ms).collect::<Vec<_>>(), took);
        let book = |item: &Item| -> u64 { item.calls.iter().filter(|call| call.how < 3).map(|call| call.cost).sum() };
        let mut dear: Vec<u64> = items.iter().filter(|item| !item.calls.is_empty()).map(book).collect();
        dear.sort_unstable_by_key(|cost| std::cmp::Reverse(*cost));
        prop_assert_eq!(figures.dearest.iter().map(|item| item.cost.0).collect::<Vec<_>>(), dear);
        let mut codes: BTreeMap<String, u64> = BTreeMap::new();
        items.iter().filter(|item| item.state == 3).for_each(|item| *codes.entry(format!("c{}", item.code)).or_default() += 1);
        let groups: BTreeMap<String, u64> = figures.failures.groups.iter().map(|group| (group.code.clone(), group.count)).collect();
        prop_assert_eq!(groups, codes);
        prop_assert!(figures.failures.groups.is_sorted_by_key(|group| std::cmp::Reverse(group.count)));
        for route in &figures.routes {
            let of_route = items.iter().flat_map(|item| &item.calls).filter(|call| format!("r{}", call.route) == route.route);
            prop_assert_eq!(route.calls, of_route.count() as u64);
        }
    }
}
