//! How a run went so far, for charts: points in time, as many as a chart can show and no more, however long it goes on.
//!
//! When there are too many, neighbours are joined, and from then on each point stands for twice the time. Counts are kept as sums,
//! so that rates stay exact; a breaker that was open for a moment stays seen.

use super::{Snapshot, pace};
use serde::Serialize;
use std::time::Duration;

/// Points that are kept.
pub(super) const POINTS_MAX: usize = 720;
/// What a point stands for at first.
const STEP: Duration = Duration::from_secs(1);

/// What happened up to one moment, since the point before it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Since the Unix epoch.
    pub at_ms: u64,
    /// Items that have ended in this run by then: done or skipped, and failed.
    pub done: u64,
    pub failed: u64,
    pub items_per_second: f64,
    pub calls_per_second: f64,
    pub input_tokens_per_second: f64,
    pub output_tokens_per_second: f64,
    /// What the run had cost by then, in millionths of a dollar.
    pub cost: u64,
    /// Items in flight at that moment.
    pub in_flight: u64,
    /// For each route, in the order in which a snapshot has them, the worst state that its breaker was in: `closed`, `half-open`,
    /// `open`.
    pub breakers: Vec<&'static str>,
}

#[derive(Debug, Clone)]
struct Sums {
    at: Duration,
    at_ms: u64,
    done: u64,
    failed: u64,
    calls: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost: u64,
    in_flight: u64,
    breakers: Vec<&'static str>,
}

#[derive(Debug)]
pub(super) struct History {
    /// In order of time; the first is where the run began, and stays.
    sums: Vec<Sums>,
    step: Duration,
}

impl Default for History {
    fn default() -> Self {
        Self { sums: Vec::new(), step: STEP }
    }
}

impl History {
    /// `at`: of a clock that never goes back.
    pub(super) fn saw(&mut self, at: Duration, snapshot: &Snapshot) {
        let sums = Sums {
            at,
            at_ms: snapshot.now_ms,
            done: snapshot.items.done + snapshot.items.skipped,
            failed: snapshot.items.failed,
            calls: snapshot.calls,
            input_tokens: snapshot.input_tokens,
            output_tokens: snapshot.output_tokens,
            cost: snapshot.run_cost,
            in_flight: snapshot.items.in_flight,
            breakers: snapshot.routes.iter().map(|route| route.breaker).collect(),
        };
        // The last point grows until it stands for a whole step.
        match self.sums.as_mut_slice() {
            [.., before, last] if last.at < before.at + self.step => last.join(sums),
            _ => self.sums.push(sums),
        }
        if self.sums.len() > POINTS_MAX {
            self.thin();
        }
    }

    fn thin(&mut self) {
        self.step *= 2;
        let mut sums = std::mem::take(&mut self.sums).into_iter();
        self.sums.extend(sums.next());
        while let Some(mut first) = sums.next() {
            if let Some(second) = sums.next() {
                first.join(second);
            }
            self.sums.push(first);
        }
    }

    /// In order of time.
    pub(super) fn points(&self) -> Vec<Point> {
        self.sums.windows(2).map(|pair| pair[1].since(&pair[0])).collect()
    }
}

impl Sums {
    /// `later` follows at once, and takes its place.
    fn join(&mut self, later: Self) {
        let mut breakers = later.breakers;
        for (state, earlier) in breakers.iter_mut().zip(&self.breakers) {
            if badness(earlier) > badness(state) {
                *state = earlier;
            }
        }
        *self = Self { breakers, ..later };
    }

    fn since(&self, before: &Self) -> Point {
        let time = self.at.saturating_sub(before.at);
        let rate = |of: fn(&Self) -> u64| pace::rate(of(self).saturating_sub(of(before)), time).unwrap_or(0.0);
        Point {
            at_ms: self.at_ms,
            done: self.done,
            failed: self.failed,
            items_per_second: rate(|sums| sums.done + sums.failed),
            calls_per_second: rate(|sums| sums.calls),
            input_tokens_per_second: rate(|sums| sums.input_tokens),
            output_tokens_per_second: rate(|sums| sums.output_tokens),
            cost: self.cost,
            in_flight: self.in_flight,
            breakers: self.breakers.clone(),
        }
    }
}

fn badness(breaker: &str) -> u8 {
    match breaker {
        "open" => 2,
        "half-open" => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{ItemFigures, RouteFigures};
    use proptest::prelude::*;

    fn snapshot(second: u64, done: u64, breaker: &'static str) -> Snapshot {
        Snapshot {
            now_ms: second * 1_000,
            items: ItemFigures { done, in_flight: second % 7, ..ItemFigures::default() },
            calls: 2 * done,
            routes: vec![RouteFigures { breaker, ..RouteFigures::default() }],
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_point_has_the_rates_since_the_one_before() {
        let mut history = History::default();
        assert!(history.points().is_empty());
        for (second, done) in [(0, 0), (1, 10), (3, 30)] {
            history.saw(Duration::from_secs(second), &snapshot(second, done, "closed"));
        }
        let points = history.points();
        let told: Vec<_> = points.iter().map(|p| (p.at_ms, p.done, p.items_per_second, p.calls_per_second)).collect();
        assert_eq!(told, [(1_000, 10, 10.0, 20.0), (3_000, 30, 10.0, 20.0)]);
    }

    #[test]
    fn two_looks_within_a_second_are_one_point() {
        let mut history = History::default();
        for ms in [0, 1_000, 1_300, 1_900, 2_000] {
            history.saw(Duration::from_millis(ms), &snapshot(ms, ms, "closed"));
        }
        assert_eq!(history.points().len(), 2);
    }

    #[test]
    fn a_breaker_that_was_open_for_a_second_is_still_seen_after_a_day() {
        let mut history = History::default();
        for second in 0..86_400 {
            let breaker = if second == 40_001 { "open" } else { "closed" };
            history.saw(Duration::from_secs(second), &snapshot(second, second, breaker));
        }
        let points = history.points();
        assert!((POINTS_MAX / 2 - 1..=POINTS_MAX).contains(&points.len()), "{}", points.len());
        let open: Vec<u64> = points.iter().filter(|p| p.breakers == ["open"]).map(|p| p.at_ms).collect();
        assert_eq!(open.len(), 1, "{open:?}");
        assert!((40_001_000..40_300_000).contains(&open[0]), "{open:?}");
    }

    proptest! {
        #[test]
        fn points_are_few_in_order_and_miss_nothing(steps in prop::collection::vec((1_u64..5_000, 0_u64..9), 2..6_000)) {
            let (mut history, mut at, mut done) = (History::default(), 0, 0);
            history.saw(Duration::ZERO, &snapshot(0, 0, "closed"));
            for (ms, more) in steps {
                at += ms;
                done += more;
                history.saw(Duration::from_millis(at), &Snapshot { now_ms: at, ..snapshot(0, done, "closed") });
            }
            let points = history.points();
            prop_assert!(points.len() <= POINTS_MAX);
            prop_assert!(points.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms));
            let last = points.last().unwrap();
            prop_assert_eq!((last.at_ms, last.done), (at, done));
            // The rates add up to what was done.
            let mut before = 0;
            let mut sum = 0.0;
            for point in &points {
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let seconds = (point.at_ms - before) as f64 / 1_000.0;
                sum += point.items_per_second * seconds;
                before = point.at_ms;
            }
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let done = done as f64;
            prop_assert!((sum - done).abs() < 0.01 * done.max(1.0), "{} of {}", sum, done);
        }
    }
}
