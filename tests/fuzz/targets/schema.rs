//! JSON Schemas, which plugins write: of their configuration, of their output, of an answer.

use super::parts::Fields;
use super::text::is_clean;
use sandmill::sandbox::fuzzing::{handler, manifest, types};
use sandmill::schema::Schema;
use serde_json::Value;

/// SCHEMA, a value that is held to it, and the manifest's name, version, field and role.
pub(crate) fn any(bytes: &[u8]) {
    let mut fields = Fields::of(bytes);
    let (schema, value) = (fields.text(), fields.text());
    match Schema::compile(&schema) {
        Ok(compiled) => {
            if let Ok(value) = serde_json::from_str::<Value>(&value)
                && let Ok(violations) = compiled.violations(&value)
            {
                assert!(violations.iter().all(|violation| is_clean(&violation.place) && is_clean(&violation.text)));
            }
        }
        Err(reason) => assert!(!reason.is_empty() && is_clean(&reason), "{reason:?}"),
    }
    let described = handler::Manifest {
        name: fields.text(),
        version: fields.text(),
        description: String::new(),
        config_schema: Some(schema.clone()),
        output_schema: Some(schema),
        required_fields: vec![fields.text()],
        model_roles: vec![types::ModelRole {
            name: fields.text(),
            description: String::new(),
            optional: true,
            extra: Vec::new(),
        }],
        extra: Vec::new(),
    };
    match manifest(described) {
        Ok(manifest) => {
            assert!(is_clean(&manifest.name) && is_clean(&manifest.version));
            assert!(manifest.model_roles.iter().all(|role| is_clean(&role.name)));
        }
        Err(message) => assert!(is_clean(&message), "{message:?}"),
    }
}
