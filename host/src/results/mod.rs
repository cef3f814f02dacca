//! What a job has yielded so far: a projection of the store, that can always be written again.

mod chain;
mod export;

pub use chain::{chain, chain_digest};
pub use export::{ExportError, export};
