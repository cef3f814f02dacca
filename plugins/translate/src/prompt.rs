//! All that the model is told.

use crate::config::Config;
use crate::glossary::Glossary;
use sandmill_plugin::llm::{self, Chat, Overflow};
use sandmill_plugin::text::{DATA_ONLY, fence};
use schemars::JsonSchema;
use serde::Deserialize;

/// What the first call is answered.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct Draft {
    /// As BCP 47 has it, such as `en` or `pt-BR`.
    pub(crate) source_language: String,
    /// Whether the whole text is in the target language already.
    pub(crate) is_in_target_language: bool,
    pub(crate) translation: String,
}

/// What the second is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct Reviewed {
    /// What was mended, each in a few words; empty if nothing was.
    pub(crate) changes: Vec<String>,
    /// All of it, mended.
    pub(crate) translation: String,
}

const KEEP: &str = "Keep as they stand: placeholders such as {name} or %s, addresses, numbers, tags and code. Keep paragraphs and lists. Leave nothing out, add nothing.";

pub(crate) fn translate(config: &Config, glossary: &Glossary<'_>, text: &str) -> Chat {
    let from = config.source.as_ref().map_or_else(String::new, |source| format!(" from {source}"));
    let task = format!("You translate texts{from} into {}.", config.target);
    let in_target = "A text that is in that language already is given back as it stands.";
    question(config, "default", glossary, text, &[&task, in_target, KEEP]).user(fence("text", text)).answer::<Draft>()
}

/// `problems`: what is known to be wrong.
pub(crate) fn review(
    config: &Config,
    glossary: &Glossary<'_>,
    text: &str,
    translation: &str,
    problems: &[String],
) -> Chat {
    let task = format!(
        "You review translations into {}: you read a translation beside its source, and mend what is wrong in meaning, left out, added, unidiomatic or not of the glossary. What is right you leave as it is.",
        config.target
    );
    let mut said = vec![fence("source", text), fence("translation", translation)];
    if !problems.is_empty() {
        said.push(format!("Known to be wrong: {}.", problems.join("; ")));
    }
    question(config, config.reviewer.role(), glossary, text, &[&task, KEEP])
        .user(said.join("\n\n"))
        .answer::<Reviewed>()
}

fn question(config: &Config, role: &str, glossary: &Glossary<'_>, text: &str, task: &[&str]) -> Chat {
    let mut lines: Vec<String> = task.iter().map(|line| (*line).to_owned()).collect();
    lines.push(DATA_ONLY.to_owned());
    lines.extend(config.instructions.clone());
    let terms = glossary.lines(text);
    if !terms.is_empty() {
        lines.push("The glossary:".to_owned());
        lines.extend(terms);
    }
    let chat = llm::role(role).system(lines.join("\n")).on_overflow(Overflow::Error);
    match config.temperature {
        Some(temperature) => chat.temperature(temperature),
        None => chat,
    }
}

/// Why an answer is not taken.
pub(crate) fn complaint(problems: &[String]) -> String {
    format!(
        "That cannot be used: {}. Answer again, in the same form, with all of the translation.",
        problems.join("; ")
    )
}
