//! JSON Lines: one object a line, kept as it stood.

use super::lines::LineReader;
use super::{BadRecord, Entry, InputError, Options, Records, bad};
use crate::domain::ItemId;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::io::BufRead;

pub(super) fn open(mut reader: Box<dyn BufRead + Send>, name: &str, options: &Options) -> Result<Records, InputError> {
    let start =
        reader.fill_buf().map_err(|error| InputError::Unreadable { name: name.into(), reason: error.to_string() })?;
    if start.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(InputError::WrongFormat {
            what: "one JSON array, not JSON Lines",
            way_out: "put each element into a line of its own: jq -c '.[]' FILE > items.jsonl",
        });
    }
    let options = options.clone();
    Ok(Box::new(LineReader::new(reader, name).map(move |line| {
        line.map(|line| {
            let number = line.number;
            line.record(|text| entry(text, number, &options))
        })
    })))
}

fn entry(text: &str, number: u64, options: &Options) -> Result<Entry, BadRecord> {
    let wrong = |message: String| bad(text.as_bytes(), message);
    let id_field = options.id_field.as_deref().unwrap_or("id");
    let json = if options.map.is_empty() { text.trim().to_owned() } else { renamed(text, number, options)? };
    let mut deserializer = serde_json::Deserializer::from_str(&json);
    let found = serde::de::DeserializeSeed::deserialize(FindField(id_field), &mut deserializer)
        .and_then(|found| deserializer.end().map(|()| found))
        .map_err(|error| match error.classify() {
            serde_json::error::Category::Data => {
                wrong(format!("line {number} is JSON, but no object: each line must be {{…}}"))
            }
            _ => wrong(format!("line {number} is not JSON: {}", place(&error))),
        })?;
    let id = match found {
        None if options.id_field.is_some() => {
            return Err(wrong(format!("line {number} has no field `{id_field}`, which --id-field names")));
        }
        None => None,
        Some(value) => Some(id(&value).map_err(|reason| {
            wrong(format!(
                "line {number}: the field `{id_field}` cannot be an id: {reason}; name another with --id-field"
            ))
        })?),
    };
    Ok(Entry { id, json })
}

/// serde counts lines within the text it was given, which is one line.
fn place(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// A string, or a number as it was written.
pub(super) fn id(value: &str) -> Result<ItemId, String> {
    let text = match value.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(value).map_err(|error| error.to_string())?,
        Some(b'0'..=b'9' | b'-') => value.to_owned(),
        _ => return Err("it is neither a string nor a number".into()),
    };
    ItemId::new(&text).map_err(|error| error.to_string())
}

/// Finds one field of an object, and checks the rest without keeping it.
struct FindField<'a>(&'a str);

impl<'de> serde::de::DeserializeSeed<'de> for FindField<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FindField<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if key.0 == self.0 {
                found = Some(map.next_value::<&RawValue>()?.get().to_owned());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A key, borrowed where it holds no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

/// With fields renamed as `--map` says, in their old places.
fn renamed(text: &str, number: u64, options: &Options) -> Result<String, BadRecord> {
    let wrong = |message: String| bad(text.as_bytes(), message);
    let fields: Fields<'_> = serde_json::from_str(text)
        .map_err(|error| wrong(format!("line {number} is not a JSON object: {}", place(&error))))?;
    for (_, from) in &options.map {
        if !fields.0.iter().any(|(name, _)| name == from) {
            return Err(wrong(format!("line {number} has no field `{from}`, which --map names")));
        }
    }
    let mut json = String::with_capacity(text.len() + 16);
    let targets: Vec<&str> = options.map.iter().map(|(to, _)| to.as_str()).collect();
    for (name, value) in &fields.0 {
        let renamed = options.map.iter().find(|(_, from)| from == name).map(|(to, _)| to.as_str());
        if renamed.is_none() && targets.contains(&name.as_ref()) {
            // The mapped field takes the place of one of the same name.
            continue;
        }
        json.push(if json.is_empty() { '{' } else { ',' });
        json.push_str(&serde_json::Value::from(renamed.unwrap_or(name)).to_string());
        json.push(':');
        json.push_str(value.get());
    }
    json.push('}');
    Ok(json)
}

struct Fields<'a>(Vec<(std::borrow::Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    fields.push((key.0, map.next_value::<&RawValue>()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(All)
    }
}

#[cfg(test)]
mod tests {
    use crate::input::tests::{options, read};
    use crate::input::{Format, Options};

    fn check(line: &str, options: &Options, expected: Result<(Option<&str>, &str), &str>) {
        let record = read(line.as_bytes(), options).unwrap().remove(0);
        match (record.entry, expected) {
            (Ok(entry), Ok((id, json))) => {
                assert_eq!(entry.id.as_ref().map(crate::domain::ItemId::as_str), id);
                assert_eq!(entry.json, json);
            }
            (Err(bad), Err(part)) => assert!(bad.message.contains(part), "{}", bad.message),
            (got, expected) => panic!("{line}: {got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn an_object_is_kept_as_it_stood_with_its_id() {
        let plain = options(Format::JsonLines);
        check(r#" {"id":"a", "n": 1.0e2} "#, &plain, Ok((Some("a"), r#"{"id":"a", "n": 1.0e2}"#)));
        check(
            r#"{"id":12345678901234567890123}"#,
            &plain,
            Ok((Some("12345678901234567890123"), r#"{"id":12345678901234567890123}"#)),
        );
        check(r#"{"x":1}"#, &plain, Ok((None, r#"{"x":1}"#)));
        check(r#"{"\u0069d":"e\u0301"}"#, &plain, Ok((Some("e\u{301}"), r#"{"\u0069d":"e\u0301"}"#)));
    }

    #[test]
    fn a_line_that_is_no_item_says_why_and_the_way_out() {
        let plain = options(Format::JsonLines);
        check(r#"{"id":"a""#, &plain, Err("line 1 is not JSON: EOF while parsing an object at column 9"));
        check("17", &plain, Err("no object"));
        check(r#"{"id":null}"#, &plain, Err("--id-field"));
        check(r#"{"id":""}"#, &plain, Err("empty"));
        check(r#"{"a":1} x"#, &plain, Err("not JSON"));
        let named = Options { id_field: Some("key".into()), ..plain };
        check(r#"{"id":"a"}"#, &named, Err("no field `key`"));
    }

    #[test]
    fn mapping_renames_and_a_missing_field_is_told() {
        let mapped = Options { map: vec![("text".into(), "body".into())], ..options(Format::JsonLines) };
        check(r#"{"id":1,"body":"b","text":"old"}"#, &mapped, Ok((Some("1"), r#"{"id":1,"text":"b"}"#)));
        check(r#"{"id":1}"#, &mapped, Err("no field `body`"));
    }

    #[test]
    fn an_array_instead_of_lines_names_the_way_out() {
        let Err(error) = read(b"\n [{\"id\":1}]", &options(Format::JsonLines)) else { panic!("accepted") };
        assert!(error.to_string().contains("jq -c"));
    }
}
