//! A run: registers the input, works through what is pending, ends in one of the ways that the README lists.
//!
//! The dispatcher owns all state of a run; workers only report to it. Must not know: formats of files, protocols of providers,
//! terminals.

mod blobs;
mod contract;
mod control;
mod debug;
mod dispatcher;
mod ending;
mod lanes;
mod live;
mod memory;
#[cfg(test)]
mod oracle;
mod places;
mod register;
mod shutdown;
mod start;
mod tally;
mod traps;
mod watchdog;
mod worker;

pub use blobs::Blobs;
pub use contract::{Contract, ContractError};
pub use control::{Control, Orders};
pub use debug::Debugging;
pub use dispatcher::{Dispatcher, RunSettings, RunTotals};
pub use ending::Ending;
pub use lanes::Lanes;
pub use live::{GuestMemory, Live, SuspendPolicy, Suspension};
pub use register::{DuplicatePolicy, Extent, RegisterError, Registered, Shard, register};
pub use shutdown::{Phase, Shutdown};
pub use tally::{Tally, TallySnapshot};
pub use watchdog::watch;
pub use worker::Shared;
