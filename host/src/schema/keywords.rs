//! Where a schema holds schemas, and what those are put to.

use serde_json::{Map, Value};

/// What a subschema is checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applies {
    /// The same value.
    InPlace,
    /// What the value contains.
    Below,
    /// Nothing, unless it is referred to.
    Definition,
}

/// The subschemas right below `schema`, references not followed.
pub(super) fn subschemas(schema: &Map<String, Value>) -> impl Iterator<Item = (Applies, &Value)> {
    schema.iter().flat_map(|(keyword, value)| {
        let (applies, shape) = shape(keyword);
        let (one, list, map) = match (shape, value) {
            (Shape::One | Shape::OneOrList, Value::Object(_) | Value::Bool(_)) => (Some(value), None, None),
            (Shape::List | Shape::OneOrList, Value::Array(list)) => (None, Some(list), None),
            (Shape::Map, Value::Object(map)) => (None, None, Some(map)),
            _ => (None, None, None),
        };
        let listed = list.into_iter().flatten().chain(map.into_iter().flat_map(Map::values));
        one.into_iter().chain(listed).map(move |schema| (applies, schema))
    })
}

enum Shape {
    One,
    List,
    OneOrList,
    Map,
    None,
}

fn shape(keyword: &str) -> (Applies, Shape) {
    match keyword {
        "not" | "if" | "then" | "else" => (Applies::InPlace, Shape::One),
        "allOf" | "anyOf" | "oneOf" => (Applies::InPlace, Shape::List),
        "dependentSchemas" | "dependencies" => (Applies::InPlace, Shape::Map),
        "additionalProperties"
        | "unevaluatedProperties"
        | "propertyNames"
        | "additionalItems"
        | "unevaluatedItems"
        | "contains"
        | "contentSchema" => (Applies::Below, Shape::One),
        "items" => (Applies::Below, Shape::OneOrList),
        "prefixItems" => (Applies::Below, Shape::List),
        "properties" | "patternProperties" => (Applies::Below, Shape::Map),
        "$defs" | "definitions" => (Applies::Definition, Shape::Map),
        _ => (Applies::Definition, Shape::None),
    }
}

/// What `$ref` of `schema` refers to.
pub(super) fn target<'a>(root: &'a Value, schema: &Map<String, Value>) -> Option<&'a Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}
