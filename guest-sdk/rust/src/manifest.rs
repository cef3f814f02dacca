//! What a plugin says of itself.

use schemars::JsonSchema;
use serde::Serialize;

use crate::bindings::sandmill::plugin::types as wit;
use crate::export::schema_of;
use crate::item::pair;

/// What a plugin says of itself, once, before the first item.
///
/// It must not depend on anything: the host may keep it beside the compiled component.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Manifest(wit::Manifest);

impl Manifest {
    /// `version` is the plugin's own, as a rule `env!("CARGO_PKG_VERSION")`; `description` says in a sentence or two what it
    /// does with an item.
    pub fn new(name: impl Into<String>, version: impl Into<String>, description: impl Into<String>) -> Self {
        Self(wit::Manifest {
            name: name.into(),
            version: version.into(),
            description: description.into(),
            config_schema: None,
            output_schema: None,
            required_fields: Vec::new(),
            model_roles: Vec::new(),
            extra: Vec::new(),
        })
    }

    /// The host checks the configuration against the schema of `C` before the first item. Doc comments on the fields become
    /// descriptions; `#[serde(deny_unknown_fields)]` refuses misspelt names.
    pub fn config<C: JsonSchema>(mut self) -> Self {
        self.0.config_schema = Some(schema_of::<C>().to_string());
        self
    }

    /// The host checks each emission against the schema of `O`: one that does not fit fails the item.
    pub fn output<O: JsonSchema>(mut self) -> Self {
        self.0.output_schema = Some(schema_of::<O>().to_string());
        self
    }

    /// Fields that every item must have. An item without one fails before it gets here, and costs nothing.
    pub fn requires<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.0.required_fields.extend(fields.into_iter().map(Into::into));
        self
    }

    /// A model that the plugin needs, by the part it plays. The description tells the operator what it has to be good at.
    pub fn role(self, name: impl Into<String>, description: impl Into<String>) -> Self {
        self.push_role(name.into(), description.into(), false)
    }

    /// A model that the plugin can do without.
    pub fn optional_role(self, name: impl Into<String>, description: impl Into<String>) -> Self {
        self.push_role(name.into(), description.into(), true)
    }

    /// An open-ended property of the role that was added last: what a newer host may know. A value that has no JSON form is left out.
    pub fn role_extra(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        if let Some(role) = self.0.model_roles.last_mut() {
            role.extra.extend(pair(name, value));
        }
        self
    }

    /// An open-ended property. A value that has no JSON form is left out.
    pub fn extra(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.0.extra.extend(pair(name, value));
        self
    }

    fn push_role(mut self, name: String, description: String, optional: bool) -> Self {
        self.0.model_roles.push(wit::ModelRole { name, description, optional, extra: Vec::new() });
        self
    }

    pub(crate) fn into_wit(self) -> wit::Manifest {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Config {
        /// How many.
        count: Option<u8>,
        inner: Inner,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Inner {
        name: String,
    }

    #[test]
    fn a_schema_carries_descriptions_and_no_references() {
        let manifest = Manifest::new("a", "1.0.0", "b").config::<Config>().requires(["x", "y"]).into_wit();
        let schema: Value = serde_json::from_str(&manifest.config_schema.expect("a schema")).expect("JSON");
        assert_eq!(schema["properties"]["count"]["description"], json!("How many."));
        assert_eq!(schema["properties"]["inner"]["properties"]["name"]["type"], json!("string"));
        assert_eq!(manifest.required_fields, ["x", "y"]);
        assert_eq!(manifest.output_schema, None);
    }

    #[test]
    fn roles_say_whether_the_plugin_works_without_them() {
        let manifest = Manifest::new("a", "1.0.0", "b").role("default", "").optional_role("judge", "").into_wit();
        let optional: Vec<bool> = manifest.model_roles.iter().map(|role| role.optional).collect();
        assert_eq!(optional, [false, true]);
    }
}
