//! What a model takes, and what a refusal says of it.
//!
//! Numbers in refusals can lie, and providers count otherwise than we do. So a number is held against our own count of what was
//! sent, and numbers by which the same request would pass say nothing: then it is searched by halves.

use crate::provider::Overflow;

/// A told limit counts if it is no less than this share of our own count: vLLM once told of 3 tokens.
const PLAUSIBLE_SHARE: u64 = 20;
/// No context is believed to be smaller than this, in tokens.
const CONTEXT_MIN: u64 = 256;
/// Nor is the search by halves taken further.
const HALF_MIN: u64 = 64;

/// What one source says of a model, in tokens; `None`: nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KnownWindow {
    /// Input and output together.
    pub context: Option<u64>,
    /// Of the input alone, where it may not fill the context.
    pub max_input: Option<u64>,
    pub max_output: Option<u64>,
}

impl KnownWindow {
    /// What is said here, and `below` for what is not.
    #[must_use]
    pub fn or(self, below: Self) -> Self {
        Self {
            context: self.context.or(below.context),
            max_input: self.max_input.or(below.max_input),
            max_output: self.max_output.or(below.max_output),
        }
    }

    /// Where both say something, the less.
    pub(crate) fn least(self, other: Self) -> Self {
        let least = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
        Self {
            context: least(self.context, other.context),
            max_input: least(self.max_input, other.max_input),
            max_output: least(self.max_output, other.max_output),
        }
    }
}

/// What so many tokens of our count are in the provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weight {
    theirs: u64,
    ours: u64,
}

impl Default for Weight {
    fn default() -> Self {
        Self { theirs: 1, ours: 1 }
    }
}

impl Weight {
    pub(crate) fn new(theirs: u64, ours: u64) -> Self {
        Self { theirs: theirs.max(1), ours: ours.max(1) }
    }

    pub(crate) fn theirs(self, ours: u64) -> u64 {
        scaled(ours, self.theirs, self.ours, u128::div_ceil)
    }

    pub(crate) fn ours(self, theirs: u64) -> u64 {
        scaled(theirs, self.ours, self.theirs, |product, divisor| product / divisor)
    }

    /// The one by which a token of ours is more of theirs.
    pub(crate) fn heavier(self, other: Self) -> Self {
        let is_heavier =
            u128::from(other.theirs) * u128::from(self.ours) > u128::from(self.theirs) * u128::from(other.ours);
        if is_heavier { other } else { self }
    }
}

fn scaled(count: u64, by: u64, of: u64, divide: impl Fn(u128, u128) -> u128) -> u64 {
    u64::try_from(divide(u128::from(count) * u128::from(by), u128::from(of.max(1)))).unwrap_or(u64::MAX)
}

/// What a request is fitted to, in tokens as the provider counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Input and output together.
    pub(crate) context: u64,
    pub(crate) max_input: Option<u64>,
    pub(crate) max_output: Option<u64>,
    /// How the provider counts this request.
    pub(crate) weight: Weight,
    /// The same for a request that has to be cut: what fits by our own count is sent whole.
    pub(crate) weight_of_cuts: Weight,
}

impl Window {
    pub(crate) fn new(known: KnownWindow, assumed: u64) -> Self {
        Self {
            context: known.context.unwrap_or(assumed),
            max_input: known.max_input,
            max_output: known.max_output,
            weight: Weight::default(),
            weight_of_cuts: Weight::default(),
        }
    }

    /// What a guest is told of it that wants so much output: what is left beside that may be input.
    pub(crate) fn beside(&self, output: u64) -> u64 {
        self.context.min(self.max_input.map_or(u64::MAX, |most| most.saturating_add(output)))
    }

    fn takes(&self, sent: Sizes) -> bool {
        let input = self.weight.theirs(sent.input);
        let fits = input.saturating_add(sent.output.unwrap_or(0)) <= self.context;
        fits && self.max_input.is_none_or(|most| input <= most)
    }
}

/// A request that was refused: our own count of its input, and the output that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) input: u64,
    pub(crate) output: Option<u64>,
}

/// What to try after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Narrowed {
    /// For this request.
    pub(crate) window: Window,
    /// For all that follow.
    pub(crate) lesson: KnownWindow,
    /// The lesson was not told, but guessed: it counts if the request passes by it.
    pub(crate) is_trial: bool,
}

/// The next window after `used`, in which what was sent does not fit. `is_of_output`: the refusal complains of the output that
/// was asked for. `None`: it was not for its size, or cannot be made smaller.
pub(crate) fn narrowed(used: Window, told: Overflow, sent: Sizes, is_of_output: bool) -> Option<Narrowed> {
    let output = sent.output.unwrap_or(0);
    let by_told_output = told
        .output_limit
        .filter(|most| *most > 0 && *most < output && used.max_output.is_none_or(|known| *most < known))
        .map(|most| Narrowed {
            window: Window { max_output: Some(most), ..used },
            lesson: KnownWindow { max_output: Some(most), ..KnownWindow::default() },
            is_trial: false,
        });
    by_told_output.or_else(|| by_numbers(used, told, sent)).or_else(|| by_halves(used, sent, is_of_output))
}

fn by_numbers(used: Window, told: Overflow, sent: Sizes) -> Option<Narrowed> {
    let wanted = sent.input.saturating_add(sent.output.unwrap_or(0));
    let is_plausible = |limit: &u64| *limit >= CONTEXT_MIN.max(wanted / PLAUSIBLE_SHARE) && *limit < used.context;
    let limit = told.limit.filter(is_plausible);
    let theirs = input_alone(told, sent).filter(|theirs| {
        (sent.input / PLAUSIBLE_SHARE..=sent.input.saturating_mul(PLAUSIBLE_SHARE)).contains(theirs) && *theirs > 0
    });
    let weight = theirs.map_or(used.weight, |theirs| Weight::new(theirs, sent.input));
    let window = Window { context: limit.unwrap_or(used.context), weight, ..used };
    let lesson = KnownWindow { context: limit, ..KnownWindow::default() };
    (!window.takes(sent)).then_some(Narrowed { window, lesson, is_trial: false })
}

/// What the provider counted of the input. Where it tells a sum, the output is taken off.
fn input_alone(told: Overflow, sent: Sizes) -> Option<u64> {
    let (theirs, output) = (told.input?, sent.output.unwrap_or(0));
    let is_sum = told.output.is_none() && theirs.abs_diff(sent.input.saturating_add(output)) < output / 2;
    Some(if is_sum { theirs.saturating_sub(output) } else { theirs })
}

/// Half of what is the larger, input or output.
fn by_halves(used: Window, sent: Sizes, is_of_output: bool) -> Option<Narrowed> {
    let input = used.weight.theirs(sent.input);
    let output = sent.output.filter(|output| *output > 1 && (is_of_output || *output > input));
    let lesson = match output {
        Some(output) => KnownWindow { max_output: Some(output / 2), ..KnownWindow::default() },
        None if input / 2 >= HALF_MIN => KnownWindow { max_input: Some(input / 2), ..KnownWindow::default() },
        None => return None,
    };
    let KnownWindow { max_input, max_output, .. } = lesson;
    let window = Window { max_input: max_input.or(used.max_input), max_output: max_output.or(used.max_output), ..used };
    Some(Narrowed { window, lesson, is_trial: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(context: u64) -> Window {
        Window::new(KnownWindow::default(), context)
    }

    fn told(limit: Option<u64>, input: Option<u64>, output: Option<u64>) -> Overflow {
        Overflow { limit, input, output, output_limit: None }
    }

    const fn sent(input: u64, output: u64) -> Sizes {
        Sizes { input, output: Some(output) }
    }

    #[test]
    fn a_smaller_window_that_is_told_holds_for_all_that_follow() {
        let next = narrowed(window(16_000), told(Some(8_192), None, None), sent(9_000, 1_000), false).unwrap();
        assert_eq!((next.window.context, next.lesson.context, next.is_trial), (8_192, Some(8_192), false));
    }

    #[test]
    fn a_window_that_is_confirmed_stays_and_only_this_request_is_counted_anew() {
        let next =
            narrowed(window(200_000), told(Some(200_000), Some(220_000), None), sent(180_000, 4_096), false).unwrap();
        assert_eq!((next.window.context, next.lesson), (200_000, KnownWindow::default()));
        assert_eq!(next.window.weight.theirs(180_000), 220_000);
    }

    #[test]
    fn input_that_fits_leaves_the_output_what_is_left() {
        // Anthropic: 195000 + 8192 > 200000.
        let overflow = told(Some(200_000), Some(195_000), Some(8_192));
        let next = narrowed(window(200_000), overflow, sent(190_000, 8_192), false).unwrap();
        assert_eq!(next.window.context - next.window.weight.theirs(190_000), 5_000);
        assert_eq!(next.lesson, KnownWindow::default());
    }

    #[test]
    fn a_sum_is_told_from_the_input_alone() {
        let next =
            narrowed(window(65_536), told(Some(65_536), Some(70_000), None), sent(64_000, 5_000), false).unwrap();
        assert_eq!(next.window.weight.theirs(64_000), 65_000);
    }

    #[test]
    fn numbers_that_cannot_be_are_passed_over_and_the_larger_part_is_halved() {
        for overflow in [
            told(Some(3), None, None),
            told(Some(1_000_000), None, None),
            told(Some(16_000), Some(9_000), None),
            told(None, Some(3), None),
            Overflow::default(),
        ] {
            let next = narrowed(window(16_000), overflow, sent(9_000, 1_000), false).unwrap();
            assert_eq!((next.window.max_input, next.window.context, next.is_trial), (Some(4_500), 16_000, true));
        }
        let next = narrowed(window(16_000), Overflow::default(), sent(100, 12_000), false).unwrap();
        assert_eq!((next.window.max_output, next.window.max_input), (Some(6_000), None));
        assert_eq!(narrowed(window(16_000), Overflow::default(), sent(100, 1), false), None);
    }

    #[test]
    fn the_most_that_a_model_writes_is_told() {
        let overflow = Overflow { output_limit: Some(4_096), ..Overflow::default() };
        let next = narrowed(window(128_000), overflow, sent(100, 200_000), true).unwrap();
        assert_eq!((next.window.context, next.window.max_output), (128_000, Some(4_096)));
        assert_eq!(next.lesson.max_output, Some(4_096));
    }

    proptest! {
        #[test]
        fn what_was_refused_never_fits_the_next_window(
            context in 256_u64..1_000_000, input in 1_u64..1_000_000, output: Option<u32>,
            limit: Option<u64>, theirs: Option<u64>, most: Option<u64>, is_of_output: bool
        ) {
            let sent = Sizes { input, output: output.map(u64::from) };
            let told = Overflow { limit, input: theirs, output: None, output_limit: most };
            if let Some(next) = narrowed(window(context), told, sent, is_of_output) {
                let is_lowered = next.window.max_output.is_some_and(|most| sent.output.is_some_and(|output| most < output));
                prop_assert!(!next.window.takes(sent) || is_lowered, "{next:?}");
                prop_assert!(next.window.context >= CONTEXT_MIN && next.window.max_output != Some(0));
            }
        }

        #[test]
        fn weighing_there_and_back_never_makes_room(theirs in 1_u64..1_000_000, ours in 1_u64..1_000_000, count in 0_u64..10_000_000) {
            let weight = Weight::new(theirs, ours);
            prop_assert!(weight.theirs(weight.ours(count)) <= count);
            prop_assert!(weight.ours(weight.theirs(count)) >= count);
            prop_assert_eq!(weight.theirs(ours), theirs);
        }
    }
}
