//! A value that fits a JSON Schema, and that follows from a digest.
//!
//! Covers what structured output allows: types, properties, enum, const, arrays, bounds, local references, and the first
//! of several alternatives. `pattern` is not obeyed.

use super::prompt::Digest;
use serde_json::{Map, Number, Value, json};

/// Beyond this depth only what is required is filled in, and of alternatives the last is taken: the usual end of a
/// list or tree is `null`, or the lack of an optional field.
const DEPTH_WILLING: usize = 6;
/// A schema that cannot end is ended.
const DEPTH_MAX: usize = 48;
/// The values of one answer, whatever `minItems` says; beyond, all are null.
const VALUES_MAX: usize = 10_000;
const LENGTH_MAX: u64 = 10_000;

pub(super) fn fill(schema: &Value, digest: Digest) -> Value {
    let mut filler = Filler { root: schema, digest, values_left: VALUES_MAX };
    filler.value(schema, "", 0)
}

struct Filler<'a> {
    root: &'a Value,
    digest: Digest,
    values_left: usize,
}

impl Filler<'_> {
    fn value(&mut self, schema: &Value, place: &str, depth: usize) -> Value {
        if depth >= DEPTH_MAX || self.values_left == 0 {
            return Value::Null;
        }
        self.values_left -= 1;
        let Some(keywords) = schema.as_object() else {
            return Value::String(self.word(place));
        };
        if let Some(value) = keywords.get("const") {
            return value.clone();
        }
        if let Some(values) = keywords.get("enum").and_then(Value::as_array).filter(|values| !values.is_empty()) {
            return values[self.choose(place, values.len())].clone();
        }
        if let Some(target) = keywords.get("$ref").and_then(Value::as_str) {
            let target = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)).cloned();
            return target.map_or(Value::Null, |target| self.value(&target, place, depth + 1));
        }
        if let Some(alternatives) = alternatives(keywords) {
            let chosen = if depth < DEPTH_WILLING { alternatives.first() } else { alternatives.last() };
            return chosen.map_or(Value::Null, |chosen| self.value(&joined(keywords, [chosen]), place, depth + 1));
        }
        if let Some(parts) = keywords.get("allOf").and_then(Value::as_array) {
            let parts: Vec<Value> = parts.iter().map(|part| self.resolved(part)).collect();
            return self.value(&joined(keywords, &parts), place, depth + 1);
        }
        match kind(keywords) {
            "object" => self.object(keywords, place, depth),
            "array" => self.array(keywords, place, depth),
            "integer" => integer(keywords, self.digest.number(place)),
            "number" => number(keywords, self.digest.number(place)),
            "boolean" => Value::Bool(self.choose(place, 2) == 1),
            "null" => Value::Null,
            _ => Value::String(self.string(keywords, place)),
        }
    }

    fn resolved(&self, schema: &Value) -> Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        target.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema).clone()
    }

    fn object(&mut self, keywords: &Map<String, Value>, place: &str, depth: usize) -> Value {
        let required: Vec<&str> = match keywords.get("required").and_then(Value::as_array) {
            Some(names) => names.iter().filter_map(Value::as_str).collect(),
            None => Vec::new(),
        };
        let mut object = Map::new();
        for (name, schema) in keywords.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if depth < DEPTH_WILLING || required.contains(&name.as_str()) {
                object.insert(name.clone(), self.value(schema, &format!("{place}/{name}"), depth + 1));
            }
        }
        for name in required {
            if !object.contains_key(name) {
                object.insert(name.to_owned(), Value::String(self.word(&format!("{place}/{name}"))));
            }
        }
        Value::Object(object)
    }

    fn array(&mut self, keywords: &Map<String, Value>, place: &str, depth: usize) -> Value {
        let first = keywords.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let least = bound(keywords, "minItems").unwrap_or(0).max(first.len() as u64);
        let most = bound(keywords, "maxItems").unwrap_or(u64::MAX).max(least);
        let wanted = if depth < DEPTH_WILLING { least.max(1).min(most) } else { least };
        let rest = keywords.get("items").unwrap_or(&Value::Null);
        let mut list = Vec::new();
        for nth in 0..usize::try_from(wanted).unwrap_or(usize::MAX) {
            if self.values_left == 0 {
                break;
            }
            list.push(self.value(first.get(nth).unwrap_or(rest), &format!("{place}/{nth}"), depth + 1));
        }
        Value::Array(list)
    }

    fn string(&self, keywords: &Map<String, Value>, place: &str) -> String {
        let number = self.digest.number(place);
        match keywords.get("format").and_then(Value::as_str) {
            Some("date") => return format!("2024-{:02}-{:02}", number % 12 + 1, number % 28 + 1),
            Some("time") => return format!("{:02}:{:02}:00Z", number % 24, number % 60),
            Some("date-time") => {
                return format!("2024-{:02}-{:02}T{:02}:00:00Z", number % 12 + 1, number % 28 + 1, number % 24);
            }
            Some("email") => return format!("{}@example.com", self.digest),
            Some("uri" | "url") => return format!("https://example.com/{}", self.digest),
            Some("uuid") => {
                let hex = format!("{}{number:016x}", self.digest);
                return format!(
                    "{}-{}-4{}-8{}-{}0000",
                    &hex[..8],
                    &hex[8..12],
                    &hex[12..15],
                    &hex[15..18],
                    &hex[18..26]
                );
            }
            _ => {}
        }
        let most = bound(keywords, "maxLength").unwrap_or(LENGTH_MAX);
        let least = bound(keywords, "minLength").unwrap_or(0).min(LENGTH_MAX);
        let mut word = self.word(place);
        let missing = least.saturating_sub(word.chars().count() as u64);
        word.extend(std::iter::repeat_n('.', usize::try_from(missing).unwrap_or_default()));
        word.chars().take(usize::try_from(most).unwrap_or(usize::MAX)).collect()
    }

    /// The digest first: a bound may cut the rest.
    fn word(&self, place: &str) -> String {
        let name = place.trim_start_matches('/');
        if name.is_empty() { format!("{} mock", self.digest) } else { format!("{} mock {name}", self.digest) }
    }

    fn choose(&self, place: &str, count: usize) -> usize {
        usize::try_from(self.digest.number(place) % count as u64).unwrap_or_default()
    }
}

fn alternatives(keywords: &Map<String, Value>) -> Option<&Vec<Value>> {
    ["anyOf", "oneOf"].iter().find_map(|name| keywords.get(*name)?.as_array())
}

/// One schema out of several that all hold: properties and required names together, of everything else the last word.
fn joined<'a>(keywords: &Map<String, Value>, parts: impl IntoIterator<Item = &'a Value>) -> Value {
    let mut whole = keywords.clone();
    for name in ["anyOf", "oneOf", "allOf"] {
        whole.remove(name);
    }
    for (name, value) in parts.into_iter().filter_map(Value::as_object).flatten() {
        match (whole.get_mut(name), value) {
            (Some(Value::Object(known)), Value::Object(more)) if name == "properties" => {
                known.extend(more.iter().map(|(name, schema)| (name.clone(), schema.clone())));
            }
            (Some(Value::Array(known)), Value::Array(more)) if name == "required" => known.extend(more.iter().cloned()),
            _ => {
                whole.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(whole)
}

fn kind(keywords: &Map<String, Value>) -> &str {
    match keywords.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            let kinds = || kinds.iter().filter_map(Value::as_str);
            kinds().find(|kind| *kind != "null").or_else(|| kinds().next()).unwrap_or("string")
        }
        _ if keywords.contains_key("properties") || keywords.contains_key("required") => "object",
        _ if keywords.contains_key("items") || keywords.contains_key("prefixItems") => "array",
        _ if keywords.contains_key("minimum") || keywords.contains_key("maximum") => "number",
        _ => "string",
    }
}

fn bound(keywords: &Map<String, Value>, name: &str) -> Option<u64> {
    keywords.get(name).and_then(Value::as_u64)
}

/// How far above its lower bound a number may lie.
const SPREAD: i64 = 100;

fn integer(keywords: &Map<String, Value>, random: u64) -> Value {
    let whole = |name: &str, up: bool| {
        let value = keywords.get(name)?;
        value.as_i64().or_else(|| value.as_f64().map(|float| rounded(if up { float.ceil() } else { float.floor() })))
    };
    let above = whole("exclusiveMinimum", false).map(|bound| bound.saturating_add(1));
    let below = whole("exclusiveMaximum", true).map(|bound| bound.saturating_sub(1));
    let most = whole("maximum", false).into_iter().chain(below).min();
    let least = whole("minimum", true).into_iter().chain(above).max();
    let least = least.unwrap_or_else(|| most.map_or(0, |most| most.saturating_sub(SPREAD).min(0)));
    let most = most.unwrap_or_else(|| least.saturating_add(SPREAD));
    let step = whole("multipleOf", true).filter(|step| *step > 0).unwrap_or(1);
    let lowest = least.saturating_add((step - least.rem_euclid(step)) % step);
    let steps = most.saturating_sub(lowest).clamp(0, SPREAD) / step;
    let nth = i64::try_from(random % (steps.unsigned_abs() + 1)).unwrap_or_default();
    json!(lowest.saturating_add(nth * step))
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, which is what a bound needs")]
fn rounded(float: f64) -> i64 {
    float as i64
}

fn number(keywords: &Map<String, Value>, random: u64) -> Value {
    let bound = |name: &str| keywords.get(name).and_then(Value::as_f64);
    if bound("multipleOf").is_some() {
        return integer(keywords, random);
    }
    let least = [bound("minimum"), bound("exclusiveMinimum")].into_iter().flatten().reduce(f64::max);
    let most = [bound("maximum"), bound("exclusiveMaximum")].into_iter().flatten().reduce(f64::min);
    let (least, most) = match (least, most) {
        (Some(least), Some(most)) => (least, most),
        (Some(least), None) => (least, least + 100.0),
        (None, Some(most)) => (most - 100.0, most),
        (None, None) => (0.0, 100.0),
    };
    // Never the bounds themselves: they may be excluded.
    let share = f64::from(u32::try_from(random % 98).unwrap_or_default() + 1) / 100.0;
    let value = if least < most { (most - least).mul_add(share, least) } else { least };
    Number::from_f64(value).map_or_else(|| json!(0), Value::Number)
}
