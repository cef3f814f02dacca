//! Translates texts in two steps, the second of which reads the translation beside the source, and holds the result to the
//! source: placeholders, numbers, addresses and markup are compared by code.

mod config;
mod glossary;
mod kept;
mod prompt;
#[cfg(test)]
mod tests;

use glossary::Glossary;
use kept::Keeper;
use prompt::{Draft, Reviewed};
use sandmill_plugin::llm::{self, Chat, ErrorKind, Response, Splitter};
use sandmill_plugin::{Context, Failure, Item, Manifest, Outcome, template};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

pub use config::Config;

/// Parts that are asked about at once.
const AT_ONCE: usize = 16;

#[derive(Debug, Serialize, JsonSchema)]
pub struct Translated {
    translation: String,
    /// Of the text, as the model says: a tag such as `en` or `pt-BR`.
    source_language: String,
    /// What the review mended.
    changes: Vec<String>,
    /// Terms that are not translated as the glossary has them.
    warnings: Vec<String>,
    /// How many parts the text was translated in.
    parts: usize,
}

fn manifest() -> Manifest {
    let does = "Translates a text, reviews the translation, and holds it to the source's placeholders, numbers, addresses and markup.";
    Manifest::new("translate", env!("CARGO_PKG_VERSION"), does)
        .config::<Config>()
        .output::<Translated>()
        .role("default", "translates, and answers in JSON that fits a schema")
        .optional_role("reviewer", "reads translations beside their source, with `reviewer = \"reviewer\"`")
}

fn process(item: Item<Value>, cx: &Context<Config>) -> Result<Outcome, Failure> {
    let config = &cx.config;
    if config.target.trim().is_empty() {
        return Err(Failure::permanent("bad_config", "`target` is empty: name a language"));
    }
    let text = template::field(&item.data, &config.text_field)?;
    if text.trim().is_empty() {
        return Ok(Outcome::skip(format!("`{}` is empty", config.text_field)));
    }
    let translator =
        Translator { config, glossary: Glossary::new(&config.glossary), keeper: Keeper::new(&config.keep)? };
    let mut parts = translator.drafts(&text)?;
    if config.skip_same && parts.iter().all(|part| part.is_same) {
        return Ok(Outcome::skip(format!("the text is in {} already", config.target)));
    }
    if config.review {
        translator.review(&mut parts)?;
    }
    for part in &mut parts {
        translator.settle(part)?;
    }
    Ok(Outcome::emit(translator.joined(&text, parts)))
}

struct Translator<'a> {
    config: &'a Config,
    glossary: Glossary<'a>,
    keeper: Keeper,
}

/// A part of the text, without the white space around it, and what has been made of it so far.
struct Part<'t> {
    source: &'t str,
    translation: String,
    language: String,
    /// In the target language already; its translation is the source.
    is_same: bool,
    changes: Vec<String>,
    /// The conversation that the translation is from.
    chat: Chat,
    response: Response,
}

impl Translator<'_> {
    /// The first call, for each part that holds any text, several at the same time.
    fn drafts<'t>(&self, text: &'t str) -> Result<Vec<Part<'t>>, Failure> {
        let splitter = Splitter {
            tokens_max: Some(self.config.part_tokens),
            overlap_tokens: 0,
            output_tokens: self.config.part_tokens,
        };
        let pieces = splitter.split(text, |part| self.question(part))?;
        let sources: Vec<&str> = pieces.iter().map(|piece| piece.text.trim()).filter(|text| !text.is_empty()).collect();
        let chats: Vec<Chat> = sources.iter().map(|source| self.question(source)).collect();
        let mut parts = Vec::new();
        for ((source, chat), response) in sources.iter().zip(&chats).zip(ask_all(&chats)?) {
            let draft: Draft = response.parse()?;
            let is_same = draft.is_in_target_language;
            parts.push(Part {
                source,
                translation: if is_same { (*source).to_owned() } else { filled(draft.translation)? },
                language: draft.source_language,
                is_same,
                changes: Vec::new(),
                chat: chat.clone(),
                response,
            });
        }
        Ok(parts)
    }

    /// The second call, for each part that was translated.
    fn review(&self, parts: &mut [Part<'_>]) -> Result<(), Failure> {
        let mut translated: Vec<&mut Part<'_>> = parts.iter_mut().filter(|part| !part.is_same).collect();
        let chats: Vec<Chat> = translated
            .iter()
            .map(|part| {
                let problems = self.problems(part);
                prompt::review(self.config, &self.glossary, part.source, &part.translation, &problems)
            })
            .collect();
        let responses = ask_all(&chats)?;
        for ((part, chat), response) in translated.iter_mut().zip(chats).zip(responses) {
            let Reviewed { changes, translation } = response.parse()?;
            part.translation = filled(translation)?;
            part.changes = changes;
            part.chat = chat;
            part.response = response;
        }
        Ok(())
    }

    /// What is wrong with a part in the end is said and asked for once more, in the conversation that it is from.
    fn settle(&self, part: &mut Part<'_>) -> Result<(), Failure> {
        let problems = self.problems(part);
        if part.is_same || problems.is_empty() {
            return Ok(());
        }
        let chat = part.chat.clone().message(part.response.to_message()).user(prompt::complaint(&problems));
        let response = chat.send()?;
        let translation = if self.config.review {
            response.parse::<Reviewed>()?.translation
        } else {
            response.parse::<Draft>()?.translation
        };
        part.translation = filled(translation)?;
        // A term may be inflected; what is to be kept is not.
        let missing = self.keeper.differences(part.source, &part.translation);
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the translation does not keep to the source, though it was asked for again: {}",
            missing.join("; ")
        );
        let detail = json!({"missing": missing, "source": part.source, "translation": part.translation});
        Err(Failure::retryable("not_kept", message).detail(detail))
    }

    fn problems(&self, part: &Part<'_>) -> Vec<String> {
        let mut problems = self.keeper.differences(part.source, &part.translation);
        problems.extend(self.glossary.missing(part.source, &part.translation));
        problems
    }

    /// The parts where they stood, with the white space that stood around them.
    fn joined(&self, text: &str, parts: Vec<Part<'_>>) -> Translated {
        let mut whole = Translated {
            translation: String::with_capacity(text.len()),
            source_language: parts.first().map(|part| part.language.clone()).unwrap_or_default(),
            changes: Vec::new(),
            warnings: Vec::new(),
            parts: parts.len(),
        };
        let mut rest = text;
        for part in parts {
            let (before, behind) = rest.split_once(part.source).unwrap_or(("", rest));
            whole.translation.push_str(before);
            whole.translation.push_str(part.translation.trim());
            rest = behind;
            if !part.is_same {
                whole.warnings.extend(self.glossary.missing(part.source, &part.translation));
            }
            whole.changes.extend(part.changes);
        }
        whole.translation.push_str(rest);
        whole
    }

    fn question(&self, text: &str) -> Chat {
        prompt::translate(self.config, &self.glossary, text)
    }
}

/// All answers, or the first failure.
fn ask_all(chats: &[Chat]) -> Result<Vec<Response>, Failure> {
    let mut responses = Vec::new();
    for group in chats.chunks(AT_ONCE) {
        for answer in llm::all(group.to_vec())? {
            responses.push(answer.map_err(too_long)?);
        }
    }
    Ok(responses)
}

/// Says what to do about a part that does not fit.
fn too_long(error: llm::Error) -> Failure {
    if error.kind == ErrorKind::TooLarge {
        let message =
            format!("a part of the text does not fit the model: set a smaller `part_tokens`: {}", error.message);
        return Failure::permanent("too_long", message);
    }
    error.into()
}

fn filled(translation: String) -> Result<String, Failure> {
    if translation.trim().is_empty() {
        return Err(Failure::retryable("empty_translation", "the model wrote an empty translation"));
    }
    Ok(translation)
}

sandmill_plugin::export!(manifest, process);
