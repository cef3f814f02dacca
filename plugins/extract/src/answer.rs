//! What a model answers: taken apart, made what the schema says, and held to the schema and to the document.

use crate::config::{Config, Evidence};
use crate::evidence::Words;
use crate::normal::normalise_record;
use crate::prompt;
use crate::schema::Shape;
use sandmill_plugin::Failure;
use sandmill_plugin::llm::{Chat, ErrorKind, Response};
use serde_json::{Map, Value};

/// A record, and the words that say so, by field.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) record: Map<String, Value>,
    pub(crate) evidence: Map<String, Value>,
}

/// Why an answer is not taken.
struct Wrong {
    code: &'static str,
    problems: Vec<String>,
}

impl Wrong {
    fn bad_answer(problem: impl Into<String>) -> Self {
        Self { code: "bad_answer", problems: vec![problem.into()] }
    }
}

pub(crate) struct Reader<'a> {
    pub(crate) config: &'a Config,
    pub(crate) shape: &'a Shape,
    pub(crate) is_part: bool,
}

impl Reader<'_> {
    /// Reads the answer to `chat` about `text`; what is wrong with it is said in the same conversation, and asked for again.
    pub(crate) fn settle(&self, mut chat: Chat, mut response: Response, text: &str) -> Result<Vec<Found>, Failure> {
        let words = Words::of(text);
        let mut asked_again = 0;
        loop {
            let wrong = match self.read(&response, &words)? {
                Ok(found) => return Ok(found),
                Err(wrong) => wrong,
            };
            if asked_again == self.config.ask_again {
                let message = format!(
                    "the answer was asked for {} times, and is wrong: {}",
                    asked_again + 1,
                    wrong.problems.join("; ")
                );
                return Err(Failure::retryable(wrong.code, message).detail(response.text));
            }
            asked_again += 1;
            chat = chat.message(response.to_message()).user(prompt::complaint(&wrong.problems));
            response = chat.clone().send()?;
        }
    }

    /// The outer error is one that asking again does not mend.
    fn read(&self, response: &Response, words: &Words) -> Result<Result<Vec<Found>, Wrong>, Failure> {
        let answer: Value = match response.parse() {
            Ok(answer) => answer,
            Err(error) if error.kind == ErrorKind::BadAnswer => return Ok(Err(Wrong::bad_answer(error.message))),
            Err(error) => return Err(error.into()),
        };
        let Some(taken) = self.take_apart(answer) else {
            return Ok(Err(Wrong::bad_answer("it has another form than was asked for")));
        };
        let mut all = Vec::new();
        let mut problems = Vec::new();
        let mut code = "not_of_schema";
        for mut found in taken {
            normalise_record(&mut found.record, &self.shape.record);
            let unproven = self.unproven(&mut found, words);
            let of_schema = self.shape.violations(&Value::Object(found.record.clone()), self.is_part);
            if self.config.evidence == Evidence::Retry || !of_schema.is_empty() {
                if !unproven.is_empty() {
                    code = "no_evidence";
                }
                problems.extend(unproven);
            }
            problems.extend(of_schema);
            all.push(found);
        }
        Ok(if problems.is_empty() { Ok(all) } else { Err(Wrong { code, problems }) })
    }

    /// `None`: it has another form than was asked for.
    fn take_apart(&self, answer: Value) -> Option<Vec<Found>> {
        let Value::Object(mut answer) = answer else { return None };
        let one = |value: Value| -> Option<Found> {
            let Value::Object(mut map) = value else { return None };
            if self.config.evidence == Evidence::Off {
                return Some(Found { record: map, evidence: Map::new() });
            }
            match (map.remove("record")?, map.remove("evidence")?) {
                (Value::Object(record), Value::Object(evidence)) => Some(Found { record, evidence }),
                _ => None,
            }
        };
        if !self.config.many {
            return Some(vec![one(Value::Object(answer))?]);
        }
        let Value::Array(records) = answer.remove("records")? else { return None };
        records.into_iter().map(one).collect()
    }

    /// Values whose words do not stand in the document; they become null where that is wanted.
    fn unproven(&self, found: &mut Found, words: &Words) -> Vec<String> {
        if self.config.evidence == Evidence::Off {
            return Vec::new();
        }
        let mut told = Vec::new();
        for (name, value) in &mut found.record {
            let is_nothing = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            let quote = found.evidence.get(name).and_then(Value::as_str);
            if is_nothing {
                found.evidence.insert(name.clone(), Value::Null);
            } else if !quote.is_some_and(|quote| words.hold(quote)) {
                told.push(match quote {
                    Some(quote) => format!("the evidence for `{name}` does not stand in the document: {quote:?}"),
                    None => format!("`{name}` has a value and no evidence"),
                });
                if self.config.evidence == Evidence::Drop {
                    *value = if value.is_array() { Value::Array(Vec::new()) } else { Value::Null };
                    found.evidence.insert(name.clone(), Value::Null);
                }
            }
        }
        told
    }
}
