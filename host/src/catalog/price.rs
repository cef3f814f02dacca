//! What a model's calls cost.
//!
//! Where a rate is not known, a dearer one that is known stands in for it, so that a budget is never exceeded by what we did not
//! know.

use super::entry::{ModelEntry, Rates};
use crate::domain::{self, Prices, Tier, TierRates};

impl ModelEntry {
    /// None if the prices are not known, those of a dearer tier among them. A cheaper tier without rates of its own costs what the
    /// standard does, and long input costs what it does in the standard tier.
    pub fn prices(&self, tier: Tier) -> Option<Prices> {
        let standard = self.price?;
        let own = match tier {
            Tier::Standard => None,
            Tier::Flex => self.flex,
            Tier::Priority => Some(self.priority?),
            Tier::Batch => self.batch,
        };
        let known = |rates: Option<Rates>| rates.and_then(|rates| filled(&rates, &standard));
        let tiers = TierRates {
            standard: filled(&standard, &standard),
            flex: known(self.flex),
            priority: known(self.priority),
            batch: known(self.batch),
        };
        let long = match self.long {
            Some(long) => Some((long.above_tokens, filled(&long.rates(), &standard)?)),
            None => None,
        };
        Some(Prices { rates: filled(&own.unwrap_or(standard), &standard)?, long, tiers })
    }
}

fn filled(rates: &Rates, standard: &Rates) -> Option<domain::Rates> {
    let input = rates.input.or(standard.input)?;
    let output = rates.output.or(standard.output)?;
    Some(domain::Rates {
        input,
        output,
        // A cheap tier's reads are at most what the standard's are, and reads never cost more than input.
        cache_read: rates.cache_read.unwrap_or_else(|| standard.cache_read.map_or(input, |read| read.min(input))),
        cache_write: rates.cache_write.or(standard.cache_write).unwrap_or(input),
        reasoning: rates.reasoning.unwrap_or(output),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, LongPrice};
    use crate::domain::Usage;
    use proptest::prelude::*;

    impl ModelEntry {
        fn price(&self, usage: &Usage, tier: Tier) -> Option<u64> {
            self.prices(tier).map(|prices| prices.of(usage, None))
        }
    }

    fn usage(input: u64, read: u64, written: u64, output: u64, reasoning: u64) -> Usage {
        Usage {
            input_tokens: input,
            cache_read_tokens: read,
            cache_write_tokens: written,
            output_tokens: output,
            reasoning_tokens: reasoning,
            extra: Vec::new(),
        }
    }

    fn check(model: &str, usage: &Usage, tier: Tier, expected: Option<u64>) {
        let catalog = Catalog::embedded();
        assert_eq!(catalog.find(model).and_then(|entry| entry.price(usage, tier)), expected, "{model}");
    }

    #[test]
    fn a_call_costs_what_the_price_list_says() {
        check("gpt-4o", &usage(1_000_000, 0, 0, 0, 0), Tier::Standard, Some(2_500_000));
        check(
            "gpt-4o",
            &usage(1_000_000, 400_000, 0, 100_000, 0),
            Tier::Standard,
            Some(1_500_000 + 500_000 + 1_000_000),
        );
        check("gpt-4o", &usage(1_000_000, 0, 0, 100_000, 0), Tier::Batch, Some(1_250_000 + 500_000));
        check(
            "claude-haiku-4-5",
            &usage(1_000_000, 500_000, 200_000, 0, 0),
            Tier::Standard,
            Some(300_000 + 50_000 + 250_000),
        );
        check("gpt-4o-mini", &usage(1, 0, 0, 0, 0), Tier::Standard, Some(1));
        check("gpt-4o-mini", &usage(0, 0, 0, 0, 0), Tier::Standard, Some(0));
        check("gpt-5.6-sol", &usage(1, 0, 0, 0, 0), Tier::Standard, None);
    }

    #[test]
    fn a_long_input_is_dear_from_the_first_token() {
        check("gemini-2.5-pro", &usage(200_000, 0, 0, 0, 0), Tier::Standard, Some(250_000));
        check("gemini-2.5-pro", &usage(200_001, 0, 0, 0, 0), Tier::Standard, Some(500_003));
    }

    #[test]
    fn a_tier_without_rates_costs_the_standard() {
        check("o3-mini", &usage(1_000_000, 0, 0, 0, 0), Tier::Flex, Some(1_100_000));
    }

    #[test]
    fn a_dearer_tier_without_rates_has_no_known_price() {
        check("o3-mini", &usage(1_000_000, 0, 0, 0, 0), Tier::Priority, None);
        let rate = |rate| Rates { input: Some(rate), output: Some(rate), ..Rates::default() };
        let entry = ModelEntry { price: Some(rate(1)), priority: Some(rate(2)), ..ModelEntry::default() };
        assert_eq!(entry.price(&usage(1_000_000, 0, 0, 0, 0), Tier::Priority), Some(2));
    }

    #[test]
    fn reasoning_has_a_price_of_its_own_where_there_is_one() {
        let rates = Rates { input: Some(0), output: Some(10), reasoning: Some(4), ..Rates::default() };
        let entry = ModelEntry { price: Some(rates), ..ModelEntry::default() };
        assert_eq!(entry.price(&usage(0, 0, 0, 1_000_000, 400_000), Tier::Standard), Some(6 + 2));
    }

    #[test]
    fn nothing_overflows() {
        let rates = Rates { input: Some(u64::MAX), output: Some(u64::MAX), ..Rates::default() };
        let entry = ModelEntry { price: Some(rates), ..ModelEntry::default() };
        assert_eq!(entry.price(&usage(u64::MAX, 0, 0, u64::MAX, 0), Tier::Standard), Some(u64::MAX));
        assert!(entry.price(&usage(5, u64::MAX, u64::MAX, 0, 9), Tier::Standard).is_some());
    }

    fn rates() -> impl Strategy<Value = Rates> {
        let rate = || proptest::option::of(0..u64::from(u32::MAX));
        (any::<u32>(), any::<u32>(), rate(), rate(), rate()).prop_map(
            |(input, output, cache_read, cache_write, reasoning)| Rates {
                input: Some(input.into()),
                output: Some(output.into()),
                cache_read,
                cache_write,
                reasoning,
            },
        )
    }

    fn entries() -> impl Strategy<Value = ModelEntry> {
        let rates_maybe = || proptest::option::of(rates());
        (rates(), rates_maybe(), rates_maybe()).prop_map(|(price, flex, batch)| ModelEntry {
            price: Some(price),
            flex,
            batch,
            ..ModelEntry::default()
        })
    }

    fn usages() -> impl Strategy<Value = Usage> {
        let tokens = || prop_oneof![0..10_u64, 0..100_000_000_u64];
        (tokens(), tokens(), tokens(), tokens(), tokens()).prop_map(|(a, b, c, d, e)| usage(a, b, c, d, e))
    }

    fn tiers() -> impl Strategy<Value = Tier> {
        prop_oneof![Just(Tier::Standard), Just(Tier::Flex), Just(Tier::Batch)]
    }

    proptest! {
        #[test]
        fn nothing_costs_nothing_and_more_never_costs_less(entry in entries(), usage in usages(), more in 0..1_000_u64, tier in tiers()) {
            prop_assert_eq!(entry.price(&Usage::default(), tier), Some(0));
            let price = entry.price(&usage, tier);
            let wrote = Usage { output_tokens: usage.output_tokens + more, ..usage.clone() };
            let read = Usage { input_tokens: usage.input_tokens + more, ..usage.clone() };
            // What is added to either may turn out to be a cheaper part, but is never worth less than nothing.
            prop_assert!(entry.price(&wrote, tier) >= price);
            prop_assert!(entry.price(&read, tier) >= price);
        }

        #[test]
        fn two_calls_cost_what_they_do_together_but_for_the_rounding(entry in entries(), one in usages(), tier in tiers()) {
            let twice = usage(
                one.input_tokens * 2,
                one.cache_read_tokens * 2,
                one.cache_write_tokens * 2,
                one.output_tokens * 2,
                one.reasoning_tokens * 2,
            );
            let (one, twice) = (entry.price(&one, tier).unwrap(), entry.price(&twice, tier).unwrap());
            prop_assert!(twice <= one * 2 && one * 2 <= twice + 1);
        }

        #[test]
        fn the_parts_bound_the_whole(usage in usages(), tier in tiers()) {
            let rates = Rates { input: Some(1_000_000), output: Some(2_000_000), cache_read: Some(100_000), ..Rates::default() };
            let entry = ModelEntry { price: Some(rates), ..ModelEntry::default() };
            let price = entry.price(&usage, tier).unwrap();
            prop_assert!(price <= usage.input_tokens + 2 * usage.output_tokens);
            prop_assert!(price >= usage.input_tokens / 10 + 2 * usage.output_tokens);
        }

        #[test]
        fn a_step_of_the_price_is_up(usage in usages(), above in 0..100_000_000_u64) {
            let low = Rates { input: Some(5), output: Some(7), ..Rates::default() };
            let long = LongPrice { above_tokens: above, input: Some(10), output: Some(9), ..LongPrice::default() };
            let flat = ModelEntry { price: Some(low), ..ModelEntry::default() };
            let stepped = ModelEntry { price: Some(low), long: Some(long), ..ModelEntry::default() };
            let (flat, stepped) = (flat.price(&usage, Tier::Standard), stepped.price(&usage, Tier::Standard));
            let is_long = usage.input_tokens > above;
            prop_assert!(stepped == flat || (is_long && stepped >= flat));
        }
    }
}
