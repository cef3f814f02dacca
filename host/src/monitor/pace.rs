//! How fast something goes, and how long the rest takes: by what was counted in the last minute.

use super::Snapshot;
use std::collections::VecDeque;
use std::time::Duration;

/// What the pace is taken from.
const RECENT: Duration = Duration::from_mins(1);

/// The pace of a count that grows.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    seen: VecDeque<(Duration, u64)>,
}

impl Pace {
    /// It had come so far at that time. A count that falls begins anew.
    pub(super) fn saw(&mut self, at: Duration, count: u64) {
        if self.seen.back().is_some_and(|(_, before)| *before > count) {
            // What is done again was seen before: it tells nothing of what comes.
            self.seen.clear();
        }
        self.seen.push_back((at, count));
        while self.seen.len() > 2 && self.seen.get(1).is_some_and(|(next, _)| *next + RECENT <= at) {
            self.seen.pop_front();
        }
    }

    /// By second; `None`: too little was seen.
    pub(super) fn per_second(&self) -> Option<f64> {
        let ((from, before), (to, after)) = (self.seen.front()?, self.seen.back()?);
        rate(after.saturating_sub(*before), to.checked_sub(*from)?)
    }

    /// How long the rest takes; `None`: nothing moves, or too little was seen.
    pub(super) fn left(&self, rest: u64) -> Option<Duration> {
        let rate = self.per_second().filter(|rate| *rate > 0.0)?;
        #[expect(clippy::cast_precision_loss, reason = "for reading")]
        let seconds = rest as f64 / rate;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// How far a job has come.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// That have ended.
    pub items: u64,
    pub calls: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// The pace of a job.
#[derive(Debug, Default)]
pub struct Paces {
    items: Pace,
    calls: Pace,
    input_tokens: Pace,
    output_tokens: Pace,
}

impl Paces {
    /// The job had come so far at that time.
    pub fn saw(&mut self, at: Duration, progress: Progress) {
        self.items.saw(at, progress.items);
        self.calls.saw(at, progress.calls);
        self.input_tokens.saw(at, progress.input_tokens);
        self.output_tokens.saw(at, progress.output_tokens);
    }

    /// Fills in the rates of a snapshot, and how long the rest takes; what is held up has no end.
    pub fn reckon(&self, snapshot: &mut Snapshot) {
        snapshot.items_per_second = self.items.per_second();
        snapshot.calls_per_second = self.calls.per_second();
        snapshot.input_tokens_per_second = self.input_tokens.per_second();
        snapshot.output_tokens_per_second = self.output_tokens.per_second();
        let left = self.items.left(snapshot.items.pending).filter(|_| !snapshot.is_held_up());
        snapshot.seconds_left = left.map(|left| left.as_secs());
    }
}

/// By second; `None`: no time has passed.
pub(super) fn rate(count: u64, time: Duration) -> Option<f64> {
    let seconds = time.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "for reading")]
    let rate = (seconds > 0.0).then(|| count as f64 / seconds);
    rate
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_pace_is_that_of_the_last_minute() {
        let mut pace = Pace::default();
        assert_eq!((pace.per_second(), pace.left(10)), (None, None));
        for second in 0..100 {
            // One a second for 40 seconds, then three.
            let count = if second < 40 { second } else { 40 + (second - 40) * 3 };
            pace.saw(Duration::from_secs(second), count);
        }
        let rate = pace.per_second().unwrap();
        assert!((2.9..=3.0).contains(&rate), "{rate}");
        assert_eq!(pace.left(0), Some(Duration::ZERO));
        pace.saw(Duration::from_secs(101), 5);
        assert_eq!(pace.per_second(), None, "it is done again");
    }

    #[test]
    fn where_nothing_moves_nobody_says_how_long_it_takes() {
        let mut pace = Pace::default();
        pace.saw(Duration::ZERO, 7);
        pace.saw(Duration::from_secs(1), 7);
        assert_eq!((pace.per_second(), pace.left(3)), (Some(0.0), None));
    }

    proptest! {
        #[test]
        fn it_lies_between_the_slowest_and_the_fastest_that_was_seen(steps in prop::collection::vec((1_u64..90_000, 0_u64..500), 1..200)) {
            let (mut pace, mut at, mut count) = (Pace::default(), Duration::ZERO, 0);
            pace.saw(at, count);
            let mut rates = Vec::new();
            for (ms, more) in steps {
                at += Duration::from_millis(ms);
                count += more;
                pace.saw(at, count);
                rates.push(rate(more, Duration::from_millis(ms)).unwrap());
            }
            let now = pace.per_second().unwrap();
            let (least, most) = rates.iter().fold((f64::MAX, 0.0_f64), |(least, most), rate| (least.min(*rate), most.max(*rate)));
            prop_assert!(now >= least * 0.999 && now <= most * 1.001 + f64::EPSILON, "{} of {}..{}", now, least, most);
        }
    }
}
