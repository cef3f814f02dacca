//! What calls of a route cost: from `--prices`, from `[route.NAME.prices]`, or from the catalogue, in the tier that the route asks for.

use crate::catalog::ModelEntry;
use crate::config::{RoutePrices, TierPrices};
use crate::domain::{Pair, Prices, Rates, Tier, TierRates};
use crate::provider::spelling;
use anyhow::{Context, bail};
use std::collections::BTreeMap;

/// The tier that a route's parameters ask for.
pub(super) fn tier(parameters: &[Pair]) -> Tier {
    let asked = parameters.iter().find(|pair| spelling(&pair.name) == "servicetier");
    asked.and_then(|pair| Tier::named(pair.value.trim_matches('"'))).unwrap_or_default()
}

/// `None`: not known. The mock is free, whatever model it plays.
pub(super) fn of_route(
    route: &str,
    flag: Option<&str>,
    set: Option<&RoutePrices>,
    known: Option<&ModelEntry>,
    parameters: &[Pair],
) -> anyhow::Result<Option<Prices>> {
    let tier = tier(parameters);
    match (flag, set) {
        (Some(text), _) => of_flag(text).map(Some),
        (None, Some(prices)) => of_config(&format!("[route.{route}.prices]"), prices, tier).map(Some),
        (None, None) => Ok(known.and_then(|known| known.prices(tier))),
    }
}

/// What stands beside the tiers is what the route costs whose own tier is not among them.
fn of_config(what: &str, prices: &RoutePrices, tier: Tier) -> anyhow::Result<Prices> {
    let RoutePrices { input, output, cache_read, cache_write, reasoning, standard, flex, priority, batch } = *prices;
    let own = TierPrices { input, output, cache_read, cache_write, reasoning };
    let rates = |prices: Option<TierPrices>| prices.map(|prices| rates(what, &prices)).transpose();
    let tiers =
        TierRates { standard: rates(standard)?, flex: rates(flex)?, priority: rates(priority)?, batch: rates(batch)? };
    let own = self::rates(what, &own)?;
    Ok(Prices { rates: tiers.of(tier).unwrap_or(own), long: None, tiers })
}

fn rates(what: &str, prices: &TierPrices) -> anyhow::Result<Rates> {
    let micro_maybe = |price: Option<f64>| price.map(|price| micro(what, price)).transpose();
    let output = micro(what, prices.output)?;
    let reasoning = micro_maybe(prices.reasoning)?.unwrap_or(output);
    let (read, write) = (micro_maybe(prices.cache_read)?, micro_maybe(prices.cache_write)?);
    Ok(Rates { reasoning, ..Rates::new(micro(what, prices.input)?, output, read, write) })
}

fn micro(what: &str, dollars: f64) -> anyhow::Result<u64> {
    if !(0.0..1e6).contains(&dollars) {
        bail!("{what}: {dollars} is no price in dollars for a million tokens");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
    Ok((dollars * 1e6).round() as u64)
}

/// `input=0.15,output=0.6,cache-read=0.075`.
fn of_flag(text: &str) -> anyhow::Result<Prices> {
    let way_out =
        || format!("--prices {text}: write input=0.15,output=0.6[,cache-read=…][,cache-write=…][,reasoning=…]");
    let mut found = BTreeMap::new();
    for part in text.split(',') {
        let (name, number) = part.split_once('=').with_context(way_out)?;
        found.insert(name.trim(), number.trim().parse::<f64>().ok().with_context(way_out)?);
    }
    let prices = TierPrices {
        input: found.remove("input").with_context(way_out)?,
        output: found.remove("output").with_context(way_out)?,
        cache_read: found.remove("cache-read"),
        cache_write: found.remove("cache-write"),
        reasoning: found.remove("reasoning"),
    };
    if !found.is_empty() {
        bail!("{}", way_out());
    }
    Ok(Prices { rates: rates("--prices", &prices)?, ..Prices::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn prices_are_read_in_dollars_for_a_million_tokens() {
        let prices = of_flag("input=0.15, output=0.6,cache-read=0.075,reasoning=0.3").unwrap();
        assert_eq!(prices.rates, Rates { reasoning: 300_000, ..Rates::new(150_000, 600_000, Some(75_000), None) });
        for bad in ["", "input=1", "input=1,output=x", "input=1,output=2,z=3", "input=-1,output=2"] {
            assert!(of_flag(bad).unwrap_err().to_string().contains("--prices"), "{bad}");
        }
    }

    fn parameters(tier: &str) -> Vec<Pair> {
        vec![Pair { name: "serviceTier".into(), value: format!("\"{tier}\"") }]
    }

    fn check(set: Option<&str>, asked: &str, expected: Option<u64>) {
        let set: Option<RoutePrices> = set.map(|text| toml::from_str(text).unwrap());
        let catalog = Catalog::embedded();
        let prices = of_route("r", None, set.as_ref(), catalog.find("o3"), &parameters(asked)).unwrap();
        assert_eq!(prices.map(|prices| prices.rates.input), expected, "{asked}");
    }

    #[test]
    fn the_tier_of_the_parameters_chooses_the_price() {
        let o3 = Catalog::embedded().find("o3").cloned().unwrap();
        check(None, "auto", o3.price.unwrap().input);
        check(None, "flex", o3.flex.unwrap().input);
        check(None, "priority", None);
        let set = "input = 1.0\noutput = 2.0\nflex = { input = 0.5, output = 1.0 }";
        check(Some(set), "standard", Some(1_000_000));
        check(Some(set), "flex", Some(500_000));
        check(Some(set), "priority", Some(1_000_000));
    }
}
