//! What a job has yielded so far: a projection of the store, that can always be written again.

mod export;

pub use export::{ExportError, export};
