//! When guests give their instances back, and how often one did: written into the store, for whoever looks from another process.

use crate::resilience::{HaltReason, Notes};
use crate::run::{Shared, Tally};
use crate::store::{GuestsNote, NewRouteEvent};
use std::sync::Arc;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Noting {
    shared: Arc<Shared>,
    tally: Arc<Tally>,
    notes: Notes,
    written: Option<GuestsNote>,
}

impl Noting {
    pub(super) fn new(shared: Arc<Shared>, tally: Arc<Tally>) -> Self {
        Self { shared, tally, notes: Notes::default(), written: None }
    }

    /// Until it is dropped: at once what the policy is, then what has changed.
    pub(super) async fn follow(&mut self) {
        let clock = Arc::clone(&self.shared.clock);
        loop {
            let note = self.look();
            let gave_way = self.written.as_ref().map(|written| written.gave_way);
            if gave_way != Some(note.gave_way) && self.notes.take(clock.monotonic()) {
                self.write(note).await;
            }
            clock.sleep(LOOK_EVERY).await;
        }
    }

    /// How it ended.
    pub(super) async fn last(mut self) {
        let note = self.look();
        if self.written.as_ref() != Some(&note) {
            self.write(note).await;
        }
    }

    fn look(&self) -> GuestsNote {
        let suspension = self.shared.live.suspension();
        GuestsNote {
            policy: suspension.policy.name().to_owned(),
            after_ms: u64::try_from(suspension.after.as_millis()).unwrap_or(u64::MAX),
            memory_target: suspension.memory_target,
            memory_peak: self.shared.live.memory().peak,
            gave_way: self.tally.snapshot().suspensions,
        }
    }

    async fn write(&mut self, note: GuestsNote) {
        let shared = &self.shared;
        let event = NewRouteEvent {
            run: shared.run,
            at_ms: shared.clock.unix_ms(),
            route: String::new(),
            kind: GuestsNote::KIND,
            detail: note.detail(),
        };
        match shared.store.enqueue_route_event(event).await {
            Ok(()) => self.written = Some(note),
            Err(error) => shared.halt.throw(HaltReason::from(&error)),
        }
    }
}
