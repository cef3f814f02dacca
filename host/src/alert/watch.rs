//! Alerts of one run: listens to its events, looks at what no event tells, and hands what there is to tell to each channel.

use super::deliver::{Delivered, Queue};
use super::{Alert, Change, Commands, Condition, Failures, Kind, Observed, Plan, Rule, Rules};
use crate::clock::Clock;
use crate::domain::{Event, EventSink};
use crate::run::Ending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Between two looks at what no event tells.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What surrounds the alerts of a run.
pub struct Around {
    pub clock: Arc<dyn Clock>,
    /// The network's.
    pub runtime: Handle,
    pub job: String,
    /// Behind the job's name in commands: ` --store DIR`, or nothing.
    pub place: String,
    /// Told when a channel does not take what it is sent.
    pub say: Arc<dyn Fn(&str) + Send + Sync>,
}

struct State {
    rules: Rules,
    failures: Failures,
    /// Alerts so far, which makes their ids.
    count: u64,
}

/// Listens; never blocks on a channel, and never fails.
pub struct Alerts {
    state: Mutex<State>,
    queues: Vec<Arc<Queue>>,
    tasks: Mutex<JoinSet<()>>,
    around: Around,
    started_ms: u64,
    has_cleared: bool,
    has_details: bool,
    end_wait: Duration,
}

impl Alerts {
    /// Begins to deliver.
    pub fn start(plan: Plan, around: Around) -> Self {
        let queues: Vec<Arc<Queue>> = plan.targets.into_iter().map(|target| Arc::new(Queue::new(target))).collect();
        let mut tasks = JoinSet::new();
        for queue in &queues {
            let (queue, clock, say) = (Arc::clone(queue), Arc::clone(&around.clock), Arc::clone(&around.say));
            tasks.spawn_on(async move { queue.deliver(clock.as_ref(), say.as_ref()).await }, &around.runtime);
        }
        let rules = Rules::new(plan.rules, around.clock.monotonic());
        Self {
            state: Mutex::new(State { rules, failures: Failures::default(), count: 0 }),
            queues,
            tasks: Mutex::new(tasks),
            started_ms: around.clock.unix_ms(),
            around,
            has_cleared: plan.has_cleared,
            has_details: plan.has_details,
            end_wait: plan.end_wait,
        }
    }

    /// Looks at what no event tells, until it is dropped.
    pub async fn follow(&self, observe: impl Fn() -> Observed + Send) {
        loop {
            self.around.clock.sleep(LOOK_EVERY).await;
            self.look(observe());
        }
    }

    pub fn look(&self, observed: Observed) {
        let mut state = self.state();
        let changes = state.rules.tick(self.around.clock.monotonic(), observed);
        self.tell(&mut state, changes);
    }

    /// The run has ended; `counts`: how the items stand, for a person.
    pub fn ended(&self, ending: &Ending, counts: &str) {
        let mut state = self.state();
        let condition = state.rules.ended(self.around.clock.monotonic(), ending, counts);
        self.tell(&mut state, condition.map(Change::Raised).into_iter().collect());
    }

    /// Waits until everything is delivered, a while and until `stop`; what is not by then is lost, which is said.
    pub async fn close(&self, stop: impl Future<Output = ()>) -> Delivered {
        self.queues.iter().for_each(|queue| queue.close());
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::select! {
            () = async { while tasks.join_next().await.is_some() {} } => {}
            () = self.around.clock.sleep(self.end_wait) => {}
            () = stop => {}
        }
        tasks.shutdown().await;
        self.queues.iter().filter_map(|queue| queue.left()).for_each(|left| (self.around.say)(&left));
        self.queues.iter().map(|queue| queue.delivered()).fold(Delivered::default(), std::ops::Add::add)
    }

    fn tell(&self, state: &mut State, changes: Vec<Change>) {
        for change in changes {
            let (kind, condition) = match change {
                Change::Raised(condition) => (Kind::Raised, condition),
                Change::Cleared(condition) => (Kind::Cleared, condition),
            };
            if kind == Kind::Cleared && !self.has_cleared {
                continue;
            }
            state.count += 1;
            let alert = self.alert(state, kind, condition);
            for queue in &self.queues {
                if alert.rule.is_some_and(|rule| queue.target.wants(rule)) {
                    queue.push(alert.clone());
                }
            }
        }
    }

    fn alert(&self, state: &State, kind: Kind, condition: Condition) -> Alert {
        let Condition { rule, subject, reason, since } = condition;
        let (now, at_ms) = (self.around.clock.monotonic(), self.around.clock.unix_ms());
        let ago = u64::try_from(now.saturating_sub(since).as_millis()).unwrap_or(u64::MAX);
        Alert {
            id: format!("{}-{}-{}", self.around.job, self.started_ms, state.count),
            kind,
            job: self.around.job.clone(),
            rule: Some(rule),
            subject,
            reason,
            since_ms: at_ms.saturating_sub(ago),
            at_ms,
            failures: state.failures.clone(),
            has_details: self.has_details,
            commands: commands(rule, &self.around),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for Alerts {
    fn emit(&self, event: Event) {
        let mut state = self.state();
        state.failures.count(self.around.clock.unix_ms(), &event);
        let changes = state.rules.observe(self.around.clock.monotonic(), &event);
        self.tell(&mut state, changes);
    }
}

/// What shows more of it.
fn commands(rule: Rule, around: &Around) -> Commands {
    let Around { job, place, .. } = around;
    let look = match rule {
        Rule::ErrorShare | Rule::ConsecutiveErrors => "failed list",
        Rule::BreakerOpen | Rule::NoProgress | Rule::Finished => "status",
        Rule::Parked => "log",
        Rule::Cost => "cost",
    };
    Commands { look: format!("sandmill {look} {job}{place}"), resume: format!("sandmill resume {job}{place}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Channel, RuleSettings, SendError, Target};
    use crate::clock::PausedClock;
    use crate::domain::ItemId;
    use async_trait::async_trait;
    use std::collections::BTreeSet;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[derive(Default)]
    struct Kept {
        alerts: Mutex<Vec<Alert>>,
        hangs: bool,
    }

    #[async_trait]
    impl Channel for Kept {
        async fn send(&self, alert: &Alert) -> Result<(), SendError> {
            if self.hangs {
                std::future::pending::<()>().await;
            }
            self.alerts.lock().unwrap().push(alert.clone());
            Ok(())
        }

        fn describe(&self) -> String {
            "kept".into()
        }
    }

    fn started(channels: &[(&Arc<Kept>, Option<Rule>)]) -> Alerts {
        let target = |(channel, rule): &(&Arc<Kept>, Option<Rule>)| Target {
            name: "kept".into(),
            rules: rule.map(|rule| BTreeSet::from([rule])),
            channel: Arc::clone(channel) as Arc<dyn Channel>,
        };
        let rules = RuleSettings { min_items: 10, window: 20, ..RuleSettings::default() };
        let targets = channels.iter().map(target).collect();
        let plan = Plan { rules, targets, has_cleared: true, has_details: true, end_wait: PATIENCE };
        let around = Around {
            clock: Arc::new(PausedClock::new()),
            runtime: Handle::current(),
            job: "talks".into(),
            place: " --store jobs".into(),
            say: Arc::new(|text| assert!(text.contains("when the run ended"), "{text}")),
        };
        Alerts::start(plan, around)
    }

    fn failed(number: usize) -> Event {
        let item = ItemId::new(&format!("i{number}")).unwrap();
        Event::ItemFailed { item, class: crate::domain::FailureClass::Plugin, code: "c".into(), message: "m".into() }
    }

    #[tokio::test(start_paused = true)]
    async fn each_channel_is_told_what_it_wants_with_all_that_there_is_to_say() {
        let (all, ends) = (Arc::new(Kept::default()), Arc::new(Kept::default()));
        let alerts = started(&[(&all, None), (&ends, Some(Rule::Parked))]);
        (0..12).for_each(|number| alerts.emit(failed(number)));
        let ending = Ending::Parked { code: "401".into(), message: "the key is refused".into() };
        alerts.ended(&ending, "12 failed, 88 pending");
        let delivered = alerts.close(std::future::pending()).await;
        assert_eq!(delivered, Delivered { sent: 3, lost: 0 });
        let told = all.alerts.lock().unwrap().clone();
        assert_eq!(
            told.iter().map(|alert| alert.rule).collect::<Vec<_>>(),
            [Some(Rule::ErrorShare), Some(Rule::Parked)]
        );
        assert_eq!(told[0].failures.failed, 10);
        assert_eq!(told[0].commands.look, "sandmill failed list talks --store jobs");
        assert_ne!(told[0].id, told[1].id);
        assert_eq!(told[1].reason, "the key is refused (12 failed, 88 pending)");
        assert_eq!(ends.alerts.lock().unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_hangs_holds_up_neither_the_run_nor_the_other_channel_and_its_end_only_so_long() {
        let (hangs, takes) = (Arc::new(Kept { hangs: true, ..Kept::default() }), Arc::new(Kept::default()));
        let alerts = started(&[(&hangs, None), (&takes, None)]);
        (0..12).for_each(|number| alerts.emit(failed(number)));
        let began = alerts.around.clock.monotonic();
        assert_eq!(alerts.close(std::future::pending()).await, Delivered { sent: 1, lost: 1 });
        assert_eq!(alerts.around.clock.monotonic().saturating_sub(began), PATIENCE);
        assert_eq!(takes.alerts.lock().unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_want_to_wait_need_not() {
        let hangs = Arc::new(Kept { hangs: true, ..Kept::default() });
        let alerts = started(&[(&hangs, None)]);
        (0..12).for_each(|number| alerts.emit(failed(number)));
        assert_eq!(alerts.close(std::future::ready(())).await.lost, 1);
        assert_eq!(alerts.around.clock.monotonic(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn that_nothing_moves_is_found_by_looking() {
        let kept = Arc::new(Kept::default());
        let alerts = started(&[(&kept, None)]);
        let observe = || Observed { paused: false, cost: 0 };
        let _ = tokio::time::timeout(Duration::from_mins(31), alerts.follow(observe)).await;
        alerts.close(std::future::pending()).await;
        let told = kept.alerts.lock().unwrap().clone();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].rule, Some(Rule::NoProgress));
        assert_eq!(told[0].at_ms - told[0].since_ms, 30 * 60 * 1_000);
    }
}
