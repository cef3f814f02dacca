//! What a guest does by itself: time, memory, tables, stack, in each of its functions.

use super::*;
use std::time::Duration;

const SPIN: &str = "(loop $again (br $again))";
/// Unlike the functions, `$down` is the library's.
const DOWN: &str =
    "(func $down (param i32) (result i32) (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))";

fn quick() -> Limits {
    Limits { cpu_time: Duration::from_millis(50), ..Limits::default() }
}

#[tokio::test]
async fn an_endless_loop_ends_in_each_of_a_plugins_functions() {
    for section in ["process", "realloc", "post"] {
        let failure = failure(quick(), &plugin(&[(section, SPIN)])).await;
        of_class(&failure, FailureClass::CpuTime, "--limit-cpu");
    }
    let in_start = format!("(func $spin {SPIN}) (start $spin)");
    for section in [("describe", SPIN), ("start", &in_start)] {
        let refused = refusal(quick(), &plugin(&[section])).await;
        assert!(refused.contains("cpu_time") && refused.contains("--limit-cpu"), "{refused}");
    }
}

#[tokio::test]
async fn operations_on_much_memory_at_once_are_charged() {
    let fill = "(loop $again (memory.fill (i32.const 0) (i32.const 0) (i32.const 67108864)) (br $again))";
    of_class(
        &failure(quick(), &plugin(&[("pages", "1025"), ("process", fill)])).await,
        FailureClass::CpuTime,
        "--limit-cpu",
    );
    let copy = "(loop $again (table.copy (i32.const 0) (i32.const 1) (i32.const 90000)) (br $again))";
    let table = [("fields", "(table 100000 funcref)"), ("process", copy)];
    of_class(&failure(quick(), &plugin(&table)).await, FailureClass::CpuTime, "--limit-cpu");
}

#[tokio::test]
async fn memory_is_refused_beyond_its_limit_and_tables_beyond_theirs() {
    let limits = || Limits { memory_bytes: 10 << 16, table_elements: 100, ..Limits::default() };
    let grow = "(if (i32.eq (memory.grow (i32.const 7)) (i32.const -1)) (then unreachable))";
    of_class(&failure(limits(), &plugin(&[("process", grow)])).await, FailureClass::Memory, "--limit-memory");
    let grow = "(if (i32.eq (table.grow (ref.null func) (i32.const 60)) (i32.const -1)) (then unreachable))";
    let tables = [("fields", "(table 20 funcref) (table 30 funcref)"), ("process", grow)];
    of_class(&failure(limits(), &plugin(&tables)).await, FailureClass::Table, "--limit-table");
    let live = "(drop (memory.grow (i32.const 7)))";
    assert_eq!(verdict(limits(), &plugin(&[("process", live)])).await, DONE, "a refusal can be lived with");
}

#[tokio::test]
async fn a_deep_recursion_is_no_more_than_a_failed_item() {
    let deep = plugin(&[("fields", DOWN), ("process", "(drop (call $down (i32.const 0)))")]);
    let failure = failure(Limits::default(), &deep).await;
    of_class(&failure, FailureClass::Stack, "--limit-stack");
    assert!(failure.message.contains("1.0 MiB"), "{}", failure.message);
}

/// Recurses until little of the stack is left, and has the host work there; then a little deeper each time.
fn at_the_bottom(call: &str) -> String {
    format!(
        "(func $bottom (param $depth i32)
           (if (i32.eqz (local.get $depth)) (then {call}) (else (call $bottom (i32.sub (local.get $depth) (i32.const 1))))))
         (func $last (param $depth i32) {call} (call $last (i32.add (local.get $depth) (i32.const 1))))"
    )
}

#[tokio::test]
async fn the_hosts_functions_have_stack_enough_wherever_they_are_called() {
    let log = "(call $log (i32.const 2) (i32.const 1024) (i32.const 9) (i32.const 0) (i32.const 0))";
    let read = "(call $read (i32.const 1030) (i32.const 1) (i64.const 0) (i32.const 100) (i32.const 3200))";
    let write = "(call $write (global.get $out) (i32.const 1024) (i32.const 9) (i32.const 3200))";
    let look = "(drop (call $now))";
    for call in [log, read, write, look] {
        let fields = format!("(global $out (mut i32) (i32.const 0)) {}", at_the_bottom(call));
        let process = "(global.set $out (call $stdout)) (call $bottom (i32.const 1000)) (call $last (i32.const 0))";
        let text = calling(process, &[("fields", &fields)]);
        of_class(&failure(Limits::default(), &text).await, FailureClass::Stack, "--limit-stack");
    }
}

/// wasmtime gives the guest's allocator a whole stack of its own, wherever on the guest's stack the host was called.
#[tokio::test]
async fn a_recursion_in_the_allocator_under_a_recursion_is_no_more_than_a_failed_item() {
    // There is no such blob: the error's text is allocated for, and is longer than what is allocated for the item but its JSON.
    let read = "(global.set $deep (i32.const 1)) (call $read (i32.const 1024) (i32.const 1) (i64.const 0) (i32.const 9) (i32.const 3200))";
    let realloc = "(if (global.get $deep) (then (drop (call $down (i32.const 0)))))";
    // As deep as a hundred times the length of the item's JSON.
    let process = "(call $bottom (i32.mul (i32.const 100) (i32.load offset=20 (local.get $arguments))))";
    let text = calling(process, &[("fields", &at_the_bottom(read)), ("realloc", realloc)])
        .replace(
            "(memory (export \"memory\") 4)",
            "(memory (export \"memory\") 4) (global $deep (export \"deep\") (mut i32) (i32.const 0))",
        )
        .replace(
            "(import \"libc\" \"memory\" (memory 1))",
            "(import \"libc\" \"memory\" (memory 1)) (import \"libc\" \"deep\" (global $deep (mut i32)))",
        );
    for stack_bytes in [64 << 10, 1 << 20, 4 << 20] {
        let plugin = load(Limits { stack_bytes, ..Limits::default() }, &text).await.unwrap();
        let mut length = 10;
        while length * 100 < stack_bytes / 16 {
            let Verdict::Failed(failure) = run(&plugin, &"x".repeat(length), Arc::new(NoModel)).await else { panic!() };
            of_class(&failure, FailureClass::Stack, "--limit-stack");
            length += length / 10;
        }
    }
}

#[tokio::test]
async fn what_is_returned_or_handed_in_beyond_the_limit_is_not_taken() {
    let limits =
        || Limits { transfer_bytes: 100_000, output_bytes: 100, output_depth: 2, emissions: 2, ..Limits::default() };
    // An outcome at 3072: emits a list at 3200 of as many emissions as are said, each the text at 5000.
    let emits = |count: u32, length: u32| {
        let one = (0..count).map(|nth| {
            let at = 3200 + nth * 28;
            format!(
                "(i32.store (i32.const {at}) (i32.const 5000)) (i32.store (i32.const {}) (i32.const {length}))",
                at + 4
            )
        });
        format!(
            "{} (i32.store (i32.const 3084) (i32.const 3200)) (i32.store (i32.const 3088) (i32.const {count}))",
            one.collect::<String>()
        )
    };
    let text = |count: u32, length: u32, json: &str| {
        plugin(&[("process", &emits(count, length)), ("fields", &format!("(data (i32.const 5000) \"{json}\")"))])
    };
    assert!(matches!(verdict(limits(), &text(2, 3, "[1]")).await, Verdict::Finished(_)));
    of_class(&failure(limits(), &text(3, 3, "[1]")).await, FailureClass::OutputTooLarge, "--limit-emissions");
    of_class(&failure(limits(), &text(1, 200, "1")).await, FailureClass::OutputTooLarge, "--limit-output");
    of_class(&failure(limits(), &text(1, 7, "[[[1]]]")).await, FailureClass::OutputTooDeep, "--limit-depth");
    of_class(&failure(limits(), &text(1, 150_000, "1")).await, FailureClass::OutputTooLarge, "--limit-output");
    let taker = load(limits(), &plugin(&[])).await.unwrap();
    let large = format!("\"{}\"", "x".repeat(200_000));
    let Verdict::Failed(failure) = run(&taker, &large, Arc::new(NoModel)).await else { panic!("it was taken") };
    of_class(&failure, FailureClass::Transfer, "--limit-transfer");
}
