//! What the operator sets.

use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What an item can be: names, or names with descriptions. At least two.
    #[schemars(length(min = 2))]
    pub(crate) labels: Vec<Label>,
    /// Any number of labels an item; without it one.
    #[serde(default)]
    pub(crate) multiple: bool,
    /// At most so many labels an item, the surest, with `multiple`.
    #[schemars(range(min = 1))]
    pub(crate) max_labels: Option<usize>,
    /// The field that holds the text; `a.b` for one inside another.
    #[serde(default = "default_text_field")]
    pub(crate) text_field: String,
    /// The text, of several fields, instead of `text_field`: `{{subject}}: {{body}}`.
    pub(crate) template: Option<String>,
    /// What the model is told of the texts and of how they are sorted.
    pub(crate) instructions: Option<String>,
    /// The label of what fits none. The model may choose it, too.
    pub(crate) other: Option<String>,
    #[serde(default)]
    pub(crate) unknown: Unknown,
    /// How often the model is told what is wrong with its answer, such as a label that is none, and asked again.
    #[serde(default = "default_ask_again")]
    pub(crate) ask_again: u32,
    /// The provider is told that only these labels may be written. Without it the model is told alone: for servers that answer
    /// worse under a schema.
    #[serde(default = "default_enforce")]
    pub(crate) enforce: bool,
    /// Labels of which the model is less sure are dealt with as `below` says.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) min_confidence: Option<f64>,
    #[serde(default)]
    pub(crate) below: Below,
    /// The model also writes why, before it chooses.
    #[serde(default)]
    pub(crate) rationale: bool,
    pub(crate) temperature: Option<f64>,
}

fn default_text_field() -> String {
    "text".to_owned()
}

const fn default_ask_again() -> u32 {
    2
}

const fn default_enforce() -> bool {
    true
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Label {
    Name(String),
    Described(Described),
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Described {
    pub(crate) name: String,
    /// What the model is told of it.
    pub(crate) description: String,
}

impl Label {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Described(described) => &described.name,
        }
    }

    pub(crate) fn description(&self) -> Option<&str> {
        match self {
            Self::Name(_) => None,
            Self::Described(described) => Some(&described.description),
        }
    }
}

/// What is done about a label that is none, once the model was asked again so often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unknown {
    /// The item fails with `unknown_label`.
    #[default]
    Fail,
    /// It is the label `other`, flagged.
    Other,
    /// The item is skipped; with `multiple` only if no other label is left.
    Skip,
}

/// What is done about a label below `min_confidence`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Below {
    /// It is emitted, flagged.
    #[default]
    Flag,
    /// The item is skipped; with `multiple` the label is left out, and the item is skipped if none is left.
    Skip,
}
