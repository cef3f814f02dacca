//! How many calls of a route are under way at once: found out by trying.
//!
//! A 429 may say that too many calls are under way, or nothing of the kind: some providers refuse a share of all calls whatever is done.
//! So what counts is not that one came, but whether it would come with fewer. Two shares of refused calls are kept: of all, and of those that left
//! while clearly fewer were let through than was once too many. The second is the background: what comes anyway. More than twice that, and a little,
//! is too many.
//!
//! * Up: one more for each answer, which doubles with each round of answers, until something is refused (slow start, RFC 5681); after that quickly
//!   back to what was too many, and beyond it one by one (the plateau of CUBIC, RFC 9438). Only while callers are held back: a limit that nobody
//!   meets is not tried out (RFC 7661).
//! * Down: by twice the share that is refused, once for all calls that left before; by more each time if hardly an answer came since the last cut, by half at
//!   most. So a burst cuts once, and an outage does not make anybody forget what the provider took before it.
//! * A cut is a look at the background too: nothing is tried out until some calls have come back at what it was cut to. That is
//!   how Envoy's adaptive concurrency finds the latency of an idle server, and why PCC (NSDI 2015) is not fooled by random loss as TCP is.
//!
//! The simulations in `concurrency/tests.rs` say what comes of it: nine tenths of what a provider takes at once, with a fiftieth of the calls refused; more than
//! half of what may be where 5 % are refused at random; all of it again within a few rounds of an outage. A 5xx says nothing about how much the
//! provider would take, and changes nothing. Where a refusal takes half as long as an answer or longer, and where a provider takes less than two calls at a
//! time, more are refused: for that there are Retry-After, limits by the minute, and the waits of each call's own.

/// Calls under way when nothing is known.
const START: u32 = 8;
/// How much the last call counts in the share that is refused.
const SHARE_WEIGHT: f64 = 1.0 / 16.0;
/// The same in the background, at the least: it is a mean of the first calls, after so many that are taken to have been let through.
const BACKGROUND_WEIGHT: f64 = 1.0 / 64.0;
const BACKGROUND_ASSUMED: f64 = 24.0;
/// What is believed of it fades, so that it is looked at again: by so much with each call that says nothing of it.
const BACKGROUND_FADE: f64 = 0.001;
/// No more of it is lived with; and what is beyond this is none: less has to be tried.
const BACKGROUND_MAX: f64 = 0.2;
const BACKGROUND_REFUSED: f64 = 0.3;
/// From here on there is one, so that it costs nothing to try more.
const BACKGROUND_SEEN: f64 = 0.02;
/// A share of refused calls above this and so many times the background is too much: where there is none, two of the last dozen.
const SHARE_MARGIN: f64 = 0.07;
const SHARE_FACTOR: f64 = 2.0;
/// What a cut takes away: as much of the limit as is refused of the calls, and once more, so that what comes anyway can be told from what does not.
const CUT_FACTOR: f64 = 2.0;
const CUT_LEAST: f64 = 0.1;
const CUT_MOST: f64 = 0.5;
/// Calls that come back before more is tried after a cut.
const LOOK_CALLS: u32 = 32;
/// Answers for one call more, on the way back; and for a step beyond what was too many: at least a round of them, or so many.
const ANSWERS_BACK: u32 = 4;
const ANSWERS_BEYOND: u32 = 50;
const ANSWERS_BEYOND_BACKGROUND: u32 = 12;
/// The step beyond is one call, or this part of all.
const STEP_PART: u32 = 32;

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
pub(super) struct Mark {
    cuts: u64,
    /// It was clearly less than what was too many.
    is_low: bool,
}

#[derive(Debug)]
pub(super) struct Concurrency {
    settings: ConcurrencySettings,
    limit: u32,
    in_flight: u32,
    /// The most that were under way since the last cut.
    busiest: u32,
    /// Somebody would have been held back since the limit was last raised.
    is_met: bool,
    /// The limit under which more was refused than comes anyway.
    too_many: Option<u32>,
    /// Calls that left before the last cut say nothing more.
    cuts: u64,
    /// By how much it cut.
    cut: f64,
    /// Since then: answers, all calls that came back, and answers that count towards the next step.
    answers: u32,
    settled: u32,
    credit: u32,
    /// Of late, of all calls that were refused or answered: how many of one were refused.
    share: f64,
    background: Background,
    /// As it was when it was cut last.
    background_then: Background,
}

/// The share of calls that are refused however few are under way.
#[derive(Debug, Clone, Copy)]
struct Background {
    share: f64,
    calls: f64,
}

impl Background {
    const UNKNOWN: Self = Self { share: 0.0, calls: BACKGROUND_ASSUMED };

    fn saw(&mut self, mark: Mark, refused: bool) {
        if mark.is_low {
            self.calls += 1.0;
            let weight = (1.0 / self.calls).max(BACKGROUND_WEIGHT);
            self.share += (f64::from(u8::from(refused)) - self.share) * weight;
        } else {
            self.share -= self.share * BACKGROUND_FADE;
        }
    }

    fn share(&self) -> f64 {
        self.share.min(BACKGROUND_MAX)
    }
}

impl Concurrency {
    pub(super) fn new(settings: ConcurrencySettings) -> Self {
        let limit = match settings {
            ConcurrencySettings::Adaptive { ceiling } => START.min(ceiling.max(1)),
            ConcurrencySettings::Fixed(limit) => limit.max(1),
        };
        Self {
            settings,
            limit,
            in_flight: 0,
            busiest: 0,
            is_met: false,
            too_many: None,
            cuts: 0,
            cut: CUT_LEAST,
            answers: 0,
            settled: 0,
            credit: 0,
            share: 0.0,
            background: Background::UNKNOWN,
            background_then: Background::UNKNOWN,
        }
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
        self.busiest = self.busiest.max(self.in_flight);
        self.is_met |= self.in_flight >= self.limit;
        let is_low = self.too_many.is_some_and(|most| u64::from(self.limit) * 10 <= u64::from(most) * 9);
        Mark { cuts: self.cuts, is_low }
    }

    pub(super) fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// An answer came. True: the limit has changed.
    pub(super) fn answered(&mut self, mark: Mark) -> bool {
        let ConcurrencySettings::Adaptive { ceiling } = self.settings else { return false };
        if mark.cuts != self.cuts {
            return false;
        }
        self.answers = self.answers.saturating_add(1);
        self.settle(mark, false);
        if !self.is_met || self.limit >= ceiling || self.is_looking() {
            return false;
        }
        self.credit += 1;
        let (answers, step) = self.next_step();
        if self.credit < answers {
            return false;
        }
        self.credit = 0;
        self.is_met = false;
        self.limit = self.limit.saturating_add(step).min(ceiling);
        self.too_many = self.too_many.map(|most| most.max(self.limit));
        true
    }

    /// A 429 came. True: the limit has changed.
    pub(super) fn rate_limited(&mut self, mark: Mark) -> bool {
        if matches!(self.settings, ConcurrencySettings::Fixed(_)) || mark.cuts != self.cuts {
            return false;
        }
        let comes_anyway = SHARE_MARGIN + SHARE_FACTOR * self.background.share();
        self.settle(mark, true);
        if self.share < comes_anyway {
            return false;
        }
        let before = self.limit;
        // A limit that nobody met is none to go by.
        let tried = before.min(self.busiest.max(1));
        if self.answers >= tried.div_ceil(4) {
            self.too_many = Some(tried);
            self.cut = (CUT_FACTOR * self.share).clamp(CUT_LEAST, CUT_MOST);
        } else {
            self.too_many.get_or_insert(tried);
            self.cut = (self.cut * 2.0).min(CUT_MOST);
            // That was too many as well: nothing was seen of what comes anyway.
            self.background = self.background_then;
        }
        if self.background.share > BACKGROUND_REFUSED {
            self.background = Background::UNKNOWN;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "smaller than it was")]
        let cut = (f64::from(tried) * (1.0 - self.cut)) as u32;
        self.limit = cut.max(1);
        self.cuts += 1;
        self.share = self.background.share();
        self.background_then = self.background;
        (self.answers, self.settled, self.credit) = (0, 0, 0);
        (self.busiest, self.is_met) = (self.in_flight, false);
        self.limit != before
    }

    fn settle(&mut self, mark: Mark, refused: bool) {
        self.settled = self.settled.saturating_add(1);
        self.share += (f64::from(u8::from(refused)) - self.share) * SHARE_WEIGHT;
        self.background.saw(mark, refused);
    }

    /// After a cut it is looked whether that helped; not where it fell far below what the provider took.
    fn is_looking(&self) -> bool {
        self.settled < LOOK_CALLS && self.too_many.is_some_and(|most| self.limit >= most / 2)
    }

    /// After how many answers it is raised, and by how much.
    fn next_step(&self) -> (u32, u32) {
        match self.too_many {
            None => (1, 1),
            Some(most) if self.limit < most / 2 => (1, 1),
            Some(most) if self.limit + 1 < most => (ANSWERS_BACK, 1),
            Some(_) => {
                let has_background = self.background.share >= BACKGROUND_SEEN;
                let answers = if has_background { ANSWERS_BEYOND_BACKGROUND } else { ANSWERS_BEYOND.max(self.limit) };
                (answers, (self.limit / STEP_PART).max(1))
            }
        }
    }
}

#[cfg(test)]
mod tests;
