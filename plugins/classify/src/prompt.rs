//! All that the model is told.

use crate::config::Config;
use crate::labels::Labels;
use sandmill_plugin::llm::{self, Chat};
use sandmill_plugin::text::{DATA_ONLY, fence};
use serde_json::{Map, Value, json};

pub(crate) fn question(config: &Config, labels: &Labels<'_>, text: &str, enforce: bool) -> Chat {
    let mut chat = llm::chat()
        .system(instructions(config))
        .cache()
        .user(fence("text", text))
        .answer_schema(&schema(config, labels, enforce));
    if let Some(temperature) = config.temperature {
        chat = chat.temperature(temperature);
    }
    chat
}

fn instructions(config: &Config) -> String {
    let mut lines = vec![
        if config.multiple {
            "You sort texts. Give each text all labels that fit it, and no other.".to_owned()
        } else {
            "You sort texts. Give each text the one label that fits it best.".to_owned()
        },
        "`confidence` says how sure you are, from 0 to 1: 0.5 where it could as well be another, 1 where nobody would doubt it.".to_owned(),
    ];
    if config.rationale {
        lines.push("`rationale` says in a sentence what in the text decides it.".to_owned());
    }
    lines.push("The labels:".to_owned());
    lines.extend(config.labels.iter().map(|label| match label.description() {
        Some(description) => format!("- {}: {description}", label.name()),
        None => format!("- {}", label.name()),
    }));
    if let Some(other) =
        config.other.as_deref().filter(|other| config.labels.iter().all(|label| label.name() != *other))
    {
        lines.push(format!("- {other}: what none of the above fits"));
    }
    lines.push(DATA_ONLY.to_owned());
    lines.extend(config.instructions.clone());
    lines.join("\n")
}

fn schema(config: &Config, labels: &Labels<'_>, enforce: bool) -> Value {
    let mut label = json!({"type": "string"});
    if enforce {
        label["enum"] = json!(labels.names());
    }
    // Not every provider takes bounds: what is outside is dealt with when it is read.
    let confidence = json!({"type": "number"});
    let mut properties = Map::new();
    if config.rationale {
        properties.insert("rationale".to_owned(), json!({"type": "string"}));
    }
    if config.multiple {
        let one = closed(json!({"label": label, "confidence": confidence}));
        properties.insert("labels".to_owned(), json!({"type": "array", "items": one}));
    } else {
        properties.insert("label".to_owned(), label);
        properties.insert("confidence".to_owned(), confidence);
    }
    closed(Value::Object(properties))
}

fn closed(properties: Value) -> Value {
    let names: Vec<String> = properties.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
}

/// Why an answer is not taken.
pub(crate) fn complaint(problem: &str, labels: &Labels<'_>) -> String {
    let names: Vec<String> = labels.names().iter().map(|name| format!("{name:?}")).collect();
    format!("That cannot be used: {problem}. The labels are {}. Answer again, in the same form.", names.join(", "))
}
