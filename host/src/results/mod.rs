//! What a job has yielded so far: a projection of the store, that can always be written again.

mod chain;
mod columns;
mod export;
mod failed;

pub use chain::{chain, chain_digest};
pub use columns::Column;
pub use export::{ExportError, Target, default_columns, export, export_columns};
pub use failed::export_failed;
