//! The rules' names, and when each is met.

use std::time::Duration;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    ErrorShare,
    ConsecutiveErrors,
    BreakerOpen,
    Parked,
    NoProgress,
    Cost,
    Finished,
}

impl Rule {
    pub const ALL: [Self; 7] = [
        Self::ErrorShare,
        Self::ConsecutiveErrors,
        Self::BreakerOpen,
        Self::Parked,
        Self::NoProgress,
        Self::Cost,
        Self::Finished,
    ];

    /// The key in `[alert]`, and the name in messages; never changes once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ErrorShare => "error_share",
            Self::ConsecutiveErrors => "consecutive_errors",
            Self::BreakerOpen => "breaker_open",
            Self::Parked => "parked",
            Self::NoProgress => "no_progress",
            Self::Cost => "cost",
            Self::Finished => "finished",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }
}

/// When the rules are met. `None`: never.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSettings {
    /// It is met when a larger share than this has failed.
    pub error_share: Option<f64>,
    /// The items that the share is of, at most, and at least; 1 and more.
    pub window: usize,
    pub min_items: usize,
    pub consecutive_errors: Option<u32>,
    pub breaker_open: Option<Duration>,
    pub parked: bool,
    pub no_progress: Option<Duration>,
    /// In millionths of a dollar.
    pub cost: Option<u64>,
    pub finished: bool,
    /// From when a condition was told until it may be told anew.
    pub quiet: Duration,
}

impl Default for RuleSettings {
    fn default() -> Self {
        Self {
            error_share: Some(0.05),
            window: 200,
            min_items: 50,
            consecutive_errors: None,
            breaker_open: Some(Duration::from_mins(10)),
            parked: true,
            no_progress: Some(Duration::from_mins(30)),
            cost: None,
            finished: false,
            quiet: Duration::from_mins(15),
        }
    }
}

impl RuleSettings {
    pub fn has(&self, rule: Rule) -> bool {
        match rule {
            Rule::ErrorShare => self.error_share.is_some(),
            Rule::ConsecutiveErrors => self.consecutive_errors.is_some(),
            Rule::BreakerOpen => self.breaker_open.is_some(),
            Rule::Parked => self.parked,
            Rule::NoProgress => self.no_progress.is_some(),
            Rule::Cost => self.cost.is_some(),
            Rule::Finished => self.finished,
        }
    }
}
