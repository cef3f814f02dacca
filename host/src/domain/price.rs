//! What tokens cost.

use super::{Completion, Usage};

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
    /// In the tier that is asked for.
    pub rates: Rates,
    /// With more input than so many tokens, all tokens cost this, in every tier.
    pub long: Option<(u64, Rates)>,
    /// For calls that are served in a tier of their own choosing.
    pub tiers: TierRates,
}

/// What each tier costs, where that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TierRates {
    pub standard: Option<Rates>,
    pub flex: Option<Rates>,
    pub priority: Option<Rates>,
    pub batch: Option<Rates>,
}

/// How a call is paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Tier {
    #[default]
    Standard,
    /// Slower and cheaper, call by call.
    Flex,
    /// Faster and dearer.
    Priority,
    /// Handed in as a file.
    Batch,
}

/// Where answers name their tier: `OpenAI` and Anthropic, Gemini, and Gemini at Vertex.
const TIER_FIELDS: [&str; 3] = ["service_tier", "serviceTier", "trafficType"];

impl Tier {
    /// By the names that providers give it. None: a name that says nothing of the price, such as `auto`.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("service_tier_").unwrap_or(&name) {
            "default" | "standard" | "standard_only" | "on_demand" => Some(Self::Standard),
            "flex" | "on_demand_flex" => Some(Self::Flex),
            "priority" | "on_demand_priority" => Some(Self::Priority),
            "batch" => Some(Self::Batch),
            _ => None,
        }
    }

    /// The tier that an answer says it was served in.
    pub fn of_answer(answer: &Completion) -> Option<Self> {
        let mut said = answer.extra.iter().chain(&answer.usage.extra);
        let pair = said.find(|pair| TIER_FIELDS.contains(&pair.name.as_str()))?;
        Self::named(pair.value.trim_matches('"'))
    }
}

impl TierRates {
    pub fn of(&self, tier: Tier) -> Option<Rates> {
        match tier {
            Tier::Standard => self.standard,
            Tier::Flex => self.flex,
            Tier::Priority => self.priority,
            Tier::Batch => self.batch,
        }
    }
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
    /// In millionths of a dollar, rounded up once. `served`: the tier that the answer names; where it names none, or one without
    /// a known price, the one that was asked for counts.
    pub fn of(&self, usage: &Usage, served: Option<Tier>) -> u64 {
        match &self.long {
            Some((above, rates)) if usage.input_tokens > *above => rates.of(usage),
            Some(_) | None => served.and_then(|tier| self.tiers.of(tier)).unwrap_or(self.rates).of(usage),
        }
    }

    pub fn of_answer(&self, answer: &Completion) -> u64 {
        self.of(&answer.usage, Tier::of_answer(answer))
    }

    /// The most that so many tokens can cost in the tier that is asked for, or in the standard one, which steps in for it.
    pub fn at_most(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        let usage = Usage { input_tokens, output_tokens, ..Usage::default() };
        let standard = self.tiers.standard.map(|rates| rates.dearest());
        let most = Self {
            rates: self.rates.dearest(),
            long: self.long.map(|(above, rates)| (above, rates.dearest())),
            tiers: TierRates { standard, ..TierRates::default() },
        };
        most.of(&usage, None).max(most.of(&usage, Some(Tier::Standard)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Pair;
    use proptest::prelude::*;

    #[test]
    fn cached_tokens_are_priced_apart() {
        let rates = Rates::new(2_500_000, 10_000_000, Some(1_250_000), None);
        let prices = Prices { rates, ..Prices::default() };
        let usage = Usage { input_tokens: 1_000, output_tokens: 100, cache_read_tokens: 400, ..Usage::default() };
        assert_eq!(prices.of(&usage, None), 600 * 5 / 2 + 400 * 5 / 4 + 100 * 10);
        assert_eq!(prices.of(&Usage { input_tokens: 1, ..Usage::default() }, None), 3, "rounded up");
    }

    #[test]
    fn the_tier_that_an_answer_names_is_what_it_costs_where_that_is_known() {
        let (flex, standard) = (Rates::new(1_000_000, 0, None, None), Rates::new(2_000_000, 0, None, None));
        let tiers = TierRates { standard: Some(standard), flex: Some(flex), ..TierRates::default() };
        let prices = Prices { rates: flex, long: None, tiers };
        let check = |name: &str, value: &str, expected: u64| {
            let extra = vec![Pair { name: name.into(), value: value.into() }];
            let usage = Usage { input_tokens: 100, ..Usage::default() };
            let of_answer = Completion { usage: usage.clone(), extra: extra.clone(), ..Completion::default() };
            let of_usage = Completion { usage: Usage { extra, ..usage }, ..Completion::default() };
            assert_eq!((prices.of_answer(&of_answer), prices.of_answer(&of_usage)), (expected, expected), "{value}");
        };
        check("service_tier", "\"default\"", 200);
        check("service_tier", "\"flex\"", 100);
        check("serviceTier", "\"STANDARD\"", 200);
        check("trafficType", "\"ON_DEMAND\"", 200);
        for unknown in ["\"priority\"", "\"scale\"", "null", "\"auto\""] {
            check("service_tier", unknown, 100);
        }
        assert_eq!(prices.at_most(100, 0), 200, "the standard tier may step in");
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
            let standard = Rates { input: rates.output, output: rates.input, ..rates };
            let tiers = TierRates { standard: Some(standard), ..TierRates::default() };
            let prices = Prices { rates, long: above.map(|above| (above, rates)), tiers };
            let usage = Usage {
                input_tokens: tokens[0],
                output_tokens: tokens[1],
                cache_read_tokens: tokens[2],
                cache_write_tokens: tokens[3],
                reasoning_tokens: tokens[4],
                ..Usage::default()
            };
            for served in [None, Some(Tier::Standard), Some(Tier::Flex)] {
                prop_assert!(prices.of(&usage, served) <= prices.at_most(tokens[0], tokens[1]));
            }
        }
    }
}
