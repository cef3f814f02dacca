//! Places for items in flight, whose number can be changed while they are taken.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit a place. Fewer places than are taken is a debt, that is paid as they are given back.
pub(super) struct Places {
    free: Arc<Semaphore>,
    size: usize,
    debt: usize,
}

impl Places {
    pub(super) fn new(size: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(size)), size, debt: 0 }
    }

    pub(super) fn resize(&mut self, size: usize) {
        if size >= self.size {
            let more = size - self.size;
            let forgiven = more.min(self.debt);
            self.debt -= forgiven;
            self.free.add_permits(more - forgiven);
        } else {
            self.debt += self.size - size;
        }
        self.size = size;
        self.pay();
    }

    /// `None`: all are taken.
    pub(super) fn take(&mut self) -> Option<OwnedSemaphorePermit> {
        self.pay();
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// Returns once a place may be free.
    pub(super) async fn one_is_free(&self) {
        // Never closed; the permit is given back at once, and taken by whoever was waiting here.
        let _ = self.free.acquire().await;
    }

    fn pay(&mut self) {
        self.debt -= self.free.forget_permits(self.debt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Step {
        Resize(usize),
        Take,
        GiveBack,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![(1_usize..8).prop_map(Step::Resize), Just(Step::Take), Just(Step::Take), Just(Step::GiveBack)]
    }

    proptest! {
        #[test]
        fn a_place_is_given_out_exactly_while_fewer_are_taken_than_there_are(steps in prop::collection::vec(step(), 0..80)) {
            let mut places = Places::new(3);
            let (mut size, mut taken) = (3, Vec::new());
            for step in steps {
                match step {
                    Step::Resize(to) => {
                        size = to;
                        places.resize(to);
                    }
                    Step::Take => {
                        let place = places.take();
                        prop_assert_eq!(place.is_some(), taken.len() < size);
                        taken.extend(place);
                    }
                    Step::GiveBack => drop(taken.pop()),
                }
            }
        }
    }
}
