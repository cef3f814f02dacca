//! JSON objects as text: their top level without a tree of values, each value as it was written.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Names and values in their order, those that come twice too; `None`: it is no object.
pub fn fields(value: &str) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    serde_json::from_str(value).ok().map(|Fields(fields)| fields)
}

/// What a JSON value is outside of JSON: a string stands as it is, null is empty, anything else is its JSON.
pub fn plain(value: &str) -> Cow<'_, str> {
    match value.as_bytes().first() {
        Some(b'n') => Cow::default(),
        Some(b'"') => match serde_json::from_str::<Text<'_>>(value) {
            Ok(Text(text)) => text,
            // Half a surrogate pair: no text can hold it but the JSON.
            Err(_) => value.into(),
        },
        Some(_) | None => value.into(),
    }
}

struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TopLevel;
        impl<'de> Visitor<'de> for TopLevel {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
                    fields.push((key, map.next_value::<&RawValue>()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(TopLevel)
    }
}

/// Borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
