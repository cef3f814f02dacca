//! Says so when nothing moves, and what everybody waits for. It ends nothing: waiting is often right.

use super::{Tally, TallySnapshot};
use crate::clock::Clock;
use crate::domain::{Event, EventSink};
use crate::resilience::{BreakerState, GateStatus, Stack};
use std::sync::Arc;
use std::time::Duration;

/// Looks in one pause, so that it is told soon after it is due.
const LOOKS: u32 = 10;

/// Looks until it is dropped; `patience`: how long nothing may move, not zero.
pub async fn watch(tally: Arc<Tally>, stack: Arc<Stack>, clock: Arc<dyn Clock>, patience: Duration) {
    let mut seen = moved(&tally.snapshot());
    let mut since = clock.monotonic();
    loop {
        clock.sleep(patience / LOOKS).await;
        let (now, moved) = (clock.monotonic(), moved(&tally.snapshot()));
        if moved != seen {
            (seen, since) = (moved, now);
        } else if now.saturating_sub(since) >= patience {
            tally.emit(Event::NoProgress { patience, waiting_for: waiting_for(&stack.status()) });
            since = now;
        }
    }
}

/// Grows with everything that ends.
fn moved(counts: &TallySnapshot) -> u64 {
    counts.done + counts.skipped + counts.failed + counts.item_retries + counts.provider_calls + counts.reused_calls
}

fn waiting_for(routes: &[(String, GateStatus)]) -> String {
    let mut reasons = Vec::new();
    for (name, status) in routes {
        match status.breaker {
            BreakerState::Open => {
                let left = status.open_for.unwrap_or_default().as_secs();
                reasons.push(format!("the circuit breaker of route `{name}` is open for another {left} s"));
            }
            BreakerState::HalfOpen => reasons.push(format!("route `{name}` is being tried with one call")),
            BreakerState::Closed if status.in_flight > 0 => reasons.push(format!(
                "{} calls are under way on route `{name}` (at most {} at once)",
                status.in_flight, status.concurrency_limit
            )),
            BreakerState::Closed => {}
        }
    }
    if reasons.is_empty() { "plugins are at work, and no call is under way".into() } else { reasons.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(breaker: BreakerState, open_for: Option<u64>, in_flight: u32) -> (String, GateStatus) {
        let open_for = open_for.map(Duration::from_secs);
        let status = GateStatus { breaker, open_for, in_flight, concurrency_limit: 8, pace: (None, None) };
        ("r".into(), status)
    }

    #[test]
    fn it_names_what_is_waited_for() {
        assert!(waiting_for(&[status(BreakerState::Open, Some(90), 0)]).contains("`r` is open for another 90 s"));
        assert!(waiting_for(&[status(BreakerState::Closed, None, 3)]).contains("3 calls are under way"));
        assert!(waiting_for(&[status(BreakerState::Closed, None, 0)]).contains("plugins are at work"));
    }
}
