//! What the fuzz targets reach of this module: counting and cutting texts, and telling requests apart. Part of no build but theirs
//! (`tests/fuzz`).

use super::context::{Counter, Counting};
use crate::domain::Request;

/// Tokens of a text in a model's encoding: at most so many, and the text cut to `tokens` at its end and in its middle.
pub fn counted(model: &str, text: &str, tokens: u64) -> (u64, String, String) {
    let counter = Counter::of_model(model, Counting::default());
    (counter.most(text), counter.without_end(text, tokens), counter.without_middle(text, tokens))
}

/// No fewer tokens than a request has.
pub fn tokens_of(model: &str, request: &Request) -> u64 {
    Counter::of_model(model, Counting::default()).request(request)
}

/// The digest of what is asked.
pub fn request_hash(request: &Request) -> [u8; 32] {
    super::hash::request_hash(&[("m", &[])], request)
}
