//! The host's memory does not grow with the number of attacks.

use super::assault::{rounds, run};
use super::table::{ATTACKS, Attack};
use crate::support::Place;

/// Attacks that leave as much as they can, with the host: handles, half-done calls, texts, memory of their own.
const LEAVING: [&str; 6] =
    ["leaked-timers", "own-handles", "huge-string", "failure-of-forty-megabytes", "memory-storm", "trap-in-realloc"];
/// Also, in a run of the whole suite.
const MORE: [&str; 6] = [
    "log-megabytes",
    "emission-extras",
    "stderr-flood",
    "ask-then-trap",
    "key-bomb",
    "one-timer-polled-by-the-million",
];

/// What the larger run may take in addition: its items, their log and what the allocator does not give back.
const MARGIN_KIB: u64 = 64 << 10;

fn peak(attack: &Attack, attackers: usize) -> Option<u64> {
    run(attack, &Place::new(), attackers, attackers).peak_kib
}

#[test]
fn two_hundred_attacks_take_no_more_memory_than_forty() {
    let names = LEAVING.iter().chain(MORE.iter().take(rounds(0, MORE.len())));
    for name in names {
        let attack = ATTACKS.iter().find(|attack| attack.name == *name).unwrap();
        let [few, many] = [40, 200].map(|attackers| peak(attack, attackers));
        let (Some(few), Some(many)) = (few, many) else { return println!("this system does not tell") };
        println!("{name}: 40 attacks {} MiB, 200 attacks {} MiB", few >> 10, many >> 10);
        assert!(many < few + few / 2 + MARGIN_KIB, "{name}: from {few} KiB to {many} KiB");
    }
}
