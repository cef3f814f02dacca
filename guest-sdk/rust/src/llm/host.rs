//! The one place that reaches the host; natively, the model of [`crate::testing`] instead.

#[cfg(target_family = "wasm")]
use crate::bindings::sandmill::plugin::llm as wit;

use super::{Error, TokenCount};
use crate::bindings::sandmill::plugin::llm::{Error as WitError, Request, Response};

pub(super) fn complete(request: &Request) -> Result<Response, Error> {
    #[cfg(target_family = "wasm")]
    let result = wit::complete(request);
    #[cfg(not(target_family = "wasm"))]
    let result = crate::testing::complete(request);
    result.map_err(Error::from_wit)
}

pub(super) fn complete_many(requests: &[Request]) -> Result<Vec<Result<Response, WitError>>, Error> {
    #[cfg(target_family = "wasm")]
    let result = wit::complete_many(requests);
    #[cfg(not(target_family = "wasm"))]
    let result = Ok(requests.iter().map(crate::testing::complete).collect());
    result.map_err(Error::from_wit)
}

/// Natively an estimate of four bytes a token, and the window that the test says.
pub(super) fn count_tokens(request: &Request) -> Result<TokenCount, Error> {
    #[cfg(target_family = "wasm")]
    let result = wit::count_tokens(request);
    #[cfg(not(target_family = "wasm"))]
    let result = Ok(TokenCount {
        tokens: text_bytes(request).div_ceil(4),
        window: crate::testing::window(),
        exact: false,
        extra: Vec::new(),
    });
    result.map_err(Error::from_wit)
}

#[cfg(not(target_family = "wasm"))]
fn text_bytes(request: &Request) -> u64 {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.map(|part| if let super::Part::Text(text) = part { text.len() as u64 } else { 0 }).sum()
}
