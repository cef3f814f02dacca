//! The mock's dice: what happens to a try follows from the seed, the request and the number of the try alone.

use super::faults::Faults;
use super::prompt::Digest;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// So many requests in trouble are remembered; beyond, all are forgotten, and their dice start again.
const REMEMBERED_MAX: usize = 1_000_000;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    RateLimit,
    Overloaded,
    ServerError,
    Timeout,
    Garbage,
    Connection,
    /// From here on: not drawn, but deserved.
    Key,
    Model,
    Context,
    MaxOutput,
    Quota,
    /// Beyond a limit by the minute.
    Limit,
    /// Nobody is at home.
    Down,
    BadRequest,
}

impl Fault {
    pub(super) const DRAWN: [Self; 6] =
        [Self::RateLimit, Self::Overloaded, Self::ServerError, Self::Timeout, Self::Garbage, Self::Connection];

    /// As it is written in settings and in the server's log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::Overloaded => "overloaded",
            Self::ServerError => "server_error",
            Self::Timeout => "timeout",
            Self::Garbage => "garbage",
            Self::Connection => "connection",
            Self::Key => "key",
            Self::Model => "model",
            Self::Context => "context",
            Self::MaxOutput => "max_output",
            Self::Quota => "quota",
            Self::Limit => "limit",
            Self::Down => "down",
            Self::BadRequest => "bad_request",
        }
    }
}

/// Draws faults, and remembers how many hit a request in a row. What succeeds is forgotten, so memory is bounded by the
/// requests that are in trouble.
#[derive(Debug)]
pub(super) struct Dice {
    seed: u64,
    in_trouble: Mutex<HashMap<Digest, u32>>,
}

/// One try of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Throw {
    pub(super) fault: Option<Fault>,
    /// Counts the faults that hit this request before, from 0.
    pub(super) nth: u32,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, in_trouble: Mutex::default() }
    }

    pub(super) fn throw(&self, faults: &Faults, digest: Digest) -> Throw {
        if faults.rates.iter().all(|(_, rate)| *rate <= 0.0) {
            return Throw { fault: None, nth: 0 };
        }
        let mut in_trouble = self.in_trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if in_trouble.len() >= REMEMBERED_MAX {
            in_trouble.clear();
        }
        match in_trouble.entry(digest) {
            Entry::Vacant(entry) => {
                let fault = self.draw(faults, digest, 0);
                if fault.is_some() {
                    entry.insert(1);
                }
                Throw { fault, nth: 0 }
            }
            Entry::Occupied(mut entry) => {
                let nth = *entry.get();
                let fault = self.draw(faults, digest, nth);
                if fault.is_some() {
                    entry.insert(nth + 1);
                } else {
                    entry.remove();
                }
                Throw { fault, nth }
            }
        }
    }

    fn draw(&self, faults: &Faults, digest: Digest, nth: u32) -> Option<Fault> {
        if nth >= faults.in_a_row {
            return None;
        }
        let point = self.point(digest, nth, b"fault");
        let mut edge = 0.0;
        faults.rates.iter().find_map(|(fault, rate)| {
            edge += rate;
            (point < edge).then_some(*fault)
        })
    }

    pub(super) fn jitter(&self, most: Duration, digest: Digest, nth: u32) -> Duration {
        if most.is_zero() { most } else { most.mul_f64(self.point(digest, nth, b"jitter")) }
    }

    /// From 0 to 1, without 1.
    fn point(&self, digest: Digest, nth: u32, purpose: &[u8]) -> f64 {
        let mut hasher = Sha256::new();
        hasher.update(self.seed.to_le_bytes());
        hasher.update(digest.0);
        hasher.update(nth.to_le_bytes());
        hasher.update(purpose);
        let hash = hasher.finalize();
        f64::from(u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]])) / (f64::from(u32::MAX) + 1.0)
    }
}
