//! How many calls of a route are under way at once: found out by trying.
//!
//! Few at first, doubled for each full round of answers until the first 429; then cut once for each burst of 429s, and grown
//! by one at a time. A 5xx says nothing about how much the provider would take, and changes nothing. The figures lie
//! between those of Inspect AI (cut to 0.8) and `NeMo` Data Designer (cut to 0.75, one more for 25 answers).

/// Calls under way when nothing is known.
const START: u32 = 8;
const CUT: f64 = 0.75;
/// Answers for each call more, once a 429 has been seen.
const ANSWERS_PER_STEP: u32 = 25;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConcurrencySettings {
    /// Found out, up to so many.
    Adaptive {
        ceiling: u32,
    },
    Fixed(u32),
}

/// What a call knows of the limit that it was let through under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

#[derive(Debug)]
pub(super) struct Concurrency {
    settings: ConcurrencySettings,
    limit: u32,
    in_flight: u32,
    doubling: bool,
    answers: u32,
    /// Counts cuts: 429s of calls that left before the last cut belong to the same burst.
    cuts: u64,
}

impl Concurrency {
    pub(super) fn new(settings: ConcurrencySettings) -> Self {
        let limit = match settings {
            ConcurrencySettings::Adaptive { ceiling } => START.min(ceiling.max(1)),
            ConcurrencySettings::Fixed(limit) => limit.max(1),
        };
        Self { settings, limit, in_flight: 0, doubling: true, answers: 0, cuts: 0 }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight < self.limit
    }

    pub(super) fn enter(&mut self) -> Mark {
        self.in_flight += 1;
        Mark(self.cuts)
    }

    pub(super) fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// An answer came. True: the limit has changed.
    pub(super) fn answered(&mut self) -> bool {
        let ConcurrencySettings::Adaptive { ceiling } = self.settings else { return false };
        self.answers = self.answers.saturating_add(1);
        let round = if self.doubling { self.limit } else { ANSWERS_PER_STEP };
        if self.answers < round || self.limit >= ceiling {
            return false;
        }
        self.answers = 0;
        self.limit = if self.doubling { self.limit.saturating_mul(2) } else { self.limit + 1 }.min(ceiling);
        true
    }

    /// A 429 came. True: the limit has changed.
    pub(super) fn rate_limited(&mut self, mark: Mark) -> bool {
        if matches!(self.settings, ConcurrencySettings::Fixed(_)) || mark.0 != self.cuts {
            return false;
        }
        self.doubling = false;
        self.answers = 0;
        self.cuts += 1;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "smaller than it was")]
        let cut = (f64::from(self.limit) * CUT) as u32;
        let changed = cut.max(1) != self.limit;
        self.limit = cut.max(1);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn adaptive() -> Concurrency {
        Concurrency::new(ConcurrencySettings::Adaptive { ceiling: 100 })
    }

    #[test]
    fn it_doubles_with_each_round_until_the_first_429_and_grows_gently_after() {
        let mut concurrency = adaptive();
        for _ in 0..8 + 16 {
            concurrency.answered();
        }
        assert_eq!(concurrency.limit(), 32);
        let mark = concurrency.enter();
        assert!(concurrency.rate_limited(mark));
        assert_eq!(concurrency.limit(), 24);
        for _ in 0..50 {
            concurrency.answered();
        }
        assert_eq!(concurrency.limit(), 26);
    }

    #[test]
    fn one_burst_cuts_once() {
        let mut concurrency = adaptive();
        let burst: Vec<Mark> = (0..8).map(|_| concurrency.enter()).collect();
        let cuts = burst.into_iter().filter(|mark| concurrency.rate_limited(*mark)).count();
        assert_eq!((cuts, concurrency.limit()), (1, 6));
        let later = concurrency.enter();
        assert!(concurrency.rate_limited(later));
    }

    #[test]
    fn a_fixed_number_stays() {
        let mut concurrency = Concurrency::new(ConcurrencySettings::Fixed(3));
        let mark = concurrency.enter();
        assert!(!concurrency.rate_limited(mark) && !(0..99).any(|_| concurrency.answered()));
        assert_eq!(concurrency.limit(), 3);
    }

    proptest! {
        #[test]
        fn the_limit_stays_between_one_and_the_ceiling(ceiling in 1_u32..300, steps in prop::collection::vec(0_u8..8, 0..500)) {
            let mut concurrency = Concurrency::new(ConcurrencySettings::Adaptive { ceiling });
            for step in steps {
                let mark = concurrency.enter();
                if step == 0 { concurrency.rate_limited(mark) } else { concurrency.answered() };
                concurrency.leave();
                prop_assert!(concurrency.limit() >= 1 && concurrency.limit() <= ceiling);
                prop_assert_eq!(concurrency.in_flight(), 0);
            }
        }
    }
}
