//! What a person asks of a run that is under way, from outside: to pause, to do more or less at once.

use tokio::sync::watch;

/// All that is asked, at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orders {
    /// Nothing new is begun; what is in flight ends.
    pub paused: bool,
    /// Items in flight.
    pub concurrency: usize,
    /// Plugin instances that may be live; it never falls within a run, since items in flight bound it anyway.
    pub live: usize,
}

/// Where orders come from: another process in production, a test's hand in tests.
#[derive(Debug, Clone)]
pub struct Control {
    orders: watch::Receiver<Orders>,
}

impl Control {
    /// What holds at first, and the handle that changes it.
    pub fn new(orders: Orders) -> (watch::Sender<Orders>, Self) {
        let (sender, orders) = watch::channel(orders);
        (sender, Self { orders })
    }

    pub fn orders(&self) -> Orders {
        *self.orders.borrow()
    }

    /// Returns when something else is asked than `seen`.
    pub async fn changed_from(&mut self, seen: Orders) {
        if self.orders.wait_for(|orders| *orders != seen).await.is_err() {
            // Nobody can ask anything any more.
            std::future::pending::<()>().await;
        }
    }
}
