//! JSON Lines: one object a line, kept as it stood.
//!
//! `--map text=body` renames the field `body` where it stands; a field that is called `text` already gives way. The id
//! is looked for under the names that hold after that; of a name that comes twice the last one counts.

use super::json_object::{check, each_field};
use super::lines::LineReader;
use super::{BadRecord, Entry, Format, InputError, Options, Records, bad, shown};
use crate::domain::ItemId;
use std::io::BufRead;

pub(super) fn open(reader: Box<dyn BufRead + Send>, name: &str, options: &Options) -> Result<Records, InputError> {
    let mut lines = LineReader::new(reader, name).peekable();
    if let Some(Ok(line)) = lines.peek() {
        refuse_document(line.bytes())?;
    }
    let options = options.clone();
    Ok(Box::new(lines.map(move |line| {
        line.map(|line| {
            let number = line.number;
            line.record(|text| entry(text, number, &options))
        })
    })))
}

/// One JSON text over the whole file would be one bad record a line.
fn refuse_document(first: &[u8]) -> Result<(), InputError> {
    let (what, way_out) = match first.trim_ascii() {
        [b'[', ..] => ("one JSON array, not JSON Lines", "jq -c '.[]' FILE > items.jsonl"),
        b"{" => ("JSON over several lines, not JSON Lines", "jq -c . FILE > items.jsonl"),
        _ => return Ok(()),
    };
    Err(InputError::WrongFormat { what, way_out: format!("put each item into a line of its own: {way_out}") })
}

/// One object that stands by itself, as line `number` of what it is in; its id is that of the field `id`.
pub fn from_line(text: &str, number: u64) -> Result<Entry, BadRecord> {
    entry(text, number, &Options { format: Format::JsonLines, id_field: None, map: Vec::new() })
}

fn entry(text: &str, number: u64, options: &Options) -> Result<Entry, BadRecord> {
    let wrong = |message: String| bad(text.as_bytes(), message);
    let not_json = |error: serde_json::Error| wrong(format!("line {number} is not JSON: {}", place(&error)));
    check(text).map_err(not_json)?;
    let text = text.trim_ascii();
    if let Some(kind) = kind_unless_object(text) {
        return Err(wrong(format!("line {number} is {kind}, and no object: each line must be {{…}}")));
    }
    let json = if options.map.is_empty() {
        text.to_owned()
    } else {
        renamed(text, &options.map).map_err(not_json)?.map_err(|from| {
            wrong(format!("line {number} has no field `{}`, which --map names: add it, or drop --map", shown(from)))
        })?
    };
    let id_field = options.id_field.as_deref().unwrap_or("id");
    let mut found = None;
    each_field(&json, |name, value| {
        if name == id_field {
            found = Some(value);
        }
    })
    .map_err(not_json)?;
    let id = match found {
        None if options.id_field.is_some() => {
            let field = shown(id_field);
            return Err(wrong(format!("line {number} has no field `{field}`, which --id-field names")));
        }
        None => None,
        Some(value) => Some(id(value.get()).map_err(|reason| {
            let field = shown(id_field);
            wrong(format!("line {number}: the field `{field}` cannot be an id: {reason}; name another with --id-field"))
        })?),
    };
    Ok(Entry::new(id, json))
}

/// serde counts lines within the text it was given, which is one line.
fn place(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

fn kind_unless_object(json: &str) -> Option<&'static str> {
    match json.as_bytes().first() {
        Some(b'{') => None,
        Some(b'[') => Some("an array"),
        Some(b'"') => Some("a string"),
        Some(b't' | b'f') => Some("a boolean"),
        Some(b'n') => Some("null"),
        Some(_) | None => Some("a number"),
    }
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

/// An object that is known to be JSON, with its fields renamed as `--map` says.
pub fn with_map(object: &str, map: &[(String, String)]) -> Result<String, BadRecord> {
    let wrong = |message: String| bad(object.as_bytes(), message);
    renamed(object, map)
        .map_err(|error| wrong(format!("it is no object: {error}")))?
        .map_err(|from| wrong(format!("there is no field `{}`, which --map names: add it, or drop --map", shown(from))))
}

/// With fields renamed, all at once; the inner error is a field that is not there.
fn renamed<'a>(text: &str, map: &'a [(String, String)]) -> serde_json::Result<Result<String, &'a str>> {
    let mut json = String::with_capacity(text.len() + 16);
    let mut seen = vec![false; map.len()];
    each_field(text, |name, value| {
        let mapped = map.iter().position(|(_, from)| from == name);
        let name = match mapped {
            Some(index) => {
                seen[index] = true;
                map[index].0.as_str()
            }
            None if map.iter().any(|(to, _)| to == name) => return,
            None => name,
        };
        json.push(if json.is_empty() { '{' } else { ',' });
        json.push_str(&serde_json::Value::from(name).to_string());
        json.push(':');
        json.push_str(value.get());
    })?;
    json.push('}');
    Ok(match map.iter().zip(seen).find(|(_, seen)| !seen) {
        Some(((_, from), _)) => Err(from),
        None => Ok(json),
    })
}

#[cfg(test)]
mod tests {
    use crate::domain::ItemId;
    use crate::input::tests::{options, read};
    use crate::input::{Format, InputError, Options};
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    type Expected<'a> = Result<(Option<&'a str>, &'a str), &'a str>;

    fn check(line: &str, options: &Options, expected: Expected<'_>) {
        let record = read(line.as_bytes(), options).unwrap().remove(0);
        match (record.entry, expected) {
            (Ok(entry), Ok((id, json))) => {
                assert_eq!(entry.id.as_ref().map(ItemId::as_str), id);
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
        let long = r#"{"id":12345678901234567890123}"#;
        check(long, &plain, Ok((Some("12345678901234567890123"), long)));
        check(r#"{"x":1}"#, &plain, Ok((None, r#"{"x":1}"#)));
        check(r#"{"\u0069d":"e\u0301"}"#, &plain, Ok((Some("e\u{301}"), r#"{"\u0069d":"e\u0301"}"#)));
        check(r#"{"id":null,"id":"b"}"#, &plain, Ok((Some("b"), r#"{"id":null,"id":"b"}"#)));
    }

    #[test]
    fn a_line_that_is_no_item_says_why_and_the_way_out() {
        let plain = options(Format::JsonLines);
        check(r#"{"id":"a""#, &plain, Err("line 1 is not JSON: EOF while parsing an object at column 9"));
        check("  {\"id\":}", &plain, Err("at column 9"));
        check("17", &plain, Err("line 1 is a number, and no object"));
        check("\"x\"", &plain, Err("line 1 is a string, and no object"));
        check(r#"{"id":null}"#, &plain, Err("--id-field"));
        check(r#"{"id":""}"#, &plain, Err("empty"));
        check(r#"{"a":1} x"#, &plain, Err("not JSON"));
        let named = Options { id_field: Some("key".into()), ..plain };
        check(r#"{"id":"a"}"#, &named, Err("no field `key`"));
    }

    #[test]
    fn what_nobody_further_on_could_parse_is_no_item() {
        let plain = options(Format::JsonLines);
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        check(&deep, &plain, Err("recursion limit exceeded"));
        check(r#"{"a":"\ud800"}"#, &plain, Err("line 1 is not JSON"));
        check(r#"{"a":1e999}"#, &plain, Err("number out of range"));
        check("\u{a0}{}", &plain, Err("line 1 is not JSON"));
    }

    #[test]
    fn mapping_renames_all_at_once_and_a_missing_field_is_told() {
        let map = |pairs: &[(&str, &str)]| Options {
            map: pairs.iter().map(|(to, from)| ((*to).into(), (*from).into())).collect(),
            ..options(Format::JsonLines)
        };
        let body = map(&[("text", "body")]);
        check(r#"{"id":1,"body":"b","text":"old"}"#, &body, Ok((Some("1"), r#"{"id":1,"text":"b"}"#)));
        check(r#"{"id":1}"#, &body, Err("no field `body`"));
        check(r#"{"a":1, "b":2}"#, &map(&[("a", "b"), ("b", "a")]), Ok((None, r#"{"b":1,"a":2}"#)));
        check(r#"{"key":"k"}"#, &map(&[("id", "key")]), Ok((Some("k"), r#"{"id":"k"}"#)));
    }

    fn check_document(text: &str, part: &str) {
        match read(text.as_bytes(), &options(Format::JsonLines)) {
            Err(error @ InputError::WrongFormat { .. }) => assert!(error.to_string().contains(part), "{error}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_document_instead_of_lines_names_the_way_out() {
        check_document("\n [{\"id\":1}]", "jq -c '.[]' FILE");
        check_document(&format!("{}[", " \n".repeat(500_000)), "jq -c '.[]' FILE");
        check_document("{\n  \"id\": 1\n}\n", "jq -c . FILE");
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<Option<bool>>().prop_map(|b| json!(b)),
            any::<i64>().prop_map(|n| json!(n)),
            any::<f64>().prop_map(|n| json!(n)),
            any::<String>().prop_map(|s| json!(s)),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|v| json!(v)),
                prop::collection::hash_map(any::<String>(), inner, 0..4).prop_map(|m| json!(m)),
            ]
        })
    }

    proptest! {
        #[test]
        fn ids_and_texts_come_back_as_they_were_written(
            rows in prop::collection::vec(("\\PC{1,20}", value()), 1..5),
            crlf: bool,
        ) {
            let lines: Vec<String> = rows.iter().map(|(id, v)| json!({"v": v, "id": id}).to_string()).collect();
            let records = read(lines.join(if crlf { "\r\n" } else { "\n" }).as_bytes(), &options(Format::JsonLines)).unwrap();
            prop_assert_eq!(records.len(), rows.len());
            for ((record, line), (id, _)) in records.into_iter().zip(lines).zip(rows) {
                let entry = record.entry.unwrap();
                prop_assert_eq!(entry.json, line);
                prop_assert_eq!(entry.id.unwrap().to_string(), id);
            }
        }

        #[test]
        fn a_line_is_an_item_exactly_if_serde_json_makes_an_object_of_it(
            inner in "[\\[\\]{}:,\"\\\\ude8019.\\-ntfalsr ]{0,24}",
        ) {
            let line = format!("{{\"a\":{inner}}}");
            let record = read(line.as_bytes(), &options(Format::JsonLines)).unwrap().remove(0);
            prop_assert_eq!(record.entry.is_ok(), serde_json::from_str::<Map<String, Value>>(&line).is_ok());
        }
    }
}
