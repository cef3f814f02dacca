//! What a guest may import from Sandmill: one file an interface. These convert, and decide nothing.

mod blobs;
mod llm;
mod log;

pub(super) use llm::TOO_MANY_AT_ONCE;

use super::bindings::v1_0::sandmill::plugin::types;
use super::state::GuestState;

impl types::Host for GuestState {}
