//! Alerts: what is told of a run while nobody watches, and to whom.
//!
//! `rules` says what events mean and knows neither time nor network; `message` says how it is put; `channel` sends it once, `deliver`
//! until it has arrived; `watch` joins them to a run. Nothing here may hold up or fail the run: what cannot be delivered is counted,
//! and said once.

mod channel;
mod deliver;
mod failures;
mod message;
mod rule;
mod rules;
mod settings;
mod watch;

pub use channel::{Channel, SendError};
pub use deliver::{Delivered, Target};
pub use failures::{FailureKind, Failures};
pub use message::{Alert, Commands, Kind};
pub use rule::{Rule, RuleSettings};
pub use rules::{Change, Condition, Observed, Rules};
pub use settings::{AlertError, COMMAND_TIME, END_WAIT, Plan};
pub use watch::{Alerts, Around};
