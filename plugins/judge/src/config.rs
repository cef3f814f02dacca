//! What the operator sets.

use crate::tally::{Decide, Tie};
use sandmill_plugin::Failure;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The field that holds the answer to be graded; `a.b` for one inside another.
    #[serde(default = "default_answer_field")]
    pub(crate) answer_field: String,
    /// Two fields, instead of `answer_field`: which of two answers is the better one.
    pub(crate) compare: Option<[String; 2]>,
    /// The field that holds the question that was answered; null: the judges see none.
    #[serde(default = "default_question_field")]
    pub(crate) question_field: Option<String>,
    /// The field that holds an answer that is known to be right.
    pub(crate) reference_field: Option<String>,
    /// What makes an answer good or bad, and what each grade means.
    pub(crate) rubric: String,
    /// The lowest and the highest grade, whole numbers.
    #[serde(default)]
    pub(crate) scale: Scale,
    /// The roles that are asked; each has to be bound to a model (`--route judge-2=NAME`).
    #[serde(default = "default_judges")]
    #[schemars(length(min = 1))]
    pub(crate) judges: Vec<Judge>,
    /// How often each of them is asked.
    #[serde(default = "default_votes")]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) votes: u32,
    /// How many votes must come, or the item fails with `no_quorum`. Without it more than half.
    #[schemars(range(min = 1))]
    pub(crate) quorum: Option<usize>,
    #[serde(default)]
    pub(crate) decide: Decide,
    #[serde(default)]
    pub(crate) tie: Tie,
    /// With `compare`: each vote asks twice, in both orders, and counts for an answer that is preferred in both.
    #[serde(default = "default_swap")]
    pub(crate) swap: bool,
    /// The judges write why, before they grade.
    #[serde(default = "default_reasons")]
    pub(crate) reasons: bool,
    pub(crate) temperature: Option<f64>,
}

fn default_answer_field() -> String {
    "answer".to_owned()
}

#[expect(clippy::unnecessary_wraps, reason = "the field's type")]
fn default_question_field() -> Option<String> {
    Some("question".to_owned())
}

fn default_judges() -> Vec<Judge> {
    vec![Judge::Default]
}

const fn default_votes() -> u32 {
    1
}

const fn default_swap() -> bool {
    true
}

const fn default_reasons() -> bool {
    true
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scale {
    pub(crate) min: i64,
    pub(crate) max: i64,
}

impl Default for Scale {
    fn default() -> Self {
        Self { min: 1, max: 5 }
    }
}

/// A role of the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum Judge {
    #[serde(rename = "default")]
    Default,
    #[serde(rename = "judge-2")]
    Second,
    #[serde(rename = "judge-3")]
    Third,
    #[serde(rename = "judge-4")]
    Fourth,
    #[serde(rename = "judge-5")]
    Fifth,
}

impl Judge {
    pub(crate) const OPTIONAL: [Self; 4] = [Self::Second, Self::Third, Self::Fourth, Self::Fifth];

    pub(crate) const fn role(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Second => "judge-2",
            Self::Third => "judge-3",
            Self::Fourth => "judge-4",
            Self::Fifth => "judge-5",
        }
    }
}

impl Config {
    /// Each vote's judge, in the order of asking.
    pub(crate) fn asked(&self) -> Vec<Judge> {
        self.judges.iter().flat_map(|judge| std::iter::repeat_n(*judge, self.votes as usize)).collect()
    }

    pub(crate) fn quorum(&self) -> usize {
        self.quorum.unwrap_or(self.asked().len() / 2 + 1)
    }

    pub(crate) fn check(&self) -> Result<(), Failure> {
        let voters = self.asked().len();
        let problem = if self.scale.min >= self.scale.max {
            format!("`scale` goes from {} to {}: let `min` be less than `max`", self.scale.min, self.scale.max)
        } else if self.quorum() > voters {
            format!("`quorum` is {}, and there are {voters} votes: ask more judges, or more often", self.quorum())
        } else if self.rubric.trim().is_empty() {
            "`rubric` is empty: say what makes an answer good".to_owned()
        } else if self.compare.as_ref().is_some_and(|[one, other]| one == other) {
            "`compare` names the same field twice".to_owned()
        } else {
            return Ok(());
        };
        Err(Failure::permanent("bad_config", problem))
    }
}
