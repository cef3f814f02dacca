//! What the operator sees on stderr while a job runs: a screen on a terminal, lines on a pipe, objects in a log.
//!
//! The screen's lines are made of a monitor's figures alone, so that whoever has such figures shows the same.

mod compact;
mod console;
mod layout;
mod log;
mod screen;
mod told;
mod unblocked;
mod width;
mod words;

pub use compact::line;
pub use console::{Console, Form, Verbosity, is_able};
pub use layout::{Line, lines};
pub use log::{layer, object};
pub use screen::{Screen, Size, size_of};
