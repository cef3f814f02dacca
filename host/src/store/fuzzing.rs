//! What the fuzz targets reach of this module: the stored forms. Part of no build but theirs (`tests/fuzz`).

use super::{StoreError, codec};
use crate::domain::{Completion, Emission};

pub fn encode_completion(completion: &Completion) -> Result<String, StoreError> {
    codec::encode_completion(completion)
}

pub fn decode_completion(text: &str) -> Result<Completion, StoreError> {
    codec::decode_completion(text)
}

pub fn encode_emissions(emissions: &[Emission]) -> Result<String, StoreError> {
    codec::encode_emissions(emissions)
}

pub fn decode_emissions(text: &str) -> Result<Vec<Emission>, StoreError> {
    codec::decode_emissions(text)
}
