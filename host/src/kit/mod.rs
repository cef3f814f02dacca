//! Plugin folders: what is in them, whether what was built is still what the sources say, and building them.

mod build;
mod folder;

pub use build::{BuildError, build};
pub use folder::{Component, FolderError, locate};
