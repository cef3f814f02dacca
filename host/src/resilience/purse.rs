//! What a job may spend, in money and in tokens: reserved before a call leaves, settled when it is back.
//!
//! Hard: what is spent and what is reserved together never exceed the limit. A call that does not fit beside those under way
//! waits for them, since they mostly cost less than was reserved; one that does not fit at all ends the run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// An amount: money in millionths of a dollar, and tokens read and written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    pub micro_dollars: u64,
    pub tokens: u64,
}

/// Limits over the whole job; `None`: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spending {
    pub micro_dollars_max: Option<u64>,
    pub tokens_max: Option<u64>,
}

pub(super) struct Purse {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    limits: Spending,
    spent: Amount,
    reserved: Amount,
    under_way: u32,
}

/// So much is set aside. Dropped without [`Reservation::settle`], it counts as spent: what was sent may be billed.
pub(super) struct Reservation {
    purse: Arc<Purse>,
    amount: Amount,
    settled: bool,
}

/// The limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Empty {
    Money { limit: u64, spent: u64, wanted: u64 },
    Tokens { limit: u64, spent: u64, wanted: u64 },
}

enum Fit {
    Yes,
    /// Once others are settled, perhaps.
    Later,
    Never(Empty),
}

impl Purse {
    /// `spent`: by earlier runs of the job.
    pub(super) fn new(limits: Spending, spent: Amount) -> Self {
        Self { state: Mutex::new(State { limits, spent, ..State::default() }), changed: Notify::new() }
    }

    pub(super) fn has_limits(&self) -> bool {
        self.state().limits != Spending::default()
    }

    /// Another limit from now on, for calls that wait too; returns what is spent, if that is more.
    pub(super) fn limit_money(&self, micro_dollars: u64) -> Option<u64> {
        let spent = {
            let mut state = self.state();
            state.limits.micro_dollars_max = Some(micro_dollars);
            state.spent.micro_dollars
        };
        self.changed.notify_waiters();
        (spent > micro_dollars).then_some(spent)
    }

    /// In millionths of a dollar.
    pub(super) fn money_max(&self) -> Option<u64> {
        self.state().limits.micro_dollars_max
    }

    pub(super) fn spent(&self) -> Amount {
        self.state().spent
    }

    pub(super) async fn reserve(self: &Arc<Self>, amount: Amount) -> Result<Reservation, Empty> {
        loop {
            // Asked for before looking, so that no change is missed.
            let changed = self.changed.notified();
            match self.reserve_now(amount) {
                Some(reserved) => return reserved,
                None => changed.await,
            }
        }
    }

    /// `None`: it may fit once others are settled.
    pub(super) fn reserve_now(self: &Arc<Self>, amount: Amount) -> Option<Result<Reservation, Empty>> {
        match self.try_reserve(amount) {
            Fit::Yes => Some(Ok(Reservation { purse: Arc::clone(self), amount, settled: false })),
            Fit::Never(empty) => Some(Err(empty)),
            Fit::Later => None,
        }
    }

    fn try_reserve(&self, amount: Amount) -> Fit {
        let mut state = self.state();
        let fits = |limit: Option<u64>, spent: u64, reserved: u64, wanted: u64| {
            limit.is_none_or(|limit| spent.saturating_add(reserved).saturating_add(wanted) <= limit)
        };
        let (spent, limits) = (state.spent, state.limits);
        let money = |reserved| fits(limits.micro_dollars_max, spent.micro_dollars, reserved, amount.micro_dollars);
        let tokens = |reserved| fits(limits.tokens_max, spent.tokens, reserved, amount.tokens);
        if money(state.reserved.micro_dollars) && tokens(state.reserved.tokens) {
            state.reserved = state.reserved.plus(amount);
            state.under_way += 1;
            return Fit::Yes;
        }
        if state.under_way > 0 && money(0) && tokens(0) {
            return Fit::Later;
        }
        Fit::Never(if money(0) {
            Empty::Tokens { limit: limits.tokens_max.unwrap_or(0), spent: spent.tokens, wanted: amount.tokens }
        } else {
            Empty::Money {
                limit: limits.micro_dollars_max.unwrap_or(0),
                spent: spent.micro_dollars,
                wanted: amount.micro_dollars,
            }
        })
    }

    fn finish(&self, reserved: Amount, used: Amount) {
        {
            let mut state = self.state();
            state.reserved = state.reserved.minus(reserved);
            state.spent = state.spent.plus(used);
            state.under_way = state.under_way.saturating_sub(1);
        }
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Amount {
    pub fn plus(self, other: Self) -> Self {
        Self {
            micro_dollars: self.micro_dollars.saturating_add(other.micro_dollars),
            tokens: self.tokens.saturating_add(other.tokens),
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            micro_dollars: self.micro_dollars.saturating_sub(other.micro_dollars),
            tokens: self.tokens.saturating_sub(other.tokens),
        }
    }
}

impl Reservation {
    pub(super) fn settle(mut self, used: Amount) {
        self.settled = true;
        self.purse.finish(self.amount, used);
    }

    /// Nothing left.
    pub(super) fn release(self) {
        self.settle(Amount::default());
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.settled {
            self.purse.finish(self.amount, self.amount);
        }
    }
}

impl std::fmt::Display for Empty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Money { limit, spent, wanted } => write!(
                f,
                "the job may cost {} (--max-cost), {} are spent, and the next call may cost {}: run it again with a larger --max-cost",
                dollars(*limit),
                dollars(*spent),
                dollars(*wanted)
            ),
            Self::Tokens { limit, spent, wanted } => write!(
                f,
                "the job may use {limit} tokens (--max-tokens), {spent} are used, and the next call may use {wanted}: run it again with a larger --max-tokens"
            ),
        }
    }
}

/// Millionths of a dollar, for a person: `$0.0123`.
pub fn dollars(micro: u64) -> String {
    let text = format!("${}.{:06}", micro / 1_000_000, micro % 1_000_000);
    // Two decimals at least.
    let keep = text.len() - 4;
    let trimmed = text.trim_end_matches('0');
    text[..trimmed.len().max(keep)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount(micro_dollars: u64) -> Amount {
        Amount { micro_dollars, tokens: 0 }
    }

    fn purse(limit: u64) -> Arc<Purse> {
        let limits = Spending { micro_dollars_max: Some(limit), tokens_max: None };
        Arc::new(Purse::new(limits, Amount::default()))
    }

    #[tokio::test]
    async fn a_call_that_does_not_fit_beside_others_waits_for_them() {
        let purse = purse(100);
        let first = purse.reserve(amount(80)).await.unwrap();
        let second = purse.reserve(amount(50));
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        first.settle(amount(10));
        second.await.unwrap().settle(amount(50));
        assert_eq!(purse.spent().micro_dollars, 60);
        let empty = purse.reserve(amount(41)).await.err().unwrap();
        assert_eq!(empty, Empty::Money { limit: 100, spent: 60, wanted: 41 });
        assert!(purse.reserve(amount(40)).await.is_ok());
    }

    #[tokio::test]
    async fn a_limit_that_is_raised_lets_the_waiting_go_and_one_below_what_is_spent_is_told() {
        let purse = purse(100);
        let first = purse.reserve(amount(80)).await.unwrap();
        let second = purse.reserve(amount(50));
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        assert_eq!(purse.limit_money(130), None);
        second.await.unwrap().settle(amount(50));
        first.settle(amount(10));
        assert_eq!(purse.limit_money(60), None);
        assert_eq!(purse.limit_money(59), Some(60));
        assert!(purse.reserve(amount(1)).await.is_err());
    }

    #[tokio::test]
    async fn what_is_never_settled_counts_as_spent() {
        let purse = purse(100);
        drop(purse.reserve(amount(70)).await.unwrap());
        assert_eq!(purse.spent().micro_dollars, 70);
    }

    #[test]
    fn amounts_are_written_as_dollars() {
        let written = [0, 5, 12_300, 1_000_000, 50_000, 12_345_678].map(dollars);
        assert_eq!(written, ["$0.00", "$0.000005", "$0.0123", "$1.00", "$0.05", "$12.345678"]);
    }

    proptest! {
        #[test]
        fn spent_and_reserved_never_exceed_the_limit(limit in 0_u64..1_000, steps in prop::collection::vec((0_u64..300, 0_u64..=100), 0..60)) {
            let purse = purse(limit);
            let mut open = Vec::new();
            for (wanted, share) in steps {
                if let Fit::Yes = purse.try_reserve(amount(wanted)) {
                    open.push(Reservation { purse: Arc::clone(&purse), amount: amount(wanted), settled: false });
                } else if let Some(reservation) = open.pop() {
                    let used = reservation.amount.micro_dollars * share / 100;
                    reservation.settle(amount(used));
                }
                let state = purse.state();
                prop_assert!(state.spent.micro_dollars + state.reserved.micro_dollars <= limit);
            }
        }
    }
}
