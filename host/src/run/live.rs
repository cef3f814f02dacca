//! Guests that may be live at once, by number and by memory; who waits to begin, and who makes room for it.

use super::memory::{Memory, Part};
use crate::clock::Clock;
use crate::resilience::Patience;
use async_trait::async_trait;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{AcquireError, Notify, Semaphore, SemaphorePermit};

/// When a guest that waits for an answer gives its instance back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuspendPolicy {
    /// When others wait for one, or memory is short.
    Auto,
    Never,
    /// Whether others wait or not.
    Always,
}

impl SuspendPolicy {
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Never => "never",
            Self::Always => "always",
        }
    }
}

/// The policy, with its thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspension {
    pub policy: SuspendPolicy,
    /// How long a guest waits at least before it gives way, while there is memory; where that is short it goes at once.
    pub after: Duration,
    /// What all live guests shall have together, in bytes, whatever the policy is; `None`: as much as they take.
    pub memory_target: Option<u64>,
}

/// What guests have of memory, as the sandbox counts it; in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GuestMemory {
    pub now: u64,
    /// The most that it ever was in this run.
    pub peak: u64,
}

/// Room for guests.
#[derive(Debug)]
pub struct Live {
    suspension: Suspension,
    room: Semaphore,
    /// Whoever is first waits for memory and room; the others wait behind.
    turn: Semaphore,
    state: Mutex<State>,
    /// Memory was given back, or more is known of what is needed.
    freed: Notify,
    /// Each time for one of those that wait for an answer: somebody waits to begin, or memory is short.
    wanted: Notify,
    short: Notify,
}

#[derive(Debug)]
struct State {
    memory: Memory,
    /// Who wait to begin, and guests that give way and have not gone yet.
    waiting: usize,
    leaving: usize,
}

impl Live {
    /// `instances`: that may be live. `most_of_one`: what one may have of memory, in bytes.
    pub fn new(instances: usize, suspension: Suspension, most_of_one: u64) -> Self {
        let memory = Memory::new(suspension.memory_target, most_of_one);
        Self {
            suspension,
            room: Semaphore::new(instances),
            turn: Semaphore::new(1),
            state: Mutex::new(State { memory, waiting: 0, leaving: 0 }),
            freed: Notify::new(),
            wanted: Notify::new(),
            short: Notify::new(),
        }
    }

    /// How many more could be live now, if there is memory.
    pub fn free(&self) -> usize {
        self.room.available_permits()
    }

    pub fn memory(&self) -> GuestMemory {
        let (now, peak) = self.state().memory.figures();
        GuestMemory { now, peak }
    }

    pub fn suspension(&self) -> Suspension {
        self.suspension
    }

    pub(super) fn grow(&self, by: usize) {
        self.room.add_permits(by);
    }

    /// Room for one guest; those who came first are served first. `known`: what the item took of memory before, in bytes.
    pub(super) async fn take(self: &Arc<Self>, known: u64) -> Result<Place<'_>, AcquireError> {
        if let Some(place) = self.try_take(known) {
            return Ok(place);
        }
        let _waiting = Waiting::new(self);
        let _turn = self.turn.acquire().await?;
        let guest = self.memory_for(known).await;
        let room = self.room.acquire().await?;
        Ok(Place { guest, _room: room })
    }

    /// Where nobody waits and there is room. By what `state` tells of who waits, and not by taking the turn: whoever finds that taken for a moment
    /// would queue for it, all others behind, and from then on guests would begin one after the other.
    fn try_take(self: &Arc<Self>, known: u64) -> Option<Place<'_>> {
        let mut state = self.state();
        if state.waiting > 0 {
            return None;
        }
        let room = self.room.try_acquire().ok()?;
        let Some(part) = state.memory.begin(known) else {
            state.memory.forget_first();
            return None;
        };
        Some(Place { guest: self.guest(part), _room: room })
    }

    async fn memory_for(self: &Arc<Self>, known: u64) -> Guest {
        let _first = First(self);
        loop {
            // One that is told before it is waited for is kept.
            let freed = self.freed.notified();
            if let Some(guest) = self.begin(known) {
                return guest;
            }
            self.short.notify_one();
            freed.await;
        }
    }

    fn begin(self: &Arc<Self>, known: u64) -> Option<Guest> {
        let part = self.state().memory.begin(known)?;
        Some(self.guest(part))
    }

    fn guest(self: &Arc<Self>, part: Part) -> Guest {
        Guest { live: Arc::clone(self), part: Arc::new(Mutex::new(part)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who waits to begin, for as long as that is so.
struct Waiting<'a>(&'a Live);

impl<'a> Waiting<'a> {
    fn new(live: &'a Live) -> Self {
        live.state().waiting += 1;
        live.wanted.notify_one();
        Self(live)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

/// Whoever is first, until there is memory for it or it has gone.
struct First<'a>(&'a Live);

impl Drop for First<'_> {
    fn drop(&mut self) {
        self.0.state().memory.forget_first();
    }
}

/// A guest's room, given back when it is dropped; no sooner than the instance.
pub(super) struct Place<'a> {
    guest: Guest,
    _room: SemaphorePermit<'a>,
}

impl Place<'_> {
    /// Told what the guest's memories come to, each time they grow.
    pub(super) fn listener(&self) -> Arc<dyn Fn(usize) + Send + Sync> {
        let (live, part) = (Arc::clone(&self.guest.live), Arc::clone(&self.guest.part));
        Arc::new(move |bytes| {
            let is_short = {
                let mut state = live.state();
                state.memory.grows(&mut lock(&part), bytes as u64);
                state.memory.is_short()
            };
            if is_short {
                live.short.notify_one();
            }
        })
    }

    /// The policy at work, for the guest that has this place. `None`: it never gives way.
    pub(super) fn patience(&self, clock: &Arc<dyn Clock>) -> Option<Arc<dyn Patience>> {
        let live = Arc::clone(&self.guest.live);
        let gives_way = GivesWay { live, part: Arc::clone(&self.guest.part), clock: Arc::clone(clock) };
        (self.guest.live.suspension.policy != SuspendPolicy::Never).then(|| Arc::new(gives_way) as Arc<dyn Patience>)
    }
}

/// What is counted of a guest, until it is dropped.
struct Guest {
    live: Arc<Live>,
    /// Locked after the state, and never alone.
    part: Arc<Mutex<Part>>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        {
            let mut state = self.live.state();
            let part = lock(&self.part);
            state.memory.ends(&part);
            state.leaving -= usize::from(part.leaves());
        }
        self.live.freed.notify_one();
    }
}

fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

struct GivesWay {
    live: Arc<Live>,
    part: Arc<Mutex<Part>>,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Patience for GivesWay {
    async fn runs_out(&self) {
        self.waits();
        tokio::select! {
            biased;
            () = self.goes_when(&self.live.short, |state| state.memory.is_short()) => {}
            () = self.is_over() => {}
        }
    }
}

impl GivesWay {
    fn waits(&self) {
        self.live.state().memory.waits(&mut lock(&self.part));
        // Whoever is first may need less than was thought.
        self.live.freed.notify_one();
    }

    async fn is_over(&self) {
        self.clock.sleep(self.live.suspension.after).await;
        match self.live.suspension.policy {
            SuspendPolicy::Always => drop(self.goes_if(|_| true)),
            // One guest for each who waits: nobody leaves for an item that another makes room for.
            SuspendPolicy::Auto => self.goes_when(&self.live.wanted, |state| state.waiting > state.leaving).await,
            SuspendPolicy::Never => std::future::pending().await,
        }
    }

    /// `told`: when to look again.
    async fn goes_when(&self, told: &Notify, must: impl Fn(&State) -> bool + Send + Sync) {
        loop {
            let told = told.notified();
            if self.goes_if(&must) {
                return;
            }
            told.await;
        }
    }

    fn goes_if(&self, must: impl Fn(&State) -> bool) -> bool {
        let (others, is_short) = {
            let mut state = self.live.state();
            if !must(&state) {
                return false;
            }
            let mut part = lock(&self.part);
            state.leaving += usize::from(!part.leaves());
            state.memory.leaves(&mut part);
            (state.waiting > state.leaving, state.memory.is_short())
        };
        // One may not be enough.
        if others {
            self.live.wanted.notify_one();
        }
        if is_short {
            self.live.short.notify_one();
        }
        true
    }
}

#[cfg(test)]
mod tests;
