//! What events mean: conditions that are raised, once until they clear, and cleared. Without IO and without a clock: whoever calls says
//! what time it is.

use super::{Rule, RuleSettings};
use crate::domain::Event;
use crate::resilience::dollars;
use crate::run::Ending;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// What there is to be told. Times are those of the caller's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub rule: Rule,
    /// A route's name, where the rule looks at each of them.
    pub subject: Option<String>,
    /// For a person, with figures.
    pub reason: String,
    /// When it came about.
    pub since: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Raised(Condition),
    /// `reason`: how it stands now.
    Cleared(Condition),
}

/// What no event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    pub paused: bool,
    /// Of the job, all runs together, in millionths of a dollar.
    pub cost: u64,
}

/// How things stand with one condition.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    is_raised: bool,
    raised_at: Option<Duration>,
    /// Since when it holds, told or not.
    since: Option<Duration>,
}

/// How a rule finds one condition.
enum Verdict {
    Holds {
        since: Duration,
    },
    /// Not so bad that it is told, and not so well that it has passed.
    Between,
    Passed,
}

/// The state of all rules over one run.
pub struct Rules {
    settings: RuleSettings,
    /// Of the items that ended last, whether each has failed.
    window: VecDeque<bool>,
    failed: usize,
    /// Failed items in a row, and when the first of them ended.
    row: (u32, Duration),
    /// Routes whose breaker is not closed, since when, and why.
    away: BTreeMap<String, (Duration, String)>,
    moved_at: Duration,
    standings: BTreeMap<(Rule, Option<String>), Standing>,
}

impl Rules {
    pub fn new(settings: RuleSettings, now: Duration) -> Self {
        Self {
            settings,
            window: VecDeque::new(),
            failed: 0,
            row: (0, now),
            away: BTreeMap::new(),
            moved_at: now,
            standings: BTreeMap::new(),
        }
    }

    pub fn observe(&mut self, now: Duration, event: &Event) -> Vec<Change> {
        let mut changes = Vec::new();
        if moves(event) {
            self.moved_at = now;
            changes.extend(self.no_progress(now));
        }
        match event {
            Event::ItemDone { .. } | Event::ItemSkipped { .. } => changes.extend(self.item_ended(now, false)),
            Event::ItemFailed { .. } => changes.extend(self.item_ended(now, true)),
            Event::BreakerChanged { route, to, reason, .. } => {
                if *to == "closed" {
                    self.away.remove(route);
                } else {
                    self.away.entry(route.clone()).or_insert_with(|| (now, reason.clone()));
                }
                changes.extend(self.breaker_open(now, route));
            }
            _ => {}
        }
        changes
    }

    /// What the passing of time brings; called every now and then.
    pub fn tick(&mut self, now: Duration, observed: Observed) -> Vec<Change> {
        if observed.paused {
            // That nothing moves is what somebody asked for.
            self.moved_at = now;
        }
        let mut changes: Vec<Change> = self.no_progress(now).into_iter().collect();
        changes.extend(self.cost(now, observed.cost));
        changes.extend(self.error_share(now));
        changes.extend(self.consecutive_errors(now));
        let routes: Vec<String> = self.away.keys().cloned().collect();
        changes.extend(routes.iter().filter_map(|route| self.breaker_open(now, route)));
        changes
    }

    /// What is to be told of the end; `counts`: how the items stand, for a person. Called once.
    pub fn ended(&self, now: Duration, ending: &Ending, counts: &str) -> Option<Condition> {
        let rule = match ending {
            Ending::Finished | Ending::Interrupted { .. } => None,
            Ending::ConsecutiveErrors { .. }
            | Ending::Traps { .. }
            | Ending::ErrorRate { .. }
            | Ending::Parked { .. }
            | Ending::ParkedUntil { .. }
            | Ending::Budget { .. }
            | Ending::Broken { .. } => Some(Rule::Parked),
        };
        let rule = rule.filter(|rule| self.settings.has(*rule)).or(self.settings.finished.then_some(Rule::Finished))?;
        let state = if ending.state() == rule.name() { String::new() } else { format!("{}: ", ending.state()) };
        let reason = format!("{state}{} ({counts})", ending.reason());
        Some(Condition { rule, subject: None, reason, since: now })
    }

    fn item_ended(&mut self, now: Duration, has_failed: bool) -> Vec<Change> {
        if self.window.len() >= self.settings.window.max(1) {
            self.failed -= usize::from(self.window.pop_front().unwrap_or_default());
        }
        self.window.push_back(has_failed);
        self.failed += usize::from(has_failed);
        self.row = match (has_failed, self.row) {
            (false, _) => (0, now),
            (true, (0, _)) => (1, now),
            (true, (count, since)) => (count.saturating_add(1), since),
        };
        self.error_share(now).into_iter().chain(self.consecutive_errors(now)).collect()
    }

    /// It has passed when the share has fallen to half of what is allowed: one that goes to and fro about it is one condition.
    fn error_share(&mut self, now: Duration) -> Option<Change> {
        let allowed = self.settings.error_share?;
        let (failed, ended) = (self.failed, self.window.len());
        let share = ratio(failed, ended.max(1));
        let verdict = if ended >= self.settings.min_items && share > allowed {
            Verdict::Holds { since: now }
        } else if share > allowed / 2.0 {
            Verdict::Between
        } else {
            Verdict::Passed
        };
        let reason = || {
            let (share, allowed) = (percent(share), percent(allowed));
            format!("{failed} of the last {ended} items failed ({share} %; allowed: {allowed} %)")
        };
        self.settle(now, Rule::ErrorShare, None, verdict, reason)
    }

    fn consecutive_errors(&mut self, now: Duration) -> Option<Change> {
        let most = self.settings.consecutive_errors?;
        let (count, since) = self.row;
        let verdict = if count >= most.max(1) { Verdict::Holds { since } } else { Verdict::Passed };
        let reason = || match count {
            0 => "an item has succeeded again".to_owned(),
            count => format!("{count} items in a row failed (told from {most} on)"),
        };
        self.settle(now, Rule::ConsecutiveErrors, None, verdict, reason)
    }

    fn breaker_open(&mut self, now: Duration, route: &str) -> Option<Change> {
        let longest = self.settings.breaker_open?;
        let away = self.away.get(route).cloned();
        let verdict = match &away {
            Some((since, _)) if now.saturating_sub(*since) >= longest => Verdict::Holds { since: *since },
            Some(_) => Verdict::Between,
            None => Verdict::Passed,
        };
        let reason = || match &away {
            None => format!("the circuit breaker of route `{route}` is closed again"),
            Some((since, why)) => {
                format!(
                    "the circuit breaker of route `{route}` has not been closed for {}: {why}",
                    span(now.saturating_sub(*since))
                )
            }
        };
        self.settle(now, Rule::BreakerOpen, Some(route), verdict, reason)
    }

    fn no_progress(&mut self, now: Duration) -> Option<Change> {
        let patience = self.settings.no_progress?;
        let (since, still) = (self.moved_at, now.saturating_sub(self.moved_at));
        let verdict = if still >= patience { Verdict::Holds { since } } else { Verdict::Passed };
        let reason = || {
            if still >= patience {
                format!("nothing has ended for {}: no item, no call", span(still))
            } else {
                "something has moved again, or the job is paused".to_owned()
            }
        };
        self.settle(now, Rule::NoProgress, None, verdict, reason)
    }

    fn cost(&mut self, now: Duration, cost: u64) -> Option<Change> {
        let most = self.settings.cost?;
        let verdict = if cost > most { Verdict::Holds { since: now } } else { Verdict::Passed };
        let reason = || format!("the job has cost {} (told above {})", dollars(cost), dollars(most));
        self.settle(now, Rule::Cost, None, verdict, reason)
    }

    fn settle(
        &mut self,
        now: Duration,
        rule: Rule,
        subject: Option<&str>,
        verdict: Verdict,
        reason: impl FnOnce() -> String,
    ) -> Option<Change> {
        let subject = subject.map(str::to_owned);
        let standing = self.standings.entry((rule, subject.clone())).or_default();
        let condition = |since: Duration| Condition { rule, subject, reason: reason(), since };
        match verdict {
            Verdict::Holds { since } => {
                let since = *standing.since.get_or_insert(since);
                let is_quiet = standing.raised_at.is_some_and(|at| now < at + self.settings.quiet);
                if standing.is_raised || is_quiet {
                    return None;
                }
                (standing.is_raised, standing.raised_at) = (true, Some(now));
                Some(Change::Raised(condition(since)))
            }
            Verdict::Between => {
                if !standing.is_raised {
                    standing.since = None;
                }
                None
            }
            Verdict::Passed => {
                let since = standing.since.take().unwrap_or(now);
                std::mem::take(&mut standing.is_raised).then(|| Change::Cleared(condition(since)))
            }
        }
    }
}

/// As the watchdog has it: whatever ends.
fn moves(event: &Event) -> bool {
    match event {
        Event::CallAnswered { .. }
        | Event::CallReused { .. }
        | Event::GuestGaveWay { .. }
        | Event::CallFailed { .. }
        | Event::ItemRetry { .. }
        | Event::ItemDone { .. }
        | Event::ItemSkipped { .. }
        | Event::ItemFailed { .. } => true,
        Event::CallRetry { .. }
        | Event::RequestCut { .. }
        | Event::BreakerChanged { .. }
        | Event::ConcurrencyChanged { .. }
        | Event::PaceLearned { .. }
        | Event::FellBack { .. }
        | Event::NoProgress { .. }
        | Event::GuestLog { .. } => false,
    }
}

fn span(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}

#[expect(clippy::cast_precision_loss, reason = "a share for a person")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// `5` or `6.25`.
fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
