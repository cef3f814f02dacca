//! What providers tell of their limits, beside an answer or an error.

use std::time::Duration;

/// Limits by the minute, as headers tell them; what is not told is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    pub requests: Allowance,
    /// Read and written together, where the provider counts them so.
    pub tokens: Allowance,
    pub input_tokens: Allowance,
    pub output_tokens: Allowance,
}

/// One limit. Values that cannot be (negative, zero as a limit) are left out by whoever reads them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// In a minute.
    pub limit: Option<u64>,
    pub remaining: Option<u64>,
    /// Until all of it is there again.
    pub reset: Option<Duration>,
}

/// The numbers in an error about the size of a request, in tokens. They can lie: whoever uses them checks them against a
/// count of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overflow {
    /// What the model takes in all.
    pub limit: Option<u64>,
    /// What the request has, the output that was asked for not counted in where the two are told apart.
    pub input: Option<u64>,
    /// The output that was asked for, where it was counted in.
    pub output: Option<u64>,
    /// The most that the model writes, whatever it reads.
    pub output_limit: Option<u64>,
}

/// How large a request is as it is sent, body and all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measure {
    pub body_bytes: u64,
    /// The most tokens that may be written, all answers together, where the body says so: operators may have set another
    /// bound than was asked for.
    pub output_tokens: Option<u64>,
}

/// What a provider tells of one of its models, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelFacts {
    /// Input and output together.
    pub context: Option<u64>,
    pub max_output: Option<u64>,
}
