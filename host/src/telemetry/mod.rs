//! Traces and figures of a run by OTLP, for whoever collects them: <https://opentelemetry.io/docs/specs/otlp/>.
//!
//! It only listens: spans come from `tracing`, figures from the run's events. Nothing of what was asked or answered leaves by it, and
//! neither a collector that is away nor one that hangs holds anything up. Must not know where it is configured.

mod client;
mod export;
mod links;
mod meters;
mod names;
mod queue;
mod sampler;
mod settings;

pub use export::{About, Telemetry};
pub use meters::RouteNames;
pub use settings::{BadSettings, Settings};
