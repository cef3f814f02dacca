//! What tokens cost.

use super::Usage;

/// Prices in millionths of a dollar for a million tokens: $2.50 a million is 2,500,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prices {
    pub input: u64,
    /// Reasoning among it: no provider of the field bills it apart.
    pub output: u64,
    /// `None`: as `input`.
    pub cache_read: Option<u64>,
    /// `None`: as `input`.
    pub cache_write: Option<u64>,
}

const MILLION: u128 = 1_000_000;

impl Prices {
    /// In millionths of a dollar, rounded up.
    pub fn of(&self, usage: &Usage) -> u64 {
        let cache_read = usage.cache_read_tokens.min(usage.input_tokens);
        let cache_write = usage.cache_write_tokens.min(usage.input_tokens - cache_read);
        let fresh = usage.input_tokens - cache_read - cache_write;
        let parts = [
            (fresh, self.input),
            (cache_read, self.cache_read.unwrap_or(self.input)),
            (cache_write, self.cache_write.unwrap_or(self.input)),
            (usage.output_tokens, self.output),
        ];
        let sum: u128 = parts.into_iter().map(|(tokens, price)| u128::from(tokens) * u128::from(price)).sum();
        u64::try_from(sum.div_ceil(MILLION)).unwrap_or(u64::MAX)
    }

    /// The most that so many tokens can cost: none from a cache that is cheaper, all into one that is dearer.
    pub fn at_most(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        let dearest = [Some(self.input), self.cache_read, self.cache_write].into_iter().flatten().max().unwrap_or(0);
        let usage = Usage { input_tokens, output_tokens, ..Usage::default() };
        Self { input: dearest, cache_read: None, cache_write: None, ..*self }.of(&usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRICES: Prices =
        Prices { input: 2_500_000, output: 10_000_000, cache_read: Some(1_250_000), cache_write: None };

    #[test]
    fn cached_tokens_are_priced_apart() {
        let usage = Usage { input_tokens: 1_000, output_tokens: 100, cache_read_tokens: 400, ..Usage::default() };
        assert_eq!(PRICES.of(&usage), 600 * 5 / 2 + 400 * 5 / 4 + 100 * 10);
        assert_eq!(PRICES.of(&Usage { input_tokens: 1, ..Usage::default() }), 3, "rounded up");
    }

    proptest! {
        #[test]
        fn no_usage_costs_more_than_the_most(
            input: u64, output: u64, read: u64, write: u64, prices in prop::array::uniform4(0_u64..100_000_000)
        ) {
            let [a, b, c, d] = prices;
            let prices = Prices { input: a, output: b, cache_read: Some(c), cache_write: Some(d) };
            let usage = Usage {
                input_tokens: input,
                output_tokens: output,
                cache_read_tokens: read,
                cache_write_tokens: write,
                ..Usage::default()
            };
            prop_assert!(prices.of(&usage) <= prices.at_most(input, output));
        }
    }
}
