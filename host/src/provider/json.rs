//! JSON on its way out: keeps the order of keys, and embeds JSON texts as they were written.
//!
//! Both matter to models: the order of a schema's properties is the order in which an answer is written.

use crate::domain::Pair;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Integer(u64),
    Float(f64),
    Text(Cow<'a, str>),
    Raw(&'a RawValue),
    List(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// An object whose keys stand in the order in which they were set, each once.
#[derive(Default)]
pub(super) struct Object<'a>(Vec<(&'a str, Json<'a>)>);

/// A text that was promised to be JSON, and is not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotJson(String);

impl NotJson {
    fn new(what: &str, reason: &serde_json::Error) -> Self {
        Self(format!("{what} is not JSON: {reason}"))
    }
}

impl<'a> Json<'a> {
    /// Embeds a JSON text. `what` names it if it is none.
    pub(super) fn raw(text: &'a str, what: &str) -> Result<Self, NotJson> {
        serde_json::from_str(text).map(Self::Raw).map_err(|reason| NotJson::new(what, &reason))
    }

    /// Embeds a JSON text that must be an object; an empty text is an empty one.
    pub(super) fn object(text: &'a str, what: &str) -> Result<Self, NotJson> {
        match Self::raw(if text.trim().is_empty() { "{}" } else { text }, what)? {
            Self::Raw(raw) if raw.get().starts_with('{') => Ok(Self::Raw(raw)),
            _ => Err(NotJson(format!("{what} is no JSON object"))),
        }
    }
}

impl<'a> Object<'a> {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Sets a field, unless it is set already.
    pub(super) fn set(&mut self, name: &'a str, value: impl Into<Json<'a>>) {
        if !self.has(name) {
            self.0.push((name, value.into()));
        }
    }

    pub(super) fn with(mut self, name: &'a str, value: impl Into<Json<'a>>) -> Self {
        self.set(name, value);
        self
    }

    /// Sets every pair whose name is not set already.
    pub(super) fn merge(&mut self, pairs: &'a [Pair]) -> Result<(), NotJson> {
        for pair in pairs {
            self.set(&pair.name, Json::raw(&pair.value, &format!("the field `{}`", pair.name))?);
        }
        Ok(())
    }

    /// Sets every field of a JSON object whose name is not set already.
    pub(super) fn merge_object(&mut self, text: &'a str, what: &str) -> Result<(), NotJson> {
        let fields: Fields<'a> = serde_json::from_str(text).map_err(|reason| NotJson::new(what, &reason))?;
        for (name, value) in fields.0 {
            self.set(name, Json::Raw(value));
        }
        Ok(())
    }

    /// Sets every field of another object whose name is not set already.
    pub(super) fn and(mut self, other: Self) -> Self {
        for (name, value) in other.0 {
            self.set(name, value);
        }
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }
}

/// The fields of an object, in order. Names are borrowed, and hold no escapes.
struct Fields<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> Visitor<'de> for Visit {
            type Value = Vec<(&'de str, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Visit).map(Fields)
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_u64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Raw(raw) => raw.serialize(serializer),
            Self::List(list) => serializer.collect_seq(list),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'a> From<&'a str> for Json<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Json<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<bool> for Json<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Json<'_> {
    fn from(value: u64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Json<'_> {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl<'a> From<Vec<Json<'a>>> for Json<'a> {
    fn from(list: Vec<Json<'a>>) -> Self {
        Self::List(list)
    }
}

impl<'a> From<Object<'a>> for Json<'a> {
    fn from(object: Object<'a>) -> Self {
        Self::Object(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_the_first_of_a_name_stays() {
        let extra = [
            Pair { name: "b".to_owned(), value: r#"{"z": 1, "a": 1.50}"#.to_owned() },
            Pair { name: "a".to_owned(), value: "2".to_owned() },
        ];
        let mut object = Object::new().with("z", "\"").with("a", 1_u64);
        object.merge(&extra).unwrap();
        assert_eq!(serde_json::to_string(&object).unwrap(), r#"{"z":"\"","a":1,"b":{"z": 1, "a": 1.50}}"#);
    }

    #[test]
    fn a_text_that_is_no_json_is_named() {
        let extra = [Pair { name: "b".to_owned(), value: "{".to_owned() }];
        let error = Object::new().merge(&extra).unwrap_err();
        assert!(error.to_string().starts_with("the field `b` is not JSON"), "{error}");
    }
}
