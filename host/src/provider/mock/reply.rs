//! What the mock sends back, before it is put into a protocol's words.

use super::draw::Fault;
use super::faults::Faults;
use super::limiter::Counted;
use super::prompt::{Digest, Form, Prompt, estimate_tokens};
use super::schema;
use super::wire::{Trouble, Wire};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::time::Duration;

/// The start of the question that an answer repeats, in characters.
const QUESTION_SHOWN: usize = 40;

/// Everything about one request and what becomes of it; known before the wait begins.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Counts the requests to this mock, from 1.
    pub(crate) n: u64,
    pub(crate) model: Option<String>,
    pub(crate) digest: Option<Digest>,
    pub(crate) input_tokens: u64,
    pub(crate) fault: Option<Fault>,
    pub(crate) wait: Duration,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) end: End,
}

#[derive(Debug)]
pub(crate) enum End {
    Whole(String),
    /// So much of a body, then the connection breaks.
    Broken(String),
    /// The connection breaks before anything comes.
    Closed,
}

/// Status and body.
pub(super) type Page = (u16, String);

/// The answer to a prompt: always the same.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) said: Said,
    pub(super) output_tokens: u64,
}

#[derive(Debug)]
pub(super) enum Said {
    Text { text: String, is_cut: bool },
    Call { name: String, arguments: Value },
}

impl Answer {
    /// `tokens_max` is the model's own bound.
    pub(super) fn to(prompt: &Prompt, tokens_max: Option<u64>) -> Self {
        let digest = prompt.digest;
        let text = match &prompt.form {
            Form::Text => format!("mock answer to {} [{digest}]", question(prompt)),
            Form::Json => {
                json!({"answer": format!("mock answer to {}", question(prompt)), "digest": digest.to_string()})
                    .to_string()
            }
            Form::Schema(schema) => schema::fill(schema, digest).to_string(),
            Form::Call { name, parameters } => {
                let arguments = schema::fill(parameters, digest);
                let output_tokens = estimate_tokens(&arguments.to_string());
                return Self { said: Said::Call { name: name.clone(), arguments }, output_tokens };
            }
        };
        Self::of_text(text, prompt.tokens_max.into_iter().chain(tokens_max).min())
    }

    /// Cut where the request says so.
    fn of_text(text: String, tokens_max: Option<u64>) -> Self {
        let tokens = estimate_tokens(&text);
        match tokens_max.filter(|most| *most < tokens) {
            Some(most) => {
                let characters = usize::try_from(most.saturating_mul(4)).unwrap_or(usize::MAX);
                let text = text.chars().take(characters).collect();
                Self { said: Said::Text { text, is_cut: true }, output_tokens: most }
            }
            None => Self { said: Said::Text { text, is_cut: false }, output_tokens: tokens },
        }
    }
}

/// The page of a fault that was drawn; none for those that are no page.
pub(super) fn of_drawn(fault: Fault, wire: Wire, prompt: &Prompt, nth: u32, faults: &Faults) -> Page {
    match fault {
        Fault::RateLimit => wire.error(Trouble::RateLimit {
            model: &prompt.model,
            counted: Counted::Requests,
            limit: 3,
            requested: 1,
            wait: faults.retry_after,
        }),
        Fault::Overloaded => wire.error(Trouble::Overloaded),
        Fault::Timeout => wire.error(Trouble::Timeout),
        Fault::Garbage => (200, garbage(wire, prompt, nth)),
        Fault::ServerError
        | Fault::Connection
        | Fault::Key
        | Fault::Model
        | Fault::Context
        | Fault::MaxOutput
        | Fault::Quota
        | Fault::Limit
        | Fault::Down
        | Fault::BadRequest => wire.error(Trouble::ServerError),
    }
}

/// Not JSON, cut off, nothing, a page, no content: in turns.
fn garbage(wire: Wire, prompt: &Prompt, nth: u32) -> String {
    match (prompt.digest.number("garbage") + u64::from(nth)) % 5 {
        0 => r#"{"id": "mock", "choices": [{"index" 0, message: "#.to_owned() + "oops}]}",
        1 => {
            let whole = wire.answer(prompt, &Answer::to(prompt, None));
            whole.chars().take(whole.chars().count() / 2).collect()
        }
        2 => String::new(),
        3 => "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>".to_owned(),
        _ => wire.hollow(prompt),
    }
}

fn question(prompt: &Prompt) -> String {
    let mut characters = prompt.question.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut start: String = characters.by_ref().take(QUESTION_SHOWN).collect();
    if characters.next().is_some() {
        start.push('…');
    }
    start
}
