//! Takes typed records out of documents, by a JSON Schema. A document that does not fit the model is read in parts.

mod answer;
mod config;
mod evidence;
mod merge;
mod normal;
mod prompt;
mod schema;
#[cfg(test)]
mod tests;

use answer::{Found, Reader};
use config::{Evidence, Nothing};
use sandmill_plugin::llm::{self, Chat, ErrorKind, Splitter};
use sandmill_plugin::{Context, Failure, Item, Manifest, Outcome, template, text};
use schema::Shape;
use schemars::JsonSchema;
use serde_json::{Map, Value};

pub use config::Config;

/// Parts that are asked about at once, and how often a part that does not fit after all is split.
const AT_ONCE: usize = 16;
const DEPTH_MAX: u32 = 4;

/// A record, as the configuration says; with evidence `evidence` beside its fields.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Record(#[expect(dead_code, reason = "only its schema is looked at")] Map<String, Value>);

fn manifest() -> Manifest {
    Manifest::new("extract", env!("CARGO_PKG_VERSION"), "Takes typed records out of a document, by a JSON Schema.")
        .config::<Config>()
        .output::<Record>()
        .role("default", "reads documents, and answers in JSON that fits a schema")
}

fn process(item: Item<Value>, cx: &Context<Config>) -> Result<Outcome, Failure> {
    let config = &cx.config;
    let shape = Shape::of(config)?;
    let document = template::field(&item.data, &config.text_field)?;
    if document.trim().is_empty() {
        return Ok(Outcome::skip(format!("`{}` is empty", config.text_field)));
    }
    let mut records = Extractor { config, shape: &shape }.records(&document)?;
    if !config.many {
        records.retain(|found| !found.is_nothing() || config.nothing == Nothing::Emit);
    }
    if records.is_empty() && config.nothing != Nothing::Emit {
        let message = "nothing that was looked for stands in the document";
        return match config.nothing {
            Nothing::Fail => Err(Failure::permanent("nothing_found", message)),
            Nothing::Emit | Nothing::Skip => Ok(Outcome::skip(message)),
        };
    }
    Ok(Outcome::emit_many(records.into_iter().map(|found| found.into_value(config.evidence))))
}

impl Found {
    fn is_nothing(&self) -> bool {
        let is_nothing = |value: &Value| match value {
            Value::Null => true,
            Value::Array(list) => list.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => false,
        };
        self.record.values().all(is_nothing)
    }

    fn into_value(self, evidence: Evidence) -> Value {
        let mut record = self.record;
        if evidence != Evidence::Off {
            record.insert("evidence".to_owned(), Value::Object(self.evidence));
        }
        Value::Object(record)
    }
}

struct Extractor<'a> {
    config: &'a Config,
    shape: &'a Shape,
}

impl Extractor<'_> {
    fn records(&self, document: &str) -> Result<Vec<Found>, Failure> {
        let splitter = Splitter {
            tokens_max: self.config.part_tokens,
            overlap_tokens: self.config.overlap_tokens,
            output_tokens: self.config.max_output_tokens.map_or(Splitter::default().output_tokens, u64::from),
        };
        let pieces = splitter.split(document, |part| self.question(part, true))?;
        let parts: Vec<&str> = pieces.iter().map(|piece| piece.text).collect();
        if let [whole] = parts[..] {
            match self.question(whole, false).send() {
                Ok(response) => return self.reader(false).settle(self.question(whole, false), response, whole),
                Err(error) if error.kind == ErrorKind::TooLarge => {
                    return self.together(self.split_again(whole, &error, 0)?);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.together(self.ask_all(&parts, 0)?)
    }

    /// At the same time; a part that does not fit after all is split again.
    fn ask_all(&self, parts: &[&str], depth: u32) -> Result<Vec<Vec<Found>>, Failure> {
        let mut all = Vec::new();
        for group in parts.chunks(AT_ONCE) {
            let answers = llm::all(group.iter().map(|part| self.question(part, true)).collect())?;
            for (part, answer) in group.iter().zip(answers) {
                match answer {
                    Ok(response) => all.push(self.reader(true).settle(self.question(part, true), response, part)?),
                    Err(error) if error.kind == ErrorKind::TooLarge => {
                        all.extend(self.split_again(part, &error, depth)?);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(all)
    }

    fn split_again(&self, part: &str, too_large: &llm::Error, depth: u32) -> Result<Vec<Vec<Found>>, Failure> {
        let parts = text::split(part, too_large.share_that_fits());
        if depth >= DEPTH_MAX || parts.len() < 2 {
            let message =
                format!("the document was split {depth} times, and a part still does not fit: {}", too_large.message);
            return Err(Failure::permanent("too_long", message));
        }
        self.ask_all(&parts, depth + 1)
    }

    fn together(&self, parts: Vec<Vec<Found>>) -> Result<Vec<Found>, Failure> {
        if self.config.many {
            return Ok(merge::many(parts, &self.config.key));
        }
        let count = parts.len();
        let Some(whole) = merge::one(parts.into_iter().flatten().collect()) else { return Ok(Vec::new()) };
        let problems = self.shape.violations(&Value::Object(whole.record.clone()), false);
        if problems.is_empty() {
            return Ok(vec![whole]);
        }
        let message = format!(
            "the record that {count} parts of the document make does not fit the schema: {}",
            problems.join("; ")
        );
        Err(Failure::retryable("not_of_schema", message).detail(Value::Object(whole.record)))
    }

    fn question(&self, text: &str, is_part: bool) -> Chat {
        prompt::question(self.config, self.shape, text, is_part)
    }

    const fn reader(&self, is_part: bool) -> Reader<'_> {
        Reader { config: self.config, shape: self.shape, is_part }
    }
}

sandmill_plugin::export!(manifest, process);
