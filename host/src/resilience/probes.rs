//! Whether a failed probe costs its call an attempt.
//!
//! A probe stands in for everybody, so that its failure says nothing about what it asks, and costs nothing. But where a call
//! fails always in the same way, it is the call: it would probe, hold up all others and never come to an end. One call cannot
//! tell that from an outage. Two things can: that others were answered since it first failed so, and that it has had its
//! share of free probes.

use crate::domain::ErrorClass;
use crate::provider::ProviderError;

/// Probes of one call that may fail in the same way before they count, where nobody else was answered.
const FREE_MAX: u32 = 3;

/// What is known of one call on one route.
#[derive(Debug, Default)]
pub(super) struct Probes {
    last: Option<Failure>,
    free: u32,
}

#[derive(Debug)]
struct Failure {
    class: ErrorClass,
    status: Option<u16>,
    code: String,
    /// How many calls the route had answered when it came first.
    answered: u64,
}

/// What a failure says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// The provider: it costs no attempt.
    Provider,
    /// The call itself, which fails always.
    Call,
    /// What a failure of no probe says is for the class to tell.
    Either,
}

impl Probes {
    /// A try of the call failed; the route has answered so many calls by now.
    pub(super) fn failed(&mut self, error: &ProviderError, was_probe: bool, answered: u64) -> About {
        let is_same =
            |last: &&Failure| (last.class, last.status) == (error.class, error.status) && last.code == error.code;
        let Some(first) = self.last.as_ref().filter(is_same).map(|last| last.answered) else {
            let (class, status, code) = (error.class, error.status, error.code.clone());
            self.last = Some(Failure { class, status, code, answered });
            self.free = u32::from(was_probe);
            return if was_probe && may_be_the_providers(error.class) { About::Provider } else { About::Either };
        };
        if !was_probe || !may_be_the_providers(error.class) {
            return About::Either;
        }
        let may_be_the_calls = match error.class {
            ErrorClass::ServerError => true,
            // A connection that is made, and then breaks or stays silent.
            ErrorClass::Timeout | ErrorClass::Connection => error.code != "connect_failed" && answered > first,
            _ => false,
        };
        if may_be_the_calls && (answered > first || self.free >= FREE_MAX) {
            return About::Call;
        }
        self.free += 1;
        About::Provider
    }
}

/// What an open breaker waits out. All else is an answer to the call, probe or not.
pub(super) const fn may_be_the_providers(class: ErrorClass) -> bool {
    match class {
        ErrorClass::RateLimited
        | ErrorClass::Overloaded
        | ErrorClass::Timeout
        | ErrorClass::Connection
        | ErrorClass::ServerError => true,
        ErrorClass::Garbage
        | ErrorClass::ContextOverflow
        | ErrorClass::MaxOutputTooLarge
        | ErrorClass::RequestTooLarge
        | ErrorClass::BadRequest
        | ErrorClass::Refused
        | ErrorClass::Authentication
        | ErrorClass::Permission
        | ErrorClass::QuotaExhausted
        | ErrorClass::ModelUnknown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(class: ErrorClass, code: &str) -> ProviderError {
        ProviderError { status: Some(500), code: code.into(), ..ProviderError::new(class, "m") }
    }

    fn said(class: ErrorClass, answered: &[u64]) -> Vec<About> {
        let mut probes = Probes::default();
        answered.iter().map(|answered| probes.failed(&error(class, "x"), true, *answered)).collect()
    }

    #[test]
    fn a_failure_that_stays_the_same_while_others_are_answered_is_the_calls_own() {
        let expected = [About::Provider, About::Provider, About::Call];
        assert_eq!(said(ErrorClass::ServerError, &[7, 7, 8]), expected);
        assert_eq!(said(ErrorClass::Timeout, &[7, 7, 8]), expected);
        assert_eq!(said(ErrorClass::Overloaded, &[7, 7, 8]), [About::Provider; 3]);
    }

    #[test]
    fn without_any_other_answer_some_probes_are_free() {
        use About::{Call, Provider};
        assert_eq!(said(ErrorClass::ServerError, &[0; 5]), [Provider, Provider, Provider, Call, Call]);
        assert_eq!(said(ErrorClass::Connection, &[0; 5]), [Provider; 5]);
    }

    #[test]
    fn another_failure_begins_anew_and_an_answer_of_another_kind_is_none_of_the_providers() {
        let mut probes = Probes::default();
        for code in ["a", "b", "a", "b", "a", "b"] {
            assert_eq!(probes.failed(&error(ErrorClass::ServerError, code), true, 0), About::Provider);
        }
        assert_eq!(probes.failed(&error(ErrorClass::Garbage, "c"), true, 0), About::Either);
        assert_eq!(probes.failed(&error(ErrorClass::ServerError, "d"), false, 0), About::Either);
    }

    proptest! {
        #[test]
        fn whoever_fails_always_in_the_same_way_comes_to_an_end(answered in prop::collection::vec(0_u64..3, 10)) {
            let mut total = 0;
            let running: Vec<u64> = answered.iter().map(|more| { total += more; total }).collect();
            let said = said(ErrorClass::ServerError, &running);
            let free = said.iter().filter(|about| **about != About::Call).count();
            prop_assert!(free <= FREE_MAX as usize);
        }
    }
}
