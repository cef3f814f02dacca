//! What a person and a program read at the end of a run.

mod summary;

pub use summary::{EndedSummary, JobSummary, RunSummary, SCHEMA, Summary};
