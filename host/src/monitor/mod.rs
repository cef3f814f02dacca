//! The live figures of a run, for whoever watches: the screen, the log, a page.
//!
//! A monitor hears the run's events, and is asked once a second to look at how things stand. It decides nothing, and must not know
//! where its figures are shown.

mod failures;
mod history;
mod live;
mod pace;
mod snapshot;

pub use failures::{ClassFailures, RecentFailure};
pub use history::Point;
pub use live::{Monitor, projected};
pub use pace::{Paces, Progress};
pub use snapshot::{GuestFigures, ItemFigures, RouteFigures, RunFacts, Snapshot, Standing};
