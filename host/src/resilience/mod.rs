//! Everything between a plugin's request and a provider's answer: the journal, retries, the ledger.
//!
//! Always holds: retries have one owner, and it stands here; an answer is committed before a plugin sees it; once the run is
//! [halted](Halt) no further call leaves. `stack` alone knows the order of the layers.

mod backoff;
mod halt;
mod hash;
mod ledger;
mod retry;
mod session;
mod stack;
mod structure;
mod tokens;

pub use backoff::RetrySettings;
pub use halt::{Halt, HaltReason};
pub use session::{ItemSession, SessionStart};
pub use stack::{Route, Stack, StackSettings};
