//! Asks a model one question an item, from a template in the configuration: what most people need without writing code.

use sandmill_plugin::{Context, Failure, Item, Manifest, Outcome, llm, template};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The question. `{{field}}` and `{{a.b}}` stand for what the item holds there.
    prompt: String,
    /// What the model is told beforehand; a template too.
    system: Option<String>,
    /// A JSON Schema of the answer. With it, the answer is JSON.
    schema: Option<Value>,
    max_output_tokens: Option<u32>,
    temperature: Option<f64>,
}

fn manifest() -> Manifest {
    Manifest::new("prompt", env!("CARGO_PKG_VERSION"), "Asks a model one question an item, from a template.")
        .config::<Config>()
        .role("default", "answers the question")
}

fn process(item: Item<Value>, cx: &Context<Config>) -> Result<Outcome, Failure> {
    let config = &cx.config;
    let mut chat = llm::chat();
    if let Some(system) = &config.system {
        chat = chat.system(template::render(system, &item.id, &item.data)?);
    }
    chat = chat.user(template::render(&config.prompt, &item.id, &item.data)?);
    if let Some(tokens) = config.max_output_tokens {
        chat = chat.max_output_tokens(tokens);
    }
    if let Some(temperature) = config.temperature {
        chat = chat.temperature(temperature);
    }
    let answer = match &config.schema {
        Some(schema) => chat.json_value(schema)?,
        None => Value::from(chat.text()?),
    };
    Ok(Outcome::emit(json!({ "answer": answer })))
}

sandmill_plugin::export!(manifest, process);
