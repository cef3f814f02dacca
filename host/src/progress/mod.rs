//! What is seen while a run goes on: a bar on a terminal, a line every few seconds elsewhere.

mod console;

pub use console::{Console, Verbosity};
