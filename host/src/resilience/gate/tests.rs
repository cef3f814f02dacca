//! The gate in front of providers that are played, in time that is played too.

use super::*;
use crate::clock::PausedClock;
use crate::domain::{Completion, ErrorClass, NoEvents, Usage};
use crate::provider::{Allowance, ProviderError, RateLimits};
use crate::resilience::probes::About;
use futures_util::FutureExt;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::task::JoinSet;

fn gate(settings: GateSettings) -> (Arc<Gate>, Arc<Halt>, Arc<PausedClock>) {
    let (halt, clock) = (Arc::new(Halt::default()), Arc::new(PausedClock::new()));
    let around = Surroundings {
        halt: Arc::clone(&halt),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        events: Arc::new(NoEvents),
        store: None,
        turned: Arc::new(Notify::new()),
    };
    (Arc::new(Gate::new("r", settings, None, around)), halt, clock)
}

const LOAD: Load = Load { input: 1, output: 0 };

fn nowhere() -> Elsewhere {
    Elsewhere::Nowhere
}

fn now() -> Elsewhere {
    Elsewhere::Now
}

/// Another route of the same run.
fn beside(gate: &Gate, settings: GateSettings, key: Option<Arc<Key>>) -> Arc<Gate> {
    Arc::new(Gate::new("s", settings, key, gate.around.clone()))
}

async fn open(gate: &Arc<Gate>) {
    pass(gate).await.settle(Ok((&completion(), &RateLimits::default())), About::Either).await;
    for _ in 0..3 {
        pass(gate).await.settle(Err(&error(ErrorClass::Overloaded, Some(529))), About::Either).await;
    }
    assert_eq!(gate.status().breaker, BreakerState::Open);
}

fn with_pause(seconds: u64) -> GateSettings {
    let breaker = BreakerSettings { pause: Duration::from_secs(seconds), ..BreakerSettings::default() };
    GateSettings { breaker, ..GateSettings::default() }
}

fn completion() -> Completion {
    Completion {
        text: "x".into(),
        tool_calls: Vec::new(),
        finish: "stop".into(),
        model: "m".into(),
        usage: Usage::default(),
        opaque: Vec::new(),
        cut: None,
        extra: Vec::new(),
    }
}

async fn pass(gate: &Arc<Gate>) -> Permit {
    match gate.admit(LOAD, &nowhere).await {
        Admission::Granted(permit) => permit,
        Admission::Open | Admission::Halted => panic!("not let through"),
    }
}

fn error(class: ErrorClass, status: Option<u16>) -> ProviderError {
    ProviderError { status, ..ProviderError::new(class, "m") }
}

#[tokio::test]
async fn who_finds_another_just_being_let_through_does_not_queue() {
    let (gate, _, _) = gate(GateSettings::default());
    let _another = gate.turnstile.try_acquire().unwrap();
    assert!(matches!(gate.admit(LOAD, &nowhere).now_or_never(), Some(Admission::Granted(_))));
}

/// Takes so many requests a minute, a second's worth at once, and says so.
struct LimitedServer {
    level: Mutex<(f64, Duration)>,
    clock: Arc<PausedClock>,
    refused: AtomicU32,
}

impl LimitedServer {
    const LIMIT: u64 = 600;

    fn take(&self) -> bool {
        let mut level = self.level.lock().unwrap();
        let now = self.clock.monotonic();
        level.0 = (level.0 + now.saturating_sub(level.1).as_secs_f64() * 10.0).min(10.0);
        level.1 = now;
        let granted = level.0 >= 1.0;
        if granted {
            level.0 -= 1.0;
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        granted
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_told_is_kept_to_without_losing_time() {
    let (gate, _, clock) = gate(GateSettings::default());
    let server = Arc::new(LimitedServer {
        level: Mutex::new((10.0, Duration::ZERO)),
        clock: Arc::clone(&clock),
        refused: AtomicU32::new(0),
    });
    let told = RateLimits {
        requests: Allowance { limit: Some(LimitedServer::LIMIT), ..Allowance::default() },
        ..RateLimits::default()
    };
    let mut workers = JoinSet::new();
    for _ in 0..64 {
        let (gate, server, clock) = (Arc::clone(&gate), Arc::clone(&server), Arc::clone(&clock));
        workers.spawn(async move {
            let mut done = 0;
            while done < 32 {
                let permit = pass(&gate).await;
                clock.sleep(Duration::from_millis(50)).await;
                if server.take() {
                    permit.settle(Ok((&completion(), &told)), About::Either).await;
                    done += 1;
                } else {
                    let limits = Box::new(told);
                    permit
                        .settle(
                            Err(&ProviderError { limits, ..error(ErrorClass::RateLimited, Some(429)) }),
                            About::Either,
                        )
                        .await;
                }
            }
        });
    }
    workers.join_all().await;
    let refused = server.refused.load(Ordering::Relaxed);
    assert!(refused <= 20, "{refused} refused of 2,048");
    let best = 2_048.0 / 10.0;
    let took = clock.monotonic().as_secs_f64();
    assert!(took < best * 1.05, "{took} s, and {best} s would be best");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out_by_one_probe_after_the_other_and_fails_nobody() {
    let breaker = BreakerSettings { pause: Duration::from_secs(5), ..BreakerSettings::default() };
    let (gate, halt, clock) = gate(GateSettings { breaker, ..GateSettings::default() });
    pass(&gate).await.settle(Ok((&completion(), &RateLimits::default())), About::Either).await;
    let dead_calls = Arc::new(AtomicU32::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..20 {
        let (gate, clock, dead_calls) = (Arc::clone(&gate), Arc::clone(&clock), Arc::clone(&dead_calls));
        workers.spawn(async move {
            loop {
                let permit = pass(&gate).await;
                if clock.monotonic() >= Duration::from_secs(20) {
                    permit.settle(Ok((&completion(), &RateLimits::default())), About::Either).await;
                    return;
                }
                dead_calls.fetch_add(1, Ordering::Relaxed);
                permit.settle(Err(&error(ErrorClass::Connection, None)), About::Either).await;
                clock.sleep(Duration::from_millis(100)).await;
            }
        });
    }
    workers.join_all().await;
    assert!(!halt.is_thrown());
    // Those that were let through before it opened, and two probes.
    assert!(dead_calls.load(Ordering::Relaxed) <= 8 + 2);
    assert!(clock.monotonic() < Duration::from_secs(32), "{:?}", clock.monotonic());
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answered_parks_the_job_at_once() {
    let (gate, halt, _) = gate(GateSettings::default());
    for _ in 0..5 {
        pass(&gate).await.settle(Err(&error(ErrorClass::Connection, None)), About::Either).await;
    }
    assert!(matches!(halt.reason(), Some(HaltReason::Parked { code, .. }) if code == "never_answered"));
    assert!(matches!(gate.admit(LOAD, &nowhere).await, Admission::Halted));
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_does_not_end_parks_the_job() {
    let outage_max = Duration::from_hours(1);
    let (gate, halt, clock) = gate(GateSettings { outage_max, ..GateSettings::default() });
    loop {
        match gate.admit(LOAD, &nowhere).await {
            Admission::Granted(permit) => {
                permit.settle(Err(&error(ErrorClass::Overloaded, Some(529))), About::Either).await;
            }
            Admission::Open => panic!("it waits"),
            Admission::Halted => break,
        }
    }
    assert!(matches!(halt.reason(), Some(HaltReason::Parked { code, .. }) if code == "outage"));
    assert!(clock.monotonic() >= outage_max && clock.monotonic() < outage_max * 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_another_route_does_not_wait_for_an_open_breaker() {
    let (gate, ..) = gate(GateSettings::default());
    for _ in 0..3 {
        pass(&gate).await.settle(Err(&error(ErrorClass::Overloaded, Some(529))), About::Either).await;
    }
    assert!(matches!(gate.standing(), Standing::From(_)));
    assert!(matches!(gate.admit(LOAD, &now).await, Admission::Open));
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_dropped_makes_room_for_the_next() {
    let concurrency = ConcurrencySettings::Fixed(1);
    let (gate, ..) = gate(GateSettings { concurrency, ..GateSettings::default() });
    let first = pass(&gate).await;
    let second = pass(&gate);
    tokio::pin!(second);
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    second.await;
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_at_an_open_route_go_where_they_are_let_through_first() {
    let (first, _, clock) = gate(with_pause(300));
    let second = beside(&first, with_pause(20), None);
    open(&first).await;
    open(&second).await;
    let mut callers = JoinSet::new();
    for _ in 0..10 {
        let (first, second) = (Arc::clone(&first), Arc::clone(&second));
        callers.spawn(async move {
            let elsewhere = || match second.standing() {
                Standing::Usable => Elsewhere::Now,
                Standing::From(at) => Elsewhere::Later(Some(at)),
                Standing::Probing => Elsewhere::Later(None),
                Standing::Lost => Elsewhere::Nowhere,
            };
            matches!(first.admit(LOAD, &elsewhere).await, Admission::Open)
        });
    }
    assert!(callers.join_all().await.into_iter().all(|left| left));
    assert_eq!(clock.monotonic().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_go_on_at_once_when_another_route_recovers() {
    let (first, _, clock) = gate(with_pause(300));
    let second = beside(&first, with_pause(20), None);
    open(&first).await;
    open(&second).await;
    let elsewhere = || if second.standing() == Standing::Usable { Elsewhere::Now } else { Elsewhere::Later(None) };
    let mut queued = Vec::new();
    for _ in 0..3 {
        queued.push(Box::pin(first.admit(LOAD, &elsewhere)));
    }
    for caller in &mut queued {
        assert!(futures_util::poll!(caller).is_pending());
    }
    clock.sleep(Duration::from_secs(20)).await;
    pass(&second).await.settle(Ok((&completion(), &RateLimits::default())), About::Either).await;
    for caller in queued {
        assert!(matches!(caller.await, Admission::Open));
    }
    assert_eq!(clock.monotonic().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_cap_is_slept_on_by_nobody_and_stops_only_those_who_have_no_other_way() {
    let (gate, halt, _) = gate(GateSettings::default());
    let day = Duration::from_hours(24);
    let error = ProviderError { retry_after: Some(day), ..error(ErrorClass::RateLimited, Some(429)) };
    pass(&gate).await.settle(Err(&error), About::Either).await;
    assert!(matches!(gate.admit(LOAD, &now).await, Admission::Open));
    assert!(!halt.is_thrown());
    assert!(matches!(gate.admit(LOAD, &nowhere).await, Admission::Halted));
    assert!(matches!(halt.reason(), Some(HaltReason::ParkedUntil { unix_ms: 86_400_000, .. })));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_any_length_stops_nobody_who_has_another_way() {
    let outage_max = Duration::from_hours(1);
    let (gate, halt, clock) = gate(GateSettings { outage_max, ..GateSettings::default() });
    let mut probes = 0;
    while clock.monotonic() < outage_max * 3 {
        match gate.admit(LOAD, &now).await {
            Admission::Granted(permit) => {
                probes += 1;
                permit.settle(Err(&error(ErrorClass::Connection, None)), About::Either).await;
            }
            Admission::Open => clock.sleep(Duration::from_mins(1)).await,
            Admission::Halted => panic!("{:?}", halt.reason()),
        }
    }
    assert!(probes > 5 && probes < 20, "{probes}");
}

#[tokio::test(start_paused = true)]
async fn routes_on_one_key_share_its_limits() {
    let (first, _, clock) = gate(GateSettings::default());
    let limits = LimiterSettings { requests: Some(600), tokens: None, sharers: 1 };
    let key = Arc::new(Key::new(&KeyLimits { provider: "p".into(), limits, concurrency: Some(3) }));
    let gates = [
        beside(&first, GateSettings::default(), Some(Arc::clone(&key))),
        beside(&first, GateSettings::default(), Some(key)),
    ];
    let (under_way, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let mut workers = JoinSet::new();
    for n in 0..20 {
        let (gate, clock) = (Arc::clone(&gates[n % 2]), Arc::clone(&clock));
        let (under_way, most) = (Arc::clone(&under_way), Arc::clone(&most));
        workers.spawn(async move {
            for _ in 0..10 {
                let permit = pass(&gate).await;
                most.fetch_max(under_way.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                clock.sleep(Duration::from_millis(50)).await;
                under_way.fetch_sub(1, Ordering::Relaxed);
                permit.settle(Ok((&completion(), &RateLimits::default())), About::Either).await;
            }
        });
    }
    workers.join_all().await;
    assert_eq!(most.load(Ordering::Relaxed), 3);
    let took = clock.monotonic().as_secs_f64();
    assert!(took > 19.0 && took < 22.0, "200 calls at 10 a second in {took} s");
}
