//! What is known of models before one is asked: how much they take, how their tokens are counted, what they cost.
//!
//! The figures stand in `models.toml`, each with its source and the day on which it was read; what an operator writes goes before
//! them. Nothing here asks a provider, and a model that is not listed is simply unknown: names are never matched by likeness.

mod entry;
mod find;
mod price;

pub use entry::{EncodingName, LongPrice, ModelEntry, Rates};
pub use find::Catalog;
