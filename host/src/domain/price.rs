//! What tokens cost.

use super::Usage;

/// Prices in millionths of a dollar for a million tokens: $2.50 a million is 2,500,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    /// The part of the output that is reasoning.
    pub reasoning: u64,
}

/// What calls of a route cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prices {
    pub rates: Rates,
    /// With more input than so many tokens, all tokens cost this.
    pub long: Option<(u64, Rates)>,
}

const MILLION: u128 = 1_000_000;

impl Rates {
    /// What is not given costs as much as other input, and other output.
    pub fn new(input: u64, output: u64, cache_read: Option<u64>, cache_write: Option<u64>) -> Self {
        Self {
            input,
            output,
            cache_read: cache_read.unwrap_or(input),
            cache_write: cache_write.unwrap_or(input),
            reasoning: output,
        }
    }

    fn of(&self, usage: &Usage) -> u64 {
        // Parts are parts, whatever a provider says of them.
        let read = usage.cache_read_tokens.min(usage.input_tokens);
        let written = usage.cache_write_tokens.min(usage.input_tokens - read);
        let reasoning = usage.reasoning_tokens.min(usage.output_tokens);
        let parts = [
            (usage.input_tokens - read - written, self.input),
            (read, self.cache_read),
            (written, self.cache_write),
            (usage.output_tokens - reasoning, self.output),
            (reasoning, self.reasoning),
        ];
        // What does not fit is more than anybody pays.
        let total = parts.into_iter().fold(0_u128, |total, (tokens, rate)| {
            total.saturating_add(u128::from(tokens).saturating_mul(u128::from(rate)))
        });
        u64::try_from(total.div_ceil(MILLION)).unwrap_or(u64::MAX)
    }

    /// As if every token were of the dearest kind.
    fn dearest(&self) -> Self {
        let input = self.input.max(self.cache_read).max(self.cache_write);
        Self::new(input, self.output.max(self.reasoning), None, None)
    }
}

impl Prices {
    /// In millionths of a dollar, rounded up once.
    pub fn of(&self, usage: &Usage) -> u64 {
        match &self.long {
            Some((above, rates)) if usage.input_tokens > *above => rates.of(usage),
            Some(_) | None => self.rates.of(usage),
        }
    }

    /// The most that so many tokens can cost.
    pub fn at_most(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        let usage = Usage { input_tokens, output_tokens, ..Usage::default() };
        let most = Self { rates: self.rates.dearest(), long: self.long.map(|(above, rates)| (above, rates.dearest())) };
        most.of(&usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cached_tokens_are_priced_apart() {
        let prices = Prices { rates: Rates::new(2_500_000, 10_000_000, Some(1_250_000), None), long: None };
        let usage = Usage { input_tokens: 1_000, output_tokens: 100, cache_read_tokens: 400, ..Usage::default() };
        assert_eq!(prices.of(&usage), 600 * 5 / 2 + 400 * 5 / 4 + 100 * 10);
        assert_eq!(prices.of(&Usage { input_tokens: 1, ..Usage::default() }), 3, "rounded up");
    }

    proptest! {
        #[test]
        fn no_usage_costs_more_than_the_most(
            tokens in prop::array::uniform5(any::<u64>()),
            rates in prop::array::uniform5(0_u64..100_000_000),
            above in prop::option::of(any::<u64>()),
        ) {
            let [input, output, cache_read, cache_write, reasoning] = rates;
            let rates = Rates { input, output, cache_read, cache_write, reasoning };
            let prices = Prices { rates, long: above.map(|above| (above, rates)) };
            let usage = Usage {
                input_tokens: tokens[0],
                output_tokens: tokens[1],
                cache_read_tokens: tokens[2],
                cache_write_tokens: tokens[3],
                reasoning_tokens: tokens[4],
                ..Usage::default()
            };
            prop_assert!(prices.of(&usage) <= prices.at_most(tokens[0], tokens[1]));
        }
    }
}
