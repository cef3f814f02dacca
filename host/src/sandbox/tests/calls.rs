//! What a guest has the host do.

use super::*;
use std::time::Duration;

fn few_calls() -> Limits {
    Limits { host_calls: 1_000, ..Limits::default() }
}

fn forever(call: &str) -> String {
    format!("(loop $again {call} (br $again))")
}

const LOG: &str = "(call $log (i32.const 2) (i32.const 1024) (i32.const 9) (i32.const 0) (i32.const 0))";
const TIMER: &str = "(call $drop (call $subscribe (i64.const 1)))";
const READ: &str = "(call $read (i32.const 1024) (i32.const 4) (i64.const 0) (i32.const 65536) (i32.const 3200))";

#[tokio::test]
async fn every_function_of_the_host_counts_wherever_it_comes_from() {
    let write = "(call $write (global.get $out) (i32.const 1024) (i32.const 9) (i32.const 3200))";
    for call in [LOG, READ, TIMER, "(drop (call $now))", write] {
        let process = format!("(global.set $out (call $stdout)) {}", forever(call));
        let text = calling(&process, &[("fields", "(global $out (mut i32) (i32.const 0))")]);
        let failure = failure(few_calls(), &text).await;
        of_class(&failure, FailureClass::HostCalls, "--limit-host-calls");
    }
}

#[tokio::test]
async fn one_call_too_many_fails_however_soon_the_guest_ends() {
    let count = |calls: u32| {
        format!(
            "(local.set $left (i32.const {calls}))
             (loop $again (drop (call $now)) (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))"
        )
    };
    let text = |calls: u32| calling(&format!("(local $left i32) {}", count(calls)), &[]);
    assert_eq!(verdict(few_calls(), &text(1_000)).await, DONE);
    of_class(&failure(few_calls(), &text(1_001)).await, FailureClass::HostCalls, "--limit-host-calls");
}

#[tokio::test]
async fn calls_count_while_a_plugin_describes_itself() {
    let text = calling("", &[("describe", &forever(TIMER))]);
    let refused = refusal(few_calls(), &text).await;
    assert!(refused.contains("host_calls") && refused.contains("--limit-host-calls"), "{refused}");
}

#[tokio::test]
async fn what_the_host_does_is_bounded_apart_from_what_the_guest_does() {
    let limits = Limits { host_time: Duration::from_millis(30), host_calls: u64::MAX, ..Limits::default() };
    of_class(&failure(limits, &calling(&forever(READ), &[])).await, FailureClass::HostTime, "--limit-host-time");
}

#[tokio::test]
async fn handles_that_are_never_dropped_are_refused_beyond_the_limit() {
    let limits = Limits { handles: 500, ..Limits::default() };
    let text = calling(&forever("(drop (call $subscribe (i64.const 1)))"), &[]);
    of_class(&failure(limits.clone(), &text).await, FailureClass::Handles, "--limit-handles");
    let own = plugin(&[
        ("imports", "(type $own (resource (rep i32)))"),
        ("lower", "(core func $new (canon resource.new $own))"),
        ("core-imports", "(import \"host\" \"new\" (func $new (param i32) (result i32)))"),
        ("with", "(with \"host\" (instance (export \"new\" (func $new))))"),
        ("process", &forever("(drop (call $new (i32.const 7)))")),
    ]);
    of_class(&failure(limits, &own).await, FailureClass::Handles, "--limit-handles");
}

#[tokio::test]
async fn more_than_may_cross_is_neither_read_nor_written() {
    let limits = || Limits { transfer_bytes: 100_000, ..Limits::default() };
    let read = "(call $read (i32.const 1024) (i32.const 4) (i64.const 0) (i32.const 100001) (i32.const 3200))";
    let named = [("fields", "(data (i32.const 1024) \"blob\")")];
    of_class(&failure(limits(), &calling(read, &named)).await, FailureClass::Transfer, "--limit-transfer");
    let log = "(call $log (i32.const 2) (i32.const 1024) (i32.const 150000) (i32.const 0) (i32.const 0))";
    of_class(&failure(limits(), &calling(log, &[])).await, FailureClass::Transfer, "--limit-transfer");
    // Their places are within the memory: it is their number that is too large.
    let fields = "(call $log (i32.const 2) (i32.const 1024) (i32.const 9) (i32.const 1024) (i32.const 10000))";
    of_class(&failure(limits(), &calling(fields, &[])).await, FailureClass::Transfer, "--limit-transfer");
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut_and_told_of_once() {
    let limits = Limits { log_lines: 5, ..few_calls() };
    let process = format!(
        "(local $left i32) (local.set $left (i32.const 50)) (loop $again {LOG} (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))"
    );
    let plugin = load(limits, &calling(&process, &[])).await.unwrap();
    let job = Job { name: "j".into(), created_unix_ms: 0, config: "{}".into() };
    let id = ItemId::new("i").unwrap();
    let item = Item { seq: ItemSeq(1), id, index: 0, json: "{}".into(), blobs: Arc::new([]) };
    let report = plugin.run_attempt(&job, &item, AttemptNumber::FIRST, Budget::default(), Arc::new(NoModel)).await;
    assert_eq!(report.verdict, DONE);
    let lines: Vec<&str> = report.log.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(lines, [&["a message"; 5][..], &["45 more lines were dropped"]].concat());
}
