//! Finding a model by the name that a request gives it.
//!
//! A name is exact, or exact without a vendor's prefix or a date: `openai/gpt-4o-2024-08-06` is `gpt-4o` unless it has an entry of
//! its own. Nothing is guessed beyond that: a wrong window or price is worse than none.

use super::entry::ModelEntry;
use serde::Deserialize;
use std::collections::BTreeMap;

const EMBEDDED: &str = include_str!("models.toml");

/// Models by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    #[serde(rename = "model")]
    models: BTreeMap<String, ModelEntry>,
    #[serde(rename = "alias")]
    aliases: BTreeMap<String, String>,
}

impl Catalog {
    /// What this version of the program knows.
    pub fn embedded() -> Self {
        // That it parses is tested; if it did not, every model would be unknown, and the batch would run on what providers tell.
        Self::parse(EMBEDDED).unwrap_or_default()
    }

    /// Figures that go before those that are here; what an override does not say stays. The name of an override is the entry's
    /// that a request of this name would find, or new.
    #[must_use]
    pub fn with(mut self, overrides: impl Iterator<Item = (String, ModelEntry)>) -> Self {
        for (name, entry) in overrides {
            let entry = match self.find(&name) {
                Some(below) => entry.over(below),
                None => entry,
            };
            self.models.insert(name, entry);
        }
        self
    }

    /// The same, as they stand in `sandmill.toml` under `[model.NAME]`. The error names the model and what is wrong.
    pub fn with_tables(self, tables: &BTreeMap<String, toml::Table>) -> Result<Self, String> {
        let mut overrides = Vec::new();
        for (name, table) in tables {
            let entry =
                table.clone().try_into().map_err(|error: toml::de::Error| format!("[model.{name}]: {error}"))?;
            overrides.push((name.clone(), entry));
        }
        Ok(self.with(overrides.into_iter()))
    }

    /// The entry of `model`, if there is one.
    pub fn find(&self, model: &str) -> Option<&ModelEntry> {
        let mut name = model;
        loop {
            if let Some(entry) = self.named(name).or_else(|| self.named(without_date(name)?)) {
                return Some(entry);
            }
            name = name.split_once('/')?.1;
        }
    }

    fn named(&self, name: &str) -> Option<&ModelEntry> {
        self.models.get(name).or_else(|| self.models.get(self.aliases.get(name)?))
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

/// `name` before `-2024-08-06`, `-20250514`, `@20250514` or `-latest`; none if it ends in none of these.
fn without_date(name: &str) -> Option<&str> {
    if let Some(rest) = name.strip_suffix("-latest") {
        return Some(rest);
    }
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((rest, date)) = name.rsplit_once(['-', '@'])
        && digits(date, 8)
    {
        return Some(rest);
    }
    let (rest, day) = name.rsplit_once('-')?;
    let (rest, month) = rest.rsplit_once('-')?;
    let (rest, year) = rest.rsplit_once('-')?;
    (digits(year, 4) && digits(month, 2) && digits(day, 2)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{EncodingName, Rates};

    fn embedded() -> Catalog {
        Catalog::parse(EMBEDDED).expect("models.toml parses")
    }

    #[test]
    fn every_entry_says_where_its_figures_come_from_and_when_they_were_read() {
        for (name, entry) in &embedded().models {
            let source = entry.source.as_deref().unwrap_or_default();
            assert!(source.starts_with("https://"), "{name}: {source}");
            let date = entry.date.as_deref().unwrap_or_default();
            assert!(without_date(&format!("x-{date}")) == Some("x"), "{name}: {date}");
        }
    }

    #[test]
    fn every_entry_makes_sense() {
        for (name, entry) in &embedded().models {
            let context = entry.context_tokens.unwrap_or_else(|| panic!("{name} has no context"));
            assert!(entry.max_output_tokens.unwrap_or(0) <= context, "{name}");
            assert!(entry.max_input_tokens.unwrap_or(0) <= context, "{name}");
            for rates in
                [entry.price, entry.flex, entry.batch, entry.long.map(|long| long.rates())].into_iter().flatten()
            {
                let (Some(input), Some(output)) = (rates.input, rates.output) else {
                    panic!("{name} has half a price")
                };
                assert!(input <= output && rates.cache_read.unwrap_or(0) < input, "{name}");
                assert!(rates.cache_write.is_none_or(|write| write > input), "{name}");
                // Nobody charges more than a thousand dollars; whoever writes dollars for micro-dollars is caught below.
                assert!((1_000..1_000_000_000).contains(&input), "{name}");
            }
            for (cheaper, price) in [(entry.flex, entry.price), (entry.batch, entry.price)] {
                if let (Some(cheaper), Some(price)) = (cheaper, price) {
                    assert!(cheaper.input < price.input && cheaper.output < price.output, "{name}");
                }
            }
        }
    }

    #[test]
    fn every_alias_names_an_entry_and_shadows_none() {
        let catalog = embedded();
        for (alias, name) in &catalog.aliases {
            assert!(catalog.models.contains_key(name), "{alias} = {name}");
            assert!(!catalog.models.contains_key(alias), "{alias}");
        }
    }

    #[test]
    fn a_name_is_found_exactly_or_without_a_vendor_or_a_date() {
        let catalog = Catalog::embedded();
        let gpt = catalog.find("gpt-4o");
        assert_eq!(gpt.and_then(|entry| entry.encoding), Some(EncodingName::O200kBase));
        for name in ["openai/gpt-4o", "gpt-4o-2024-08-06", "openrouter/openai/gpt-4o-2024-08-06", "gpt-4o-latest"] {
            assert_eq!(catalog.find(name), gpt, "{name}");
        }
        assert_eq!(catalog.find("claude-sonnet-4-20250514"), catalog.find("claude-sonnet-4-0"));
        assert_eq!(catalog.find("claude-opus-4@20250514"), catalog.find("claude-opus-4"));
        // An entry of its own goes before the one without the date.
        assert_ne!(catalog.find("gpt-4o-2024-05-13"), gpt);
    }

    #[test]
    fn nothing_is_guessed() {
        let catalog = Catalog::embedded();
        for name in
            ["", "gpt", "gpt-4o-x", "my-gpt-4o", "gpt-4o-2024", "gpt-4o/", "/", "GPT-4o", "gpt-4o-2024-8-6", "-latest"]
        {
            assert_eq!(catalog.find(name), None, "{name}");
        }
    }

    #[test]
    fn what_an_operator_says_goes_before_and_the_rest_stays() {
        let price = Rates { input: Some(1), output: Some(2), ..Rates::default() };
        let context = ModelEntry { context_tokens: Some(8_000), ..ModelEntry::default() };
        let cheap = ModelEntry { price: Some(price), ..ModelEntry::default() };
        let overrides =
            [("gpt-4o".to_owned(), context.clone()), ("gpt-4.1".into(), cheap), ("mine".into(), context.clone())];
        let catalog = Catalog::embedded().with(overrides.into_iter());

        let shortened = catalog.find("gpt-4o-2024-08-06").unwrap();
        assert_eq!(shortened.context_tokens, Some(8_000));
        assert_eq!(shortened.price, Catalog::embedded().find("gpt-4o").unwrap().price);
        let cheapened = catalog.find("gpt-4.1").unwrap();
        assert_eq!((cheapened.price, cheapened.batch, cheapened.context_tokens), (Some(price), None, Some(1_047_576)));
        assert_eq!(catalog.find("mine"), Some(&context));
    }
}
