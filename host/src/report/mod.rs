//! What a person and a program read at the end of a run: the summary, and a page about the whole job.

mod command;
pub mod figures;
mod html;
mod summary;

pub use command::JobCommand;
pub use html::{LOOK, MARK, page};
pub use summary::{EndedSummary, JobSummary, NextSteps, RunSummary, SCHEMA, Summary};
