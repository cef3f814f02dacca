//! JSON objects as text: what holds for a line that is taken as one, and its fields without a tree of values.
//!
//! A text passes exactly if `serde_json` can make a value of it (a property test holds it to that), so that nobody
//! further on meets what cannot be parsed: nesting beyond 128 levels, half a surrogate pair, a number beyond all range.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Whether `text` is JSON, of whatever kind.
pub(super) fn check(text: &str) -> serde_json::Result<()> {
    serde_json::from_str::<Sound>(text).map(|Sound| ())
}

/// Hands over name and text of each field, in order, those that come twice too.
pub(super) fn each_field<'a>(text: &'a str, take: impl FnMut(&str, &'a RawValue)) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.deserialize_map(Fields(take))?;
    deserializer.end()
}

struct Fields<F>(F);

impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for Fields<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            (self.0)(&name, map.next_value::<&RawValue>()?);
        }
        Ok(())
    }
}

/// Borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Unlike `IgnoredAny`, which looks into neither depth nor escapes nor the range of numbers.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SoundVisitor)
    }
}

struct SoundVisitor;

impl<'de> Visitor<'de> for SoundVisitor {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_str<E>(self, _: &str) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Sound, A::Error> {
        while let Some(Sound) = seq.next_element()? {}
        Ok(Sound)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sound, A::Error> {
        while let Some(IgnoredName) = map.next_key()? {
            map.next_value::<Sound>()?;
        }
        Ok(Sound)
    }
}

struct IgnoredName;

impl<'de> Deserialize<'de> for IgnoredName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SoundVisitor).map(|Sound| Self)
    }
}
