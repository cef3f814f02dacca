//! How a run stands at one moment, for those who watch: looked at where it is, and nowhere kept.

use super::super::memory;
use crate::monitor::Standing;
use crate::run::{Control, Phase, Shared, Shutdown, Tally};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The work of a run, to be looked at.
#[derive(Clone)]
pub(super) struct UnderWay {
    pub(super) shared: Arc<Shared>,
    pub(super) tally: Arc<Tally>,
    pub(super) control: Control,
    pub(super) shutdown: Shutdown,
}

impl UnderWay {
    /// The same for those who must not keep the work alive; `None`: it has ended.
    pub(super) fn glance(&self) -> impl Fn() -> Option<Standing> + Send + Sync + 'static {
        let Self { shared, tally, control, shutdown } = self.clone();
        let shared = Arc::downgrade(&shared);
        move || {
            let (tally, control, shutdown) = (Arc::clone(&tally), control.clone(), shutdown.clone());
            Some(Self { shared: shared.upgrade()?, tally, control, shutdown }.standing())
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let (shared, orders) = (&self.shared, self.control.orders());
        let limit = orders.live as u64;
        Standing {
            counts: self.tally.snapshot(),
            spent: shared.stack.spent().micro_dollars,
            spent_max: shared.stack.cost_max(),
            routes: shared.stack.status(),
            items_in_flight: shared.under_way.load(Ordering::Relaxed),
            instances: limit.saturating_sub(shared.live.free() as u64),
            instances_max: limit,
            guests: Some((shared.live.suspension(), shared.live.memory())),
            is_paused: orders.paused,
            is_stopping: self.shutdown.phase() != Phase::Running,
            memory: memory::resident(),
        }
    }
}
