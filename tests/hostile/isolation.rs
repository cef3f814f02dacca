//! What one item leaves in its memory, no other finds.
//!
//! That the search finds what is there to be found is held by a test of the sandbox itself, which lets two items share an instance.

use super::assault::{ended, flags, rounds, watched};
use super::wat;
use crate::support::{Place, items};
use serde_json::json;
use std::collections::BTreeMap;

#[test]
fn no_item_finds_what_an_earlier_one_left_in_its_slot() {
    let rounds = rounds(160, 10_000);
    let place = Place::new();
    let component = place.write("isolation.wasm", wat::component("isolation")).display().to_string();
    place.write("in.jsonl", items(rounds, |n| json!({ "id": format!("a{n}") })));
    // Few slots, each used again and again.
    let args = [
        "run",
        &component,
        "--input",
        "in.jsonl",
        "--output",
        "out.jsonl",
        "--max-instances",
        "6",
        "--limit-cpu",
        "500ms",
    ];
    let ran = watched(&place, &[&args[..], &flags(&[])].concat());
    assert_eq!(ran.status.code(), Some(3), "{}", ran.said);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for ended in ended(&place).into_values() {
        *seen.entry(ended.class.unwrap_or(ended.state)).or_default() += 1;
    }
    let every_sixteenth = |nth: usize| (rounds + 15 - nth) / 16;
    let expected = BTreeMap::from([
        ("cpu_time".to_owned(), every_sixteenth(2)),
        ("trap".to_owned(), every_sixteenth(1) + every_sixteenth(3)),
        ("done".to_owned(), rounds - (1..4).map(every_sixteenth).sum::<usize>()),
    ]);
    assert_eq!(seen, expected, "an item that finds something fails as `plugin`");
    println!("{rounds} rounds, nothing found");
}
