//! Instances that may be live at once, and who waits for one.

use crate::clock::Clock;
use crate::resilience::Patience;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

/// Room for instances.
#[derive(Debug)]
pub struct Live {
    room: Semaphore,
    /// One permit for each who waits for room and whom nobody makes room for yet.
    wishes: Semaphore,
}

impl Live {
    pub fn new(instances: usize) -> Self {
        Self { room: Semaphore::new(instances), wishes: Semaphore::new(0) }
    }

    /// How many more could be live now.
    pub fn free(&self) -> usize {
        self.room.available_permits()
    }

    pub(super) fn grow(&self, by: usize) {
        self.room.add_permits(by);
    }

    /// Room for one; those who came first are served first.
    pub(super) async fn take(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        if let Ok(permit) = self.room.try_acquire() {
            return Ok(permit);
        }
        let _wish = Wish::of(&self.wishes);
        self.room.acquire().await
    }

    /// Returns once somebody waits for room. Whoever is told makes room: no other is told of the same one.
    async fn is_wanted(&self) {
        if let Ok(wish) = self.wishes.acquire().await {
            wish.forget();
        }
    }
}

/// Stands until somebody makes room for it, or it has room.
struct Wish<'a>(&'a Semaphore);

impl<'a> Wish<'a> {
    fn of(wishes: &'a Semaphore) -> Self {
        wishes.add_permits(1);
        Self(wishes)
    }
}

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        if let Ok(wish) = self.0.try_acquire() {
            wish.forget();
        }
    }
}

/// When a guest that waits for an answer gives its instance back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuspendPolicy {
    /// When others wait for one.
    Auto,
    Never,
    /// Whether others wait or not.
    Always,
}

impl Live {
    /// The policy at work, for all items. `after`: how long a guest waits at least before it gives way; `None`: it never does.
    pub fn patience(
        self: &Arc<Self>,
        policy: SuspendPolicy,
        after: Duration,
        clock: &Arc<dyn Clock>,
    ) -> Option<Arc<dyn Patience>> {
        let wanted_by = match policy {
            SuspendPolicy::Never => return None,
            SuspendPolicy::Always => None,
            SuspendPolicy::Auto => Some(Arc::clone(self)),
        };
        Some(Arc::new(GivesWay { wanted_by, clock: Arc::clone(clock), after }))
    }
}

struct GivesWay {
    /// Only when somebody waits for room here.
    wanted_by: Option<Arc<Live>>,
    clock: Arc<dyn Clock>,
    after: Duration,
}

#[async_trait]
impl Patience for GivesWay {
    async fn runs_out(&self) {
        self.clock.sleep(self.after).await;
        if let Some(live) = &self.wanted_by {
            live.is_wanted().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use futures_util::FutureExt;
    use futures_util::future::{BoxFuture, join_all};

    fn patience(live: &Arc<Live>, policy: SuspendPolicy) -> Option<Arc<dyn Patience>> {
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::default());
        live.patience(policy, Duration::from_millis(100), &clock)
    }

    #[tokio::test]
    async fn as_many_make_room_as_wait_for_it() {
        let live = Arc::new(Live::new(3));
        let taken = [live.take().await.unwrap(), live.take().await.unwrap(), live.take().await.unwrap()];
        let way = patience(&live, SuspendPolicy::Auto).unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| way.runs_out()).collect();
        let told = |waiting: &mut Vec<BoxFuture<'_, ()>>| {
            waiting.retain_mut(|one| one.as_mut().poll(&mut noop()).is_pending());
            3 - waiting.len()
        };
        // The clock's wait, and then the look at who waits.
        assert_eq!((told(&mut waiting), told(&mut waiting)), (0, 0));
        let mut comes = Box::pin(live.take());
        assert!(comes.as_mut().now_or_never().is_none());
        let mut comes_too = Box::pin(live.take());
        assert!(comes_too.as_mut().now_or_never().is_none());
        assert_eq!((told(&mut waiting), told(&mut waiting)), (2, 2), "one for each of the two, and no more");
        drop(taken);
        assert_eq!(join_all([comes, comes_too]).await.len(), 2);
    }

    fn noop() -> std::task::Context<'static> {
        std::task::Context::from_waker(std::task::Waker::noop())
    }

    #[tokio::test]
    async fn who_got_room_otherwise_asks_nobody_for_it() {
        let live = Arc::new(Live::new(1));
        let taken = live.take().await.unwrap();
        let mut comes = Box::pin(live.take());
        assert!(comes.as_mut().now_or_never().is_none());
        drop(taken);
        let room = comes.await.unwrap();
        let way = patience(&live, SuspendPolicy::Auto).unwrap();
        let mut waits = way.runs_out();
        for _ in 0..3 {
            assert!(waits.as_mut().poll(&mut noop()).is_pending());
        }
        drop(room);
        assert_eq!(live.free(), 1);
    }

    #[tokio::test]
    async fn the_policy_says_whether_others_matter() {
        let live = Arc::new(Live::new(1));
        patience(&live, SuspendPolicy::Always).unwrap().runs_out().await;
        let _taken = live.take().await.unwrap();
        let mut comes = Box::pin(live.take());
        assert!(comes.as_mut().now_or_never().is_none());
        assert!(patience(&live, SuspendPolicy::Never).is_none());
    }
}
