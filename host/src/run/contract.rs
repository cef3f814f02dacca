//! What the manifest promises and the host holds both sides to: the configuration's schema, required fields, the output's schema.

use crate::domain::{Emission, Failure, FailureClass, Item};
use crate::sandbox::Manifest;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Messages of a schema's violations in one failure.
const VIOLATIONS_MAX: usize = 5;

/// A manifest, made ready for checking. Cheap to clone.
#[derive(Clone)]
pub struct Contract {
    required_fields: Vec<String>,
    output: Option<Arc<jsonschema::Validator>>,
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
            if let Some(reason) = violations(&validator, &value) {
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
                missing.join("`, `"),
                fields.into_keys().take(20).collect::<Vec<_>>().join(", "),
                missing[0],
            ),
        );
        failure.code = "missing_field".into();
        Err(failure)
    }

    /// Before the outcome is stored.
    pub(super) fn check_output(&self, emissions: &[Emission]) -> Result<(), Failure> {
        let Some(validator) = &self.output else { return Ok(()) };
        for emission in emissions {
            let reason = match serde_json::from_str::<Value>(&emission.value) {
                Ok(value) => violations(validator, &value),
                Err(error) => Some(error.to_string()),
            };
            if let Some(reason) = reason {
                return Err(Failure::new(
                    FailureClass::BadOutput,
                    format!("the plugin emitted what its own output schema does not allow: {reason}"),
                ));
            }
        }
        Ok(())
    }
}

/// No schema may reach for files or addresses: the crate is built without resolvers.
fn compile(schema: &str, which: &'static str) -> Result<jsonschema::Validator, ContractError> {
    let bad = |reason: String| ContractError::BadSchema { which, reason };
    let value: Value = serde_json::from_str(schema).map_err(|error| bad(error.to_string()))?;
    jsonschema::validator_for(&value).map_err(|error| bad(error.to_string()))
}

fn violations(validator: &jsonschema::Validator, value: &Value) -> Option<String> {
    let found: Vec<String> = validator
        .iter_errors(value)
        .take(VIOLATIONS_MAX)
        .map(|error| {
            let place = error.instance_path().to_string();
            let text = crate::domain::sanitize_text(&error.to_string(), 300);
            if place.is_empty() { text } else { format!("{place}: {text}") }
        })
        .collect();
    (!found.is_empty()).then(|| found.join("; "))
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
    fn an_output_is_held_to_the_plugins_own_schema() {
        let contract = Contract::new(&manifest(), r#"{"n":1}"#).unwrap();
        let emission = |value: &str| Emission { value: value.into(), name: None, extra: Vec::new() };
        assert!(contract.check_output(&[emission(r#"{"a":1}"#)]).is_ok());
        assert_eq!(contract.check_output(&[emission("{}")]).unwrap_err().class, FailureClass::BadOutput);
    }
}
