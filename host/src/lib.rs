//! Sandmill: batches of items through a WebAssembly component, finished or failed cleanly.
//!
//! The modules stand in ranks, lowest first; each imports lower ranks only (`ARCHITECTURE.md`, enforced by
//! `tests/tidy.rs`).

pub mod alert;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod confined;
pub mod dashboard;
pub mod domain;
pub mod failpoint;
pub mod heavy;
pub mod input;
pub mod kit;
pub mod metrics;
pub mod monitor;
pub mod output;
pub mod progress;
pub mod provider;
pub mod registry;
pub mod report;
pub mod resilience;
pub mod results;
pub mod run;
pub mod sandbox;
pub mod schema;
pub mod store;
pub mod telemetry;
pub mod web;
