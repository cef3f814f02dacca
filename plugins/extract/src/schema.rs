//! The schema of a record: made of the configuration, put into what the model is asked for, and checked with.

use crate::config::{Config, Evidence, Field, FullField, Kind};
use jsonschema::Validator;
use sandmill_plugin::Failure;
use serde_json::{Map, Value, json};

/// What a record, or an answer, must be.
pub(crate) struct Shape {
    /// Of a record; an object with `properties`.
    pub(crate) record: Map<String, Value>,
    strict: Validator,
    /// Every field may be null: what one part of a document does not say, another may.
    loose_record: Map<String, Value>,
    many: bool,
    evidence: bool,
}

/// Violations that are told of one record.
const VIOLATIONS_MAX: usize = 5;

impl Shape {
    pub(crate) fn of(config: &Config) -> Result<Self, Failure> {
        let record = match (&config.schema, &config.fields) {
            (Some(schema), None) => schema.clone(),
            (None, Some(fields)) => record_of(fields)?,
            (Some(_), Some(_)) => return Err(bad_config("both `schema` and `fields` are set: keep one of them")),
            (None, None) => return Err(bad_config("neither `schema` nor `fields` is set: say what a record is")),
        };
        let Some(properties) = record.get("properties").and_then(Value::as_object).filter(|map| !map.is_empty()) else {
            return Err(bad_config("the schema of a record must be that of an object with `properties`"));
        };
        if let Some(unknown) = config.key.iter().find(|name| !properties.contains_key(*name)) {
            return Err(bad_config(format!("`key` names `{unknown}`, which is no field of a record")));
        }
        if !config.many && !config.key.is_empty() {
            return Err(bad_config("`key` says which records are the same, and there is only one without `many`"));
        }
        let evidence = config.evidence != Evidence::Off;
        if evidence && properties.contains_key("evidence") {
            return Err(bad_config(
                "a field of a record is called `evidence`, and so is what `evidence` adds: rename it",
            ));
        }
        let loose_record = loosened(&record, properties);
        let strict = compiled(&record)?;
        Ok(Self { record, strict, loose_record, many: config.many, evidence })
    }

    /// What the model is asked for. `is_part`: of a document of which it sees no more than a part.
    pub(crate) fn asked(&self, is_part: bool) -> Value {
        let record = if self.loosens(is_part) { &self.loose_record } else { &self.record };
        let (base, wrapped) = match (self.many, self.evidence) {
            (false, false) => return Value::Object(record.clone()),
            (false, true) => ("#/properties/record", true),
            (true, false) => ("#/properties/records/items", false),
            (true, true) => ("#/properties/records/items/properties/record", true),
        };
        let mut definitions = Map::new();
        let record = embedded(record, base, &mut definitions);
        let one = if wrapped { object([("record", record), ("evidence", self.evidence_schema())]) } else { record };
        let mut whole = if self.many { object([("records", json!({"type": "array", "items": one}))]) } else { one };
        if let (Some(whole), false) = (whole.as_object_mut(), definitions.is_empty()) {
            whole.insert("$defs".to_owned(), Value::Object(definitions));
        }
        whole
    }

    /// What a record does not keep to; none: it does.
    pub(crate) fn violations(&self, record: &Value, is_part: bool) -> Vec<String> {
        let loose;
        let validator = if self.loosens(is_part) {
            // Made where it is needed: making one takes longer than all else that is done with an item.
            loose = match compiled(&self.loose_record) {
                Ok(loose) => loose,
                Err(failure) => return vec![failure.message().to_owned()],
            };
            &loose
        } else {
            &self.strict
        };
        let told = validator.iter_errors(record).take(VIOLATIONS_MAX);
        told.map(|error| format!("at `{}`: {error}", error.instance_path().as_str())).collect()
    }

    /// Records that stand in a part are whole; one that is put together of parts need not be.
    const fn loosens(&self, is_part: bool) -> bool {
        is_part && !self.many
    }

    fn evidence_schema(&self) -> Value {
        let quote = json!({"type": ["string", "null"]});
        let names = self.record["properties"].as_object().into_iter().flatten().map(|(name, _)| name);
        object(names.map(|name| (name.as_str(), quote.clone())))
    }
}

pub(crate) fn bad_config(message: impl Into<String>) -> Failure {
    Failure::permanent("bad_config", message)
}

/// A closed object, all of whose properties are required.
fn object<'a>(properties: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let properties: Map<String, Value> =
        properties.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let names: Vec<&String> = properties.keys().collect();
    json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
}

fn record_of(fields: &Map<String, Value>) -> Result<Map<String, Value>, Failure> {
    let mut properties = Map::new();
    for (name, field) in fields {
        let field: Field = serde_json::from_value(field.clone()).map_err(|_| {
            bad_config(format!("the field `{name}` is neither a type nor an object with `type`, `description`, `values`, `list`, `required`"))
        })?;
        let field = match field {
            Field::Full(field) => field,
            Field::Kind(kind) => FullField { kind, description: None, values: None, list: false, required: false },
        };
        if field.values.is_some() && field.kind != Kind::String {
            return Err(bad_config(format!("the field `{name}` has `values`, which only a `string` can have")));
        }
        properties.insert(name.clone(), schema_of(field));
    }
    let Value::Object(record) = object(properties.iter().map(|(name, schema)| (name.as_str(), schema.clone()))) else {
        return Err(bad_config("`fields` must be an object"));
    };
    Ok(record)
}

fn schema_of(field: FullField) -> Value {
    let (kind, format) = match field.kind {
        Kind::String => ("string", None),
        Kind::Integer => ("integer", None),
        Kind::Number => ("number", None),
        Kind::Boolean => ("boolean", None),
        Kind::Date => ("string", Some("date")),
        Kind::DateTime => ("string", Some("date-time")),
    };
    let nullable = !field.required && !field.list;
    let mut schema = json!({"type": if nullable { json!([kind, "null"]) } else { json!(kind) }});
    if let Some(format) = format {
        schema["format"] = json!(format);
    }
    if let Some(values) = field.values {
        let null = nullable.then_some(Value::Null);
        schema["enum"] = values.into_iter().map(Value::from).chain(null).collect();
    }
    if field.list {
        schema = json!({"type": "array", "items": schema});
        if field.required {
            schema["minItems"] = json!(1);
        }
    }
    if let Some(description) = field.description {
        schema["description"] = json!(description);
    }
    schema
}

/// The same with null allowed for each property, and all of them asked for.
fn loosened(record: &Map<String, Value>, properties: &Map<String, Value>) -> Map<String, Value> {
    let may_be_null = |schema: &Value| {
        let kinds = schema.get("type");
        kinds.is_some_and(|kinds| kinds == "null" || kinds.as_array().is_some_and(|list| list.contains(&json!("null"))))
    };
    let loose: Map<String, Value> = properties
        .iter()
        .map(|(name, schema)| {
            let loose = if may_be_null(schema) { schema.clone() } else { json!({"anyOf": [schema, {"type": "null"}]}) };
            (name.clone(), loose)
        })
        .collect();
    let mut whole = record.clone();
    // What counts or combines properties is held to when all parts are together.
    whole.retain(|keyword, _| {
        ["type", "title", "description", "$defs", "definitions", "additionalProperties"].contains(&keyword.as_str())
    });
    whole.insert("required".to_owned(), loose.keys().cloned().map(Value::from).collect());
    whole.insert("properties".to_owned(), Value::Object(loose));
    whole
}

fn compiled(schema: &Map<String, Value>) -> Result<Validator, Failure> {
    jsonschema::options()
        .should_validate_formats(true)
        .build(&Value::Object(schema.clone()))
        .map_err(|error| bad_config(format!("the schema of a record is none: {error}")))
}

/// A schema inside another: its definitions go to the top, and what refers to its own top to where that now is.
fn embedded(record: &Map<String, Value>, base: &str, definitions: &mut Map<String, Value>) -> Value {
    let mut record = record.clone();
    record.remove("$schema");
    record.remove("$id");
    for name in ["$defs", "definitions"] {
        if let Some(Value::Object(own)) = record.remove(name) {
            definitions.extend(own);
        }
    }
    let mut record = Value::Object(record);
    redirect(&mut record, base);
    definitions.values_mut().for_each(|schema| redirect(schema, base));
    record
}

fn redirect(schema: &mut Value, base: &str) {
    match schema {
        Value::Object(map) => {
            for (keyword, value) in map {
                match value {
                    Value::String(target) if keyword == "$ref" => *target = redirected(target, base),
                    _ => redirect(value, base),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| redirect(value, base)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn redirected(target: &str, base: &str) -> String {
    match target.strip_prefix('#') {
        Some(rest) if rest.starts_with("/$defs/") => target.to_owned(),
        Some(rest) => match rest.strip_prefix("/definitions/") {
            Some(name) => format!("#/$defs/{name}"),
            None => format!("{base}{rest}"),
        },
        None => target.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(config: Value) -> Result<Shape, Failure> {
        Shape::of(&serde_json::from_value(config).expect("a configuration"))
    }

    fn check_bad(config: Value, part: &str) {
        let failure = shape(config).err().expect("fails");
        assert_eq!(failure.code(), "bad_config");
        assert!(failure.message().contains(part), "{failure}");
    }

    #[test]
    fn a_short_list_of_fields_is_a_schema() {
        let fields = json!({"b": "string", "a": {"type": "number", "description": "how much", "required": true},
            "c": {"values": ["x", "y"]}, "d": {"type": "date", "list": true}});
        let shape = shape(json!({"fields": fields})).expect("a shape");
        assert_eq!(
            Value::Object(shape.record.clone()),
            json!({"type": "object", "required": ["b", "a", "c", "d"], "additionalProperties": false, "properties": {
                "b": {"type": ["string", "null"]},
                "a": {"type": "number", "description": "how much"},
                "c": {"type": ["string", "null"], "enum": ["x", "y", null]},
                "d": {"type": "array", "items": {"type": "string", "format": "date"}}}})
        );
        assert_eq!(shape.violations(&json!({"b": null, "a": 1, "c": null, "d": ["2024-02-30"]}), false).len(), 1);
        assert!(shape.violations(&json!({"b": null, "a": null, "c": "x", "d": null}), true).is_empty());
    }

    #[test]
    fn a_configuration_that_says_no_record_is_told_what_to_do() {
        check_bad(json!({}), "neither");
        check_bad(json!({"schema": {}, "fields": {}}), "both");
        check_bad(json!({"schema": {"type": "array"}}), "properties");
        check_bad(json!({"fields": {}}), "properties");
        check_bad(json!({"fields": {"a": "text"}}), "`a`");
        check_bad(json!({"fields": {"a": {"type": "number", "values": ["1"]}}}), "values");
        check_bad(json!({"fields": {"a": "string"}, "many": true, "key": ["b"]}), "`b`");
        check_bad(json!({"fields": {"a": "string"}, "key": ["a"]}), "many");
        check_bad(json!({"fields": {"evidence": "string"}, "evidence": "drop"}), "rename");
        check_bad(json!({"schema": {"type": "object", "properties": {"a": {"type": "strin"}}}}), "none");
    }

    #[test]
    fn references_still_lead_where_they_did_when_the_schema_stands_inside_another() {
        let schema = json!({"$id": "urn:x", "type": "object", "properties": {
            "a": {"$ref": "#/$defs/b"}, "c": {"$ref": "#/definitions/d"}, "e": {"$ref": "#"}, "f": {"$ref": "#/properties/a"}},
            "$defs": {"b": {"type": "integer"}}, "definitions": {"d": {"type": "string"}}});
        let asked = shape(json!({"schema": schema, "many": true, "evidence": "drop"})).expect("a shape").asked(false);
        let validator = jsonschema::validator_for(&asked).expect("a schema");
        let answer = |a: Value, c: Value| {
            let quotes = json!({"a": null, "c": null, "e": null, "f": null});
            json!({"records": [{"record": {"a": a, "c": c, "e": {"a": a}, "f": a}, "evidence": quotes}]})
        };
        assert!(validator.is_valid(&answer(json!(1), json!("x"))));
        assert!(!validator.is_valid(&answer(json!("1"), json!("x"))));
        assert!(!validator.is_valid(&answer(json!(1), json!(2))));
    }

    #[test]
    fn records_of_a_part_are_whole_and_one_of_several_parts_need_not_be() {
        let fields = json!({"a": {"type": "integer", "required": true}});
        let one = shape(json!({"fields": fields})).expect("a shape");
        let several = shape(json!({"fields": fields, "many": true})).expect("a shape");
        let none = json!({"a": null});
        assert_eq!([one.violations(&none, false).len(), one.violations(&none, true).len()], [1, 0]);
        assert_eq!(several.violations(&none, true).len(), 1);
    }
}
