//! What shall come of an item, and whether it did.
//!
//! Of an object only the keys are compared that stand in the expectation, however deep; lists are compared whole, and numbers by their
//! value. `1` is `1.0`.

use super::compare::Difference;
use crate::config::did_you_mean;
use crate::domain::{CrashCard, Emission, Failure, Outcome, Retryable, Verdict};
use serde_json::{Map, Value, json};

/// The ways in which an item ends, and what can be said of each.
const WAYS: [(&str, &[&str]); 5] = [
    ("emit", &[]),
    ("skip", &[]),
    ("fail", &["class", "code", "message", "detail"]),
    ("retry", &["code", "message", "detail", "after_ms"]),
    ("trap", &["class", "kind", "message", "said"]),
];
const NAMES: &str = "names";

/// `{"emit": …}`, `{"skip": …}`, `{"fail": …}`, `{"retry": …}` or `{"trap": …}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect(Value);

impl Expect {
    /// The error is for a person.
    pub(super) fn parse(value: Value) -> Result<Self, String> {
        let Value::Object(fields) = &value else { return Err("`expect` is no object".into()) };
        let known: Vec<&str> = WAYS.iter().map(|(way, _)| *way).collect();
        let ways: Vec<&String> = fields.keys().filter(|name| *name != NAMES).collect();
        let [way] = ways[..] else {
            return Err(format!("`expect` has one of {}, and has {}", known.join(", "), ways.len()));
        };
        let Some((way, keys)) = WAYS.iter().find(|(known, _)| known == way) else {
            return Err(format!(
                "`expect` has `{way}`: it has one of {}{}",
                known.join(", "),
                did_you_mean(way, &known)
            ));
        };
        check(way, &fields[*way], keys)?;
        check_names(fields.get(NAMES), fields.get("emit"))?;
        Ok(Self(value))
    }

    /// `None`: it is as it shall be.
    pub fn difference(&self, verdict: &Verdict) -> Option<Difference> {
        let told = told(verdict)?;
        let is_of_other_way = told.as_object().is_some_and(|told| !told.keys().any(|way| self.0.get(way).is_some()));
        let actual = if is_of_other_way { Self::of(verdict)?.0 } else { projected(&self.0, &told) };
        (self.0 != actual).then(|| Difference::between(&self.0, &actual))
    }

    /// What this outcome wants, as it is written into a case; `None`: it is none.
    pub fn of(verdict: &Verdict) -> Option<Self> {
        let without = |mut value: Value, way: &str, keys: &[&str]| {
            if let Some(Value::Object(fields)) = value.get_mut(way) {
                fields.retain(|key, value| keys.contains(&key.as_str()) && !value.is_null());
            }
            value
        };
        let told = told(verdict)?;
        Some(Self(match verdict {
            Verdict::Finished(Outcome::Done(emissions)) => {
                let has_names = emissions.iter().any(|emission| emission.name.is_some());
                if has_names { told } else { json!({ "emit": told["emit"] }) }
            }
            Verdict::Finished(Outcome::Skipped { .. }) | Verdict::Suspended => told,
            Verdict::Retry(_) => without(told, "retry", &["code", "message"]),
            // Where in the code it was changes with each build.
            Verdict::Failed(Failure { card: Some(_), .. }) => without(told, "trap", &["class", "kind"]),
            Verdict::Failed(_) => without(told, "fail", &["class", "code", "message"]),
        }))
    }

    pub fn as_json(&self) -> &Value {
        &self.0
    }
}

fn check(way: &str, value: &Value, keys: &[&str]) -> Result<(), String> {
    match (way, value) {
        ("emit", Value::Array(_)) | ("skip", Value::String(_)) => Ok(()),
        ("emit", _) => Err("`expect.emit` is the list of the values that are emitted".into()),
        ("skip", _) => Err("`expect.skip` is the reason, a text".into()),
        (_, Value::Object(fields)) => match fields.keys().find(|key| !keys.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                Err(format!("`expect.{way}` has no `{key}`: it has {}{}", keys.join(", "), did_you_mean(key, keys)))
            }
        },
        (way, _) => Err(format!("`expect.{way}` is an object of {}", keys.join(", "))),
    }
}

/// The names of values that are emitted, beside them: null for one that has none.
fn check_names(names: Option<&Value>, emit: Option<&Value>) -> Result<(), String> {
    match (names, emit) {
        (None, _) => Ok(()),
        (Some(Value::Array(names)), Some(Value::Array(values)))
            if names.len() == values.len() && names.iter().all(|name| name.is_string() || name.is_null()) =>
        {
            Ok(())
        }
        (Some(_), _) => Err("`expect.names` is a list beside `emit`: a name or null for each value".into()),
    }
}

/// All that can be said of an outcome. `None`: the attempt was stopped.
fn told(verdict: &Verdict) -> Option<Value> {
    Some(match verdict {
        Verdict::Finished(Outcome::Done(emissions)) => json!({
            "emit": emissions.iter().map(|Emission { value, .. }| parsed(value)).collect::<Vec<_>>(),
            NAMES: emissions.iter().map(|emission| emission.name.as_deref()).collect::<Vec<_>>(),
        }),
        Verdict::Finished(Outcome::Skipped { reason }) => json!({ "skip": reason }),
        Verdict::Retry(Retryable { after, code, message, detail }) => json!({ "retry": {
            "code": code, "message": message, "detail": detail.as_deref().map(parsed),
            "after_ms": after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        } }),
        Verdict::Failed(Failure { class, message, card: Some(card), .. }) => {
            let CrashCard { kind, said, .. } = &**card;
            json!({ "trap": { "class": class.name(), "kind": kind.name(), "message": message, "said": said } })
        }
        Verdict::Failed(Failure { class, code, message, detail, .. }) => json!({ "fail": {
            "class": class.name(), "code": code, "message": message, "detail": detail.as_deref().map(parsed),
        } }),
        Verdict::Suspended => return None,
    })
}

/// Valid JSON, by the domain's promise.
fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| json.into())
}

/// What of `actual` is compared: of objects the keys of the expected one, in its order, and of equal numbers its spelling.
fn projected(expected: &Value, actual: &Value) -> Value {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) if is_same_way(expected, actual) => {
            let field = |(key, expected): (&String, &Value)| Some((key.clone(), projected(expected, actual.get(key)?)));
            Value::Object(expected.iter().filter_map(field).collect())
        }
        (Value::Array(expected), Value::Array(actual)) => {
            let one =
                |(index, actual)| expected.get(index).map_or_else(|| Value::clone(actual), |e| projected(e, actual));
            Value::Array(actual.iter().enumerate().map(one).collect())
        }
        (Value::Number(one), Value::Number(other)) if is_equal(one, other) => expected.clone(),
        _ => actual.clone(),
    }
}

/// Of two outcomes of different kinds nothing would be left.
fn is_same_way(expected: &Map<String, Value>, actual: &Map<String, Value>) -> bool {
    expected.is_empty() || expected.keys().any(|key| actual.contains_key(key))
}

fn is_equal(one: &serde_json::Number, other: &serde_json::Number) -> bool {
    one == other
        || one
            .as_f64()
            .zip(other.as_f64())
            .is_some_and(|(one, other)| one.to_bits() == other.to_bits() && !is_beyond(one))
}

/// From here on several integers are one float.
fn is_beyond(number: f64) -> bool {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    number.abs() >= EXACT_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{FailureClass, test_card};
    use proptest::prelude::*;
    use std::time::Duration;

    fn expect(text: &str) -> Expect {
        Expect::parse(serde_json::from_str(text).unwrap()).unwrap()
    }

    fn emitted(values: &[&str]) -> Verdict {
        let emission = |value: &&str| Emission { value: (*value).into(), name: None, extra: Vec::new() };
        Verdict::Finished(Outcome::Done(values.iter().map(emission).collect()))
    }

    fn failed(class: FailureClass) -> Failure {
        Failure { code: "c".into(), detail: Some("[1]".into()), ..Failure::new(class, "m") }
    }

    #[track_caller]
    fn check(text: &str, verdict: &Verdict, is_same: bool) {
        let difference = expect(text).difference(verdict);
        assert_eq!(difference.is_none(), is_same, "{text}: {difference:?}");
    }

    #[test]
    fn of_an_object_the_keys_are_compared_that_are_expected_and_lists_are_compared_whole() {
        let emitted = emitted(&[r#"{"a": 1.0, "b": [1, {"c": 2, "d": 3}], "e": null}"#]);
        for same in [r#"{"a": 1}"#, r#"{"b": [1.0, {"d": 3}]}"#, "{}", r#"{"e": null}"#] {
            check(&format!(r#"{{"emit": [{same}]}}"#), &emitted, true);
        }
        for other in
            [r#"{"a": 2}"#, r#"{"b": [1]}"#, r#"{"b": [1, {"c": 2}, 3]}"#, r#"{"f": null}"#, "1", r#"{"a": "1"}"#]
        {
            check(&format!(r#"{{"emit": [{other}]}}"#), &emitted, false);
        }
        check(r#"{"emit": []}"#, &emitted, false);
        check(r#"{"emit": [{}, {}]}"#, &emitted, false);
    }

    #[test]
    fn large_integers_are_told_apart_though_their_floats_are_one() {
        check(r#"{"emit": [9007199254740993]}"#, &emitted(&["9007199254740992"]), false);
        check(r#"{"emit": [18446744073709551615]}"#, &emitted(&["18446744073709551615"]), true);
        check(r#"{"emit": [-0.0]}"#, &emitted(&["0"]), false);
    }

    #[test]
    fn names_are_compared_where_they_are_expected() {
        let emission = Emission { value: "1".into(), name: Some("n".into()), extra: Vec::new() };
        let named = Verdict::Finished(Outcome::Done(vec![emission]));
        check(r#"{"emit": [1]}"#, &named, true);
        check(r#"{"emit": [1], "names": ["n"]}"#, &named, true);
        check(r#"{"emit": [1], "names": [null]}"#, &named, false);
        assert_eq!(*Expect::of(&named).unwrap().as_json(), json!({"emit": [1], "names": ["n"]}));
    }

    #[test]
    fn every_way_to_end_is_told_from_every_other_and_expects_itself() {
        let retry =
            Retryable { after: Some(Duration::from_millis(5)), code: "c".into(), message: "m".into(), detail: None };
        let trap = Failure { card: Some(Box::new(test_card())), ..failed(FailureClass::Trap) };
        let ends = [
            emitted(&["1", r#""x""#]),
            Verdict::Finished(Outcome::Skipped { reason: "r".into() }),
            Verdict::Failed(failed(FailureClass::Plugin)),
            Verdict::Failed(trap),
            Verdict::Retry(retry),
        ];
        for (index, end) in ends.iter().enumerate() {
            let expect = Expect::of(end).unwrap();
            assert_eq!(Expect::parse(expect.as_json().clone()).unwrap(), expect);
            for (other_index, other) in ends.iter().enumerate() {
                assert_eq!(expect.difference(other).is_none(), index == other_index, "{expect:?} {other:?}");
            }
        }
        check(r#"{"retry": {"after_ms": 5}}"#, &ends[4], true);
        check(r#"{"trap": {"class": "trap", "kind": "panic"}}"#, &ends[3], true);
        check(r#"{"fail": {"detail": [1]}}"#, &ends[2], true);
        assert_eq!(Expect::of(&Verdict::Suspended), None);
    }

    #[test]
    fn what_is_no_expectation_is_told_with_what_was_meant() {
        let says = |text: &str| Expect::parse(serde_json::from_str(text).unwrap()).unwrap_err();
        assert!(says(r#"{"emitt": []}"#).contains("did you mean `emit`?"));
        assert!(says(r#"{"emit": [], "skip": "x"}"#).contains("and has 2"));
        assert!(says(r#"{"emit": {}}"#).contains("list"));
        assert!(says(r#"{"fail": {"cod": "x"}}"#).contains("did you mean `code`?"));
        assert!(says(r#"{"skip": "x", "names": []}"#).contains("beside `emit`"));
        assert!(says(r#"{"trap": "unreachable"}"#).contains("object of class"));
        assert!(says("[]").contains("no object"));
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9_f64..1e9).prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_compared_is_equal_exactly_if_the_expected_part_is(expected in json_value(), actual in json_value()) {
            fn holds(expected: &Value, actual: &Value) -> bool {
                match (expected, actual) {
                    (Value::Object(e), Value::Object(a)) => e.iter().all(|(key, e)| a.get(key).is_some_and(|a| holds(e, a))),
                    (Value::Array(e), Value::Array(a)) => e.len() == a.len() && e.iter().zip(a).all(|(e, a)| holds(e, a)),
                    (Value::Number(e), Value::Number(a)) => is_equal(e, a),
                    _ => expected == actual,
                }
            }
            prop_assert!(projected(&expected, &expected) == expected);
            prop_assert_eq!(projected(&expected, &actual) == expected, holds(&expected, &actual));
        }
    }
}
