//! What the fuzz targets reach of this module: what a guest hands over, and the bytes of a component. Part of no build but theirs
//! (`tests/fuzz`).

pub use super::bindings::v1_0::exports::sandmill::plugin::handler;
pub use super::bindings::v1_0::sandmill::plugin::{llm, types};

use super::convert;
use super::{Limits, Manifest};
use crate::domain::{Blob, Failure, LlmError, Request, Verdict};

/// What `process` returned, as the host takes it; the error fails the item.
pub fn verdict(returned: Result<handler::Outcome, handler::Failure>, limits: &Limits) -> Result<Verdict, String> {
    convert::verdict_from_wit(returned, limits).map_err(|problem| Failure::from(problem).message)
}

pub fn request(asked: llm::Request, blobs: &[Blob]) -> Result<Request, LlmError> {
    convert::request_from_wit(asked, blobs)
}

pub fn manifest(described: handler::Manifest) -> Result<Manifest, String> {
    convert::manifest_from_wit(described)
}
