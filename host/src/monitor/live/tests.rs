//! What a monitor makes of what it hears and sees.

use super::*;
use crate::clock::SimulatedClock;
use crate::domain::{FailureClass, ItemId};
use crate::resilience::{BreakerState, GateStatus};
use crate::run::TallySnapshot;

fn monitor(clock: &SimulatedClock) -> Monitor {
    let facts = RunFacts { job: "j".into(), total: 100, before: 20, before_failed: 2, ..RunFacts::default() };
    Monitor::new(facts, Arc::new(clock.clone()))
}

fn standing(done: u64, cost: u64) -> Standing {
    let counts = TallySnapshot { done, cost, provider_calls: 2 * done, input_tokens: 100 * done, ..Default::default() };
    Standing { counts, spent: 5_000_000 + cost, items_in_flight: 8, ..Standing::default() }
}

fn closed() -> GateStatus {
    GateStatus {
        breaker: BreakerState::Closed,
        open_for: None,
        in_flight: 1,
        waiting: 4,
        concurrency_limit: 8,
        pace: (Some(60), None),
    }
}

async fn seconds(clock: &SimulatedClock, seconds: u64) {
    clock.sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test]
async fn rates_and_what_is_left_follow_from_what_is_seen() {
    let clock = SimulatedClock::default();
    let monitor = monitor(&clock);
    let watch = monitor.watch();
    assert_eq!((watch.borrow().items.total, watch.borrow().items.pending), (100, 80));
    monitor.look(&standing(0, 0));
    assert_eq!((watch.borrow().items_per_second, watch.borrow().seconds_left), (None, None));
    seconds(&clock, 10).await;
    monitor.look(&standing(20, 0));
    let now = Arc::clone(&watch.borrow());
    assert_eq!((now.items_per_second, now.calls_per_second, now.seconds_left), (Some(2.0), Some(4.0), Some(30)));
    assert_eq!((now.input_tokens_per_second, now.output_tokens_per_second), (Some(200.0), Some(0.0)));
    assert_eq!((now.items.ended(), now.items.pending, now.items.waiting()), (40, 60, 52));
    let paused = Standing { is_paused: true, ..standing(20, 0) };
    monitor.look(&paused);
    assert_eq!(watch.borrow().seconds_left, None, "nobody knows how long a pause takes");
    let route = |name: &str, breaker| (name.to_owned(), GateStatus { breaker, ..closed() });
    let with = |routes| {
        monitor.look(&Standing { routes, ..standing(20, 0) });
        watch.borrow().seconds_left.is_some()
    };
    assert!(with(vec![route("a", BreakerState::Open), route("b", BreakerState::Closed)]));
    assert!(!with(vec![route("a", BreakerState::Open)]), "nor how long a provider is away");
}

#[tokio::test]
async fn what_it_will_cost_follows_from_what_an_item_of_this_run_cost() {
    let clock = SimulatedClock::default();
    let monitor = monitor(&clock);
    let projected = |done, cost| {
        monitor.look(&standing(done, cost));
        monitor.watch().borrow().cost_projected
    };
    assert_eq!(projected(0, 1_000), None, "nothing has ended");
    assert_eq!(projected(10, 0), None, "no prices");
    // $5 before, $1 for 10 items, 70 to come.
    assert_eq!(projected(10, 1_000_000), Some(13_000_000));
    assert_eq!(projected(80, 8_000_000), Some(13_000_000));
}

#[tokio::test]
async fn an_item_that_fails_is_counted_and_shown_with_its_time() {
    let clock = SimulatedClock::default();
    let monitor = monitor(&clock);
    seconds(&clock, 3).await;
    monitor.emit(Event::ItemFailed {
        item: ItemId::new("a").unwrap(),
        class: FailureClass::Trap,
        code: "unreachable".into(),
        message: "wasm \u{1b}[31mtrap".into(),
    });
    monitor.look(&standing(0, 0));
    let watch = monitor.watch();
    let now = watch.borrow();
    assert_eq!((now.failures[0].class, now.failures[0].count), ("trap", 1));
    let recent = &now.recent_failures[0];
    assert_eq!((recent.item.as_str(), recent.at_ms, recent.message.as_str()), ("a", 3_000, "wasm  [31mtrap"));
}

/// Without the event there would be one look and no other.
struct StoppedClock;

#[async_trait::async_trait]
impl Clock for StoppedClock {
    fn unix_ms(&self) -> u64 {
        0
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _wait: Duration) {
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_breaker_that_changes_is_seen_at_once() {
    let monitor = Monitor::new(RunFacts::default(), Arc::new(StoppedClock));
    let (looks, mut watch) = (std::cell::Cell::new(0), monitor.watch());
    let look = || {
        looks.set(looks.get() + 1);
        let open_for = Some(Duration::from_millis(1_500));
        let status = GateStatus { breaker: BreakerState::Open, open_for, ..closed() };
        Standing { routes: vec![("r".into(), status)], ..Standing::default() }
    };
    let opened = async {
        watch.changed().await.unwrap();
        let before = looks.get();
        monitor.emit(Event::BreakerChanged {
            route: "r".into(),
            from: "closed",
            to: "open",
            reason: String::new(),
            pause: None,
        });
        watch.changed().await.unwrap();
        assert!(looks.get() > before);
        let now = watch.borrow();
        assert_eq!((now.routes[0].breaker, now.routes[0].open_ms), ("open", Some(1_500)));
        assert_eq!(
            (now.routes[0].waiting, now.routes[0].limit, now.routes[0].requests_per_minute),
            (Some(4), 8, Some(60))
        );
    };
    tokio::select! {
        () = monitor.follow(look) => {}
        () = opened => {}
    }
}

#[tokio::test]
async fn figures_and_history_are_serialised_with_names_that_stay() {
    let clock = SimulatedClock::default();
    let monitor = monitor(&clock);
    for done in 0..3 {
        monitor.look(&standing(done, done));
        seconds(&clock, 1).await;
    }
    let snapshot = serde_json::to_value(&**monitor.watch().borrow()).unwrap();
    assert_eq!(snapshot["items"]["done"], 2);
    let points = serde_json::to_value(monitor.history()).unwrap();
    assert_eq!((points.as_array().unwrap().len(), &points[1]["items_per_second"]), (2, &serde_json::json!(1.0)));
}
