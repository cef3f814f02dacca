//! What the manifest promises and the host holds both sides to: the configuration's schema, required fields, the output's schema.

use crate::domain::{Emission, Failure, FailureClass, Item, Outcome, Verdict, sanitize_line};
use crate::heavy;
use crate::sandbox::Manifest;
use crate::schema::{Schema, TooCostly, Violation};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names in a failure, and bytes of each.
const NAMES_MAX: usize = 20;
const NAME_BYTES_MAX: usize = 100;

/// A manifest, made ready for checking. Cheap to clone.
#[derive(Clone)]
pub struct Contract {
    required_fields: Vec<String>,
    output: Option<Arc<Schema>>,
}

/// A job that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    #[error("the plugin's {which} is no JSON Schema: {reason}")]
    BadSchema { which: &'static str, reason: String },
    #[error("the plugin's configuration does not fit: {reason}; set it with --set KEY=VALUE or --plugin-config FILE")]
    BadConfig { reason: String },
}

impl Contract {
    /// Checks `config`, a JSON object, against the plugin's own schema.
    pub fn new(manifest: &Manifest, config: &str) -> Result<Self, ContractError> {
        if let Some(schema) = &manifest.config_schema {
            let validator = compile(schema, "config-schema")?;
            let value: Value =
                serde_json::from_str(config).map_err(|error| ContractError::BadConfig { reason: error.to_string() })?;
            if let Some(reason) = violations(&validator, &value).unwrap_or_else(|costly| Some(costly.to_string())) {
                return Err(ContractError::BadConfig { reason });
            }
        }
        let output =
            manifest.output_schema.as_ref().map(|schema| compile(schema, "output-schema")).transpose()?.map(Arc::new);
        Ok(Self { required_fields: manifest.required_fields.clone(), output })
    }

    /// Before the plugin sees the item.
    pub(super) fn check_item(&self, item: &Item) -> Result<(), Failure> {
        if self.required_fields.is_empty() {
            return Ok(());
        }
        // What was registered is an object.
        let fields = serde_json::from_str::<BTreeMap<String, &RawValue>>(&item.json).unwrap_or_default();
        let missing: Vec<&str> =
            self.required_fields.iter().map(String::as_str).filter(|name| !fields.contains_key(*name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut failure = Failure::new(
            FailureClass::BadInput,
            format!(
                "the item has no field `{}`, which the plugin needs; it has: {}. Name the column that holds it: --map {}=COLUMN",
                listed(missing.iter().copied(), "`, `"),
                listed(fields.keys().map(String::as_str), ", "),
                listed(missing.iter().copied().take(1), ""),
            ),
        );
        failure.code = "missing_field".into();
        Err(failure)
    }

    /// What an attempt comes to that emitted these.
    pub(super) async fn verdict(&self, emissions: Vec<Emission>) -> Verdict {
        match self.check_output(emissions).await {
            Ok(emissions) => Verdict::Finished(Outcome::Done(emissions)),
            Err(failure) => Verdict::Failed(failure),
        }
    }

    /// Before the outcome is stored. Large values take long: they are checked off the guests' threads.
    async fn check_output(&self, emissions: Vec<Emission>) -> Result<Vec<Emission>, Failure> {
        let Some(schema) = self.output.clone() else { return Ok(emissions) };
        heavy::elsewhere(move || {
            emissions.iter().try_for_each(|emission| check_emission(&schema, emission)).map(|()| emissions)
        })
        .await
    }
}

/// Names that a plugin or the input brought, fit for a message.
fn listed<'a>(names: impl Iterator<Item = &'a str>, between: &str) -> String {
    names.take(NAMES_MAX).map(|name| sanitize_line(name, NAME_BYTES_MAX)).collect::<Vec<_>>().join(between)
}

fn check_emission(schema: &Schema, emission: &Emission) -> Result<(), Failure> {
    let checked = match serde_json::from_str::<Value>(&emission.value) {
        Ok(value) => violations(schema, &value),
        Err(error) => Ok(Some(error.to_string())),
    };
    match checked {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(Failure::new(
            FailureClass::BadOutput,
            format!("the plugin emitted what its own output schema does not allow: {reason}"),
        )),
        Err(costly) => Err(Failure::new(
            FailureClass::SchemaTooCostly,
            format!("what the plugin emitted is not checked against its own output schema: {costly}"),
        )),
    }
}

fn compile(schema: &str, which: &'static str) -> Result<Schema, ContractError> {
    Schema::compile(schema).map_err(|reason| ContractError::BadSchema { which, reason })
}

fn violations(schema: &Schema, value: &Value) -> Result<Option<String>, TooCostly> {
    let found: Vec<String> = schema
        .violations(value)?
        .into_iter()
        .map(|Violation { place, text }| if place.is_empty() { text } else { format!("{place}: {text}") })
        .collect();
    Ok((!found.is_empty()).then(|| found.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ItemId, ItemSeq};

    fn manifest() -> Manifest {
        Manifest {
            name: "p".into(),
            version: "1".into(),
            description: String::new(),
            config_schema: Some(r#"{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}"#.into()),
            output_schema: Some(r#"{"type":"object","required":["a"]}"#.into()),
            required_fields: vec!["text".into()],
            model_roles: Vec::new(),
        }
    }

    fn item(json: &str) -> Item {
        let id = ItemId::new("i").unwrap();
        Item { seq: ItemSeq(1), id, index: 0, json: json.into(), blobs: std::sync::Arc::new([]) }
    }

    #[test]
    fn a_configuration_that_does_not_fit_names_the_place_and_the_flag() {
        let Err(error) = Contract::new(&manifest(), r#"{"n":"x"}"#) else { panic!("accepted") };
        assert!(error.to_string().contains("/n"), "{error}");
        assert!(error.to_string().contains("--set"), "{error}");
    }

    #[test]
    fn a_missing_field_is_named_with_those_there_are() {
        let contract = Contract::new(&manifest(), r#"{"n":1}"#).unwrap();
        assert!(contract.check_item(&item(r#"{"text":1}"#)).is_ok());
        let failure = contract.check_item(&item(r#"{"body":1}"#)).unwrap_err();
        assert!(failure.message.contains("`text`") && failure.message.contains("body"), "{}", failure.message);
    }

    #[test]
    fn names_in_a_failure_are_few_and_fit_to_be_shown() {
        let names: Vec<String> = (0..1_000).map(|nth| format!("\u{1b}[2J\n{nth}")).collect();
        let contract = Contract { required_fields: names, output: None };
        let failure = contract.check_item(&item(r#"{"\u009b\u202e":1}"#)).unwrap_err();
        assert!(failure.message.len() < 1_000, "{}", failure.message.len());
        assert!(!failure.message.contains(|c: char| c.is_control() || c == '\u{202e}'), "{:?}", failure.message);
    }

    #[tokio::test]
    async fn an_output_is_held_to_the_plugins_own_schema() {
        let contract = Contract::new(&manifest(), r#"{"n":1}"#).unwrap();
        let emission = |value: &str| Emission { value: value.into(), name: None, extra: Vec::new() };
        let emitted = vec![emission(r#"{"a":1}"#)];
        assert_eq!(contract.check_output(emitted.clone()).await.unwrap(), emitted);
        assert_eq!(contract.check_output(vec![emission("{}")]).await.unwrap_err().class, FailureClass::BadOutput);
    }
}
