//! What a guest may import from Sandmill: one file an interface. These convert, and decide nothing.

mod blobs;
mod llm;
mod log;

use super::bindings::v0_1::sandmill::plugin::types;
use super::state::GuestState;

impl types::Host for GuestState {}
