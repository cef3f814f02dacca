//! Puts an item under one label or several, of a list, with a confidence. A label that is none is asked for again.

mod config;
mod labels;
mod prompt;
#[cfg(test)]
mod tests;

use config::{Below, Unknown};
use labels::Labels;
use sandmill_plugin::llm::{self, ErrorKind, Response};
use sandmill_plugin::{Context, Failure, Item, Manifest, Outcome, log, template};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

pub use config::Config;

#[derive(Debug, Serialize, JsonSchema)]
pub struct Classified {
    /// With `multiple` the surest; null if none fits.
    label: Option<String>,
    /// From 0 to 1; null where the model gave none.
    confidence: Option<f64>,
    /// With `multiple`: all of them, the surest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<Scored>>,
    /// A person should look: a label is below `min_confidence`, or was none.
    flagged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rationale: Option<String>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Scored {
    label: String,
    confidence: Option<f64>,
}

/// As the model writes it.
#[derive(Debug, Deserialize)]
struct Single {
    label: String,
    confidence: f64,
    rationale: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Multiple {
    labels: Vec<Written>,
    rationale: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Written {
    label: String,
    confidence: f64,
}

/// What an answer comes to.
struct Read {
    known: Vec<Scored>,
    unknown: Vec<String>,
    rationale: Option<String>,
}

fn manifest() -> Manifest {
    Manifest::new("classify", env!("CARGO_PKG_VERSION"), "Puts an item under one label or several, with a confidence.")
        .config::<Config>()
        .output::<Classified>()
        .role("default", "sorts texts, and answers in JSON that fits a schema")
}

fn process(item: Item<Value>, cx: &Context<Config>) -> Result<Outcome, Failure> {
    let config = &cx.config;
    let labels = Labels::of(config)?;
    let text = match &config.template {
        Some(template) => Cow::Owned(template::render(template, &item.id, &item.data)?),
        None => template::field(&item.data, &config.text_field)?,
    };
    if text.trim().is_empty() {
        return Ok(Outcome::skip("the text is empty"));
    }
    let read = ask(config, &labels, &text)?;
    Ok(settle(config, read))
}

/// Asks, and asks again in the same conversation what cannot be used. What is unknown in the end is handed back as such where
/// the operator says what becomes of it.
fn ask(config: &Config, labels: &Labels<'_>, text: &str) -> Result<Read, Failure> {
    let mut chat = prompt::question(config, labels, text, config.enforce);
    let mut left = config.ask_again;
    loop {
        let response = match chat.clone().send() {
            Ok(response) => response,
            // The provider does not enforce the schema, and the host's patience with the model is at its end: what it writes is
            // looked at here.
            Err(error) if error.code == "not_of_schema" && config.enforce && left == config.ask_again && left > 0 => {
                log::info(format!("the model does not keep to the labels under a schema: {}", error.message));
                left -= 1;
                chat = prompt::question(config, labels, text, false);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let (problem, failure) = match read(&response, config, labels) {
            Ok(read) if read.unknown.is_empty() || (left == 0 && config.unknown != Unknown::Fail) => return Ok(read),
            Ok(read) => {
                let problem = format!("{} is none of the labels", read.unknown.join(", "));
                (problem.clone(), Failure::retryable("unknown_label", problem))
            }
            Err(error) if error.kind == ErrorKind::BadAnswer => (error.message.clone(), error.into()),
            Err(error) => return Err(error.into()),
        };
        if left == 0 {
            return Err(failure.detail(response.text));
        }
        left -= 1;
        chat = chat.message(response.to_message()).user(prompt::complaint(&problem, labels));
    }
}

fn read(response: &Response, config: &Config, labels: &Labels<'_>) -> Result<Read, llm::Error> {
    let (written, rationale) = if config.multiple {
        let Multiple { labels, rationale } = response.parse()?;
        (labels, rationale)
    } else {
        let Single { label, confidence, rationale } = response.parse()?;
        (vec![Written { label, confidence }], rationale)
    };
    let mut read = Read { known: Vec::new(), unknown: Vec::new(), rationale };
    for Written { label, confidence } in written {
        let confidence = share(confidence)?;
        let Some(name) = labels.find(&label) else {
            read.unknown.push(format!("{label:?}"));
            continue;
        };
        match read.known.iter_mut().find(|known| known.label == name) {
            Some(known) => known.confidence = Some(known.confidence.unwrap_or(0.0).max(confidence)),
            None => read.known.push(Scored { label: name.to_owned(), confidence: Some(confidence) }),
        }
    }
    Ok(read)
}

/// From 0 to 1; a model that writes percents means the same.
fn share(confidence: f64) -> Result<f64, llm::Error> {
    match confidence {
        0.0..=1.0 => Ok(confidence),
        1.0..=100.0 => Ok(confidence / 100.0),
        _ => Err(llm::Error::bad_answer(format!("the confidence {confidence} is not from 0 to 1"))),
    }
}

/// What the operator's rules make of the labels.
fn settle(config: &Config, read: Read) -> Outcome {
    let Read { mut known, unknown, rationale } = read;
    let mut flagged = !unknown.is_empty();
    if known.is_empty() && !unknown.is_empty() && config.unknown == Unknown::Skip {
        return Outcome::skip(format!("the model chose {}, which is none of the labels", unknown.join(", ")));
    }
    if known.is_empty()
        && let Some(other) = &config.other
    {
        known.push(Scored { label: other.clone(), confidence: None });
    }
    known.sort_by(|one, other| other.confidence.unwrap_or(0.0).total_cmp(&one.confidence.unwrap_or(0.0)));
    if let Some(most) = config.max_labels {
        known.truncate(most);
    }
    if let Some(least) = config.min_confidence {
        let is_below = |scored: &Scored| scored.confidence.is_some_and(|confidence| confidence < least);
        match config.below {
            Below::Flag => flagged |= known.iter().any(is_below),
            Below::Skip if known.iter().any(is_below) => {
                let surest = known.first().map(|scored| scored.label.clone()).unwrap_or_default();
                known.retain(|scored| !is_below(scored));
                if known.is_empty() {
                    return Outcome::skip(format!("the model is not sure enough of any label; most of {surest:?}"));
                }
            }
            Below::Skip => {}
        }
    }
    let first = known.first().cloned();
    Outcome::emit(Classified {
        label: first.as_ref().map(|scored| scored.label.clone()),
        confidence: first.and_then(|scored| scored.confidence),
        labels: config.multiple.then_some(known),
        flagged,
        rationale,
    })
}

sandmill_plugin::export!(manifest, process);
