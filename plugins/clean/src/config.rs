//! What the operator sets.

use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The field that holds the text; `a.b` for one inside another.
    #[serde(default = "default_text_field")]
    pub(crate) text_field: String,
    /// What is done without a model. Without it all of them.
    #[serde(default = "default_rules")]
    pub(crate) rules: Vec<Rule>,
    /// A line that stands so often, numbers aside, is a header or a footer.
    #[serde(default = "default_repeats_min")]
    #[schemars(range(min = 2))]
    pub(crate) repeats_min: usize,
    /// Ask a model about paragraphs that look like boilerplate and that no rule settles.
    #[serde(default = "default_ask")]
    pub(crate) ask: bool,
    /// Words that make a paragraph doubtful, beside those that are known.
    #[serde(default)]
    pub(crate) doubtful: Vec<String>,
    /// What the model is told of the texts.
    pub(crate) instructions: Option<String>,
    /// How often the model is told what is wrong with its answer, and asked again.
    #[serde(default = "default_ask_again")]
    pub(crate) ask_again: u32,
    pub(crate) temperature: Option<f64>,
}

fn default_text_field() -> String {
    "text".to_owned()
}

fn default_rules() -> Vec<Rule> {
    Rule::ALL.to_vec()
}

const fn default_repeats_min() -> usize {
    3
}

const fn default_ask() -> bool {
    true
}

const fn default_ask_again() -> u32 {
    1
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rule {
    /// Line ends, runs of spaces and of empty lines, invisible characters.
    Space,
    /// A word that is broken at the end of a line, where the whole word stands elsewhere in the text.
    Hyphens,
    /// Lines that are nothing but a page's number.
    Pages,
    /// Lines that stand `repeats_min` times.
    Repeats,
    /// A paragraph that stood in the text before.
    Duplicates,
}

impl Rule {
    pub(crate) const ALL: [Self; 5] = [Self::Space, Self::Hyphens, Self::Pages, Self::Repeats, Self::Duplicates];
}
