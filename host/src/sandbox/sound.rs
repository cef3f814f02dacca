//! Whether a text is JSON that everybody can read, at the price of keeping none of it.
//!
//! `serde_json` skips over what it is told to ignore: a number that no float holds, and half of a surrogate pair, pass so, and the
//! program that reads the output later is the one that fails.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The error is the parser's own.
pub(super) fn check(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<Sound>(text).map(|Sound| ())
}

/// Any value, read and let go.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Sound)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn what_no_reader_takes_is_not_sound() {
        for text in
            ["1e999", "[-1e400]", r#""\ud800""#, r#"{"\udc00":1}"#, "NaN", "01", "\"\u{1}\"", "1 2", "", "{\"a\":1,}"]
        {
            assert!(check(text).is_err(), "{text}");
        }
        for text in
            ["1e308", "123456789012345678901234567890", r#""\ud83d\ude00""#, r#"{"a":1,"a":[null,true]}"#, "-0.0"]
        {
            assert!(check(text).is_ok(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_is_sound_if_and_only_if_it_parses(text in r#"([\[\]{},: ]|"a"|"\\u[d0][8-f]00"|-?[0-9]{1,2}(\.[0-9])?(e[0-9]{1,3})?|true|null){0,9}"#) {
            prop_assert_eq!(check(&text).is_ok(), serde_json::from_str::<Value>(&text).is_ok());
        }
    }
}
