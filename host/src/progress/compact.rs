//! Where there is no terminal: the same figures on one line, every ten seconds, and at once when the state changes.

use super::layout::breaker;
use super::words::{count, money, percent, rate, time};
use crate::domain::sanitize_line;
use crate::monitor::Snapshot;
use std::fmt::Write as _;

/// Between two lines, in milliseconds.
const EVERY_MS: u64 = 10_000;
const NAME_BYTES_MAX: usize = 200;

/// What a person wants to know at once when it changes.
type State = (bool, bool, Vec<&'static str>);

/// When the next line is due.
#[derive(Debug, Default)]
pub(super) struct Due {
    last: Option<(u64, State)>,
}

impl Due {
    /// Whether these figures are told. The first ones are not: nothing has happened yet.
    pub(super) fn is_told(&mut self, now: &Snapshot) -> bool {
        let state = (now.paused, now.stopping, now.routes.iter().map(|route| route.breaker).collect::<Vec<_>>());
        let Some((at_ms, last)) = &self.last else {
            self.last = Some((now.now_ms, state));
            return false;
        };
        // Routes that were not known yet have not changed; a clock that was set back must not silence it.
        let is_other = last.0 != state.0 || last.1 != state.1 || (!last.2.is_empty() && last.2 != state.2);
        let is_due = is_other || now.now_ms.abs_diff(*at_ms) >= EVERY_MS;
        let at_ms = if is_due { now.now_ms } else { *at_ms };
        self.last = Some((at_ms, state));
        is_due
    }
}

/// Without a line end.
pub fn line(now: &Snapshot) -> String {
    let items = &now.items;
    let ended = items.ended();
    let mut line = format!("{} of {} items ({})", count(ended), count(items.total), percent(ended, items.total));
    let failed = items.before_failed + items.failed;
    let _ = write!(line, ", {} failed, {} in flight", count(failed), count(items.in_flight));
    let _ = write!(line, ", {} items/s", rate(now.items_per_second));
    if now.calls > 0 || !now.routes.is_empty() {
        let (read, written) = (rate(now.input_tokens_per_second), rate(now.output_tokens_per_second));
        let _ = write!(line, ", {} calls/s, tokens/s {read} in and {written} out", rate(now.calls_per_second));
        let _ = write!(line, ", {} calls, {} retries", count(now.calls), count(now.retries));
    }
    if now.cost > 0 {
        let _ = write!(line, ", {}", money(now.cost));
    }
    if let Some(projected) = now.cost_projected.filter(|_| items.pending > 0) {
        let _ = write!(line, " of about {}", money(projected));
    }
    if let Some(left) = now.seconds_left.filter(|_| items.pending > 0) {
        let _ = write!(line, ", {} left", time(left));
    }
    for (is_so, what) in [(now.paused, "paused"), (now.stopping, "stopping")] {
        if is_so {
            let _ = write!(line, "; {what}");
        }
    }
    for route in now.routes.iter().filter(|route| !route.is_closed()) {
        let name = sanitize_line(&route.name, NAME_BYTES_MAX);
        let _ = write!(line, "; {name} {}", breaker(route));
        if let Some(waiting) = route.waiting {
            let _ = write!(line, ", {waiting} waiting");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{ItemFigures, RouteFigures};

    fn snapshot(second: u64, breaker: &'static str) -> Snapshot {
        let route = RouteFigures {
            name: "r".into(),
            breaker,
            open_ms: Some(2_000),
            waiting: Some(3),
            ..RouteFigures::default()
        };
        let items =
            ItemFigures { total: 1_000, done: 520, failed: 2, pending: 478, in_flight: 8, ..ItemFigures::default() };
        Snapshot { now_ms: 1_000_000 + second * 1_000, items, routes: vec![route], ..Snapshot::default() }
    }

    #[test]
    fn a_line_comes_every_ten_seconds_and_when_the_state_changes() {
        let mut due = Due::default();
        let mut told = Vec::new();
        for second in 0..40 {
            let mut now = snapshot(second, if (13..15).contains(&second) { "open" } else { "closed" });
            now.paused = second >= 33;
            if due.is_told(&now) {
                told.push(second);
            }
        }
        assert_eq!(told, [10, 13, 15, 25, 33]);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence_it() {
        let mut due = Due::default();
        let told: Vec<bool> = [5_000, 100, 105, 110].map(|second| due.is_told(&snapshot(second, "closed"))).into();
        assert_eq!(told, [false, true, false, true]);
    }

    #[test]
    fn the_line_has_what_the_screen_has() {
        let mut now = snapshot(0, "open");
        (now.calls, now.items_per_second, now.seconds_left) = (700, Some(5.0), Some(96));
        (now.cost, now.cost_projected, now.paused) = (1_000_000, Some(2_000_000), true);
        assert_eq!(
            line(&now),
            "522 of 1,000 items (52 %), 2 failed, 8 in flight, 5.0 items/s, - calls/s, tokens/s - in and - out, 700 calls, 0 retries, $1.00 of about $2.00, 1m 36s left; paused; r open for 2s, 3 waiting"
        );
    }
}
