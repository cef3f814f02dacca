//! Who begins, who waits, who gives way: without threads, by hand.

use super::*;
use crate::clock::SimulatedClock;
use futures_util::FutureExt;
use std::pin::Pin;
use std::task::{Context, Waker};

const MIB: u64 = 1 << 20;

fn live(instances: usize, policy: SuspendPolicy, memory_target: Option<u64>) -> Arc<Live> {
    let suspension = Suspension { policy, after: Duration::from_millis(100), memory_target };
    Arc::new(Live::new(instances, suspension, 128 * MIB))
}

fn taken(live: &Arc<Live>) -> Place<'_> {
    live.take(0).now_or_never().expect("there is room").unwrap()
}

/// Time does not pass.
struct Still;

#[async_trait]
impl Clock for Still {
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

fn at_once(place: &Place<'_>) -> Arc<dyn Patience> {
    let clock: Arc<dyn Clock> = Arc::new(Still);
    place.patience(&clock).unwrap()
}

fn patience(place: &Place<'_>) -> Arc<dyn Patience> {
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::default());
    place.patience(&clock).unwrap()
}

fn is_ready(future: &mut Pin<Box<impl Future + ?Sized>>) -> bool {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// How many of them have been told to go, once each has looked as often as it takes.
fn gone(waiting: &mut Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>>) -> usize {
    let before = waiting.len();
    for _ in 0..5 {
        waiting.retain_mut(|one| !is_ready(one));
    }
    before - waiting.len()
}

#[tokio::test]
async fn who_finds_another_just_beginning_does_not_queue() {
    let live = live(2, SuspendPolicy::Auto, None);
    let _another = live.turn.try_acquire().unwrap();
    taken(&live);
}

#[tokio::test]
async fn as_many_make_room_as_wait_for_it() {
    let live = live(3, SuspendPolicy::Auto, None);
    let taken = [taken(&live), taken(&live), taken(&live)];
    let ways: Vec<_> = taken.iter().map(patience).collect();
    let mut waiting: Vec<_> = ways.iter().map(|way| way.runs_out()).collect();
    assert_eq!(gone(&mut waiting), 0);
    let mut comes = Box::pin(live.take(0));
    let mut comes_too = Box::pin(live.take(0));
    assert!(!is_ready(&mut comes) && !is_ready(&mut comes_too));
    assert_eq!(gone(&mut waiting), 2, "one for each of the two, and no more");
    drop(taken);
    assert!(is_ready(&mut comes) && is_ready(&mut comes_too));
}

/// One guest that has left is no answer to whoever else waits.
#[tokio::test]
async fn who_still_waits_is_made_room_for_by_another() {
    let live = live(2, SuspendPolicy::Auto, None);
    let (first, second) = (taken(&live), taken(&live));
    let mut comes = Box::pin(live.take(0));
    let mut comes_too = Box::pin(live.take(0));
    assert!(!is_ready(&mut comes) && !is_ready(&mut comes_too));
    let way = patience(&first);
    way.runs_out().await;
    drop(first);
    let _begun = comes.await.unwrap();
    assert!(!is_ready(&mut comes_too));
    let way = patience(&second);
    way.runs_out().await;
    drop(second);
    assert!(is_ready(&mut comes_too));
}

#[tokio::test]
async fn who_got_room_otherwise_asks_nobody_for_it() {
    let live = live(1, SuspendPolicy::Auto, None);
    let first = taken(&live);
    let mut comes = Box::pin(live.take(0));
    assert!(!is_ready(&mut comes));
    drop(first);
    let room = comes.await.unwrap();
    let way = patience(&room);
    assert_eq!(gone(&mut vec![way.runs_out()]), 0);
    drop(room);
    assert_eq!(live.free(), 1);
}

#[tokio::test]
async fn the_policy_says_whether_others_matter() {
    let always = live(1, SuspendPolicy::Always, None);
    patience(&taken(&always)).runs_out().await;
    let never = live(1, SuspendPolicy::Never, Some(1));
    let place = taken(&never);
    let mut comes = Box::pin(never.take(0));
    assert!(!is_ready(&mut comes));
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::default());
    assert!(place.patience(&clock).is_none());
}

#[tokio::test]
async fn where_memory_is_short_who_waits_goes_at_once_and_no_more_than_need_to() {
    let live = live(10, SuspendPolicy::Auto, Some(100 * MIB));
    let first = taken(&live);
    first.listener()(24 << 20);
    // Nothing is known of what one takes until the first has shown it.
    let mut comes = Box::pin(live.take(0));
    assert!(!is_ready(&mut comes));
    let way = at_once(&first);
    let mut waits = way.runs_out();
    assert!(!is_ready(&mut waits), "there is memory for what it takes");
    let second = comes.await.unwrap();
    let others = [second, taken(&live), taken(&live)];
    for other in &others {
        other.listener()(24 << 20);
    }
    let mut comes = Box::pin(live.take(0));
    assert!(!is_ready(&mut comes), "five of 24 are more than 100");
    let ways: Vec<_> = others.iter().map(at_once).collect();
    let mut waiting: Vec<_> = ways.iter().map(|way| way.runs_out()).collect();
    waiting.push(waits);
    assert_eq!(gone(&mut waiting), 1);
    drop((first, others));
    assert!(is_ready(&mut comes));
    assert_eq!(live.memory(), GuestMemory { now: 0, peak: 96 * MIB });
}

/// Nobody waits to begin, and those that are live have outgrown what there is.
#[tokio::test]
async fn a_guest_that_grows_sends_those_away_that_wait() {
    let live = live(10, SuspendPolicy::Auto, Some(200 * MIB));
    let (one, other) = (taken(&live), live.take(0));
    one.listener()(10 << 20);
    let way = at_once(&one);
    let mut waits = way.runs_out();
    assert!(!is_ready(&mut waits));
    let other = other.await.unwrap();
    other.listener()(191 << 20);
    assert!(is_ready(&mut waits));
}

#[tokio::test]
async fn whoever_comes_begins_if_nobody_else_is_live_however_little_memory_there_is() {
    let live = live(4, SuspendPolicy::Auto, Some(0));
    for _ in 0..3 {
        let place = taken(&live);
        place.listener()(1 << 20);
        assert!(live.take(0).now_or_never().is_none());
    }
}

#[tokio::test]
async fn who_no_longer_waits_is_waited_for_by_nobody() {
    let live = live(10, SuspendPolicy::Auto, Some(100 * MIB));
    let place = taken(&live);
    place.listener()(90 << 20);
    let mut comes = Box::pin(live.take(80 * MIB));
    assert!(!is_ready(&mut comes));
    drop(comes);
    let way = patience(&place);
    assert_eq!(gone(&mut vec![way.runs_out()]), 0);
}

#[tokio::test]
async fn those_who_came_first_begin_first_whatever_they_take() {
    let live = live(10, SuspendPolicy::Auto, Some(100 * MIB));
    let place = taken(&live);
    place.listener()(50 << 20);
    let way = at_once(&place);
    let mut waits = way.runs_out();
    assert!(!is_ready(&mut waits));
    let mut large = Box::pin(live.take(60 * MIB));
    let mut small = Box::pin(live.take(0));
    assert!(!is_ready(&mut large) && !is_ready(&mut small), "the small one would fit");
    assert!(is_ready(&mut waits));
    drop(place);
    assert!(is_ready(&mut large));
}
