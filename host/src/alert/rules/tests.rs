//! What the rules say of streams of events, and what holds for every stream.

use super::*;
use crate::domain::{FailureClass, ItemId};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const CALM: Observed = Observed { paused: false, cost: 0 };

fn done() -> Event {
    Event::ItemDone { item: ItemId::new("a").unwrap() }
}

fn failed() -> Event {
    Event::ItemFailed {
        item: ItemId::new("b").unwrap(),
        class: FailureClass::Plugin,
        code: "c".into(),
        message: "m".into(),
    }
}

fn breaker(to: &'static str) -> Event {
    Event::BreakerChanged { route: "r".into(), from: "closed", to, reason: "529".into(), pause: None }
}

/// Rules and the time, which moves by a second with each event.
struct Scene {
    rules: Rules,
    now: Duration,
    changes: Vec<Change>,
    /// When each of them came.
    times: Vec<Duration>,
}

impl Scene {
    fn new(settings: RuleSettings) -> Self {
        Self {
            rules: Rules::new(settings, Duration::ZERO),
            now: Duration::ZERO,
            changes: Vec::new(),
            times: Vec::new(),
        }
    }

    fn see(&mut self, count: usize, event: &Event) {
        for _ in 0..count {
            self.now += SECOND;
            let changes = self.rules.observe(self.now, event);
            self.add(changes);
        }
    }

    fn wait(&mut self, time: Duration, observed: Observed) {
        let until = self.now + time;
        while self.now < until {
            self.now += SECOND;
            let changes = self.rules.tick(self.now, observed);
            self.add(changes);
        }
    }

    fn add(&mut self, changes: Vec<Change>) {
        self.times.resize(self.times.len() + changes.len(), self.now);
        self.changes.extend(changes);
    }

    /// `+error_share`, `-error_share`, since the last time.
    fn told(&mut self) -> Vec<String> {
        let name = |change: &Change| match change {
            Change::Raised(condition) => format!("+{}", condition.rule.name()),
            Change::Cleared(condition) => format!("-{}", condition.rule.name()),
        };
        std::mem::take(&mut self.changes).iter().map(name).collect()
    }
}

#[test]
fn more_than_five_percent_of_fifty_items_are_told_once_and_cleared_once() {
    let mut scene = Scene::new(RuleSettings::default());
    scene.see(2, &failed());
    scene.see(47, &done());
    assert!(scene.told().is_empty(), "49 items are too few");
    scene.see(1, &failed());
    let Some(Change::Raised(condition)) = scene.changes.first().cloned() else { panic!("{:?}", scene.changes) };
    assert_eq!(condition.reason, "3 of the last 50 items failed (6 %; allowed: 5 %)");
    scene.see(20, &failed());
    assert_eq!(scene.told(), ["+error_share"]);
    scene.see(190, &done());
    assert!(scene.told().is_empty(), "10 of the last 200 are 5 %, which is not half of it");
    scene.see(200, &done());
    assert_eq!(scene.told(), ["-error_share"]);
}

#[test]
fn exactly_what_is_allowed_is_not_told() {
    let mut scene = Scene::new(RuleSettings::default());
    scene.see(5, &failed());
    scene.see(95, &done());
    assert_eq!(scene.told(), ["+error_share"], "5 of 50");
    let mut scene = Scene::new(RuleSettings { min_items: 100, ..RuleSettings::default() });
    scene.see(5, &failed());
    scene.see(95, &done());
    assert!(scene.told().is_empty(), "5 of 100");
}

#[test]
fn what_comes_back_soon_is_told_when_the_quiet_is_over_if_it_still_holds() {
    let settings =
        RuleSettings { consecutive_errors: Some(2), error_share: None, quiet: SECOND * 60, ..RuleSettings::default() };
    let mut scene = Scene::new(settings);
    scene.see(2, &failed());
    scene.see(1, &done());
    assert_eq!(scene.told(), ["+consecutive_errors", "-consecutive_errors"]);
    scene.see(3, &failed());
    scene.wait(SECOND * 30, CALM);
    assert!(scene.told().is_empty());
    scene.wait(SECOND * 60, CALM);
    let Some(Change::Raised(condition)) = scene.changes.first().cloned() else { panic!("{:?}", scene.changes) };
    assert_eq!(condition.since, SECOND * 4, "when the first of them failed");
    assert_eq!(scene.told(), ["+consecutive_errors"]);
}

#[test]
fn a_breaker_that_stays_open_is_told_with_its_route_and_cleared_when_it_closes() {
    let mut scene = Scene::new(RuleSettings { no_progress: None, ..RuleSettings::default() });
    scene.see(1, &breaker("open"));
    scene.wait(SECOND * 300, CALM);
    scene.see(1, &breaker("half-open"));
    scene.see(1, &breaker("open"));
    assert!(scene.told().is_empty(), "half-open is not closed, and it is not long enough");
    scene.wait(SECOND * 600, CALM);
    let Some(Change::Raised(condition)) = scene.changes.first().cloned() else { panic!("{:?}", scene.changes) };
    assert_eq!(condition.subject.as_deref(), Some("r"));
    assert_eq!(condition.reason, "the circuit breaker of route `r` has not been closed for 10m: 529");
    scene.see(1, &breaker("closed"));
    assert_eq!(scene.told(), ["+breaker_open", "-breaker_open"]);
    scene.see(1, &breaker("open"));
    scene.see(1, &breaker("closed"));
    scene.wait(SECOND * 1_200, CALM);
    assert!(scene.told().is_empty());
}

#[test]
fn that_nothing_moves_is_told_unless_the_job_is_paused() {
    let mut scene = Scene::new(RuleSettings::default());
    scene.wait(SECOND * 1_799, CALM);
    scene.wait(SECOND * 10_000, Observed { paused: true, ..CALM });
    scene.wait(SECOND * 1_799, CALM);
    assert!(scene.told().is_empty());
    scene.wait(SECOND, CALM);
    assert_eq!(scene.told(), ["+no_progress"]);
    scene.see(1, &Event::CallReused { item: ItemId::new("a").unwrap() });
    assert_eq!(scene.told(), ["-no_progress"]);
}

#[test]
fn a_cost_is_told_once() {
    let mut scene = Scene::new(RuleSettings { cost: Some(2_000_000), no_progress: None, ..RuleSettings::default() });
    scene.wait(SECOND * 10, Observed { cost: 2_000_000, ..CALM });
    assert!(scene.told().is_empty());
    scene.wait(SECOND * 5_000, Observed { cost: 2_500_000, ..CALM });
    let Some(Change::Raised(condition)) = scene.changes.first().cloned() else { panic!("{:?}", scene.changes) };
    assert_eq!(condition.reason, "the job has cost $2.50 (told above $2.00)");
    assert_eq!(scene.told(), ["+cost"]);
}

#[test]
fn an_end_is_told_once_by_the_rule_that_says_most() {
    let parked = Ending::Parked { code: "401".into(), message: "no key".into() };
    let rule = |parked_is_on: bool, finished: bool, ending: &Ending| {
        let settings = RuleSettings { parked: parked_is_on, finished, ..RuleSettings::default() };
        Rules::new(settings, Duration::ZERO).ended(SECOND, ending, "3 done").map(|condition| condition.rule)
    };
    assert_eq!(rule(true, true, &parked), Some(Rule::Parked));
    assert_eq!(rule(false, true, &parked), Some(Rule::Finished));
    assert_eq!(rule(false, false, &parked), None);
    assert_eq!(rule(true, false, &Ending::Finished), None);
    assert_eq!(rule(true, true, &Ending::Finished), Some(Rule::Finished));
    assert_eq!(rule(true, false, &Ending::Interrupted { signal: 2 }), None);
    let stopped = Ending::ConsecutiveErrors { count: 10 };
    assert_eq!(rule(true, false, &stopped), Some(Rule::Parked));
    let rules = Rules::new(RuleSettings::default(), Duration::ZERO);
    let reason = |ending: &Ending| rules.ended(SECOND, ending, "3 done").unwrap().reason;
    assert_eq!(reason(&parked), "no key (3 done)");
    assert!(reason(&stopped).starts_with("stopped: 10 items in a row failed"), "{}", reason(&stopped));
}

/// A step of a stream.
#[derive(Debug, Clone)]
enum Step {
    Events(usize, Event),
    Wait(u64, Observed),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let event = prop_oneof![
        4 => Just(done()),
        3 => Just(failed()),
        1 => prop_oneof![Just("open"), Just("half-open"), Just("closed")].prop_map(breaker),
    ];
    let step = prop_oneof![
        4 => (1_usize..12, event).prop_map(|(count, event)| Step::Events(count, event)),
        1 => (1_u64..40, any::<bool>(), 0_u64..20).prop_map(|(time, paused, cost)| Step::Wait(time, Observed { paused, cost })),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn a_condition_is_never_told_twice_without_being_cleared_nor_before_the_quiet_is_over(
        steps in steps(),
        share in 0.0_f64..0.9,
        window in 1_usize..40,
        quiet in 0_u64..60,
    ) {
        let quiet = Duration::from_secs(quiet);
        let mut scene = Scene::new(RuleSettings {
            error_share: Some(share),
            min_items: window.div_ceil(2),
            window,
            consecutive_errors: Some(3),
            breaker_open: Some(SECOND * 5),
            no_progress: Some(SECOND * 20),
            cost: Some(10),
            quiet,
            ..RuleSettings::default()
        });
        let mut standing: BTreeMap<(Rule, Option<String>), (bool, Duration)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Events(count, event) => scene.see(count, &event),
                Step::Wait(time, observed) => scene.wait(SECOND * u32::try_from(time).unwrap(), observed),
            }
            let times = std::mem::take(&mut scene.times);
            for (change, now) in std::mem::take(&mut scene.changes).into_iter().zip(times) {
                match change {
                    Change::Raised(Condition { rule, subject, since, .. }) => {
                        prop_assert!(since <= now);
                        if let Some((is_raised, at)) = standing.get(&(rule, subject.clone())) {
                            prop_assert!(!is_raised, "{rule:?} was told twice");
                            prop_assert!(now >= *at + quiet, "{rule:?} was told too soon");
                        }
                        standing.insert((rule, subject), (true, now));
                    }
                    Change::Cleared(Condition { rule, subject, .. }) => {
                        let was = standing.get_mut(&(rule, subject));
                        prop_assert!(was.as_ref().is_some_and(|(is_raised, _)| *is_raised), "{rule:?} cleared untold");
                        if let Some((is_raised, _)) = was {
                            *is_raised = false;
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn whatever_was_told_clears_once_all_is_well(steps in steps()) {
        let settings = RuleSettings { min_items: 10, window: 40, no_progress: None, ..RuleSettings::default() };
        let mut scene = Scene::new(settings);
        for step in steps {
            match step {
                Step::Events(count, event) => scene.see(count, &event),
                Step::Wait(time, observed) => scene.wait(SECOND * u32::try_from(time).unwrap(), observed),
            }
        }
        scene.see(1, &breaker("closed"));
        scene.see(40, &done());
        let told = scene.told();
        let count = |sign: char| told.iter().filter(|name| name.starts_with(sign)).count();
        prop_assert_eq!(count('+'), count('-'), "{:?}", told);
    }
}
