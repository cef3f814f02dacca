//! The context window: how long a request is, and what is done when that is too long.

mod alone;
mod count;
mod fit;
mod learned;
mod most;
mod window;

pub use alone::{count_alone, cut_alone};
pub(super) use count::{Counter, count, estimate};
pub use count::{Counting, Encoding};
pub use fit::{ContextSettings, OnOverflow};
pub(super) use fit::{Fitted, fit, fit_at_sight};
pub(super) use learned::LearnedWindow;
pub(super) use most::{Sent, at_most};
pub use window::KnownWindow;
pub(super) use window::{Narrowed, Sizes, Window, narrowed};
