//! Gets alerts to a channel: one after the other, tried again after a wait, without anybody waiting for it.
//!
//! A channel that is away costs a run nothing: what waits for it is bounded, what does not fit is dropped and counted, and it is said
//! once.

use super::channel::{Channel, SendError};
use super::{Alert, Rule};
use crate::clock::Clock;
use backon::{BackoffBuilder, ExponentialBuilder};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Alerts that wait for a channel.
const WAITING_MAX: usize = 32;
/// One try.
const TRY_MAX: Duration = Duration::from_mins(1);
/// Over about four minutes, so that a server that is started anew, or wants to be asked twice, is no reason to lose one.
const TRIES_MAX: usize = 8;
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_mins(2);

/// A channel by its name, and what it is told of.
#[derive(Clone)]
pub struct Target {
    pub name: String,
    /// `None`: all of them.
    pub rules: Option<BTreeSet<Rule>>,
    pub channel: Arc<dyn Channel>,
}

impl Target {
    pub fn wants(&self, rule: Rule) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.contains(&rule))
    }

    /// `ops (slack at hooks.slack.com)`.
    pub fn describe(&self) -> String {
        format!("{} ({})", self.name, self.channel.describe())
    }

    /// One try, within bounds.
    pub async fn send(&self, alert: &Alert) -> Result<(), SendError> {
        tokio::time::timeout(TRY_MAX, self.channel.send(alert)).await.unwrap_or_else(|_| {
            Err(SendError::passing(format!("no answer within {}", humantime::format_duration(TRY_MAX))))
        })
    }
}

/// What became of alerts, each counted once for each channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    pub sent: u64,
    /// Given up, dropped since too many waited, or still on their way when the run ended.
    pub lost: u64,
}

impl std::ops::Add for Delivered {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { sent: self.sent + other.sent, lost: self.lost + other.lost }
    }
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Alert>,
    is_sending: bool,
    is_closed: bool,
    sent: u64,
    /// Given up, or dropped.
    lost: u64,
    /// Why the last try came to nothing; empty: there was none.
    last_error: String,
}

impl State {
    fn on_its_way(&self) -> u64 {
        self.waiting.len() as u64 + u64::from(self.is_sending)
    }
}

/// The alerts of one channel, from one end to the other.
pub(super) struct Queue {
    pub(super) target: Target,
    state: Mutex<State>,
    changed: Notify,
}

impl Queue {
    pub(super) fn new(target: Target) -> Self {
        Self { target, state: Mutex::default(), changed: Notify::new() }
    }

    /// Never waits. Where too many wait, the oldest goes: the newest says best how things stand.
    pub(super) fn push(&self, alert: Alert) {
        let mut state = self.state();
        if state.waiting.len() >= WAITING_MAX {
            state.waiting.pop_front();
            state.lost += 1;
        }
        state.waiting.push_back(alert);
        drop(state);
        self.changed.notify_one();
    }

    /// Until it is closed and empty. `say`: told when the channel does not take what it is sent, and when it does again.
    pub(super) async fn deliver(&self, clock: &dyn Clock, say: &(dyn Fn(&str) + Send + Sync)) {
        let mut is_away = false;
        while let Some(alert) = self.next().await {
            let result = self.send(&alert, clock).await;
            self.settle(result.is_ok());
            let was_away = std::mem::replace(&mut is_away, result.is_err());
            let channel = self.target.describe();
            match result {
                Ok(()) if was_away => say(&format!("alert channel {channel}: it takes alerts again")),
                Err(error) if !was_away => {
                    say(&format!("warning: alert channel {channel}: an alert could not be delivered: {error}"));
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    fn settle(&self, is_sent: bool) {
        let mut state = self.state();
        state.is_sending = false;
        state.sent += u64::from(is_sent);
        state.lost += u64::from(!is_sent);
    }

    async fn next(&self) -> Option<Alert> {
        loop {
            {
                let mut state = self.state();
                if let Some(alert) = state.waiting.pop_front() {
                    state.is_sending = true;
                    return Some(alert);
                }
                if state.is_closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    async fn send(&self, alert: &Alert, clock: &dyn Clock) -> Result<(), SendError> {
        let mut waits = waits();
        loop {
            let error = match self.target.send(alert).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_final => return Err(error),
                Err(error) => error,
            };
            self.state().last_error.clone_from(&error.message);
            let Some(wait) = waits.next() else { return Err(error) };
            clock.sleep(wait.max(error.wait.unwrap_or_default().min(WAIT_MAX))).await;
        }
    }

    /// Nothing comes any more.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_one();
    }

    /// As it stands; what is on its way is lost if nobody waits for it.
    pub(super) fn delivered(&self) -> Delivered {
        let state = self.state();
        Delivered { sent: state.sent, lost: state.lost + state.on_its_way() }
    }

    /// What there is to say of those that nobody waits for any more.
    pub(super) fn left(&self) -> Option<String> {
        let (count, error) = {
            let state = self.state();
            (state.on_its_way(), state.last_error.clone())
        };
        let error = if error.is_empty() { "no answer yet".to_owned() } else { error };
        let channel = self.target.describe();
        (count > 0).then(|| {
            format!("warning: alert channel {channel}: {count} alerts were not delivered when the run ended: {error}")
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn waits() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(WAIT_MIN)
        .with_max_delay(WAIT_MAX)
        .with_factor(2.0)
        .with_jitter()
        .with_max_times(TRIES_MAX - 1)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::message::tests::alert;
    use crate::clock::PausedClock;
    use async_trait::async_trait;

    /// Answers as it is told, then takes everything.
    #[derive(Default)]
    struct Script {
        answers: Mutex<VecDeque<Result<(), SendError>>>,
        hangs: bool,
        seen: Mutex<Vec<(Duration, String)>>,
        clock: Option<Arc<PausedClock>>,
    }

    #[async_trait]
    impl Channel for Script {
        async fn send(&self, alert: &Alert) -> Result<(), SendError> {
            let at = self.clock.as_ref().map_or(Duration::ZERO, |clock| clock.monotonic());
            self.seen.lock().unwrap().push((at, alert.id.clone()));
            if self.hangs {
                std::future::pending::<()>().await;
            }
            self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()))
        }

        fn describe(&self) -> String {
            "script".into()
        }
    }

    struct Scene {
        queue: Arc<Queue>,
        channel: Arc<Script>,
        clock: Arc<PausedClock>,
        said: Arc<Mutex<Vec<String>>>,
    }

    impl Scene {
        fn new(answers: impl IntoIterator<Item = Result<(), SendError>>, hangs: bool) -> Self {
            let clock = Arc::new(PausedClock::new());
            let answers = Mutex::new(answers.into_iter().collect());
            let channel = Arc::new(Script { answers, hangs, clock: Some(Arc::clone(&clock)), ..Script::default() });
            let target = Target { name: "ops".into(), rules: None, channel: Arc::clone(&channel) as Arc<dyn Channel> };
            Self { queue: Arc::new(Queue::new(target)), channel, clock, said: Arc::default() }
        }

        fn push(&self, numbers: std::ops::Range<usize>) {
            for number in numbers {
                self.queue.push(Alert { id: number.to_string(), ..alert() });
            }
        }

        async fn deliver(&self) {
            let say = |text: &str| self.said.lock().unwrap().push(text.to_owned());
            self.queue.deliver(self.clock.as_ref(), &say).await;
        }

        fn seen(&self) -> Vec<String> {
            self.channel.seen.lock().unwrap().iter().map(|(_, id)| id.clone()).collect()
        }
    }

    fn passing() -> Result<(), SendError> {
        Err(SendError::passing("away"))
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_tried_again_in_order_and_nobody_hears_of_it() {
        let scene = Scene::new([passing(), passing()], false);
        scene.push(0..2);
        scene.queue.close();
        scene.deliver().await;
        assert_eq!(scene.seen(), ["0", "0", "0", "1"]);
        assert_eq!(scene.queue.delivered(), Delivered { sent: 2, lost: 0 });
        assert!(scene.said.lock().unwrap().is_empty());
        let waited = scene.channel.seen.lock().unwrap()[2].0;
        assert!((WAIT_MIN * 3..WAIT_MIN * 6).contains(&waited), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_asks_for_a_wait_gets_it() {
        let asked = SendError { wait: Some(Duration::from_secs(40)), ..SendError::passing("later") };
        let scene = Scene::new([Err(asked)], false);
        scene.push(0..1);
        scene.queue.close();
        scene.deliver().await;
        let waited = scene.channel.seen.lock().unwrap()[1].0;
        assert!((Duration::from_secs(40)..Duration::from_secs(41)).contains(&waited), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_final_is_tried_once_and_a_channel_that_stays_away_is_spoken_of_once() {
        let scene = Scene::new([Err(SendError::last("no_service")), Err(SendError::last("no_service"))], false);
        scene.push(0..3);
        scene.queue.close();
        scene.deliver().await;
        assert_eq!(scene.seen(), ["0", "1", "2"]);
        assert_eq!(scene.queue.delivered(), Delivered { sent: 1, lost: 2 });
        let said = scene.said.lock().unwrap().clone();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("ops (script)") && said[0].contains("no_service"), "{said:?}");
        assert!(said[1].contains("again"), "{said:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_hangs_is_given_up_after_so_many_tries() {
        let scene = Scene::new([], true);
        scene.push(0..1);
        scene.queue.close();
        scene.deliver().await;
        assert_eq!(scene.seen().len(), TRIES_MAX);
        assert_eq!(scene.queue.delivered(), Delivered { sent: 0, lost: 1 });
    }

    #[tokio::test(start_paused = true)]
    async fn where_too_many_wait_the_oldest_goes_and_is_counted() {
        let scene = Scene::new([], false);
        scene.push(0..WAITING_MAX + 2);
        scene.queue.close();
        scene.deliver().await;
        assert_eq!(scene.seen().first().map(String::as_str), Some("2"));
        assert_eq!(scene.queue.delivered(), Delivered { sent: WAITING_MAX as u64, lost: 2 });
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_on_its_way_when_nobody_waits_any_more_is_lost() {
        let scene = Scene::new([], true);
        scene.push(0..2);
        let _ = tokio::time::timeout(Duration::from_secs(5), scene.deliver()).await;
        assert_eq!(scene.queue.delivered(), Delivered { sent: 0, lost: 2 });
    }
}
