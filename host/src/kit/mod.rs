//! Plugins before they run: where they are, whether what was built is still what the sources say, building them, what they are made of,
//! and whether they are what was pinned and signed.

mod build;
pub mod cases;
mod component;
mod diff;
mod embedded;
mod folder;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod inspect;
mod lock;
mod new;
mod reach;
mod signature;
mod source;
mod tools;

pub use build::{BuildError, Built, Says, build};
pub use diff::Difference;
pub use embedded::Language;
pub use folder::{Component, FolderError, digest_of_sources, folders_of_sources, locate};
pub(crate) use inspect::wrapped;
pub use inspect::{Described, Inspection};
pub use lock::{LOCK_FILE, Lock, LockError, Pin};
pub use new::{Created, NewError, new};
pub use reach::{Reach, reach};
pub use signature::{BadKey, Keys, SignatureState};
pub use source::Source;
