//! Sums up long texts: a summary and key points as JSON. What does not fit the model is split, summed up in parts, and merged.

use sandmill_plugin::llm::{self, Chat, ErrorKind, Overflow};
use sandmill_plugin::{Context, Failure, Item, Manifest, Outcome, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parts that are asked for at once, and levels of parts.
const AT_ONCE: usize = 16;
const DEPTH_MAX: u32 = 4;

#[derive(Debug, Deserialize)]
pub struct Document {
    text: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// At most so many key points.
    #[serde(default = "default_key_points")]
    max_key_points: usize,
    /// The language of the summary. Without it: the text's own.
    language: Option<String>,
    #[serde(default)]
    on_overflow: OnOverflow,
}

fn default_key_points() -> usize {
    5
}

/// What to do about a text that does not fit the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnOverflow {
    /// Sum it up in parts, and merge them.
    #[default]
    Split,
    /// As the host is set: to cut it, for example.
    Host,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub struct Answer {
    summary: String,
    key_points: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "what the output calls it")]
pub struct Summary {
    summary: String,
    key_points: Vec<String>,
    /// Words of the text.
    words: usize,
}

fn manifest() -> Manifest {
    Manifest::new("summarize", env!("CARGO_PKG_VERSION"), "Sums up a long text: a summary and key points.")
        .config::<Config>()
        .output::<Summary>()
        .requires(["text"])
        .role("default", "reads long texts and answers in JSON")
}

fn process(item: Item<Document>, cx: &Context<Config>) -> Result<Outcome, Failure> {
    let text = item.data.text.trim();
    if text.is_empty() {
        return Ok(Outcome::skip("the text is empty"));
    }
    let Answer { summary, mut key_points } = Summarizer { config: &cx.config }.sum_up(text, 0)?;
    if summary.trim().is_empty() {
        return Err(Failure::retryable("empty_summary", "the model wrote an empty summary"));
    }
    key_points.truncate(cx.config.max_key_points);
    Ok(Outcome::emit(Summary { summary, key_points, words: text.split_whitespace().count() }))
}

struct Summarizer<'a> {
    config: &'a Config,
}

impl Summarizer<'_> {
    fn sum_up(&self, text: &str, depth: u32) -> Result<Answer, Failure> {
        let too_large = match self.request(text).json::<Answer>() {
            Ok(answer) => return Ok(answer),
            Err(error) if error.kind == ErrorKind::TooLarge && self.config.on_overflow == OnOverflow::Split => error,
            Err(error) => return Err(error.into()),
        };
        if depth >= DEPTH_MAX {
            return Err(Failure::permanent(
                "too_long",
                format!("split {DEPTH_MAX} times, and a part still does not fit: {}", too_large.message),
            ));
        }
        let parts = text::split(text, too_large.share_that_fits());
        if parts.len() < 2 {
            return Err(too_large.into());
        }
        let mut summaries = Vec::new();
        for group in parts.chunks(AT_ONCE) {
            summaries.extend(self.sum_up_parts(group, depth + 1)?);
        }
        let merged: Vec<String> =
            summaries.into_iter().map(|part| format!("{}\n- {}", part.summary, part.key_points.join("\n- "))).collect();
        self.sum_up(&merged.join("\n\n"), depth + 1)
    }

    /// At the same time; a part that does not fit is split again.
    fn sum_up_parts(&self, parts: &[&str], depth: u32) -> Result<Vec<Answer>, Failure> {
        let requests = parts.iter().map(|part| self.request(part).answer::<Answer>()).collect();
        let answers = llm::all(requests)?;
        parts
            .iter()
            .zip(answers)
            .map(|(part, answer)| match answer {
                Ok(response) => Ok(response.parse::<Answer>()?),
                Err(error) if error.kind == ErrorKind::TooLarge => self.sum_up(part, depth),
                Err(error) => Err(error.into()),
            })
            .collect()
    }

    fn request(&self, text: &str) -> Chat {
        let language = self.config.language.as_deref().unwrap_or("the language of the text");
        let chat = llm::chat()
            .system(format!(
                "You sum up documents for busy readers. Write in {language}. Give a summary of one paragraph, and at most {} key points.",
                self.config.max_key_points
            ))
            .user(text);
        match self.config.on_overflow {
            OnOverflow::Split => chat.on_overflow(Overflow::Error),
            OnOverflow::Host => chat,
        }
    }
}

sandmill_plugin::export!(manifest, process);
