//! How a run ends.

use crate::resilience::HaltReason;

/// POSIX.
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Every way a run can end, for the summary, the store and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Nothing is pending.
    Finished,
    /// A rule stopped it.
    ConsecutiveErrors {
        count: u32,
    },
    /// The plugin itself is broken: so many items crashed with none done in between.
    Traps {
        count: u32,
        /// The commonest of them: how often it came, its class and message, and an item.
        commonest: u32,
        class: String,
        message: String,
        item: String,
    },
    /// Too large a share of what ended has failed.
    ErrorRate {
        failed: u64,
        ended: u64,
    },
    /// A person is needed.
    Parked {
        code: String,
        message: String,
    },
    ParkedUntil {
        unix_ms: u64,
        message: String,
    },
    Budget {
        message: String,
    },
    /// By SIGINT or SIGTERM.
    Interrupted {
        signal: i32,
    },
    /// The store failed, or the host itself.
    Broken {
        message: String,
    },
}

impl From<HaltReason> for Ending {
    fn from(reason: HaltReason) -> Self {
        match reason {
            HaltReason::Parked { code, message } => Self::Parked { code, message },
            HaltReason::ParkedUntil { unix_ms, message } => Self::ParkedUntil { unix_ms, message },
            HaltReason::Budget { message } => Self::Budget { message },
            HaltReason::Store { message } => Self::Broken { message },
            HaltReason::Interrupted => Self::Interrupted { signal: SIGINT },
        }
    }
}

impl Ending {
    /// The word in the summary's `ended.state` and in the store.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::ConsecutiveErrors { .. } | Self::Traps { .. } | Self::ErrorRate { .. } => "stopped",
            Self::Parked { .. } | Self::ParkedUntil { .. } => "parked",
            Self::Budget { .. } => "budget",
            Self::Interrupted { .. } => "interrupted",
            Self::Broken { .. } => "broken",
        }
    }

    /// For a person: why.
    pub fn reason(&self) -> String {
        match self {
            Self::Finished => "nothing is pending".into(),
            Self::ConsecutiveErrors { count } => {
                format!("{count} items in a row failed (--max-consecutive-errors {count}; 0 never stops)")
            }
            Self::Traps { count, commonest, class, message, item } => format!(
                "the plugin crashed on {count} items with none done in between (--max-traps {count}; 0 never stops), {commonest} times by {class}: {message} (item {item})"
            ),
            Self::ErrorRate { failed, ended } => {
                format!("{failed} of {ended} items failed in this run, a larger share than --max-error-rate allows")
            }
            Self::Parked { message, .. } | Self::ParkedUntil { message, .. } | Self::Budget { message } => {
                message.clone()
            }
            Self::Interrupted { signal } => match *signal {
                SIGTERM => "terminated (SIGTERM)".into(),
                _ => "interrupted (Ctrl-C)".into(),
            },
            Self::Broken { message } => message.clone(),
        }
    }
}
