//! Says how urgent a message is, and what it is about.

use sandmill_plugin::log::{self, Level};
use sandmill_plugin::{Context, Failure, Item, Manifest, Outcome, llm};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longer ones are no messages.
const LETTERS_MAX: usize = 20_000;

#[derive(Deserialize)]
struct Message {
    text: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(default)]
struct Config {
    /// Whom the answer is for.
    team: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { team: "support".to_owned() }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Urgency {
    Low,
    Medium,
    High,
}

/// What the model is asked for, and what is emitted.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Triage {
    urgency: Urgency,
    /// In a word or two.
    topic: String,
}

fn manifest() -> Manifest {
    Manifest::new("{{name}}", env!("CARGO_PKG_VERSION"), "Says how urgent a message is, and what it is about.")
        .config::<Config>()
        .output::<Triage>()
        .requires(["text"])
        .role("default", "reads a message and answers in JSON")
}

fn process(item: Item<Message>, cx: &Context<Config>) -> Result<Outcome, Failure> {
    let text = item.data.text.trim();
    if text.is_empty() {
        return Ok(Outcome::skip("the message is empty"));
    }
    let letters = text.chars().count();
    if letters > LETTERS_MAX {
        return Err(Failure::permanent("too_long", format!("{letters} letters are no message: split the input")));
    }
    log::with_fields(Level::Info, "asking", [("letters".to_owned(), letters)]);
    // An error of the model fails the item for good: the host has already retried it.
    let triage: Triage =
        llm::chat().system(format!("You sort messages for the team {}.", cx.config.team)).user(text).json()?;
    if triage.topic.trim().is_empty() {
        // Begun anew, with a fresh answer.
        return Err(Failure::retryable("no_topic", "the model named no topic"));
    }
    Ok(Outcome::emit(triage))
}

sandmill_plugin::export!(manifest, process);

#[cfg(test)]
mod tests {
    use super::*;
    use sandmill_plugin::testing::{ModelError, ModelErrorKind, Response};
    use sandmill_plugin::testing::{answer, context_of, item_of, model_error, with_model};

    fn run(text: &str, reply: Result<Response, ModelError>) -> Result<Outcome, Failure> {
        let message = Message { text: text.to_owned() };
        let config = Config { team: "fire brigade".to_owned() };
        with_model(move |_| reply.clone(), || process(item_of(message), &context_of(config)))
    }

    #[test]
    fn a_message_is_sorted() {
        let reply = answer(r#"{"urgency":"high","topic":"fire"}"#);
        let expected = Triage { urgency: Urgency::High, topic: "fire".to_owned() };
        assert_eq!(run("The printer is on fire.", Ok(reply)), Ok(Outcome::emit(expected)));
    }

    #[test]
    fn an_empty_message_is_skipped() {
        let nobody = model_error(ModelErrorKind::Denied, "not_asked", "");
        assert_eq!(run(" ", Err(nobody)), Ok(Outcome::skip("the message is empty")));
    }

    #[test]
    fn an_answer_without_a_topic_is_asked_for_again() {
        let failure = run("Hm.", Ok(answer(r#"{"urgency":"low","topic":""}"#))).unwrap_err();
        assert_eq!((failure.code(), failure.is_retryable()), ("no_topic", true));
    }

    #[test]
    fn a_model_that_refuses_fails_the_item() {
        let failure = run("Hm.", Err(model_error(ModelErrorKind::Refused, "content_filter", "not this"))).unwrap_err();
        assert_eq!((failure.code(), failure.is_retryable()), ("content_filter", false));
    }
}
