//! What a schema may be at all.

use super::BYTES_MAX;
use super::keywords::{Applies, subschemas, target};
use crate::domain::sanitize_text;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// References, patterns.
const REFERENCES_MAX: usize = 2_000;
const PATTERNS_MAX: usize = 250;
/// Schemas that one value is put to: by alternatives in alternatives, through references.
const IN_PLACE_MAX: u64 = 10_000;
/// Of these, how many one in another.
const IN_PLACE_DEPTH_MAX: u64 = 64;
/// Of the text, levels.
const DEPTH_MAX: usize = 100;

/// Dialects in which `$ref`, `$id` and the keywords with schemas mean what is reckoned with here.
const DIALECTS: [&str; 4] = ["draft/2020-12/schema", "draft/2019-09/schema", "draft-07/schema", "draft-06/schema"];

pub(super) fn parse(text: &str) -> Result<Value, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("it is larger than {BYTES_MAX} bytes"));
    }
    let root: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let mut seen = Seen::default();
    seen.everything(&root, &root, 0)?;
    let mut expansion = Expansion { root: &root, known: HashMap::new() };
    expansion.everything(&root)?;
    Ok(root)
}

/// Counts what stands anywhere in the text, under keywords that nobody knows too: a reference can point there.
#[derive(Default)]
struct Seen {
    references: usize,
    patterns: usize,
}

impl Seen {
    fn everything(&mut self, root: &Value, value: &Value, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("it is nested more than {DEPTH_MAX} levels deep"));
        }
        match value {
            Value::Object(map) => {
                self.object(root, map, depth)?;
                map.values().try_for_each(|below| self.everything(root, below, depth + 1))
            }
            Value::Array(list) => list.iter().try_for_each(|below| self.everything(root, below, depth + 1)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn object(&mut self, root: &Value, map: &Map<String, Value>, depth: usize) -> Result<(), String> {
        let text = |keyword: &str| map.get(keyword).and_then(Value::as_str);
        for keyword in ["$dynamicRef", "$recursiveRef"] {
            if text(keyword).is_some() {
                return Err(format!("`{keyword}` is not taken: refer with `$ref` to `#/$defs/NAME`"));
            }
        }
        if depth > 0 && text("$id").is_some() {
            return Err("`$id` is taken at the top alone: refer with `$ref` to `#/$defs/NAME`".into());
        }
        if let Some(dialect) = text("$schema")
            && !DIALECTS.iter().any(|known| dialect.trim_end_matches('#').ends_with(known))
        {
            return Err(format!("its dialect `{}` is not known: write it in 2020-12", sanitize_text(dialect, 100)));
        }
        if let Some(reference) = text("$ref") {
            self.references += 1;
            let is_local = reference == "#" || (reference.starts_with("#/") && !reference.contains('%'));
            if !is_local || target(root, map).is_none() {
                return Err(format!(
                    "`$ref` to `{}` leads nowhere: refer to `#/$defs/NAME`",
                    sanitize_text(reference, 200)
                ));
            }
        }
        self.patterns += usize::from(text("pattern").is_some());
        self.patterns += map.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len);
        for (counted, most, what) in
            [(self.references, REFERENCES_MAX, "references"), (self.patterns, PATTERNS_MAX, "patterns")]
        {
            if counted > most {
                return Err(format!("it has more than {most} {what}"));
            }
        }
        Ok(())
    }
}

/// How many schemas a value is put to when it is put to one, and how deep they stand one in another.
#[derive(Clone, Copy)]
struct InPlace {
    schemas: u64,
    depth: u64,
}

struct Expansion<'a> {
    root: &'a Value,
    /// By address; `None`: being looked at.
    known: HashMap<*const Value, Option<InPlace>>,
}

impl<'a> Expansion<'a> {
    fn everything(&mut self, value: &'a Value) -> Result<(), String> {
        match value {
            Value::Object(map) => {
                self.of(value, 0)?;
                map.values().try_for_each(|below| self.everything(below))
            }
            Value::Array(list) => list.iter().try_for_each(|below| self.everything(below)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn of(&mut self, schema: &'a Value, above: u64) -> Result<InPlace, String> {
        let Some(map) = schema.as_object() else { return Ok(InPlace { schemas: 1, depth: 1 }) };
        match self.known.get(&std::ptr::from_ref(schema)) {
            Some(Some(known)) => return Ok(*known),
            Some(None) => {
                return Err("it refers to itself without going into the value, which has no end".into());
            }
            None => {}
        }
        if above > IN_PLACE_DEPTH_MAX {
            return Err(too_deep());
        }
        self.known.insert(schema, None);
        // What is not evaluated elsewhere is found by evaluating it once more.
        let times = if map.keys().any(|keyword| keyword.starts_with("unevaluated")) { 2 } else { 1 };
        let mut total = InPlace { schemas: 1, depth: 0 };
        let inside = subschemas(map).filter(|(applies, _)| *applies == Applies::InPlace).map(|(_, schema)| schema);
        for schema in inside.chain(target(self.root, map)) {
            let of = self.of(schema, above + 1)?;
            total.schemas = total.schemas.saturating_add(of.schemas.saturating_mul(times));
            total.depth = total.depth.max(of.depth);
        }
        total.depth += 1;
        if total.schemas > IN_PLACE_MAX {
            return Err(format!("it puts one value to more than {IN_PLACE_MAX} schemas"));
        }
        if total.depth > IN_PLACE_DEPTH_MAX {
            return Err(too_deep());
        }
        self.known.insert(schema, Some(total));
        Ok(total)
    }
}

fn too_deep() -> String {
    format!("it puts one value to more than {IN_PLACE_DEPTH_MAX} schemas one in another")
}
