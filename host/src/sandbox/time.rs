//! Time as a guest spends it, and time as a guest sees it.
//!
//! Spent: processor time of the thread, summed over the polls of the guest's future, so that waiting costs nothing;
//! and time on the wall less the time in which the guest waits for a model. Seen: a virtual clock that starts when the job was created
//! and moves only as the guest looks at it or sleeps on it, so that an attempt that is run again sees the same times; the real one only
//! where that is granted.

use pin_project_lite::pin_project;
use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// How much a look at the clock moves it, so that a guest that waits for time to pass gets there.
const LOOK_NS: u64 = 1_000;
/// How long the wall's clock stands for a thread's own. A fiftieth of a tick.
const NEAR_NS: u64 = 200_000;

/// Processor time of one attempt: that of the guest, and that of the host's own functions, which the guest is not charged for.
#[derive(Debug, Default)]
pub(super) struct CpuTime {
    /// Nanoseconds, as all here: in ended polls, the host's functions included.
    polled: AtomicU64,
    /// Thread time when the poll that is under way began, plus one; 0 between polls.
    poll_began: AtomicU64,
    host: AtomicU64,
}

impl CpuTime {
    /// The guest's. Asked from inside a poll, on its thread and outside the host's functions, or when no poll is under way.
    pub(super) fn guest(&self) -> Duration {
        let began = self.poll_began.load(Ordering::Relaxed);
        let running = if began == 0 { 0 } else { thread_ns().saturating_sub(began - 1) };
        let polled = self.polled.load(Ordering::Relaxed) + running;
        Duration::from_nanos(polled.saturating_sub(self.host.load(Ordering::Relaxed)))
    }

    /// That of the poll that is under way, the host's functions included. Asked from inside it.
    pub(super) fn since_it_gave_way(&self) -> Duration {
        let began = self.poll_began.load(Ordering::Relaxed);
        Duration::from_nanos(if began == 0 { 0 } else { thread_ns().saturating_sub(began - 1) })
    }

    /// That of the host's functions.
    pub(super) fn host(&self) -> Duration {
        Duration::from_nanos(self.host.load(Ordering::Relaxed))
    }

    /// From now until it is dropped, on this thread, the host works.
    pub(super) fn host_works(&self) -> HostWorks<'_> {
        HostWorks { cpu: self, began_ns: thread_ns() }
    }
}

/// See [`CpuTime::host_works`].
pub(super) struct HostWorks<'a> {
    cpu: &'a CpuTime,
    began_ns: u64,
}

impl Drop for HostWorks<'_> {
    fn drop(&mut self) {
        self.cpu.host.fetch_add(thread_ns().saturating_sub(self.began_ns), Ordering::Relaxed);
    }
}

/// Processor time of this thread. The system is asked once in [`NEAR_NS`] at most, since that takes as long as a short host function does: in
/// between a thread that runs gains as much as the clock on the wall does, and one that was put aside for longer asks again. What is wrong by that
/// is wrong once, and not summed up: the next answer is right again.
fn thread_ns() -> u64 {
    thread_local! {
        /// When the system was asked, and what it said.
        static ASKED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    }
    let now = nanoseconds(ClockId::Monotonic);
    ASKED.with(|asked| {
        let (then, said) = asked.get();
        match now.checked_sub(then) {
            Some(since) if since < NEAR_NS => said + since,
            _ => {
                let says = nanoseconds(ClockId::ThreadCPUTime);
                asked.set((now, says));
                says
            }
        }
    })
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

pin_project! {
    /// Charges the polls of a guest's future to a [`CpuTime`].
    pub(super) struct Charged<F> {
        #[pin]
        inner: F,
        cpu: Arc<CpuTime>,
    }
}

impl<F> Charged<F> {
    pub(super) fn new(inner: F, cpu: Arc<CpuTime>) -> Self {
        Self { inner, cpu }
    }
}

impl<F: Future> Future for Charged<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let began = thread_ns();
        this.cpu.poll_began.store(began + 1, Ordering::Relaxed);
        let polled = this.inner.poll(cx);
        this.cpu.poll_began.store(0, Ordering::Relaxed);
        this.cpu.polled.fetch_add(thread_ns().saturating_sub(began), Ordering::Relaxed);
        polled
    }
}

pin_project! {
    /// The future of a function of the host, polled within that of a guest.
    pub(super) struct HostWork<F> {
        #[pin]
        inner: F,
        cpu: Arc<CpuTime>,
    }
}

impl<F> HostWork<F> {
    pub(super) fn new(inner: F, cpu: &Arc<CpuTime>) -> Self {
        Self { inner, cpu: Arc::clone(cpu) }
    }
}

impl<F: Future> Future for HostWork<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _works = this.cpu.host_works();
        this.inner.poll(cx)
    }
}

/// Time on the wall, stopped while the guest waits for a model.
#[derive(Debug)]
pub(super) struct WallTime {
    began: Instant,
    /// Waits under way, and what ended ones add up to.
    waiting: AtomicU32,
    waiting_since_us: AtomicU64,
    waited_us: AtomicU64,
}

impl WallTime {
    #[expect(clippy::disallowed_methods, reason = "a limit on real time; the guest never sees it")]
    pub(super) fn start() -> Self {
        Self {
            began: Instant::now(),
            waiting: AtomicU32::new(0),
            waiting_since_us: AtomicU64::new(0),
            waited_us: AtomicU64::new(0),
        }
    }

    /// All of it, waits among them.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn wait_begins(&self) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            self.waiting_since_us.store(self.elapsed_us(), Ordering::Relaxed);
        }
    }

    pub(super) fn wait_ends(&self) {
        if self.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            let waited = self.elapsed_us().saturating_sub(self.waiting_since_us.load(Ordering::Relaxed));
            self.waited_us.fetch_add(waited, Ordering::Relaxed);
        }
    }

    /// Time that counts.
    pub(super) fn spent(&self) -> Duration {
        let now = self.elapsed_us();
        let under_way = if self.waiting.load(Ordering::Relaxed) > 0 {
            now.saturating_sub(self.waiting_since_us.load(Ordering::Relaxed))
        } else {
            0
        };
        Duration::from_micros(now.saturating_sub(self.waited_us.load(Ordering::Relaxed) + under_way))
    }

    /// Returns once `limit` is spent.
    pub(super) async fn expired(&self, limit: Duration) {
        loop {
            let left = limit.saturating_sub(self.spent());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.max(Duration::from_millis(1))).await;
        }
    }
}

/// The monotonic clock that a guest sees.
#[derive(Debug, Clone)]
pub(super) enum GuestClock {
    Virtual(VirtualClock),
    /// Since the attempt began.
    Real(Instant),
}

impl GuestClock {
    #[expect(clippy::disallowed_methods, reason = "real time was granted")]
    pub(super) fn real() -> Self {
        Self::Real(Instant::now())
    }

    fn look(&self) -> u64 {
        match self {
            Self::Virtual(clock) => clock.look(),
            Self::Real(began) => u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

/// The clock that a guest sees unless it is given the real one.
#[derive(Debug, Clone)]
pub(super) struct VirtualClock {
    /// Milliseconds since the Unix epoch at which the guest's time starts.
    start_unix_ms: u64,
    passed_ns: Arc<AtomicU64>,
}

impl VirtualClock {
    pub(super) fn new(start_unix_ms: u64) -> Self {
        Self { start_unix_ms, passed_ns: Arc::new(AtomicU64::new(0)) }
    }

    fn look(&self) -> u64 {
        self.passed_ns.fetch_add(LOOK_NS, Ordering::Relaxed)
    }

    /// What sleeping does.
    fn advance_to(&self, ns: u64) {
        self.passed_ns.fetch_max(ns, Ordering::Relaxed);
    }
}

impl wasmtime_wasi::HostWallClock for VirtualClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(LOOK_NS)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.start_unix_ms) + Duration::from_nanos(self.look())
    }
}

/// `wasi:clocks/monotonic-clock` over either clock. wasmtime-wasi's own sleeps real time, whatever clock it was given.
pub(super) mod monotonic {
    use super::{GuestClock, LOOK_NS};
    use std::time::Duration;
    use wasmtime::component::{HasData, Resource, ResourceTable};
    use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host;
    use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

    /// Selects [`View`] for the linker.
    pub(in crate::sandbox) struct Seen;

    impl HasData for Seen {
        type Data<'a> = View<'a>;
    }

    pub(in crate::sandbox) struct View<'a> {
        pub(in crate::sandbox) clock: &'a GuestClock,
        pub(in crate::sandbox) table: &'a mut ResourceTable,
    }

    impl Host for View<'_> {
        fn now(&mut self) -> wasmtime::Result<u64> {
            Ok(self.clock.look())
        }

        fn resolution(&mut self) -> wasmtime::Result<u64> {
            Ok(LOOK_NS)
        }

        fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
            let timer = self.table.push(Timer { clock: self.clock.clone(), due_ns: when })?;
            subscribe(self.table, timer)
        }

        fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
            let due_ns = self.clock.look().saturating_add(duration);
            self.subscribe_instant(due_ns)
        }
    }

    struct Timer {
        clock: GuestClock,
        due_ns: u64,
    }

    #[async_trait::async_trait]
    impl Pollable for Timer {
        async fn ready(&mut self) {
            // Neighbours first: a guest may do nothing but sleep.
            tokio::task::yield_now().await;
            match &self.clock {
                GuestClock::Virtual(clock) => clock.advance_to(self.due_ns),
                GuestClock::Real(began) => match began.checked_add(Duration::from_nanos(self.due_ns)) {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn wall_time_stands_still_while_the_guest_waits_for_a_model() {
        let wall = WallTime::start();
        tokio::time::advance(Duration::from_secs(1)).await;
        wall.wait_begins();
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(wall.spent(), Duration::from_secs(1));
        wall.wait_ends();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(wall.spent(), Duration::from_secs(2));
    }

    fn work_until(done: impl Fn() -> bool) {
        let mut sum = 0_u64;
        while !done() {
            sum = std::hint::black_box(sum + 1);
        }
    }

    #[tokio::test]
    async fn processor_time_counts_work_and_not_waiting() {
        let cpu = Arc::new(CpuTime::default());
        let work = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            work_until(|| cpu.guest() >= Duration::from_millis(5));
        };
        Charged::new(work, Arc::clone(&cpu)).await;
        assert!(cpu.guest() >= Duration::from_millis(5));
        let after = cpu.guest();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(cpu.guest(), after);
    }

    #[tokio::test]
    async fn what_the_host_does_for_a_guest_is_counted_apart() {
        let cpu = Arc::new(CpuTime::default());
        let called = async {
            let began = thread_ns();
            work_until(|| thread_ns() - began > 20_000_000);
            tokio::task::yield_now().await;
            let began = thread_ns();
            work_until(|| thread_ns() - began > 20_000_000);
        };
        Charged::new(HostWork::new(called, &cpu), Arc::clone(&cpu)).await;
        assert!(cpu.host() >= Duration::from_millis(40), "{:?}", cpu.host());
        assert!(cpu.guest() < Duration::from_millis(10), "{:?}", cpu.guest());
    }
}
