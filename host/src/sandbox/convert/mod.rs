//! Between the WIT's types and the host's. What comes from a guest is checked here, once; behind this it is trusted.

mod answer;
mod json;
mod manifest;
mod outcome;
mod pairs;
mod request;

pub(super) use answer::{completion_to_wit, error_to_wit, token_count_to_wit};
pub(super) use manifest::manifest_from_wit;
pub(super) use outcome::{context_to_wit, item_to_wit, outcome_bytes, verdict_from_wit};
pub(super) use request::{find_blob, request_from_wit};

use super::bindings::v1_0::exports::sandmill::plugin::handler as out;
use super::bindings::v1_0::sandmill::plugin::{llm as wl, types as wt};
use super::sound;

/// Bounds of short texts that a plugin may hand over, in bytes: names and codes, messages, schemas and details.
const NAME_BYTES_MAX: usize = 200;
const MESSAGE_BYTES_MAX: usize = 4_000;
const JSON_BYTES_MAX: usize = 1 << 20;
