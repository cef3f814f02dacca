//! Takes e-mail addresses, phone numbers and payment card numbers out of an item's texts. Asks no model.

mod scan;

use sandmill_plugin::{Context, Failure, Item, Manifest, Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use scan::{Counts, Kinds, redact};

#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The fields that are looked at, by name, at the top of the item. Without it: every text in the item.
    fields: Option<Vec<String>>,
    /// What is taken out. Without it: all three.
    kinds: Option<Vec<Kind>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Email,
    Phone,
    Card,
}

#[derive(Debug, Serialize)]
struct Redacted {
    item: Value,
    redacted: Counts,
}

fn manifest() -> Manifest {
    let does = "Takes e-mail addresses, phone numbers and payment card numbers out of an item's texts.";
    Manifest::new("redact", env!("CARGO_PKG_VERSION"), does).config::<Config>()
}

#[expect(clippy::unnecessary_wraps, reason = "the signature that plugins have")]
fn process(item: Item<Value>, cx: &Context<Config>) -> Result<Outcome, Failure> {
    let mut value = item.data;
    let kinds = kinds(cx.config.kinds.as_deref());
    let mut counts = Counts::default();
    match (&cx.config.fields, &mut value) {
        (Some(fields), Value::Object(map)) => {
            for field in fields {
                if let Some(value) = map.get_mut(field) {
                    walk(value, kinds, &mut counts);
                }
            }
        }
        (_, value) => walk(value, kinds, &mut counts),
    }
    Ok(Outcome::emit(Redacted { item: value, redacted: counts }))
}

fn kinds(chosen: Option<&[Kind]>) -> Kinds {
    let has = |kind| chosen.is_none_or(|kinds| kinds.contains(&kind));
    Kinds { email: has(Kind::Email), phone: has(Kind::Phone), card: has(Kind::Card) }
}

fn walk(value: &mut Value, kinds: Kinds, counts: &mut Counts) {
    match value {
        Value::String(text) => {
            if let Some(clean) = redact(text, kinds, counts) {
                *text = clean;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| walk(value, kinds, counts)),
        Value::Object(map) => {
            for (name, value) in map {
                // What names the item must go on naming it.
                if name != "id" {
                    walk(value, kinds, counts);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

sandmill_plugin::export!(manifest, process);
