//! `kill -9` at any moment.

use super::workload::{Batch, CONCURRENCY, FAULTS, Kind, NO_FAULTS, Status, assert_unharmed};
use super::{say, seeded, soak};
use crate::support::{signal, until};
use rand::{Rng, RngExt};
use std::time::{Duration, Instant};

/// Points that an item in the middle of a run passes.
const POINTS: [&str; 8] = [
    "transaction-middle",
    "commit-before",
    "commit-after",
    "call-intended",
    "call-arrived",
    "call-committed",
    "outcome-before",
    "outcome-after",
];

/// How far one kill lets the batch come, at most.
struct Stride {
    items: u64,
    calls: usize,
    /// Until there is a store.
    startup: Duration,
}

/// A third of the kills hit the start, whenever that is; a third a moment at which so many calls have arrived; a third a point
/// between two things that must be safe apart.
fn kill_once(batch: &Batch, stride: &Stride, random: &mut impl Rng) {
    let mut child = match random.random_range(0..3) {
        0 => {
            let child = batch.command().spawn().unwrap();
            std::thread::sleep(stride.startup.mul_f64(random.random_range(0.0..1.2)));
            child
        }
        1 if stride.calls > 0 => {
            let mut child = batch.command().spawn().unwrap();
            let more = batch.server.requests() + random.random_range(1..=stride.calls);
            until("calls or the end", || batch.server.requests() >= more || child.try_wait().unwrap().is_some());
            child
        }
        _ => {
            let calls = if stride.calls == 0 { POINTS.len() - 3 } else { 0 };
            let points: Vec<&str> =
                POINTS.into_iter().filter(|point| calls == 0 || !point.starts_with("call")).collect();
            let point = points[random.random_range(0..points.len())];
            let nth = random.random_range(1..=stride.items);
            batch.run_to(point, nth);
            return;
        }
    };
    signal(child.id(), "KILL");
    child.wait().unwrap();
}

/// Runs to the end; how long it took until there was a store.
#[expect(clippy::disallowed_methods, reason = "of another process")]
fn run_and_time(batch: &Batch) -> Duration {
    let began = Instant::now();
    let mut child = batch.command().spawn().unwrap();
    until("a store", || batch.place.path(".sandmill/j.db").exists() || child.try_wait().unwrap().is_some());
    let startup = began.elapsed();
    assert!(child.wait().unwrap().success());
    startup
}

/// `more`: arguments of the batches that are killed, beside those of the unharmed one.
fn check(kind: Kind, faults: &str, kills: usize, more: &[&str], random: &mut impl Rng) {
    let n = match kind {
        Kind::Pure => 150 * kills,
        Kind::One | Kind::Mixed => 20 * kills,
        Kind::Five | Kind::Many | Kind::Rejected => 8 * kills,
    };
    let unharmed = Batch::of_kind(kind, n, faults, CONCURRENCY);
    let startup = run_and_time(&unharmed);
    let stride = Stride { items: (n / kills) as u64, calls: n * kind.calls() / kills, startup };
    let (mut left, mut batches) = (kills, 0);
    while left > 0 {
        left -= kill_until_it_ends(
            kind,
            &unharmed,
            Batch::of_kind(kind, n, faults, CONCURRENCY).with(more),
            left,
            &stride,
            random,
        );
        batches += 1;
        assert!(batches <= kills, "the batches end before anything can hit them");
    }
}

/// Kills one batch up to `most` times, lets it end, and looks at what it left. Returns how many kills hit it before it had ended.
fn kill_until_it_ends(
    kind: Kind,
    unharmed: &Batch,
    harmed: Batch,
    most: usize,
    stride: &Stride,
    random: &mut impl Rng,
) -> usize {
    let (mut hits, mut kills) = (0, 0);
    let mut before = Status::default();
    while hits < most {
        kill_once(&harmed, stride, random);
        kills += 1;
        before = harmed.status();
        if before.pending == 0 && before.total > 0 {
            break;
        }
        hits += 1;
    }
    let last = harmed.run().expect(0);
    let (gone, status) = assert_unharmed(&harmed, &last, before, unharmed);
    let in_flight = CONCURRENCY * if matches!(kind, Kind::Many | Kind::Mixed) { 4 } else { 1 };
    assert!(status.unknown <= kills * in_flight, "{status:?}");
    let expected = unharmed.books().arrived();
    say(&format!(
        "{kind:?}, {} items: {kills} kills, {hits} of them before the end; {} calls more than the unharmed run's {expected}, \
         {gone} answers lost, {} unknown",
        status.total,
        harmed.books().arrived() - expected,
        status.unknown
    ));
    hits
}

#[test]
fn killed_at_random_moments_a_batch_ends_as_if_it_had_not_been() {
    let mut random = seeded();
    let Some(kills) = soak() else {
        check(Kind::Mixed, NO_FAULTS, 6, &[], &mut random);
        return;
    };
    say("without faults");
    for kind in Kind::ALL {
        check(kind, NO_FAULTS, kills.div_ceil(12), &[], &mut random);
    }
}

#[test]
fn killed_at_random_moments_under_faults_too() {
    let mut random = seeded();
    let Some(kills) = soak() else {
        check(Kind::Mixed, FAULTS, 6, &[], &mut random);
        return;
    };
    say(FAULTS);
    for kind in Kind::ALL {
        check(kind, FAULTS, kills.div_ceil(12), &[], &mut random);
    }
}

/// Each guest that waits is dropped and replayed, so that kills hit items whose calls have no guest.
#[test]
fn killed_at_random_moments_while_guests_give_their_instances_back() {
    let (mut random, kills) = (seeded(), soak().map_or(4, |kills| kills.div_ceil(6)));
    let more = ["--suspend", "always", "--suspend-after", "1ms"];
    check(Kind::Mixed, FAULTS, kills, &more, &mut random);
}
