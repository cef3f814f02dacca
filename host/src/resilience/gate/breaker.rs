//! The circuit breaker of one route: closed while the provider works, open while it does not, half-open while one call
//! tries whether it works again.
//!
//! A pure state machine over the run's monotonic time. Must not know: how calls are made, who waits, what an item is.

use std::collections::VecDeque;
use std::time::Duration;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerSettings {
    /// Answers in a row that say that the provider is overloaded (529).
    pub overloaded_after: u32,
    /// Failed connections in a row.
    pub connections_after: u32,
    /// 429s without any answer between them: so many, over so long.
    pub rate_limited_after: u32,
    pub rate_limited_for: Duration,
    /// The share of faults (5xx, timeouts, broken connections) among the last calls, from 0 to 1.
    pub fault_share: f64,
    /// How many calls that looks back, and how many there have to be.
    pub window: usize,
    pub calls_min: usize,
    /// How long it stays open.
    pub pause: Duration,
    /// The most that failed probes, or the provider's Retry-After, make of that.
    pub pause_max: Duration,
}

/// What a failed probe does to the pause.
const PAUSE_FACTOR: f64 = 1.5;

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            overloaded_after: 3,
            connections_after: 5,
            rate_limited_after: 20,
            rate_limited_for: Duration::from_secs(30),
            fault_share: 0.5,
            window: 50,
            calls_min: 20,
            pause: Duration::from_mins(5),
            pause_max: Duration::from_mins(30),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    Open,
    HalfOpen,
}

impl BreakerState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// What one call says about its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It answered; what it answered is another matter.
    Alive,
    Overloaded,
    RateLimited,
    /// 5xx, a timeout, a connection that broke.
    Fault,
    /// The same, of a call that fails so always: it says nothing new.
    Repeated,
    /// No connection.
    Unreachable,
    /// The call was given up before anything could be told.
    None,
}

/// A change of state, for the log and the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) from: BreakerState,
    pub(super) to: BreakerState,
    /// Why, for a person.
    pub(super) reason: String,
    /// How long nothing is let through, if it opened.
    pub(super) pause: Option<Duration>,
}

/// What a call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    Through,
    /// As the one that tries.
    Probe,
    /// Wait until then.
    Until(Duration),
    /// Wait for the probe.
    AfterProbe,
}

/// A call's leave to go: whether it is a probe, of which opening it knows, and how many went before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) is_probe: bool,
    opening: u64,
    order: u64,
}

#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: BreakerState,
    /// Counts how often it opened: what calls from before an opening say comes too late to matter.
    opening: u64,
    until: Duration,
    /// The provider said itself until when, and that is longer than anybody waits.
    is_parked: bool,
    pause: Duration,
    probe_under_way: bool,
    overloaded: u32,
    unreachable: u32,
    rate_limited: u32,
    rate_limited_since: Option<Duration>,
    /// Calls that went.
    entered: u64,
    /// Of the calls that came back, the last that went: their order, and whether each was a fault. Not the last that came back: at the end of a
    /// batch those are the ones that hung, however few of all they were.
    last: VecDeque<(u64, bool)>,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        let pause = settings.pause;
        Self {
            settings,
            state: BreakerState::Closed,
            opening: 0,
            until: Duration::ZERO,
            is_parked: false,
            pause,
            probe_under_way: false,
            overloaded: 0,
            unreachable: 0,
            rate_limited: 0,
            rate_limited_since: None,
            entered: 0,
            last: VecDeque::new(),
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        self.state
    }

    /// Until when nothing passes.
    pub(super) fn open_until(&self) -> Option<Duration> {
        (self.state == BreakerState::Open).then_some(self.until)
    }

    /// Until when nothing passes because the provider asks for more than is waited.
    pub(super) fn parked_until(&self) -> Option<Duration> {
        self.open_until().filter(|_| self.is_parked)
    }

    /// The provider asks to be left alone for longer than is waited: nothing passes until then, whatever the longest pause.
    pub(super) fn park(&mut self, ticket: Ticket, asked: Duration, now: Duration) -> Option<Transition> {
        if ticket.is_probe && ticket.opening == self.opening {
            self.probe_under_way = false;
        }
        let until = now + asked;
        if self.state == BreakerState::Open {
            (self.until, self.is_parked) = (self.until.max(until), true);
            return None;
        }
        // A probe that is under way comes too late to matter.
        self.probe_under_way = false;
        self.opening += 1;
        (self.until, self.is_parked) = (until, true);
        self.pause = self.settings.pause;
        self.forget();
        let reason = "the provider asks to be left alone for longer than is waited".into();
        Some(self.change(BreakerState::Open, reason, Some(asked)))
    }

    /// What a call that comes now may do. Nothing changes by asking.
    pub(super) fn pass(&self, now: Duration) -> Pass {
        match self.state {
            BreakerState::Closed => Pass::Through,
            BreakerState::Open if now < self.until => Pass::Until(self.until),
            BreakerState::Open | BreakerState::HalfOpen if !self.probe_under_way => Pass::Probe,
            BreakerState::Open | BreakerState::HalfOpen => Pass::AfterProbe,
        }
    }

    /// A call goes, as [`Self::pass`] allowed.
    pub(super) fn enter(&mut self, now: Duration) -> (Ticket, Option<Transition>) {
        let is_probe = self.pass(now) == Pass::Probe;
        let mut transition = None;
        if is_probe {
            self.probe_under_way = true;
            if self.state == BreakerState::Open {
                transition =
                    Some(self.change(BreakerState::HalfOpen, "the pause is over: one call tries".into(), None));
            }
        }
        self.entered += 1;
        (Ticket { is_probe, opening: self.opening, order: self.entered }, transition)
    }

    /// A call came back. `asked`: how long the provider asks to be left alone.
    pub(super) fn leave(
        &mut self,
        ticket: Ticket,
        sign: Sign,
        asked: Option<Duration>,
        now: Duration,
    ) -> Option<Transition> {
        if ticket.opening != self.opening {
            return None;
        }
        if ticket.is_probe {
            self.probe_under_way = false;
            return self.probed(sign, asked, now);
        }
        if self.state != BreakerState::Closed {
            return None;
        }
        self.count(ticket, sign, now);
        let reason = self.reason(now)?;
        self.pause = self.settings.pause;
        Some(self.open(reason, asked, now))
    }

    fn probed(&mut self, sign: Sign, asked: Option<Duration>, now: Duration) -> Option<Transition> {
        let reason = match sign {
            // Somebody else may try.
            Sign::None => return None,
            Sign::Alive => {
                self.forget();
                self.pause = self.settings.pause;
                return Some(self.change(BreakerState::Closed, "the provider answers again".into(), None));
            }
            Sign::Overloaded => "it is still overloaded",
            Sign::RateLimited => "it still says that there are too many requests",
            Sign::Fault => "it still fails",
            Sign::Repeated => {
                return Some(self.open("it still fails, as it always did for what was asked".into(), asked, now));
            }
            Sign::Unreachable => "there is still no connection",
        };
        self.pause = self.pause.mul_f64(PAUSE_FACTOR).min(self.settings.pause_max.max(self.settings.pause));
        Some(self.open(reason.into(), asked, now))
    }

    fn count(&mut self, ticket: Ticket, sign: Sign, now: Duration) {
        let streak = |current: u32, holds: bool| if holds { current.saturating_add(1) } else { 0 };
        match sign {
            Sign::None => return,
            Sign::RateLimited => {
                self.rate_limited = self.rate_limited.saturating_add(1);
                self.rate_limited_since.get_or_insert(now);
            }
            Sign::Alive => {
                self.rate_limited = 0;
                self.rate_limited_since = None;
            }
            Sign::Overloaded | Sign::Fault | Sign::Repeated | Sign::Unreachable => {}
        }
        self.overloaded = streak(self.overloaded, sign == Sign::Overloaded);
        self.unreachable = streak(self.unreachable, sign == Sign::Unreachable);
        // A 429 is neither a fault nor its absence.
        if sign != Sign::RateLimited {
            let is_fault = matches!(sign, Sign::Fault | Sign::Repeated | Sign::Unreachable | Sign::Overloaded);
            let place = self.last.partition_point(|(order, _)| *order < ticket.order);
            self.last.insert(place, (ticket.order, is_fault));
            while self.last.len() > self.settings.window {
                self.last.pop_front();
            }
        }
    }

    /// Why it opens now, if it does.
    fn reason(&self, now: Duration) -> Option<String> {
        let settings = &self.settings;
        if self.overloaded >= settings.overloaded_after {
            return Some(match self.overloaded {
                1 => "the provider says that it is overloaded".into(),
                count => format!("the provider said {count} times in a row that it is overloaded"),
            });
        }
        if self.unreachable >= settings.connections_after {
            return Some(format!("{} connections in a row failed", self.unreachable));
        }
        let limited_for = self.rate_limited_since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        if self.rate_limited >= settings.rate_limited_after && limited_for >= settings.rate_limited_for {
            return Some(format!(
                "nothing but \"too many requests\" for {} s, {} times",
                limited_for.as_secs(),
                self.rate_limited
            ));
        }
        let (calls, faults) = (self.last.len(), self.last.iter().filter(|(_, fault)| *fault).count());
        #[expect(clippy::cast_precision_loss, reason = "a share of at most some hundred calls")]
        let too_many = faults as f64 >= settings.fault_share * calls as f64;
        (calls >= settings.calls_min.max(1) && too_many).then(|| format!("{faults} of the last {calls} calls failed"))
    }

    fn open(&mut self, reason: String, asked: Option<Duration>, now: Duration) -> Transition {
        let longest = self.settings.pause_max.max(self.settings.pause);
        let pause = self.pause.max(asked.unwrap_or_default().min(longest));
        self.opening += 1;
        self.until = now + pause;
        self.is_parked = false;
        self.forget();
        self.change(BreakerState::Open, reason, Some(pause))
    }

    fn forget(&mut self) {
        (self.overloaded, self.unreachable, self.rate_limited) = (0, 0, 0);
        self.rate_limited_since = None;
        self.last.clear();
    }

    fn change(&mut self, to: BreakerState, reason: String, pause: Option<Duration>) -> Transition {
        let from = std::mem::replace(&mut self.state, to);
        Transition { from, to, reason, pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn call(breaker: &mut Breaker, sign: Sign, now: Duration) -> Option<Transition> {
        let (ticket, entered) = breaker.enter(now);
        breaker.leave(ticket, sign, None, now).or(entered)
    }

    fn open(settings: BreakerSettings) -> Breaker {
        let mut breaker = Breaker::new(BreakerSettings { overloaded_after: 1, ..settings });
        assert_eq!(call(&mut breaker, Sign::Overloaded, s(0)).unwrap().to, BreakerState::Open);
        breaker
    }

    fn check_opens(signs: &[(Sign, u64)], expected: Option<usize>) {
        let mut breaker = Breaker::new(BreakerSettings::default());
        let opened = signs.iter().position(|(sign, at)| call(&mut breaker, *sign, s(*at)).is_some());
        assert_eq!(opened, expected, "{signs:?}");
    }

    #[test]
    fn it_opens_on_each_kind_of_trouble_and_on_no_other() {
        check_opens(&[(Sign::Overloaded, 0); 5], Some(2));
        check_opens(&[(Sign::Overloaded, 0), (Sign::Overloaded, 0), (Sign::Alive, 0), (Sign::Overloaded, 0)], None);
        check_opens(&[(Sign::Unreachable, 0); 9], Some(4));
        check_opens(&[(Sign::Fault, 0); 30], Some(19));
        let half: Vec<_> = (0..60).map(|n| (if n % 3 == 0 { Sign::Fault } else { Sign::Alive }, 0)).collect();
        check_opens(&half, None);
        let limited: Vec<_> = (0..40).map(|n| (Sign::RateLimited, n * 2)).collect();
        check_opens(&limited, Some(19));
        check_opens(&[(Sign::RateLimited, 0); 100], None);
        check_opens(&[(Sign::None, 0); 100], None);
    }

    #[test]
    fn a_few_calls_that_hang_and_come_back_last_are_as_few_as_they_were() {
        let mut breaker = Breaker::new(BreakerSettings::default());
        let tickets: Vec<Ticket> = (0..400).map(|_| breaker.enter(s(0)).0).collect();
        let (hung, quick): (Vec<_>, Vec<_>) = tickets.into_iter().partition(|ticket| ticket.order % 10 == 0);
        for ticket in quick {
            assert_eq!(breaker.leave(ticket, Sign::Alive, None, s(1)), None);
        }
        for ticket in hung {
            assert_eq!(breaker.leave(ticket, Sign::Fault, None, s(60)), None, "{ticket:?}");
        }
    }

    #[test]
    fn from_when_all_calls_hang_it_opens_though_others_came_back_before() {
        let mut breaker = Breaker::new(BreakerSettings::default());
        let tickets: Vec<Ticket> = (0..100).map(|_| breaker.enter(s(0)).0).collect();
        let (answered, hung) = tickets.split_at(50);
        assert!(answered.iter().all(|ticket| breaker.leave(*ticket, Sign::Alive, None, s(1)).is_none()));
        let opened = hung.iter().position(|ticket| breaker.leave(*ticket, Sign::Fault, None, s(60)).is_some());
        assert_eq!(opened, Some(24));
    }

    #[test]
    fn open_it_lets_nothing_through_and_then_one_call_that_tries() {
        let mut breaker = open(BreakerSettings::default());
        assert_eq!(breaker.pass(s(299)), Pass::Until(s(300)));
        assert_eq!(breaker.pass(s(300)), Pass::Probe);
        let (ticket, transition) = breaker.enter(s(300));
        assert_eq!((ticket.is_probe, transition.unwrap().to), (true, BreakerState::HalfOpen));
        assert_eq!(breaker.pass(s(300)), Pass::AfterProbe);
        assert_eq!(breaker.leave(ticket, Sign::Alive, None, s(301)).unwrap().to, BreakerState::Closed);
        assert_eq!(breaker.pass(s(301)), Pass::Through);
    }

    #[test]
    fn each_failed_probe_makes_the_pause_half_as_long_again_up_to_the_most() {
        let mut breaker = open(BreakerSettings { pause: s(100), pause_max: s(300), ..BreakerSettings::default() });
        let mut now = s(100);
        let mut pauses = Vec::new();
        for _ in 0..4 {
            pauses.push(call(&mut breaker, Sign::Fault, now).unwrap().pause.unwrap().as_secs());
            now = breaker.open_until().unwrap();
        }
        assert_eq!(pauses, [150, 225, 300, 300]);
        assert_eq!(call(&mut breaker, Sign::Alive, now).unwrap().to, BreakerState::Closed);
        for _ in 0..9 {
            call(&mut breaker, Sign::Overloaded, now);
        }
        assert_eq!(breaker.open_until(), Some(now + s(100)), "the pause starts over");
    }

    #[test]
    fn a_longer_retry_after_is_the_pause_and_an_absurd_one_is_cut() {
        for (asked, pause) in [(10, 300), (600, 600), (86_400, 1_800)] {
            let mut breaker = Breaker::new(BreakerSettings { overloaded_after: 1, ..BreakerSettings::default() });
            let (ticket, _) = breaker.enter(s(0));
            let opened = breaker.leave(ticket, Sign::Overloaded, Some(s(asked)), s(0)).unwrap();
            assert_eq!(opened.pause, Some(s(pause)));
        }
    }

    #[test]
    fn what_always_fails_does_not_make_the_pause_longer() {
        let mut breaker = open(BreakerSettings::default());
        for _ in 0..5 {
            let now = breaker.open_until().unwrap();
            assert_eq!(call(&mut breaker, Sign::Repeated, now).unwrap().pause, Some(s(300)));
        }
    }

    #[test]
    fn a_wait_beyond_all_bounds_parks_it_and_ends_with_a_probe() {
        let mut breaker = Breaker::new(BreakerSettings::default());
        let late: Vec<Ticket> = (0..2).map(|_| breaker.enter(s(0)).0).collect();
        assert_eq!(breaker.park(late[0], s(86_400), s(0)).unwrap().to, BreakerState::Open);
        assert_eq!(breaker.park(late[1], s(90_000), s(0)), None);
        assert_eq!((breaker.parked_until(), breaker.pass(s(89_999))), (Some(s(90_000)), Pass::Until(s(90_000))));
        assert_eq!(call(&mut breaker, Sign::Fault, s(90_000)).unwrap().pause, Some(s(450)));
        assert_eq!(breaker.parked_until(), None);
    }

    #[test]
    fn a_probe_that_is_given_up_makes_room_for_another() {
        let mut breaker = open(BreakerSettings::default());
        let (ticket, _) = breaker.enter(s(300));
        assert_eq!(breaker.leave(ticket, Sign::None, None, s(300)), None);
        assert_eq!(breaker.pass(s(300)), Pass::Probe);
    }

    #[test]
    fn what_was_under_way_when_it_opened_changes_nothing_any_more() {
        let mut breaker = Breaker::new(BreakerSettings { overloaded_after: 1, ..BreakerSettings::default() });
        let late: Vec<Ticket> = (0..3).map(|_| breaker.enter(s(0)).0).collect();
        assert!(breaker.leave(late[0], Sign::Overloaded, None, s(1)).is_some());
        assert_eq!(breaker.leave(late[1], Sign::Alive, None, s(2)), None);
        assert_eq!(breaker.leave(late[2], Sign::Overloaded, None, s(3)), None);
        assert_eq!(breaker.open_until(), Some(s(301)));
    }

    fn sign() -> impl Strategy<Value = Sign> {
        prop::sample::select(vec![
            Sign::Alive,
            Sign::Overloaded,
            Sign::RateLimited,
            Sign::Fault,
            Sign::Unreachable,
            Sign::Repeated,
            Sign::None,
        ])
    }

    proptest! {
        #[test]
        fn whatever_happens_nothing_passes_while_open_and_at_most_one_call_probes(
            steps in prop::collection::vec((sign(), 0_u64..400, any::<bool>()), 1..200)
        ) {
            let mut breaker = Breaker::new(BreakerSettings::default());
            let (mut now, mut under_way) = (Duration::ZERO, Vec::<Ticket>::new());
            for (sign, seconds, returns) in steps {
                now += s(seconds);
                if returns && let Some(ticket) = under_way.pop() {
                    let before = breaker.state();
                    if let Some(transition) = breaker.leave(ticket, sign, None, now) {
                        prop_assert_eq!(transition.from, before);
                        prop_assert_ne!(transition.from, transition.to);
                    }
                    continue;
                }
                match breaker.pass(now) {
                    Pass::Through | Pass::Probe => under_way.push(breaker.enter(now).0),
                    Pass::Until(until) => prop_assert!(until > now && until <= now + BreakerSettings::default().pause_max),
                    Pass::AfterProbe => {}
                }
                let probes = under_way.iter().filter(|ticket| ticket.is_probe && ticket.opening == breaker.opening);
                prop_assert!(probes.count() <= 1);
            }
        }
    }
}
