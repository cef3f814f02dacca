//! End to end: the real binary, real plugins, a real HTTP server.

mod bad_input;
mod batch;
mod crash;
mod sandbox;
mod support;
