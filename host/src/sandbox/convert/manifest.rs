//! What a plugin says of itself.

use super::pairs::is_name;
use super::{MESSAGE_BYTES_MAX, NAME_BYTES_MAX, out};
use crate::domain::{sanitize_line, sanitize_text};
use crate::sandbox::manifest::{Manifest, ModelRole};
use crate::schema;

/// Fields and roles that a manifest may name.
const NAMES_MAX: usize = 1_000;

pub(in crate::sandbox) fn manifest_from_wit(manifest: out::Manifest) -> Result<Manifest, String> {
    for (text, what) in [(&manifest.config_schema, "config-schema"), (&manifest.output_schema, "output-schema")] {
        if let Some(text) = text {
            schema::check_bounds(text).map_err(|why| format!("{what} is no JSON Schema that can be used: {why}"))?;
        }
    }
    let many = [(manifest.required_fields.len(), "required fields"), (manifest.model_roles.len(), "model roles")];
    if let Some((count, what)) = many.into_iter().find(|(count, _)| *count > NAMES_MAX) {
        return Err(format!("the manifest has {count} {what}, and {NAMES_MAX} are allowed"));
    }
    if let Some(field) = manifest.required_fields.iter().find(|field| !is_name(field)) {
        let shown = sanitize_line(field, 60);
        return Err(format!(
            "the required field `{shown}` is no name: it has more than {NAME_BYTES_MAX} bytes, or control characters"
        ));
    }
    let name = sanitize_line(&manifest.name, NAME_BYTES_MAX);
    if name.trim().is_empty() {
        return Err("the manifest has no name".into());
    }
    Ok(Manifest {
        name,
        version: sanitize_line(&manifest.version, NAME_BYTES_MAX),
        description: sanitize_text(&manifest.description, MESSAGE_BYTES_MAX),
        config_schema: manifest.config_schema,
        output_schema: manifest.output_schema,
        required_fields: manifest.required_fields,
        model_roles: manifest
            .model_roles
            .into_iter()
            .map(|role| ModelRole {
                name: sanitize_line(&role.name, NAME_BYTES_MAX),
                description: sanitize_text(&role.description, MESSAGE_BYTES_MAX),
                optional: role.optional,
            })
            .collect(),
    })
}
