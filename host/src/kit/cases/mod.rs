//! Cases of a plugin: an item, what models answer to what it asks, and what shall come of it. They stand in `tests/*.jsonl` of its
//! folder, one a line.
//!
//! Here is what a case says, and whether an outcome is what it wants; nothing is run, and nobody is asked. What is written into a file of
//! cases changes the values that are meant and no other byte.

mod answer;
mod compare;
mod expect;
mod file;
mod rewrite;
mod spaced;

pub use compare::{Difference, Side};
pub use expect::Expect;
pub use file::{Case, CaseFile, NewAnswer, Problem, find};
pub(crate) use file::{EXTENSION, FOLDER};
pub use rewrite::Change;
