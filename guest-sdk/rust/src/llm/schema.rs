//! JSON Schemas of answers, in the narrow dialect that providers enforce.
//!
//! "Strict" schemas, as the providers have them, want every object closed and every property required. A serde type stays
//! readable under that: what is optional may be null or is simply always there.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::export::schema_of;

/// The schema of an answer of this type, closed as far as it can be, and its name.
pub(super) fn answer_schema<T: JsonSchema>() -> (String, Value) {
    let mut schema = schema_of::<T>();
    close(&mut schema);
    (valid_name(&T::schema_name()), schema)
}

/// Whether a provider can enforce it: every object is closed, and all its properties are required.
pub(super) fn is_strict(schema: &Value) -> bool {
    let Value::Object(object) = schema else { return !matches!(schema, Value::Bool(true)) };
    if object.is_empty() || (is_object_type(object) && !is_closed(object)) {
        return false;
    }
    subschemas(object).all(is_strict)
}

fn close(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    // Formats such as `uint8` are this side's business, and some providers refuse those they do not know.
    if object.get("type").is_none_or(|kind| kind != "string") {
        object.remove("format");
    }
    object.remove("default");
    if let Some(names) = property_names(object)
        && !object.contains_key("additionalProperties")
    {
        object.insert("additionalProperties".to_owned(), json!(false));
        object.insert("required".to_owned(), json!(names));
    }
    for (keyword, value) in object.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties" | "$defs", Value::Object(named)) => named.values_mut().for_each(close),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(list)) => list.iter_mut().for_each(close),
            ("items" | "additionalProperties", inner) => close(inner),
            _ => {}
        }
    }
}

fn subschemas(object: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    object.iter().flat_map(|(keyword, value)| -> Vec<&Value> {
        match (keyword.as_str(), value) {
            ("properties" | "$defs", Value::Object(named)) => named.values().collect(),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(list)) => list.iter().collect(),
            ("items", inner) => vec![inner],
            _ => Vec::new(),
        }
    })
}

fn is_object_type(object: &Map<String, Value>) -> bool {
    let named = match object.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => false,
    };
    named || object.contains_key("properties")
}

fn is_closed(object: &Map<String, Value>) -> bool {
    let required = |name: &String| {
        object.get("required").and_then(Value::as_array).is_some_and(|list| list.iter().any(|entry| entry == name))
    };
    object.get("additionalProperties") == Some(&Value::Bool(false))
        && property_names(object).is_some_and(|names| names.iter().all(required))
}

fn property_names(object: &Map<String, Value>) -> Option<Vec<String>> {
    Some(object.get("properties")?.as_object()?.keys().cloned().collect())
}

/// Letters, digits, dashes and underscores, 64 at most.
pub(super) fn valid_name(name: &str) -> String {
    let valid = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    let name: String = name.chars().take(64).map(valid).collect();
    if name.is_empty() { "answer".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Answer {
        count: Option<u8>,
        points: Vec<Point>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Point {
        text: String,
    }

    #[test]
    fn objects_are_closed_and_properties_required_at_every_depth() {
        let (name, schema) = answer_schema::<Answer>();
        assert_eq!(name, "Answer");
        assert_eq!(schema["required"], json!(["count", "points"]));
        assert_eq!(schema["properties"]["points"]["items"]["additionalProperties"], json!(false));
        assert!(schema["properties"]["count"].get("format").is_none(), "{schema}");
        assert!(is_strict(&schema), "{schema}");
    }

    #[test]
    fn a_map_cannot_be_enforced() {
        assert!(!is_strict(&answer_schema::<BTreeMap<String, u8>>().1));
        assert!(!is_strict(&json!({"type": "object", "properties": {"a": {}}, "required": ["a"]})));
    }

    #[test]
    fn a_name_has_only_letters_that_providers_take() {
        assert_eq!(valid_name("Array_of_Option<é>"), "Array_of_Option___");
        assert_eq!(valid_name(""), "answer");
    }
}
