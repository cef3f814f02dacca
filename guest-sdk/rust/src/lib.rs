//! Write Sandmill plugins in Rust.
//!
//! A plugin is a WebAssembly component that does something with one item at a time. This crate turns two functions into
//! one: [`Manifest`] says what the plugin is, and `process` does the work, with your own serde types for the item and
//! the configuration.
//!
//! ```
//! use sandmill_plugin::{Context, Failure, Item, Manifest, Outcome, llm};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct Ticket {
//!     text: String,
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Config {
//!     /// Whom the answer is for.
//!     #[serde(default)]
//!     team: String,
//! }
//!
//! #[derive(Deserialize, Serialize, JsonSchema)]
//! struct Triage {
//!     /// From 1, at leisure, to 5, now.
//!     urgency: u8,
//!     topic: String,
//! }
//!
//! fn manifest() -> Manifest {
//!     Manifest::new("triage", env!("CARGO_PKG_VERSION"), "Says how urgent a ticket is.")
//!         .config::<Config>()
//!         .output::<Triage>()
//!         .requires(["text"])
//!         .role("default", "reads a ticket and answers in JSON")
//! }
//!
//! fn process(item: Item<Ticket>, cx: &Context<Config>) -> Result<Outcome, Failure> {
//!     if item.data.text.trim().is_empty() {
//!         return Ok(Outcome::skip("the ticket is empty"));
//!     }
//!     let triage: Triage = llm::chat()
//!         .system(format!("You sort tickets for the team {}.", cx.config.team))
//!         .user(item.data.text)
//!         .json()?;
//!     Ok(Outcome::emit(triage))
//! }
//!
//! sandmill_plugin::export!(manifest, process);
//! # fn main() {}
//! ```
//!
//! What always holds:
//!
//! - Each item runs in a fresh instance. Nothing that a plugin keeps in a static survives to the next item.
//! - Time and randomness are virtual, and there are no files, no network and no environment.
//! - The host retries, waits for rate limits and stores answers. A plugin needs no retry loop around [`llm`].
//! - A panic fails the item and no other; its message is kept with the item.
//!
//! Natively (`cargo test`) there is no host; [`testing`] stands in for its models.

mod export;
mod item;
mod manifest;
mod outcome;

pub mod bindings;
pub mod llm;
pub mod log;
pub mod template;
pub mod testing;
pub mod text;

pub use item::{Blob, Budget, Context, Item};
pub use manifest::Manifest;
pub use outcome::{Emission, Failure, Outcome};

#[doc(hidden)]
pub use export::{describe as __describe, process as __process};
