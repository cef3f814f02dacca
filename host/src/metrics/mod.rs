//! Figures of a run for Prometheus: counted from its events, read where it stands, served over HTTP.
//!
//! `docs/metrics.md` defines every name. Nothing here is looked at by the run itself.

mod meters;
mod serve;

pub use meters::Meters;
pub use serve::Server;
