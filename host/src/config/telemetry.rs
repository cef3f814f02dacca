//! `[telemetry]`: traces and figures, by OTLP.

use serde::Deserialize;
use std::collections::BTreeMap;

/// `[telemetry]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// The address of a collector; `env`: as OpenTelemetry's own variables say; `off`.
    pub otlp: Option<String>,
    /// The share of items that are traced, from 0 to 1.
    pub sample: Option<f64>,
    /// Sent with every request.
    pub headers: BTreeMap<String, String>,
}
