//! Two lanes for guests: all start in the quick one; who computes long without giving way goes on in the long one, whose threads the
//! system ranks lower. So a guest that wants a moment does not queue behind those that want all there is, and those still get every
//! processor that nobody else wants.

use crate::sandbox::lane_threads;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};

/// A guest that holds its thread for so long in one go is long. Less than the sandbox's tick, at which one that spins gives way; more than
/// it takes to instantiate an interpreter and call it once (1 to 2 ms).
const LONG: Duration = Duration::from_millis(3);

/// How much lower: about a third of the processor against somebody who wants it as much, rather than nothing, since a batch may share its machine
/// (`nice(2)`; Linux keeps it a thread).
#[cfg(target_os = "linux")]
const NICER_BY: i32 = 5;

/// A task that can be on either lane.
pub(super) type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What became of a task in the quick lane.
pub(super) enum Flown<T> {
    Ended(T),
    /// It wants the long one.
    Long(Task<T>),
}

/// The threads that guests run on, apart from the network's.
pub struct Lanes {
    quick: Runtime,
    long: Runtime,
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").finish_non_exhaustive()
    }
}

impl Lanes {
    /// A thread a processor in each.
    ///
    /// # Errors
    ///
    /// The system has no more threads.
    pub fn new(stack_bytes: usize) -> std::io::Result<Self> {
        let quick = lane(stack_bytes, "guests").build()?;
        let long = lane(stack_bytes, "guests-long").on_thread_start(rank_lower).build()?;
        Ok(Self { quick, long })
    }

    pub(super) fn quick(&self) -> &Handle {
        self.quick.handle()
    }

    pub(super) fn long(&self) -> &Handle {
        self.long.handle()
    }

    /// Ends the threads without waiting for them.
    pub fn shutdown(self) {
        self.quick.shutdown_background();
        self.long.shutdown_background();
    }
}

/// Threads that look at their queue after every poll.
fn lane(stack_bytes: usize, name: &str) -> Builder {
    let mut lane = Builder::new_multi_thread();
    lane.worker_threads(lane_threads())
        .thread_stack_size(stack_bytes)
        .event_interval(1)
        .enable_time()
        .thread_name(name);
    lane
}

/// Where the system refuses, or knows no ranks for threads, it shares its processors among the threads of both lanes alike.
fn rank_lower() {
    #[cfg(target_os = "linux")]
    if let Ok(now) = rustix::process::getpriority_process(None) {
        let _ = rustix::process::setpriority_process(None, now + NICER_BY);
    }
}

/// Runs a task until it ends or is long.
#[expect(clippy::disallowed_methods, reason = "how long a thread was held; the guest never sees it")]
pub(super) async fn until_long<T>(task: Task<T>) -> Flown<T> {
    let mut task = Some(task);
    poll_fn(move |cx| {
        let Some(running) = task.as_mut() else { return Poll::Pending };
        let began = Instant::now();
        match running.as_mut().poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Flown::Ended(ended)),
            Poll::Pending if began.elapsed() >= LONG => {
                task.take().map_or(Poll::Pending, |task| Poll::Ready(Flown::Long(task)))
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::yield_now;

    #[expect(clippy::disallowed_methods, reason = "a thread that is held")]
    fn held_for(time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    #[tokio::test]
    async fn who_gives_way_soon_ends_where_it_began() {
        let task = Box::pin(async {
            yield_now().await;
            1
        });
        assert!(matches!(until_long(task).await, Flown::Ended(1)));
    }

    #[tokio::test]
    async fn who_holds_its_thread_is_handed_back_and_goes_on_where_it_stood() {
        let (said, heard) = std::sync::mpsc::channel();
        let task = Box::pin(async move {
            said.send("began").unwrap();
            held_for(LONG);
            yield_now().await;
            said.send("went on").unwrap();
        });
        let Flown::Long(task) = until_long(task).await else { panic!("it is long") };
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["began"]);
        task.await;
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["went on"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_ranks_the_long_lane_lower_and_no_other_thread() {
        let lanes = Lanes::new(1 << 20).unwrap();
        let rank = || async { rustix::process::getpriority_process(None).unwrap() };
        let of = |lane: &Handle| lane.block_on(async { tokio::spawn(rank()).await.unwrap() });
        let here = rustix::process::getpriority_process(None).unwrap();
        assert_eq!((of(lanes.quick()), of(lanes.long())), (here, (here + NICER_BY).min(19)));
        lanes.shutdown();
    }
}
