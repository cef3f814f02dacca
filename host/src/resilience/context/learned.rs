//! What a run finds out about a model's window: from what the provider tells of it, and from requests that did not fit.

use super::fit::Window;
use crate::provider::{ModelFacts, Overflow};
use std::sync::{Mutex, PoisonError};

/// A told limit counts if it lies between this share of our own count and the count itself: vLLM once told of 3 tokens.
const PLAUSIBLE_SHARE: u64 = 20;
/// No window is made smaller than this, in tokens.
const CONTEXT_MIN: u64 = 256;

/// The window of one route; only ever made smaller.
#[derive(Debug)]
pub(crate) struct LearnedWindow {
    window: Mutex<Option<Window>>,
}

impl LearnedWindow {
    /// `None`: nothing is known yet.
    pub(crate) fn new(known: Option<Window>) -> Self {
        Self { window: Mutex::new(known) }
    }

    pub(crate) fn get(&self) -> Option<Window> {
        *self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the provider tells of the model; what the operator set goes before it.
    pub(crate) fn told(&self, facts: ModelFacts) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if let (None, Some(context)) = (*window, facts.context) {
            *window = Some(Window { context, max_output: facts.max_output });
        }
    }

    /// A request of about `input` tokens that asked for `output` did not fit `used`. What to try next; `None`: it was not for its
    /// size, or cannot be made smaller.
    pub(crate) fn overflowed(&self, used: Window, told: Overflow, input: u64, output: u64) -> Option<Window> {
        let next = shrink(used, told, input, output)?;
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let smaller = window.is_none_or(|known| {
            next.context < known.context
                || next.max_output.is_some_and(|most| known.max_output.is_none_or(|m| most < m))
        });
        if smaller {
            *window = Some(next);
        }
        Some(next)
    }
}

fn shrink(used: Window, told: Overflow, input: u64, output: u64) -> Option<Window> {
    if let Some(most) = told.output_limit
        && used.max_output.is_none_or(|known| most < known)
        && most < output
        && most > 0
    {
        return Some(Window { max_output: Some(most), ..used });
    }
    let wanted = input.saturating_add(output);
    let is_plausible = |limit: u64| limit < used.context && limit >= wanted / PLAUSIBLE_SHARE && limit >= CONTEXT_MIN;
    let context = match told.limit.filter(|limit| is_plausible(*limit)) {
        Some(limit) => match told.input {
            // Where the provider counts more than we do, as much more is left out.
            Some(theirs) if theirs > input && input > 0 => scaled(limit, input, theirs),
            Some(_) | None => limit,
        },
        None => used.context.min(wanted) * 3 / 4,
    };
    (context >= CONTEXT_MIN && context < used.context).then_some(Window { context, ..used })
}

fn scaled(limit: u64, ours: u64, theirs: u64) -> u64 {
    u64::try_from(u128::from(limit) * u128::from(ours) / u128::from(theirs)).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn window(context: u64) -> Window {
        Window { context, max_output: None }
    }

    fn told(limit: Option<u64>, input: Option<u64>, output: Option<u64>) -> Overflow {
        Overflow { limit, input, output: None, output_limit: output }
    }

    #[test]
    fn what_is_told_counts_if_it_can_be_and_else_it_is_searched_for() {
        let shrunk = |told| shrink(window(16_000), told, 9_000, 1_000).map(|window| window.context);
        assert_eq!(shrunk(told(Some(8_192), None, None)), Some(8_192));
        assert_eq!(shrunk(told(Some(8_000), Some(18_000), None)), Some(4_000));
        assert_eq!(shrunk(told(Some(3), None, None)), Some(7_500));
        assert_eq!(shrunk(told(Some(1_000_000), None, None)), Some(7_500));
        assert_eq!(shrunk(Overflow::default()), Some(7_500));
        let lowered = shrink(window(128_000), told(None, None, Some(4_096)), 100, 200_000).unwrap();
        assert_eq!((lowered.context, lowered.max_output), (128_000, Some(4_096)));
    }

    #[test]
    fn what_the_operator_set_is_not_overruled_by_what_is_told() {
        let learned = LearnedWindow::new(Some(window(1_000)));
        learned.told(ModelFacts { context: Some(9_000), max_output: None });
        assert_eq!(learned.get(), Some(window(1_000)));
    }

    proptest! {
        #[test]
        fn it_gets_smaller_with_each_refusal_and_comes_to_an_end(
            context in 1_u64..1_000_000, limit: Option<u64>, theirs: Option<u64>, output: Option<u64>
        ) {
            let mut current = window(context);
            for _ in 0..200 {
                let input = current.context.saturating_sub(500);
                let Some(next) = shrink(current, told(limit, theirs, output), input, 500) else { return Ok(()) };
                let is_smaller = next.context < current.context
                    || next.max_output.is_some_and(|most| current.max_output.is_none_or(|m| most < m));
                prop_assert!(is_smaller && next.context > 0 && next.max_output != Some(0));
                current = next;
            }
            prop_assert!(false, "it goes on for ever");
        }
    }
}
