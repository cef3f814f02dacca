//! What a check will take, counted before it is made. It goes the ways of the check and looks at nothing that takes long: what it counts
//! is at least what the check does.

use super::TooCostly;
use super::keywords::target;
use serde_json::{Map, Value};

/// A step takes some tens of nanoseconds.
const STEPS_MAX: u64 = 2_000_000;
/// In addition, for each value in the value.
const STEPS_A_VALUE: u64 = 16;
/// Schemas one in another, below each other in the value or not: the check recurses.
const DEPTH_MAX: usize = 500;
/// A pattern that goes back and forth takes as much.
const PATTERN_STEPS: u64 = 200;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// A schema's own simple keywords are looked at first, and what does not keep to them is gone into no further.
    StopsAtOnce,
    /// Everything is gone through, to tell of all.
    GoesThroughAll,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    /// In the value, itself and the names of its properties included.
    pub(super) values: u64,
}

pub(super) fn steps_max(values: u64) -> u64 {
    STEPS_MAX.saturating_add(values.saturating_mul(STEPS_A_VALUE))
}

impl Mode {
    fn steps_max(self, values: u64) -> u64 {
        match self {
            Self::StopsAtOnce => steps_max(values),
            // Each alternative is checked as a whole before it is gone through, on every level.
            Self::GoesThroughAll => steps_max(values) / 20,
        }
    }
}

pub(super) fn count(schema: &Value, value: &Value, mode: Mode) -> Result<Counted, TooCostly> {
    let values = values_in(value);
    let mut walk = Walk { root: schema, left: mode.steps_max(values), mode };
    walk.schema(schema, value, 0)?;
    Ok(Counted { values })
}

/// Not recursive beyond what the parser lets through.
fn values_in(value: &Value) -> u64 {
    match value {
        Value::Array(list) => 1 + list.iter().map(values_in).sum::<u64>(),
        Value::Object(map) => 1 + map.values().map(|value| 1 + values_in(value)).sum::<u64>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// Whether a value is known to fail.
type Fails = bool;

struct Walk<'a> {
    root: &'a Value,
    left: u64,
    mode: Mode,
}

impl Walk<'_> {
    fn spend(&mut self, steps: u64) -> Result<(), TooCostly> {
        self.left = self.left.checked_sub(steps).ok_or(TooCostly)?;
        Ok(())
    }

    fn schema(&mut self, schema: &Value, value: &Value, depth: usize) -> Result<Fails, TooCostly> {
        self.spend(1)?;
        if depth > DEPTH_MAX {
            return Err(TooCostly);
        }
        let Some(map) = schema.as_object() else { return Ok(schema == &Value::Bool(false)) };
        self.spend(map.len() as u64)?;
        // In older dialects a reference is all that counts.
        let stops = self.mode == Mode::StopsAtOnce && !map.contains_key("$ref");
        if self.simple(map, value)? && stops {
            return Ok(true);
        }
        match value {
            Value::Object(object) => {
                let first = first(map, object);
                if let Some((_, schema, value)) = first
                    && self.schema(schema, value, depth + 1)?
                    && stops
                {
                    return Ok(true);
                }
                self.object(map, object, first.map(|(name, ..)| name), depth)?;
            }
            Value::Array(list) => self.list(map, list, depth)?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        let times = if map.keys().any(|keyword| keyword.starts_with("unevaluated")) { 2 } else { 1 };
        for _ in 0..times {
            self.in_place(map, value, depth)?;
        }
        Ok(false)
    }

    /// Keywords that look at the value alone; they are checked first.
    fn simple(&mut self, map: &Map<String, Value>, value: &Value) -> Result<Fails, TooCostly> {
        if let Value::String(text) = value {
            let patterns = ["pattern", "format"].into_iter().filter(|keyword| map.contains_key(*keyword)).count();
            self.spend(patterns as u64 * (PATTERN_STEPS + text.len() as u64 / 8))?;
            // Lengths are counted in characters.
            self.spend(text.len() as u64 / 64)?;
        }
        if map.contains_key("uniqueItems") {
            self.spend(values_in(value))?;
        }
        let mut fails = false;
        if let Some(expected) = map.get("const") {
            self.spend(values_in(expected).min(values_in(value)))?;
            fails |= differs(expected, value);
        }
        if let Some(Value::Array(allowed)) = map.get("enum") {
            self.spend(allowed.iter().map(values_in).sum())?;
            fails |= allowed.iter().all(|allowed| differs(allowed, value));
        }
        if let Some(types) = map.get("type") {
            fails |= !is_of(types, value);
        }
        if let (Some(Value::Array(names)), Value::Object(object)) = (map.get("required"), value) {
            self.spend(names.len() as u64)?;
            fails |= names.iter().filter_map(Value::as_str).any(|name| !object.contains_key(name));
        }
        Ok(fails)
    }

    /// `walked`: the property that has been.
    fn object(
        &mut self,
        map: &Map<String, Value>,
        object: &Map<String, Value>,
        walked: Option<&str>,
        depth: usize,
    ) -> Result<(), TooCostly> {
        let properties = map.get("properties").and_then(Value::as_object);
        self.spend((properties.map_or(0, Map::len) + object.len()) as u64)?;
        for (name, schema) in properties.into_iter().flatten() {
            if let Some(value) = object.get(name).filter(|_| walked != Some(name.as_str())) {
                self.schema(schema, value, depth + 1)?;
            }
        }
        let patterns = map.get("patternProperties").and_then(Value::as_object);
        let matches = (patterns.map_or(0, Map::len) * object.len()) as u64;
        self.spend(matches.saturating_mul(PATTERN_STEPS))?;
        for schema in patterns.into_iter().flat_map(Map::values) {
            for value in object.values() {
                self.schema(schema, value, depth + 1)?;
            }
        }
        for keyword in ["additionalProperties", "unevaluatedProperties"] {
            let Some(schema) = map.get(keyword) else { continue };
            self.spend(object.len() as u64)?;
            for (name, value) in object {
                if !properties.is_some_and(|properties| properties.contains_key(name)) {
                    self.schema(schema, value, depth + 1)?;
                }
            }
        }
        if let Some(schema) = map.get("propertyNames") {
            for name in object.keys() {
                self.schema(schema, &Value::String(name.clone()), depth + 1)?;
            }
        }
        Ok(())
    }

    fn list(&mut self, map: &Map<String, Value>, list: &[Value], depth: usize) -> Result<(), TooCostly> {
        let mut first = 0;
        for keyword in ["prefixItems", "items"] {
            let Some(Value::Array(schemas)) = map.get(keyword) else { continue };
            first = first.max(schemas.len());
            for (schema, value) in schemas.iter().zip(list) {
                self.schema(schema, value, depth + 1)?;
            }
        }
        let rest = list.get(first..).unwrap_or_default();
        for (keyword, values) in
            [("items", rest), ("additionalItems", rest), ("unevaluatedItems", list), ("contains", list)]
        {
            let Some(schema) = map.get(keyword).filter(|schema| !schema.is_array()) else { continue };
            for value in values {
                self.schema(schema, value, depth + 1)?;
            }
        }
        Ok(())
    }

    fn in_place(&mut self, map: &Map<String, Value>, value: &Value, depth: usize) -> Result<(), TooCostly> {
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for schema in map.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                self.schema(schema, value, depth + 1)?;
            }
        }
        for keyword in ["not", "if", "then", "else"] {
            if let Some(schema) = map.get(keyword) {
                self.schema(schema, value, depth + 1)?;
            }
        }
        for keyword in ["dependentSchemas", "dependencies"] {
            for (name, schema) in map.get(keyword).and_then(Value::as_object).into_iter().flatten() {
                if value.get(name).is_some() && !schema.is_array() {
                    self.schema(schema, value, depth + 1)?;
                }
            }
        }
        if let Some(schema) = target(self.root, map) {
            self.schema(schema, value, depth + 1)?;
        }
        Ok(())
    }
}

/// The property that is checked first. Some checks go by the order in the schema and some by that in the value: it is the first
/// where both agree.
fn first<'a>(map: &'a Map<String, Value>, object: &'a Map<String, Value>) -> Option<(&'a str, &'a Value, &'a Value)> {
    let properties = map.get("properties").and_then(Value::as_object)?;
    let (name, schema, value) = properties.iter().find_map(|(name, schema)| Some((name, schema, object.get(name)?)))?;
    let first = object.keys().find(|name| properties.contains_key(*name))?;
    (name == first).then_some((name.as_str(), schema, value))
}

/// Whether two values are certainly not the same. Numbers may be the same and be written otherwise.
fn differs(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(_), Value::Number(_))
        | (Value::Array(_), Value::Array(_))
        | (Value::Object(_), Value::Object(_)) => false,
        (one, other) => one != other,
    }
}

fn is_of(types: &Value, value: &Value) -> bool {
    match types {
        Value::Array(types) => types.iter().any(|one| is_of(one, value)),
        Value::String(name) => match name.as_str() {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            // 1.0 is an integer, too.
            "integer" | "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        },
        _ => true,
    }
}
