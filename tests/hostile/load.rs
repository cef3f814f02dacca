//! Many items, half of which attack: what that costs the other half.

use super::assault::{ended, p99, rounds, watched};
use crate::support::{Place, items, plugin};
use serde_json::{Value, json};

/// Ways to attack that take all kinds of paths through the host.
const WAYS: [&str; 8] = ["trap", "loop", "allocate", "panic", "huge", "recurse", "garbage", "exit"];

/// No failure stops the run, and a guest that spins is stopped after 100 ms of processor time.
const FLAGS: [&str; 11] = [
    "--limit-cpu",
    "100ms",
    "--max-consecutive-errors",
    "0",
    "--max-traps",
    "0",
    "--concurrency",
    "64",
    "--job",
    "j",
    "--json",
];

struct Ran {
    place: Place,
    summary: Value,
    peak_mib: u64,
}

impl Ran {
    fn seconds(&self) -> f64 {
        self.summary["run"]["duration_seconds"].as_f64().unwrap()
    }

    fn p99(&self) -> u64 {
        p99(&ended(&self.place)).unwrap_or(0)
    }
}

fn run(input: &[Value]) -> Ran {
    let place = Place::new();
    place.write("in.jsonl", items(input.len(), |n| input[n].clone()));
    let plugin = plugin("misbehave");
    let args = ["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl"];
    let ran = watched(&place, &[&args[..], &FLAGS].concat());
    // What is said on stderr comes behind it.
    let summary = serde_json::Deserializer::from_str(&ran.said).into_iter().next().and_then(Result::ok);
    let summary = summary.unwrap_or_else(|| panic!("{}: {}", ran.status, ran.said));
    Ran { place, summary, peak_mib: ran.peak_kib.unwrap_or(0) >> 10 }
}

fn good(n: usize) -> Value {
    json!({ "id": format!("n{n}"), "text": "a neighbour" })
}

fn attacker(n: usize) -> Value {
    json!({ "id": format!("a{n}"), "do": WAYS[n % WAYS.len()] })
}

/// Seconds of processor time that the attackers took themselves.
fn attackers_cpu(ran: &Ran) -> f64 {
    let database = rusqlite::Connection::open(ran.place.path(".sandmill/j.db")).unwrap();
    let sql =
        "SELECT coalesce(sum(o.cpu_us), 0) / 1e6 FROM outcome o JOIN item i ON i.seq = o.item WHERE i.id LIKE 'a%'";
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "a number of processors")]
fn of_mixed_items_all_that_are_good_are_done() {
    let half = rounds(120, 5_000);
    let alone = run(&(0..half).map(good).collect::<Vec<_>>());
    let mixed = run(&(0..half).flat_map(|n| [attacker(n), good(n)]).collect::<Vec<_>>());
    assert_eq!((&alone.summary["job"]["processed"], &alone.summary["ended"]["exit_code"]), (&json!(half), &json!(0)));
    assert_eq!((&mixed.summary["job"]["processed"], &mixed.summary["job"]["failed"]), (&json!(half), &json!(half)));
    assert_eq!(mixed.summary["ended"]["exit_code"], 3);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
    let (cpu, bound) = (attackers_cpu(&mixed), alone.seconds() + attackers_cpu(&mixed) / cores);
    println!("{half} good items alone: {:.2} s, p99 {} ms, peak {} MiB", alone.seconds(), alone.p99(), alone.peak_mib);
    println!(
        "with {half} attackers: {:.2} s, p99 of the good {} ms, peak {} MiB",
        mixed.seconds(),
        mixed.p99(),
        mixed.peak_mib
    );
    println!(
        "alone + {cpu:.2} s of the attackers' processor time on {cores} cores: {bound:.2} s; measured {:.2} times that",
        mixed.seconds() / bound
    );
    println!("classes: {}", mixed.summary["job"]["failures"]);
}

/// How long a neighbour takes beside two guests that never give way: some ticks of 10 ms each.
#[test]
fn two_endless_loops_hold_up_no_neighbour_for_good() {
    let loops = |n: usize| json!({ "id": format!("a{n}"), "do": "loop" });
    let half = rounds(40, 1_000);
    let alone = run(&(0..half).map(good).collect::<Vec<_>>());
    let beside = run(&(0..2).map(loops).chain((0..half).map(good)).collect::<Vec<_>>());
    assert_eq!(beside.summary["job"]["processed"], half);
    assert_eq!(beside.summary["job"]["failures"], json!({ "cpu_time": 2 }));
    println!("neighbours alone: p99 {} ms; beside two endless loops: p99 {} ms", alone.p99(), beside.p99());
}
