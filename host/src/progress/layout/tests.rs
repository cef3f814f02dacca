//! What stands on the screen, at any width.

use super::*;
use crate::monitor::{ClassFailures, GuestFigures, ItemFigures, RecentFailure};
use proptest::prelude::*;

fn snapshot() -> Snapshot {
    let route = |name: &str, breaker, open_ms| RouteFigures {
        name: name.into(),
        in_flight: 16,
        limit: 32,
        waiting: Some(210),
        breaker,
        open_ms,
        ..RouteFigures::default()
    };
    let last = RecentFailure {
        item: "t-17".into(),
        class: "plugin",
        code: "refused".into(),
        message: "the model refused \u{1b}[31mit\u{202e}".into(),
        at_ms: 1,
    };
    Snapshot {
        job: "tickets".into(),
        started_ms: 1_000,
        now_ms: 724_000,
        items: ItemFigures {
            total: 200_000,
            before: 4_000,
            done: 99_990,
            skipped: 12,
            failed: 211,
            pending: 95_787,
            in_flight: 8,
            ..ItemFigures::default()
        },
        items_per_second: Some(23.1),
        seconds_left: Some(4_331),
        calls: 100,
        calls_per_second: Some(31.0),
        input_tokens_per_second: Some(41_240.0),
        output_tokens_per_second: Some(3_100.0),
        run_cost: 1_230_000,
        cost: 1_230_000,
        cost_projected: Some(2_400_000),
        routes: vec![route("fast", "closed", None), route("slow", "open", Some(251_100))],
        failures: vec![ClassFailures { class: "plugin", count: 198, last }],
        ..Snapshot::default()
    }
}

fn plain(now: &Snapshot, columns: usize) -> Vec<String> {
    lines(now, columns).iter().map(|line| line.render(false)).collect()
}

#[test]
fn at_80_columns_all_that_matters_is_there() {
    let expected = "\
tickets  ████████░░░░░░░░  52 %  104,213 of 200,000  1h 12m left  12m 3s so far
  items   103,990 done, 211 failed, 8 in flight, 95,779 waiting, 12 skipped
  pace    23.1 items/s, 31.0 calls/s, tokens/s 41.2k in, 3.1k out
  cost    $1.23 so far, about $2.40 at the end
  route   slow: open for 4m 12s, 16 of 32 in flight, 210 waiting
  route   fast: 16 of 32 in flight, 210 waiting, closed
  failed  198 × plugin; last t-17: refused: the model refused  [31mit";
    assert_eq!(plain(&snapshot(), 79).join("\n"), expected);
}

#[test]
fn at_40_columns_the_most_important_is_left() {
    let expected = "\
tickets  █████░░░░░░  52 %  1h 12m left
  items   103,990 done, 211 failed
  pace    23.1 items/s, 31.0 calls/s
  cost    $1.23 so far
  route   slow: open for 4m 12s
  route   fast: 16 of 32 in flight
  failed  198 × plugin; last t-17: ref…";
    assert_eq!(plain(&snapshot(), 39).join("\n"), expected);
}

#[test]
fn what_holds_a_job_up_stands_where_the_time_left_would() {
    let paused = Snapshot { paused: true, seconds_left: None, ..snapshot() };
    assert!(plain(&paused, 79)[0].contains("  paused  "));
    let stopping = Snapshot { stopping: true, ..paused };
    assert!(plain(&stopping, 79)[0].contains("stopping"));
}

#[test]
fn colours_are_for_what_somebody_has_to_look_at_and_only_where_they_are_wanted() {
    let coloured: Vec<String> = lines(&snapshot(), 79).iter().map(|line| line.render(true)).collect();
    let with: Vec<&String> = coloured.iter().filter(|line| line.contains('\u{1b}')).collect();
    assert_eq!(with, ["  route   \u{1b}[31mslow: open for 4m 12s\u{1b}[0m, 16 of 32 in flight, 210 waiting"]);
    assert!(!plain(&snapshot(), 79).concat().contains('\u{1b}'));
    let beyond = Snapshot { cost_max: Some(2_000_000), ..snapshot() };
    assert!(lines(&beyond, 79)[3].render(true).contains("\u{1b}[33mabout $2.40 at the end\u{1b}[0m, at most $2.00"));
}

#[test]
fn a_job_without_models_has_no_line_for_them() {
    let pure = Snapshot { routes: vec![], calls: 0, cost: 0, cost_projected: None, failures: vec![], ..snapshot() };
    assert_eq!(plain(&pure, 79).len(), 3);
    assert_eq!(plain(&pure, 79)[2], "  pace    23.1 items/s");
}

#[test]
fn many_routes_are_a_few_lines_and_those_that_are_shut_are_among_them() {
    let mut many = snapshot();
    many.routes =
        (0..40).map(|n| RouteFigures { name: format!("r{n}"), breaker: "closed", ..RouteFigures::default() }).collect();
    many.routes[37].breaker = "half-open";
    let text = plain(&many, 79);
    let routes: Vec<&String> = text.iter().filter(|line| line.starts_with("  route")).collect();
    assert_eq!(routes.len(), ROUTES_MAX + 1);
    assert!(routes[0].contains("r37: half-open") && routes[4].contains("36 more"), "{routes:?}");
}

proptest! {
    #[test]
    fn no_line_is_wider_than_it_may_be_and_nothing_in_one_acts(
        columns in 0_usize..260,
        numbers in prop::array::uniform6(any::<u64>()),
        name in any::<String>(),
        text in "(\\PC|[\u{0}-\u{1f}\u{7f}-\u{9f}\u{202a}-\u{202e}]){0,80}",
    ) {
        let [total, done, failed, waiting, cost, left] = numbers.map(|number| number >> 3);
        let mut now = snapshot();
        now.job.clone_from(&name);
        now.items = ItemFigures { total, done, failed, pending: waiting, ..ItemFigures::default() };
        (now.cost, now.seconds_left) = (cost, Some(left));
        now.routes[0].name = name;
        now.failures[0].last.message.clone_from(&text);
        now.failures[0].last.item = text;
        for line in lines(&now, columns) {
            prop_assert!(line.width() <= columns, "{} > {}: {:?}", line.width(), columns, line);
            let text = line.render(false);
            prop_assert!(!text.chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)), "{:?}", text);
        }
    }
}

#[test]
fn guests_that_gave_way_are_told_of_with_what_they_have() {
    let of = |guests: GuestFigures, instances_max| {
        let now = Snapshot { guests: Some(guests), instances: 4, instances_max, ..snapshot() };
        plain(&now, 80).into_iter().find(|line| line.trim_start().starts_with("guests"))
    };
    let guests = GuestFigures {
        memory_target_bytes: Some(2 << 30),
        memory_bytes: Some(96 << 20),
        gave_way: 1_312,
        ..GuestFigures::default()
    };
    assert_eq!(
        of(guests.clone(), 32).unwrap(),
        "  guests  4 of 32 live, 1,312 gave way, 96.0 MiB of 2.0 GiB of memory"
    );
    assert_eq!(of(GuestFigures { memory_bytes: None, ..guests.clone() }, 0).unwrap(), "  guests  1,312 gave way");
    assert_eq!(of(GuestFigures { gave_way: 0, ..guests }, 32), None);
}
