//! New values in a line of a file, and every other byte as it was.

use super::file::NewAnswer;
use super::{Expect, answer, spaced};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// What of a case is new.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// All answers, in their order.
    pub answers: Option<Vec<NewAnswer>>,
    pub expect: Option<Expect>,
}

/// The text of a file with one line changed; lines are counted from 1.
pub(super) fn file(text: &str, number: usize, change: &Change) -> serde_json::Result<String> {
    let start = match number {
        0 | 1 => 0,
        _ => text.match_indices('\n').nth(number - 2).map_or(text.len(), |(at, _)| at + 1),
    };
    let end = text[start..].find('\n').map_or(text.len(), |length| start + length);
    Ok([&text[..start], &line(&text[start..end], change)?, &text[end..]].concat())
}

fn line(text: &str, change: &Change) -> serde_json::Result<String> {
    let mut text = Cow::Borrowed(text);
    if let Some(answers) = &change.answers {
        let written = self::answers(&text, answers)?;
        text = Cow::Owned(with_field(&text, "answers", &written)?);
    }
    if let Some(expect) = &change.expect {
        text = Cow::Owned(with_field(&text, "expect", &spaced::to_string(expect.as_json())?)?);
    }
    Ok(text.into_owned())
}

/// The list as it is written: those that stay as they stand.
fn answers(text: &str, answers: &[NewAnswer]) -> serde_json::Result<String> {
    let standing: Vec<&RawValue> = match Fields::of(text)?.0.iter().find(|(name, _)| name == "answers") {
        Some((_, value)) => serde_json::from_str(value.get())?,
        None => Vec::new(),
    };
    let one = |new: &NewAnswer| match new {
        NewAnswer::Kept(index) => Ok(standing.get(*index).map_or("null", |raw| raw.get()).to_owned()),
        NewAnswer::Recorded(taped) => answer::write(taped),
    };
    Ok(format!("[{}]", answers.iter().map(one).collect::<serde_json::Result<Vec<_>>>()?.join(", ")))
}

/// With another value of a field, or with the field behind the others; `answers` before `expect`.
fn with_field(text: &str, name: &str, value: &str) -> serde_json::Result<String> {
    let fields = Fields::of(text)?.0;
    let place = |field: &(Cow<'_, str>, &RawValue)| place_in(text, field.1.get());
    if let Some(range) = fields.iter().find(|(known, _)| known == name).and_then(place) {
        return Ok([&text[..range.start], value, &text[range.end..]].concat());
    }
    let before_expect = fields.iter().take_while(|(known, _)| known != "expect").count();
    let last = fields[..before_expect].last().and_then(place);
    // A case has a name: there is a field before it.
    let at = last.map_or_else(|| text.rfind('}').unwrap_or(text.len()), |range| range.end);
    Ok(format!("{}, \"{name}\": {value}{}", &text[..at], &text[at..]))
}

/// Where a part that was borrowed from a text stands in it.
fn place_in(text: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let range = start..start.checked_add(part.len())?;
    (text.get(range.clone()) == Some(part)).then_some(range)
}

/// Those of an object, in their order.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    fn of(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    fields.push((Cow::Owned(name), map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests {
    use super::super::CaseFile;
    use super::*;
    use crate::domain::{Completion, Emission, Outcome, Verdict};
    use crate::resilience::Taped;
    use proptest::prelude::*;
    use serde_json::Value;

    fn taped(text: &str) -> Taped {
        let completion =
            Completion { text: text.into(), finish: "stop".into(), model: "test".into(), ..Completion::default() };
        Taped { request: Some([1; 32]), asked: None, end: Ok(completion) }
    }

    fn expect(value: &str) -> Expect {
        let emission = Emission { value: value.into(), name: None, extra: Vec::new() };
        Expect::of(&Verdict::Finished(Outcome::Done(vec![emission]))).unwrap()
    }

    #[test]
    fn answers_that_stay_are_written_as_they_stand_and_come_before_what_is_expected() {
        let text = r#"{ "name":"a","item":{"x":1.50} , "expect" : {"skip":"s"}}"#;
        let change = Change { answers: Some(vec![NewAnswer::Recorded(Box::new(taped("t")))]), expect: None };
        let digest = "01".repeat(32);
        let recorded = format!(r#"{{"text": "t", "request": "sha256:{digest}"}}"#);
        let with = line(text, &change).unwrap();
        assert_eq!(
            with,
            format!(r#"{{ "name":"a","item":{{"x":1.50}}, "answers": [{recorded}] , "expect" : {{"skip":"s"}}}}"#)
        );
        let standing = r#"{"name":"a","item":{},"answers":[ "one" , {"text":"two" }],"expect":{"emit":[1]}}"#;
        let kept = Change {
            answers: Some(vec![NewAnswer::Kept(1), NewAnswer::Recorded(Box::new(taped("t"))), NewAnswer::Kept(0)]),
            expect: Some(expect("2")),
        };
        assert_eq!(
            line(standing, &kept).unwrap(),
            format!(
                r#"{{"name":"a","item":{{}},"answers":[{{"text":"two" }}, {recorded}, "one"],"expect":{{"emit": [2]}}}}"#
            )
        );
    }

    fn a_line() -> impl Strategy<Value = String> {
        let spaces = || prop::sample::select(vec!["", " ", "\t", "  "]);
        let text = ".{0,8}";
        (text, text, spaces(), spaces(), spaces(), prop::option::of(prop::collection::vec(".{0,4}", 0..3)), any::<bool>()).prop_map(
            |(name, value, a, b, c, answers, expects)| {
                let (name, value) = (Value::from(name), Value::from(value));
                let answers = answers.map_or(String::new(), |list| format!(",{a}\"answers\"{b}:{}", Value::from(list)));
                let expect = if expects { format!(",\"expect\":{a}{{{b}\"emit\":[1.0]}}") } else { String::new() };
                format!("{a}{{{b}\"name\"{c}:{a}{name}{b},{c}\"item\":{{\"expect\":{value},\"answers\":[]}}{answers}{c}{expect}{a}}}{b}")
            },
        )
    }

    proptest! {
        #[test]
        fn every_byte_but_those_of_the_value_stays(
            lines in prop::collection::vec(a_line(), 1..4), nth in 0..4_usize, crlf: bool, ends: bool, value in -5_i64..5,
            sets_answers: bool,
        ) {
            let nth = nth % lines.len();
            let newline = if crlf { "\r\n" } else { "\n" };
            let text = lines.join(newline) + if ends { newline } else { "" };
            let change = Change {
                answers: sets_answers.then(|| vec![NewAnswer::Recorded(Box::new(taped("t")))]),
                expect: Some(expect(&value.to_string())),
            };
            let new = file(&text, nth + 1, &change).unwrap();
            let (old_lines, new_lines): (Vec<&str>, Vec<&str>) = (text.split('\n').collect(), new.split('\n').collect());
            prop_assert_eq!(old_lines.len(), new_lines.len());
            for (index, (old, new)) in old_lines.iter().zip(&new_lines).enumerate() {
                prop_assert!(index == nth || old == new);
            }
            let fields = |line: &str| {
                let fields = Fields::of(line.trim_end_matches('\r')).unwrap().0;
                fields.into_iter().map(|(name, value)| (name.into_owned(), value.get().to_owned())).collect::<Vec<_>>()
            };
            let (before, after) = (fields(old_lines[nth]), fields(new_lines[nth]));
            let is_other = |(name, _): &&(String, String)| name != "expect" && !(sets_answers && name == "answers");
            prop_assert!(before.iter().filter(is_other).eq(after.iter().filter(is_other)));
            let known: Vec<_> = after.iter().map(|(name, _)| name).filter(|name| before.iter().any(|(b, _)| b == *name)).collect();
            prop_assert!(known.into_iter().eq(before.iter().map(|(name, _)| name)), "the order of keys stays");
            // Once more changes nothing, and it is a file of cases.
            prop_assert_eq!(&file(&new, nth + 1, &change).unwrap(), &new);
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("c.jsonl");
            std::fs::write(&path, &new).unwrap();
            let read = CaseFile::read(&path).unwrap();
            prop_assert_eq!(read.cases[nth].expect.clone(), Some(expect(&value.to_string())));
            if sets_answers {
                prop_assert_eq!(&read.cases[nth].answers, &vec![taped("t")]);
            }
        }
    }
}
