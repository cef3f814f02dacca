//! What the operator sets.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A JSON Schema of one record: an object with `properties`. Either this or `fields`.
    pub(crate) schema: Option<Map<String, Value>>,
    /// The fields of a record and their types, in the order in which they shall stand. Either this or `schema`.
    #[schemars(with = "Option<BTreeMap<String, Field>>")]
    pub(crate) fields: Option<Map<String, Value>>,
    /// What the model is told of the documents and of what is looked for in them.
    pub(crate) instructions: Option<String>,
    /// The field that holds the document; `a.b` for one inside another.
    #[serde(default = "default_text_field")]
    pub(crate) text_field: String,
    /// Any number of records a document, each a value of its own; without it one.
    #[serde(default)]
    pub(crate) many: bool,
    /// The fields by which two records of a document are the same, with `many`. Without it those are merged that two
    /// neighbouring parts have in common.
    #[serde(default)]
    pub(crate) key: Vec<String>,
    /// The most tokens of one request. Without it a document is split only if it does not fit the model.
    #[schemars(range(min = 1))]
    pub(crate) part_tokens: Option<u64>,
    /// What two neighbouring parts have in common, in tokens.
    #[serde(default = "default_overlap_tokens")]
    pub(crate) overlap_tokens: u64,
    #[serde(default)]
    pub(crate) evidence: Evidence,
    #[serde(default)]
    pub(crate) nothing: Nothing,
    /// How often the model is told what is wrong with its answer, and asked again, before the item fails.
    #[serde(default = "default_ask_again")]
    pub(crate) ask_again: u32,
    #[schemars(range(min = 1))]
    pub(crate) max_output_tokens: Option<u32>,
    pub(crate) temperature: Option<f64>,
}

fn default_text_field() -> String {
    "text".to_owned()
}

fn default_overlap_tokens() -> u64 {
    200
}

fn default_ask_again() -> u32 {
    1
}

/// Whether each value comes with words of the document that say so, and what is done about one whose words do not stand there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Evidence {
    /// No words are asked for.
    #[default]
    Off,
    /// The value becomes null; where the schema has no null, it is asked for again.
    Drop,
    /// It is asked for again.
    Retry,
}

/// What a document comes to in which nothing was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Nothing {
    /// A record of nulls; with `many` no record.
    #[default]
    Emit,
    /// The item is skipped.
    Skip,
    /// The item fails with `nothing_found`.
    Fail,
}

/// A field: its type alone, or more of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Field {
    Kind(Kind),
    Full(FullField),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FullField {
    #[serde(rename = "type", default)]
    pub(crate) kind: Kind,
    /// What the model is told of it.
    pub(crate) description: Option<String>,
    /// The only texts that it may be.
    pub(crate) values: Option<Vec<String>>,
    /// Any number of them.
    #[serde(default)]
    pub(crate) list: bool,
    /// Never null: a document without it fails.
    #[serde(default)]
    pub(crate) required: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    #[default]
    String,
    Integer,
    Number,
    Boolean,
    /// Such as `2024-03-05`.
    Date,
    /// Such as `2024-03-05T10:00:00Z`.
    DateTime,
}
