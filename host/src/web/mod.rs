//! What every server of a run's figures holds to: by which names it may be asked, and how much of the process its connections may take.
//!
//! Knows nothing of what is served.

mod bounded;
mod host;

pub use bounded::{Admission, Bounded, Connection};
pub use host::{is_loopback, is_ours, machine, one_host};
