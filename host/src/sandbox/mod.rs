//! The sandbox: components of plugins, loaded once and instantiated afresh for every attempt.
//!
//! Always holds: an instance serves one attempt and is thrown away; a guest reaches what the WIT names and what an operator gave it, and nothing else; whatever a
//! guest does ends in a [`Verdict`](crate::domain::Verdict). Must not know: providers, stores, items other than its own.

mod anatomy;
mod attempt;
mod bindings;
mod compile;
mod contract;
mod convert;
mod crash;
mod egress;
mod engine;
mod files;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod given;
mod host;
mod limits;
mod linked;
mod manifest;
mod plugin;
#[cfg(test)]
mod shared_instance;
mod sound;
mod state;
mod stdio;
mod time;
mod trap;
mod weight;

pub use anatomy::{Anatomy, Extern, Producer};
pub use attempt::{AttemptReport, Job, LogLine, LogListener, MemoryListener, Watch};
pub use compile::{
    CACHE_BYTES_MAX, Cache, CacheError, CompilePlace, Compiling, WorkerEnd, WorkerLimits, Workshop, work,
};
pub use contract::{RELEASES, Release};
pub use engine::{Engine, lane_threads};
pub use given::Given;
pub use limits::{DEPTH_MAX, Limits};
pub use manifest::{Manifest, ModelRole};
pub use plugin::Plugin;

/// A plugin that cannot be used, or an engine that cannot be had. All are found before any item runs.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("cannot set up the WebAssembly engine: {0}")]
    Engine(String),
    /// The bytes are no component that could be a plugin. The text says what they are, and the way out.
    #[error("{0}")]
    NotAPlugin(String),
    /// A component that is too much for the compiler, within the bounds that it has.
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    /// What was granted cannot be given. The text says what, and the way out.
    #[error("{0}")]
    Grant(String),
    /// A component of the right world that does not do what it should.
    #[error("the plugin fails to describe itself: {0}; its `describe` must end by itself, without asking for anything")]
    Describe(String),
}

#[cfg(test)]
mod tests;
