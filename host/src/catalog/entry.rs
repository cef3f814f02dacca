//! One model's figures, as they are written: all optional, since a figure without a source is left out.

use serde::Deserialize;

/// What is known of a model. Tokens, and whole micro-dollars for a million of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelEntry {
    /// Input and output together.
    pub context_tokens: Option<u64>,
    /// Of the input alone, where it may not fill the context.
    pub max_input_tokens: Option<u64>,
    pub max_output_tokens: Option<u64>,
    /// None: not public, or not one of those that can be counted here.
    pub encoding: Option<EncodingName>,
    /// For a model without an encoding: what the count in another encoding is multiplied by, in percent.
    pub estimate_percent: Option<u32>,
    pub price: Option<Rates>,
    /// Of a slower tier, and of batches that are handed in as a file.
    pub flex: Option<Rates>,
    pub batch: Option<Rates>,
    /// Of a faster and dearer tier.
    pub priority: Option<Rates>,
    pub long: Option<LongPrice>,
    /// Where the figures were read, and on what day (`2026-11-24`).
    pub source: Option<String>,
    pub date: Option<String>,
    /// Where the prices were read, if elsewhere.
    pub price_source: Option<String>,
}

/// Encodings that can be counted here, by their own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncodingName {
    O200kBase,
    Cl100kBase,
    P50kBase,
    R50kBase,
}

/// Micro-dollars for a million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    pub input: Option<u64>,
    pub output: Option<u64>,
    pub cache_read: Option<u64>,
    pub cache_write: Option<u64>,
    /// None: the same as other output.
    pub reasoning: Option<u64>,
}

/// What all tokens of a request cost if its input is longer than `above_tokens`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongPrice {
    pub above_tokens: u64,
    pub input: Option<u64>,
    pub output: Option<u64>,
    pub cache_read: Option<u64>,
    pub cache_write: Option<u64>,
    pub reasoning: Option<u64>,
}

impl LongPrice {
    pub(super) fn rates(&self) -> Rates {
        Rates {
            input: self.input,
            output: self.output,
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            reasoning: self.reasoning,
        }
    }
}

impl ModelEntry {
    /// What is said here, and `below` for what is not. Prices go together: whoever gives one gives them all, or a cheap tier of the
    /// one would stand beside a dear list price of the other.
    pub(super) fn over(self, below: &Self) -> Self {
        let priced = self.price.is_some();
        let keep = |rates: &Option<Rates>| if priced { None } else { *rates };
        Self {
            context_tokens: self.context_tokens.or(below.context_tokens),
            max_input_tokens: self.max_input_tokens.or(below.max_input_tokens),
            max_output_tokens: self.max_output_tokens.or(below.max_output_tokens),
            encoding: self.encoding.or(below.encoding),
            estimate_percent: self.estimate_percent.or(below.estimate_percent),
            price: self.price.or(below.price),
            flex: self.flex.or(keep(&below.flex)),
            batch: self.batch.or(keep(&below.batch)),
            priority: self.priority.or(keep(&below.priority)),
            long: self.long.or(if priced { None } else { below.long }),
            source: self.source.or_else(|| below.source.clone()),
            date: self.date.or_else(|| below.date.clone()),
            price_source: self.price_source.or_else(|| below.price_source.clone()),
        }
    }
}
