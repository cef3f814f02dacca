//! The limit by itself, and against providers that are played: in time that is played too, with as many callers as are let through.

use super::*;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

fn adaptive() -> Concurrency {
    Concurrency::new(ConcurrencySettings::Adaptive { ceiling: 100 })
}

/// Calls that all find the limit met, one after the other.
fn answered(concurrency: &mut Concurrency, times: u32) {
    for _ in 0..times {
        let others: Vec<Mark> = (concurrency.in_flight()..concurrency.limit()).map(|_| concurrency.enter()).collect();
        concurrency.leave();
        concurrency.answered(others[0]);
        others[1..].iter().for_each(|_| concurrency.leave());
    }
}

#[test]
fn it_doubles_with_each_round_until_more_is_refused_looks_whether_a_cut_helps_and_comes_back() {
    let mut concurrency = adaptive();
    answered(&mut concurrency, 8 + 16);
    assert_eq!(concurrency.limit(), 32);
    let marks: Vec<Mark> = (0..32).map(|_| concurrency.enter()).collect();
    assert!(!concurrency.rate_limited(marks[0]), "one may be chance");
    assert!(concurrency.rate_limited(marks[1]));
    assert_eq!(concurrency.limit(), 24);
    for _ in &marks {
        concurrency.leave();
    }
    answered(&mut concurrency, LOOK_CALLS - 1);
    assert_eq!(concurrency.limit(), 24);
    answered(&mut concurrency, 7 * ANSWERS_BACK);
    assert_eq!(concurrency.limit(), 31);
    answered(&mut concurrency, ANSWERS_BEYOND - 1);
    assert_eq!(concurrency.limit(), 31, "what was too many is not tried again at once");
    answered(&mut concurrency, 1);
    assert_eq!(concurrency.limit(), 32);
}

#[test]
fn one_burst_cuts_once() {
    let mut concurrency = adaptive();
    let burst: Vec<Mark> = (0..8).map(|_| concurrency.enter()).collect();
    let cuts = burst.into_iter().filter(|mark| concurrency.rate_limited(*mark)).count();
    assert_eq!((cuts, concurrency.limit()), (1, 6));
    let later: Vec<Mark> = (0..20).map(|_| concurrency.enter()).collect();
    let cuts = later.into_iter().filter(|mark| concurrency.rate_limited(*mark)).count();
    assert_eq!((cuts, concurrency.limit()), (1, 3), "by more where the first one did not help");
}

#[test]
fn a_limit_that_nobody_meets_is_not_raised_and_what_was_under_way_is_cut() {
    let mut concurrency = adaptive();
    answered(&mut concurrency, 92);
    assert_eq!(concurrency.limit(), 100);
    let mut concurrency = adaptive();
    for _ in 0..500 {
        let mark = concurrency.enter();
        concurrency.leave();
        concurrency.answered(mark);
    }
    assert_eq!(concurrency.limit(), START);
    let mut quiet = adaptive();
    (quiet.limit, quiet.answers) = (100, 100);
    let marks: Vec<Mark> = (0..20).map(|_| quiet.enter()).collect();
    assert!(marks.iter().any(|mark| quiet.rate_limited(*mark)));
    assert_eq!(quiet.limit(), 15, "of those that were under way, not of what might have been");
}

#[test]
fn a_fixed_number_stays() {
    let mut concurrency = Concurrency::new(ConcurrencySettings::Fixed(3));
    let mark = concurrency.enter();
    assert!(!concurrency.rate_limited(mark) && !(0..99).any(|_| concurrency.answered(mark)));
    assert_eq!(concurrency.limit(), 3);
}

/// What a provider refuses. Times are in milliseconds.
#[derive(Debug, Clone, Copy)]
enum Refuses {
    /// More than so many at once, and of the others a share at random.
    Beyond(u32, f64),
    /// What is too much for a bucket: so many by the minute, and so many at once.
    ByTheMinute { rate: f64, burst: f64 },
}

struct Played {
    refuses: Refuses,
    /// Nothing is answered from then to then.
    outage: (u64, u64),
    /// How long a refusal takes; an answer takes two seconds, half of them more and half less.
    refusal_ms: u64,
    ceiling: u32,
    seed: u64,
}

/// What came of it, the first fifth of all answers left out of the limit's mean.
#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    limit: f64,
    refused_share: f64,
    /// Answers from the end of the outage until the limit was three quarters of what it was before.
    back_after: u64,
    /// The longest time without an answer, outside of the outage.
    longest_ms: u64,
}

struct Server {
    refuses: Refuses,
    at_once: u32,
    level: f64,
    at: u64,
}

impl Server {
    #[expect(clippy::cast_precision_loss, reason = "played milliseconds")]
    fn takes(&mut self, now: u64, draw: f64) -> bool {
        match self.refuses {
            Refuses::Beyond(most, share) => self.at_once < most && draw >= share,
            Refuses::ByTheMinute { rate, burst } => {
                let since = (now - std::mem::replace(&mut self.at, now)) as f64;
                self.level = (self.level + since * rate / 60_000.0).min(burst);
                let takes = self.level >= 1.0;
                self.level -= f64::from(u8::from(takes));
                takes
            }
        }
    }
}

impl Played {
    fn of(refuses: Refuses, seed: u64) -> Self {
        Self { refuses, outage: (u64::MAX, u64::MAX), refusal_ms: 50, ceiling: 512, seed }
    }

    #[expect(clippy::cast_precision_loss, reason = "small counts, and played milliseconds")]
    fn run(&self, answers: u64) -> Outcome {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let burst = if let Refuses::ByTheMinute { burst, .. } = self.refuses { burst } else { 0.0 };
        let mut server = Server { refuses: self.refuses, at_once: 0, level: burst, at: 0 };
        let mut limit = Concurrency::new(ConcurrencySettings::Adaptive { ceiling: self.ceiling });
        // When, which one, whether it is an answer.
        let mut under_way: BinaryHeap<Reverse<(u64, u64, bool)>> = BinaryHeap::new();
        let mut marks: Vec<Mark> = Vec::new();
        let (mut now, mut answered, mut refused, mut last_ms) = (0_u64, 0_u64, 0_u64, 0_u64);
        let (mut area, mut span, mut before, mut back) = (0.0, 0.0, 0, None);
        let mut outcome = Outcome::default();
        while answered < answers {
            while limit.has_room() {
                let takes = !(self.outage.0..self.outage.1).contains(&now) && server.takes(now, random.random());
                server.at_once += u32::from(takes);
                let took = if takes { random.random_range(1_000..3_000) } else { spread(&mut random, self.refusal_ms) };
                under_way.push(Reverse((now + took, marks.len() as u64, takes)));
                marks.push(limit.enter());
            }
            let Some(Reverse((at, which, is_answer))) = under_way.pop() else { break };
            if answered > answers / 5 {
                area += f64::from(limit.limit()) * (at - now) as f64;
                span += (at - now) as f64;
            }
            now = at;
            limit.leave();
            let mark = marks[usize::try_from(which).unwrap()];
            if now < self.outage.0 {
                before = limit.limit();
            }
            if is_answer {
                answered += 1;
                server.at_once -= 1;
                let began = if (last_ms..now).contains(&self.outage.1) { self.outage.1 } else { last_ms };
                outcome.longest_ms = outcome.longest_ms.max(now - began);
                last_ms = now;
                limit.answered(mark);
                if now >= self.outage.1 && back.is_none() {
                    outcome.back_after += 1;
                    back = (limit.limit() * 4 >= before * 3).then_some(());
                }
            } else {
                refused += 1;
                limit.rate_limited(mark);
            }
        }
        outcome.limit = area / span;
        outcome.refused_share = refused as f64 / (refused + answered) as f64;
        outcome
    }
}

fn spread(random: &mut ChaCha8Rng, mean: u64) -> u64 {
    random.random_range(mean / 2..mean * 3 / 2)
}

/// Many more would take long where nothing is optimised; each plays for an hour or so.
fn cases() -> ProptestConfig {
    ProptestConfig::with_cases(24)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn it_settles_at_what_the_provider_takes_at_once_and_little_is_refused(
        most in 4_u32..=256, refusal_ms in 20_u64..400, seed in any::<u64>(),
    ) {
        let outcome = Played { refusal_ms, ..Played::of(Refuses::Beyond(most, 0.0), seed) }.run(6_000);
        let share = outcome.limit / f64::from(most);
        prop_assert!((0.75..=1.25).contains(&share), "{share} of {most}: {outcome:?}");
        prop_assert!(outcome.refused_share < 0.05, "{outcome:?}");
    }

    /// The mean of some runs: one alone may have bad luck for a while.
    #[test]
    fn what_is_refused_at_random_does_not_hold_it_down(
        percent in 1_u32..=10, refusal_ms in 20_u64..2_000, seed in any::<u64>(),
    ) {
        let refuses = Refuses::Beyond(u32::MAX, f64::from(percent) / 100.0);
        let limit = |n| Played { refusal_ms, ceiling: 64, ..Played::of(refuses, seed ^ n) }.run(4_000).limit;
        let mean = (0..8).map(limit).sum::<f64>() / 8.0;
        prop_assert!(mean >= 32.0, "{percent} %: {mean}");
    }

    /// Without Retry-After and without a word of its limits, of which the limiter would know.
    #[test]
    fn a_provider_that_counts_by_the_minute_refuses_little_and_nobody_starves(
        by_the_minute in 120_u32..6_000, burst_seconds in 1_u32..=60, seed in any::<u64>(),
    ) {
        let rate = f64::from(by_the_minute);
        let burst = (rate / 60.0 * f64::from(burst_seconds)).max(1.0);
        let outcome = Played::of(Refuses::ByTheMinute { rate, burst }, seed).run(6_000);
        prop_assert!(outcome.refused_share < 0.1, "{outcome:?}");
        prop_assert!(outcome.longest_ms < 15_000, "{outcome:?}");
    }

    /// As many answers as doubling to the half of what was, and four for each call more, take.
    #[test]
    fn after_an_outage_it_is_back_within_few_answers(most in 8_u32..=256, seconds in 5_u64..600, seed in any::<u64>()) {
        let began = 300_000;
        let outage = (began, began + seconds * 1_000);
        let outcome = Played { outage, ..Played::of(Refuses::Beyond(most, 0.0), seed) }.run(u64::from(most) * 200);
        let within = u64::from(most) * 2 + u64::from(LOOK_CALLS);
        prop_assert!(outcome.back_after <= within, "{outcome:?} and not within {within}");
    }
}

proptest! {
    #[test]
    fn the_limit_stays_between_one_and_the_ceiling(ceiling in 1_u32..300, steps in prop::collection::vec(0_u8..8, 0..500)) {
        let mut concurrency = Concurrency::new(ConcurrencySettings::Adaptive { ceiling });
        for step in steps {
            let mark = concurrency.enter();
            if step == 0 { concurrency.rate_limited(mark) } else { concurrency.answered(mark) };
            concurrency.leave();
            prop_assert!(concurrency.limit() >= 1 && concurrency.limit() <= ceiling);
            prop_assert_eq!(concurrency.in_flight(), 0);
        }
    }
}
