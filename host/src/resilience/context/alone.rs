//! Counting and cutting by themselves, outside of any call: for whoever measures what they take.

use super::count::{Counter, Counting};
use super::fit::{ContextSettings, Fitted, OnOverflow, fit};
use super::window::{KnownWindow, Window};
use crate::domain::{Cut, Request};

/// The tokens of a request in a model's encoding, counted to its end. Blocks for as long as that takes.
pub fn count_alone(model: &str, request: &Request) -> u64 {
    Counter::of_model(model, Counting::default()).request(request)
}

/// A request as it would be sent to a model that takes `input_max` tokens, and how it was cut. `None`: it fits as it is, or cannot be cut so far.
/// Blocks for as long as that takes.
pub fn cut_alone(model: &str, request: &Request, input_max: u64) -> Option<(Request, Cut)> {
    let known = KnownWindow { context: Some(u64::MAX), max_input: Some(input_max), max_output: None };
    let settings = ContextSettings { on_overflow: OnOverflow::Truncate, ..ContextSettings::default() };
    let counter = Counter::of_model(model, Counting::default());
    match fit(request, &counter, Window::new(known, settings.assumed), &settings) {
        Fitted::Changed { request, cut } => Some((*request, cut?)),
        Fitted::Whole | Fitted::TooLong { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::hash::tests::request;

    #[test]
    fn what_is_cut_alone_has_as_many_tokens_as_are_taken_at_most() {
        let long = request(&"It was the best of times. ".repeat(5_000));
        let (sent, cut) = cut_alone("gpt-4o", &long, 1_000).unwrap();
        assert_eq!(cut.tokens_after, count_alone("gpt-4o", &sent));
        assert!((900..=1_000).contains(&cut.tokens_after) && cut.tokens_before > 1_000, "{cut:?}");
        assert_eq!(cut_alone("gpt-4o", &request("short"), 1_000), None);
    }
}
