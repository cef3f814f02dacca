//! What can go wrong with a provider call, split by what is done next.
//!
//! Every match on a class is exhaustive: a new class does not compile until somebody has decided what it means.

use std::fmt;

/// Why a provider call gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorClass {
    /// Too many requests or tokens for now.
    RateLimited,
    /// The provider is out of capacity (529, or a 503 that says so).
    Overloaded,
    /// No complete answer within the time that the route allows.
    Timeout,
    /// No connection, or one that broke.
    Connection,
    /// The provider's own fault (5xx).
    ServerError,
    /// An answer came that is none: not JSON, cut off, of another shape, or not the JSON that was asked for.
    Garbage,
    /// The request does not fit the model's context.
    ContextOverflow,
    /// More output was asked for than the model, or what is left of its context, allows.
    MaxOutputTooLarge,
    /// The request alone is larger than a whole minute's allowance, or than the provider takes at all.
    RequestTooLarge,
    /// The provider calls the request wrong.
    BadRequest,
    /// The provider, or the model, refuses the content.
    Refused,
    /// The key is missing, wrong or expired.
    Authentication,
    /// The key is right, and may not do this.
    Permission,
    /// Credit or quota used up, which no waiting of ours brings back.
    QuotaExhausted,
    /// The provider knows no such model, or no such address.
    ModelUnknown,
}

/// What is done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The same request again, after a wait.
    Retry,
    /// A smaller request.
    FixRequest,
    /// Nothing: this item cannot succeed.
    FailItem,
    /// The job cannot go on until a person has acted.
    ParkJob,
}

impl ErrorClass {
    pub const ALL: [Self; 15] = [
        Self::RateLimited,
        Self::Overloaded,
        Self::Timeout,
        Self::Connection,
        Self::ServerError,
        Self::Garbage,
        Self::ContextOverflow,
        Self::MaxOutputTooLarge,
        Self::RequestTooLarge,
        Self::BadRequest,
        Self::Refused,
        Self::Authentication,
        Self::Permission,
        Self::QuotaExhausted,
        Self::ModelUnknown,
    ];

    pub const fn action(self) -> Action {
        match self {
            Self::RateLimited
            | Self::Overloaded
            | Self::Timeout
            | Self::Connection
            | Self::ServerError
            | Self::Garbage => Action::Retry,
            Self::ContextOverflow | Self::MaxOutputTooLarge => Action::FixRequest,
            Self::RequestTooLarge | Self::BadRequest | Self::Refused => Action::FailItem,
            Self::Authentication | Self::Permission | Self::QuotaExhausted | Self::ModelUnknown => Action::ParkJob,
        }
    }

    /// The name in stores, summaries and error messages; never changes once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::ServerError => "server_error",
            Self::Garbage => "garbage",
            Self::ContextOverflow => "context_overflow",
            Self::MaxOutputTooLarge => "max_output_too_large",
            Self::RequestTooLarge => "request_too_large",
            Self::BadRequest => "bad_request",
            Self::Refused => "refused",
            Self::Authentication => "authentication",
            Self::Permission => "permission",
            Self::QuotaExhausted => "quota_exhausted",
            Self::ModelUnknown => "model_unknown",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_found_again_by_its_name() {
        for class in ErrorClass::ALL {
            assert_eq!(ErrorClass::from_name(class.name()), Some(class));
        }
        assert_eq!(ErrorClass::from_name("rate limited"), None);
    }
}
