//! Says so when nothing moves, and what everybody waits for. It ends nothing: waiting is often right. While the run is paused it is
//! silent: that nothing moves is what somebody asked for.

use super::{Control, Tally, TallySnapshot};
use crate::clock::Clock;
use crate::domain::{Event, EventSink};
use crate::resilience::{BreakerState, GateStatus, Stack};
use std::sync::Arc;
use std::time::Duration;

/// Looks in one pause, so that it is told soon after it is due.
const LOOKS: u32 = 10;

/// Looks until it is dropped; `patience`: how long nothing may move, not zero.
pub async fn watch(tally: Arc<Tally>, stack: Arc<Stack>, control: Control, clock: Arc<dyn Clock>, patience: Duration) {
    let waiting = || waiting_for(&stack.status(), control.orders().paused);
    look(&tally, &control, clock.as_ref(), patience, waiting).await;
}

async fn look(
    tally: &Tally,
    control: &Control,
    clock: &dyn Clock,
    patience: Duration,
    waiting: impl Fn() -> String + Send,
) {
    let mut seen = moved(&tally.snapshot());
    let mut since = clock.monotonic();
    loop {
        clock.sleep(patience / LOOKS).await;
        let (now, moved) = (clock.monotonic(), moved(&tally.snapshot()));
        if moved != seen || control.orders().paused {
            (seen, since) = (moved, now);
        } else if now.saturating_sub(since) >= patience {
            tally.emit(Event::NoProgress { patience, waiting_for: waiting() });
            since = now;
        }
    }
}

/// Grows with everything that ends.
fn moved(counts: &TallySnapshot) -> u64 {
    counts.ended() + counts.item_retries + counts.provider_calls + counts.reused_calls
}

fn waiting_for(routes: &[(String, GateStatus)], paused: bool) -> String {
    let mut reasons = Vec::new();
    if paused {
        reasons.push("the run is paused until `sandmill resume`".to_owned());
    }
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
    use crate::clock::PausedClock;
    use crate::run::Orders;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn status(breaker: BreakerState, open_for: Option<u64>, in_flight: u32) -> (String, GateStatus) {
        let open_for = open_for.map(Duration::from_secs);
        let status = GateStatus { breaker, open_for, in_flight, waiting: 0, concurrency_limit: 8, pace: (None, None) };
        ("r".into(), status)
    }

    #[test]
    fn it_names_what_is_waited_for() {
        assert!(
            waiting_for(&[status(BreakerState::Open, Some(90), 0)], false).contains("`r` is open for another 90 s")
        );
        assert!(waiting_for(&[status(BreakerState::Closed, None, 3)], false).contains("3 calls are under way"));
        assert!(waiting_for(&[status(BreakerState::Closed, None, 0)], false).contains("plugins are at work"));
        let paused = waiting_for(&[status(BreakerState::Closed, None, 3)], true);
        assert!(paused.starts_with("the run is paused") && paused.contains("3 calls are under way"), "{paused}");
    }

    /// Counts what is told.
    #[derive(Clone, Default)]
    struct Told(Arc<AtomicU32>);

    impl EventSink for Told {
        fn emit(&self, event: Event) {
            assert!(matches!(event, Event::NoProgress { .. }));
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_run_is_not_spoken_of_and_has_all_its_patience_when_it_goes_on() {
        let (told, clock) = (Told::default(), PausedClock::new());
        let tally = Tally::new(Box::new(told.clone()));
        let (orders, control) = Control::new(Orders { paused: true, concurrency: 1, live: 1 });
        let patience = Duration::from_secs(10);
        let looking = look(&tally, &control, &clock, patience, String::new);
        tokio::pin!(looking);
        let mut count_after = async |seconds: u64| {
            let _ = tokio::time::timeout(Duration::from_secs(seconds), &mut looking).await;
            told.0.load(Ordering::Relaxed)
        };
        assert_eq!(count_after(100).await, 0);
        orders.send_modify(|orders| orders.paused = false);
        assert_eq!(count_after(8).await, 0);
        assert_eq!(count_after(4).await, 1);
        assert_eq!(count_after(20).await, 3);
    }
}
