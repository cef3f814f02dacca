//! What the operator sets.

use crate::kept::Kind;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The language to translate into, as the model is told it: `German`, `Brazilian Portuguese`, `de-CH`.
    #[schemars(length(min = 1))]
    pub(crate) target: String,
    /// The language of the texts. Without it the model finds out.
    pub(crate) source: Option<String>,
    /// The field that holds the text; `a.b` for one inside another.
    #[serde(default = "default_text_field")]
    pub(crate) text_field: String,
    /// Terms and how they are translated; a term that stays as it is is its own translation.
    #[serde(default)]
    pub(crate) glossary: BTreeMap<String, String>,
    /// What the model is told of the texts and of the style.
    pub(crate) instructions: Option<String>,
    /// A second call reads the translation beside the source, and mends it.
    #[serde(default = "default_review")]
    pub(crate) review: bool,
    /// Which model reviews: the one that translates, or one that is bound to the role `reviewer`.
    #[serde(default)]
    pub(crate) reviewer: Reviewer,
    /// A text that is in the target language already is skipped; without it, it is emitted as it stands.
    #[serde(default)]
    pub(crate) skip_same: bool,
    /// What must stand in the translation as it does in the source.
    #[serde(default = "default_keep")]
    pub(crate) keep: Vec<Kind>,
    /// The most tokens of one request; a longer text is translated by paragraphs.
    #[serde(default = "default_part_tokens")]
    #[schemars(range(min = 1))]
    pub(crate) part_tokens: u64,
    pub(crate) temperature: Option<f64>,
}

fn default_text_field() -> String {
    "text".to_owned()
}

const fn default_review() -> bool {
    true
}

fn default_keep() -> Vec<Kind> {
    Kind::ALL.to_vec()
}

const fn default_part_tokens() -> u64 {
    2_000
}

/// Who reviews.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reviewer {
    /// The model that translates.
    #[default]
    Default,
    /// Another one, bound to the role `reviewer`.
    Reviewer,
}

impl Reviewer {
    pub(crate) const fn role(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Reviewer => "reviewer",
        }
    }
}
