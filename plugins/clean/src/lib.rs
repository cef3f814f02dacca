//! Takes boilerplate and stray white space out of texts: by rules first, and a model is asked only about what rules do not settle.

mod config;
mod prompt;
mod rules;
#[cfg(test)]
mod tests;

use rules::{Removed, Why};
use sandmill_plugin::llm::{self, ErrorKind, Response};
use sandmill_plugin::{Context, Failure, Item, Manifest, Outcome, template};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub use config::Config;

#[derive(Debug, Serialize, JsonSchema)]
pub struct Cleaned {
    text: String,
    /// In the order in which it was taken out.
    removed: Vec<Removed>,
    /// Paragraphs that the model was asked about.
    asked: usize,
}

fn manifest() -> Manifest {
    let does = "Takes boilerplate and stray white space out of a text; asks a model only what rules do not settle.";
    Manifest::new("clean", env!("CARGO_PKG_VERSION"), does)
        .config::<Config>()
        .output::<Cleaned>()
        .optional_role("default", "tells boilerplate from text; not needed with `ask = false`")
}

fn process(item: Item<Value>, cx: &Context<Config>) -> Result<Outcome, Failure> {
    let config = &cx.config;
    let text = template::field(&item.data, &config.text_field)?;
    if text.trim().is_empty() {
        return Ok(Outcome::skip(format!("`{}` is empty", config.text_field)));
    }
    let (mut text, mut removed) = rules::apply(&text, config);
    let doubtful = if config.ask { rules::doubtful(&text, config) } else { Vec::new() };
    if !doubtful.is_empty() {
        text = ask(config, &text, &doubtful, &mut removed)?;
    }
    Ok(Outcome::emit(Cleaned { text, removed, asked: doubtful.len() }))
}

/// The text without the paragraphs, of those in doubt, that the model calls boilerplate.
fn ask(config: &Config, text: &str, doubtful: &[usize], removed: &mut Vec<Removed>) -> Result<String, Failure> {
    let paragraphs: Vec<&str> = rules::paragraphs(text).collect();
    let shown: Vec<&str> = doubtful.iter().map(|at| paragraphs[*at]).collect();
    let mut chat = prompt::question(config, &shown);
    let mut left = config.ask_again;
    let numbers = loop {
        let response = chat.clone().send()?;
        let error = match read(&response, shown.len()) {
            Ok(numbers) => break numbers,
            Err(error) if error.kind == ErrorKind::BadAnswer && left > 0 => error,
            Err(error) => return Err(error.into()),
        };
        left -= 1;
        chat = chat.message(response.to_message()).user(prompt::complaint(&error.message));
    };
    let is_out =
        |at: &usize| doubtful.iter().position(|place| place == at).is_some_and(|nth| numbers.contains(&(nth + 1)));
    let mut kept = Vec::new();
    for (at, paragraph) in paragraphs.into_iter().enumerate() {
        if is_out(&at) {
            removed.push(Removed { text: paragraph.to_owned(), why: Why::Model });
        } else {
            kept.push(paragraph);
        }
    }
    Ok(kept.join("\n\n"))
}

/// Numbers of those that were shown, and no others.
fn read(response: &Response, shown: usize) -> Result<Vec<usize>, llm::Error> {
    let prompt::Answer { boilerplate } = response.parse()?;
    match boilerplate.iter().find(|number| !(1..=shown).contains(*number)) {
        None => Ok(boilerplate),
        Some(number) => {
            Err(llm::Error::bad_answer(format!("there is no paragraph {number}: they go from 1 to {shown}")))
        }
    }
}

sandmill_plugin::export!(manifest, process);
