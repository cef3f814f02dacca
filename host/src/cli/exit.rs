//! The exit codes: one enum, one match, one table in the README.

use crate::run::Ending;
use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Every item is done or skipped.
    Done,
    Internal,
    /// Usage, configuration, plugin or store; no item ran.
    Usage,
    /// Finished, with failed items.
    ItemsFailed,
    /// A rule stopped the run.
    Stopped,
    /// A person is needed.
    Parked,
    Budget,
    /// `plugin diff`: the new plugin may do more than the old one.
    RightsGrew,
    /// The provider said when to come back.
    ParkedUntil,
    Interrupted,
    Terminated,
}

/// Below the help.
pub(super) const HELP: &str = "Exit codes:
    0  all items are done or skipped        5  parked: a person is needed
    1  internal error                       6  a budget is reached
    2  usage, configuration, plugin, store  7  `plugin diff`: rights grew
    3  failed items; something is wrong    75  parked until a known time
    4  stopped early by a rule       130, 143  interrupted, terminated";

/// POSIX.
const SIGTERM: i32 = 15;

impl Exit {
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::ItemsFailed => 3,
            Self::Stopped => 4,
            Self::Parked => 5,
            Self::Budget => 6,
            Self::RightsGrew => 7,
            // EX_TEMPFAIL of sysexits.h: try again later.
            Self::ParkedUntil => 75,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    pub(super) fn code(self) -> ExitCode {
        ExitCode::from(self.number())
    }

    pub(super) fn of_signal(signal: i32) -> Self {
        if signal == SIGTERM { Self::Terminated } else { Self::Interrupted }
    }

    /// `failed_is_fine`: the share of failed items lies within `--allow-failed`.
    pub(super) fn of_run(ending: &Ending, failed: u64, failed_is_fine: bool) -> Self {
        match ending {
            Ending::Finished if failed == 0 || failed_is_fine => Self::Done,
            Ending::Finished => Self::ItemsFailed,
            Ending::ConsecutiveErrors { .. } | Ending::Traps { .. } | Ending::ErrorRate { .. } => Self::Stopped,
            Ending::Parked { .. } => Self::Parked,
            Ending::ParkedUntil { .. } => Self::ParkedUntil,
            Ending::Budget { .. } => Self::Budget,
            Ending::Interrupted { signal } => Self::of_signal(*signal),
            Ending::Broken { .. } => Self::Internal,
        }
    }
}
