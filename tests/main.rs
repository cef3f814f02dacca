//! End to end: the real binary, real plugins, a real HTTP server.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends so")]

mod alerts;
mod bad_input;
mod batch;
mod cases;
mod check_plugin;
mod compile;
mod conformance;
mod contract;
mod crash;
mod crossings;
mod dashboard;
mod debug;
mod docs;
mod doctor;
mod failures;
mod grants;
mod hostile;
mod input;
mod jobs;
mod metrics;
mod money;
mod new_plugin;
mod plugins;
mod provider;
mod report;
mod results;
mod resume;
mod reuse;
mod routes;
mod sandbox;
mod screen;
mod settings;
mod shell;
mod support;
mod suspend;
mod telemetry;
mod trust;
