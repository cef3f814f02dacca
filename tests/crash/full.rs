//! A disk that is full in the middle of a run: what was paid is kept, and with room the same command goes on.

use super::workload::{Batch, Kind, NO_FAULTS, Status, assert_unharmed};
use crate::support::{Ran, items};
use serde_json::Value;

const CONCURRENCY: usize = 4;
const ITEMS: usize = 150;

#[test]
fn a_disk_that_fills_in_mid_run_costs_no_more_than_the_calls_in_flight() {
    // Long questions, so that the disk is full soon.
    let input = items(ITEMS, |index| {
        let mut item = Kind::One.item(index);
        item["prompt"] = format!("{} {}", item["prompt"], "word ".repeat(2_000)).into();
        item
    });
    let unharmed = Batch::new(&input, NO_FAULTS, CONCURRENCY);
    unharmed.run().expect(0);
    let harmed = Batch::new(&input, NO_FAULTS, CONCURRENCY);
    let run = format!("$S {}", harmed.shell_arguments());
    // Five calls with room enough, then little more room than that took.
    let script = format!(
        "mkdir .sandmill; mount -t tmpfs -o size=64m none .sandmill; {run} --max-calls 5 >begun.json || true; \
         used=$(df -k --output=used .sandmill | tail -1); mount -o remount,size=$((used + 500))k .sandmill; \
         code=0; {run} >first.json || code=$?; \
         echo $code >code; $S status j --json >before.json; mount -o remount,size=64m .sandmill; {run} >last.json; \
         $S status j --json >after.json; cp .sandmill/j.db copy.db; umount .sandmill; cp copy.db .sandmill/j.db"
    );
    let Some(ran) = harmed.place.run_with_mounts(&script) else { return };
    let ran = ran.expect(0);
    assert_eq!(harmed.place.read("code").trim(), "5", "parked, after something was done: {}", ran.stderr);
    assert!(ran.stderr.contains("is full: free some space and run the same command again"), "{}", ran.stderr);
    let before: Value = serde_json::from_str(&harmed.place.read("before.json")).unwrap();
    let number = |name: &str| usize::try_from(before[name].as_u64().unwrap()).unwrap();
    assert!(number("processed") > 0 && number("pending") > 0, "in mid-run: {before}");
    let before = Status { unknown: number("unknown_calls"), ..Status::default() };
    let last = Ran { code: 0, stdout: harmed.place.read("last.json"), stderr: String::new() };
    let (gone, status) = assert_unharmed(&harmed, &last, before, &unharmed);
    assert!(status.unknown <= CONCURRENCY, "{status:?}");
    println!("{gone} answers lost, {} unknown", status.unknown);
}
