//! Bytes that were a component: cut off, flipped, exchanged, doubled. Whatever is left of it, the program says so and goes on living.

use super::assault::{flags, rounds, unfit_for_terminals, watched};
use super::wat;
use crate::support::Place;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

#[derive(Debug, Clone)]
pub(super) enum Change {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Put(prop::sample::Index, Vec<u8>),
    Double(prop::sample::Index, usize),
    Remove(prop::sample::Index, usize),
}

pub(super) fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        1 => at().prop_map(Change::Cut),
        6 => (at(), 1_u8..).prop_map(|(at, mask)| Change::Flip(at, mask)),
        3 => (at(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Change::Put(at, bytes)),
        1 => (at(), 1_usize..200).prop_map(|(at, length)| Change::Double(at, length)),
        1 => (at(), 1_usize..50).prop_map(|(at, length)| Change::Remove(at, length)),
    ]
}

pub(super) fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        // The first bytes say what it is at all; behind them it is worth while.
        let place = |at: &prop::sample::Index, bytes: &[u8]| 8 + at.index(bytes.len() - 8);
        match change {
            Change::Cut(at) => bytes.truncate(place(at, &bytes)),
            Change::Flip(at, mask) => {
                let at = place(at, &bytes);
                bytes[at] ^= mask;
            }
            Change::Put(at, put) => {
                let at = place(at, &bytes);
                bytes.splice(at..at, put.iter().copied());
            }
            Change::Double(at, length) => {
                let at = place(at, &bytes);
                let part = bytes[at..bytes.len().min(at + length)].to_vec();
                bytes.splice(at..at, part);
            }
            Change::Remove(at, length) => {
                let at = place(at, &bytes);
                let end = bytes.len().min(at + length);
                bytes.drain(at..end);
            }
        }
        if bytes.len() < 16 {
            bytes.extend([0; 16]);
        }
    }
    bytes
}

/// Draws so many damages, the same each time unless `SANDMILL_TEST_SEED` says otherwise.
#[expect(clippy::print_stdout, reason = "for whoever repeats a failure")]
pub(super) fn runner(cases: usize) -> TestRunner {
    let seed = std::env::var("SANDMILL_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7_u64);
    println!("SANDMILL_TEST_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: u32::try_from(cases).unwrap(), failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

#[test]
fn a_damaged_component_is_refused_or_does_what_is_left_of_it() {
    let mut runner = runner(rounds(60, 3_000));
    let originals = ["log-flood", "handle-flood", "zeroes-without-end"].map(wat::component);
    let strategy = (0..originals.len(), prop::collection::vec(change(), 1..4));
    let place = Place::new();
    place.write("in.jsonl", "{\"id\":\"n1\"}\n{\"id\":\"a1\"}\n");
    let checked = runner.run(&strategy, |(original, changes)| {
        let path = place.write("damaged.wasm", changed(originals[original].clone(), &changes)).display().to_string();
        let args =
            ["run", &path, "--input", "in.jsonl", "--output", "out.jsonl", "--fresh", "-v", "--limit-cpu", "100ms"];
        let ran = watched(&place, &[&args[..], &flags(&[])].concat());
        prop_assert!(matches!(ran.status.code(), Some(0 | 2 | 3)), "{}: {}", ran.status, ran.said);
        prop_assert_eq!(unfit_for_terminals("the run", &ran.said), None);
        Ok(())
    });
    checked.unwrap();
}
