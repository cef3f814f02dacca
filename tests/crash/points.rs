//! `kill -9` at every named point, and between any two commits.

use super::workload::{Batch, Kind, NO_FAULTS, Status, assert_unharmed};
use super::{seeded, soak};
use crate::support::{items, root};
use rand::RngExt;
use std::collections::BTreeSet;
use std::process::Command;

/// What a kill at a point, with one item in flight, must leave.
struct Leaves {
    point: &'static str,
    nth: u64,
    /// Calls without an end, at least and at most.
    unknown: [usize; 2],
    /// Answers that were given and are not in the store.
    lost: [usize; 2],
}

const fn nothing(point: &'static str, nth: u64) -> Leaves {
    Leaves { point, nth, unknown: [0, 0], lost: [0, 0] }
}

/// A commit may be that of an answer.
const fn perhaps_an_answer(point: &'static str, nth: u64) -> Leaves {
    Leaves { point, nth, unknown: [0, 1], lost: [0, 1] }
}

/// In an order in which each is still to come when the ones before it have struck.
const EVERY_POINT: [Leaves; 18] = [
    nothing("registration-chunk", 1),
    nothing("registration-mark-before", 1),
    nothing("registration-mark-after", 1),
    nothing("run-begin", 1),
    Leaves { point: "call-intended", nth: 3, unknown: [1, 1], lost: [0, 0] },
    Leaves { point: "call-arrived", nth: 3, unknown: [1, 1], lost: [1, 1] },
    nothing("call-committed", 3),
    perhaps_an_answer("transaction-middle", 7),
    perhaps_an_answer("commit-before", 6),
    perhaps_an_answer("commit-after", 6),
    nothing("outcome-before", 1),
    nothing("outcome-after", 1),
    nothing("output-before-rename", 1),
    nothing("output-after-rename", 1),
    nothing("run-end-before", 1),
    nothing("run-end-after", 1),
    nothing("checkpoint-before", 1),
    nothing("checkpoint-after", 1),
];

#[test]
fn killed_at_each_named_point_once_exactly_what_was_in_flight_there_is_unknown() {
    // Items of every kind but the one whose calls go out at once.
    let input = items(15, |index| Kind::ALL[[0, 1, 2, 4][index % 4]].item(index));
    let (unharmed, harmed) = (Batch::new(&input, NO_FAULTS, 1), Batch::new(&input, NO_FAULTS, 1));
    unharmed.run().expect(0);
    for Leaves { point, nth, .. } in &EVERY_POINT {
        assert!(harmed.run_to(point, *nth), "{point}:{nth} was not passed");
    }
    let before = harmed.status();
    let last = harmed.run().expect(0);
    let (gone, status) = assert_unharmed(&harmed, &last, before, &unharmed);
    let sum = |of: fn(&Leaves) -> [usize; 2]| {
        let [low, high] = [0, 1].map(|end| EVERY_POINT.iter().map(|leaves| of(leaves)[end]).sum::<usize>());
        low..=high
    };
    assert!(sum(|leaves| leaves.unknown).contains(&status.unknown), "{status:?}");
    assert!(sum(|leaves| leaves.lost).contains(&gone), "{gone} lost");
}

/// The points in the sources, those that are declared, and those that are tried are the same.
#[test]
fn every_point_is_tried() {
    fn collect(folder: &std::path::Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                let calls = text.split("failpoint::pass(\"").skip(1);
                found.extend(calls.map(|rest| rest.split('"').next().unwrap().to_owned()));
            }
        }
    }
    let mut passed = BTreeSet::new();
    collect(&root().join("host/src"), &mut passed);
    let declared: BTreeSet<String> = sandmill::failpoint::POINTS.map(str::to_owned).into();
    let tried: BTreeSet<String> = EVERY_POINT.iter().map(|leaves| leaves.point.to_owned()).collect();
    assert_eq!(passed, declared);
    assert_eq!(tried, declared);
}

#[test]
fn nothing_but_the_tests_switches_the_points_on() {
    let manifest: toml::Table = std::fs::read_to_string(root().join("host/Cargo.toml")).unwrap().parse().unwrap();
    let features = manifest["features"].as_table().unwrap();
    assert!(features["failpoints"].as_array().unwrap().is_empty());
    for (name, feature) in features {
        assert!(name == "failpoints" || !feature.to_string().contains("failpoints"), "`{name}` switches them on");
    }
    assert!(!features.contains_key("default"), "a feature that is on by default would be on in a release");
    assert!(!manifest["dependencies"].to_string().contains("failpoints"));
    // And as cargo itself sees it, where no test is built.
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let features = |edges: &str| {
        let mut tree = Command::new(&cargo);
        tree.args(["tree", "--offline", "--locked", "-p", "sandmill", "--depth", "0", "-f", "{f}", "-e", edges]);
        let output = tree.current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(features("normal,build"), "");
    assert!(features("normal,build,dev").contains("failpoints"), "the tests have them");
}

/// 5,000 rows are one chunk.
#[test]
fn killed_between_two_chunks_of_the_registration_no_item_is_lost_or_doubled() {
    let input = items(5_100, |index| Kind::Pure.item(index));
    let batch = Batch::new(&input, NO_FAULTS, 4);
    for nth in [1, 2] {
        assert!(batch.run_to("registration-chunk", nth));
        // Items of a registration that was cut short are there, and are not run before all are.
        assert_eq!(batch.status().processed, 0);
    }
    batch.run().expect(0);
    let status = batch.status();
    assert_eq!((status.total, status.processed), (5_100, 5_100));
    let ids = batch.place.rows("out.jsonl").into_iter().map(|(id, _)| id);
    assert!(ids.eq((0..5_100).map(|index| format!("i{index}"))), "each once, in order");
}

/// A store that was left between any two of its commits goes on; how many there are is found out by going past the last.
#[test]
fn killed_between_any_two_commits_the_job_goes_on() {
    let input = items(4, |index| Kind::ALL[[0, 1, 2, 4][index % 4]].item(index));
    let unharmed = Batch::new(&input, NO_FAULTS, 1);
    unharmed.run().expect(0);
    // All of them are a minute's work; a few, drawn, show the harness at work.
    let mut random = seeded();
    let step = if soak().is_some() { 1 } else { random.random_range(6..=8) };
    let mut commits = 0;
    for nth in (1..).step_by(step) {
        let harmed = Batch::new(&input, NO_FAULTS, 1);
        if !harmed.run_to("commit-after", nth) {
            break;
        }
        commits = nth;
        let before: Status = harmed.status();
        let last = harmed.run().expect(0);
        let (gone, status) = assert_unharmed(&harmed, &last, before, &unharmed);
        assert!(gone <= 1 && status.unknown <= 1, "after commit {nth}: {gone} lost, {status:?}");
    }
    println!("{commits} commits");
    assert!(commits > 10, "{commits}");
}
