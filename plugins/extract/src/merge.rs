//! Parts put together: one record of several, or records that several parts have in common.

use crate::answer::Found;
use sandmill_plugin::log;
use serde_json::{Map, Value};

/// One record: of each field what the first part says that says anything; lists one after the other, without what is there.
pub(crate) fn one(parts: Vec<Found>) -> Option<Found> {
    let mut parts = parts.into_iter();
    let mut whole = parts.next()?;
    for part in parts {
        for (name, value) in part.record {
            let own = whole.record.entry(name.clone()).or_insert(Value::Null);
            if own.is_null() && !value.is_null() {
                *own = value;
                if let Some(quote) = part.evidence.get(&name) {
                    whole.evidence.insert(name, quote.clone());
                }
            } else {
                fill(&name, own, value);
            }
        }
    }
    Some(whole)
}

/// What `own` lacks, from `other`.
fn fill(name: &str, own: &mut Value, other: Value) {
    match (own, other) {
        (_, Value::Null) => {}
        (own @ Value::Null, other) => *own = other,
        (Value::Array(own), Value::Array(other)) => {
            for value in other {
                if !own.iter().any(|known| same(known, &value)) {
                    own.push(value);
                }
            }
        }
        (Value::Object(own), Value::Object(other)) => {
            for (inner, value) in other {
                let own = own.entry(inner.clone()).or_insert(Value::Null);
                fill(&format!("{name}.{inner}"), own, value);
            }
        }
        (own, other) => {
            if !same(own, &other) {
                log::warn(format!("two parts differ in `{name}`: {own} stays, {other} does not"));
            }
        }
    }
}

/// Records of all parts, in their order. With `key` two are the same that agree in it; without, a part's record is the same as
/// one of the part before that it does not contradict, since the two have text in common.
pub(crate) fn many(parts: Vec<Vec<Found>>, key: &[String]) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    // Of the part before.
    let mut before = 0..0;
    for part in parts {
        let known = all.len();
        // A record is the same as one other and no more: a list may say the same twice.
        let mut taken = Vec::new();
        for found in part {
            let candidates = if key.is_empty() { before.clone() } else { 0..all.len() };
            let mut same =
                candidates.filter(|at| !taken.contains(at)).filter(|at| is_same(&all[*at].record, &found.record, key));
            match same.next() {
                Some(at) => {
                    taken.extend(key.is_empty().then_some(at));
                    let own = std::mem::take(&mut all[at]);
                    all[at] = one(vec![own, found]).unwrap_or_default();
                }
                None => all.push(found),
            }
        }
        before = known..all.len();
    }
    all
}

fn is_same(one: &Map<String, Value>, other: &Map<String, Value>, key: &[String]) -> bool {
    let none = &Value::Null;
    if !key.is_empty() {
        let of = |record: &Map<String, Value>| -> Vec<Value> {
            key.iter().map(|name| record.get(name).unwrap_or(none).clone()).collect()
        };
        let (one, other) = (of(one), of(other));
        return one.iter().any(|value| !value.is_null()) && one.iter().zip(&other).all(|(one, other)| same(one, other));
    }
    let both = one.iter().filter_map(|(name, value)| Some((value, other.get(name)?)));
    let both: Vec<_> = both.filter(|(one, other)| !one.is_null() && !other.is_null()).collect();
    let agrees = both.iter().all(|(one, other)| same(one, other));
    // One of the two may have been cut where its part ended, so that it says less; but not more in one thing and less in another.
    let says = |record: &Map<String, Value>| record.values().filter(|value| !value.is_null()).count();
    agrees && !both.is_empty() && both.len() == says(one).min(says(other))
}

/// Texts without regard to case and white space; numbers by what they are.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one == other || folded(one) == folded(other),
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        (one, other) => one == other,
    }
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(record: Value) -> Found {
        let Value::Object(record) = record else { panic!("an object") };
        let evidence = record.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Found { record, evidence }
    }

    fn records(list: Vec<Found>) -> Vec<Value> {
        list.into_iter().map(|found| Value::Object(found.record)).collect()
    }

    fn check_many(parts: Value, key: &[&str], expected: Value) {
        let Value::Array(parts) = parts else { panic!("a list") };
        let parts = parts.into_iter().map(|part| part.as_array().expect("a list").iter().cloned().map(found).collect());
        let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(Value::from(records(many(parts.collect(), &key))), expected);
    }

    #[test]
    fn one_record_takes_what_the_first_part_says_and_joins_lists() {
        let parts = [
            json!({"a": null, "b": "x", "c": ["p"], "d": {"e": 1, "f": null}}),
            json!({"a": 2, "b": "y", "c": ["P", "q"], "d": {"e": 3, "f": 4}}),
        ];
        let whole = one(parts.map(found).to_vec()).expect("a record");
        assert_eq!(Value::Object(whole.record), json!({"a": 2, "b": "x", "c": ["p", "q"], "d": {"e": 1, "f": 4}}));
        assert_eq!(whole.evidence["a"], json!(2), "the quote of the part that says it");
        assert!(one(Vec::new()).is_none());
    }

    #[test]
    fn what_two_neighbours_have_in_common_is_one_record() {
        check_many(
            json!([[{"n": "A", "v": 1}, {"n": "B", "v": null}], [{"n": "b ", "v": 2}, {"n": "C", "v": 3}]]),
            &[],
            json!([{"n": "A", "v": 1}, {"n": "B", "v": 2}, {"n": "C", "v": 3}]),
        );
    }

    #[test]
    fn what_a_part_says_twice_stays_twice_and_what_is_far_away_is_another() {
        check_many(json!([[{"n": "A"}, {"n": "A"}]]), &[], json!([{"n": "A"}, {"n": "A"}]));
        check_many(json!([[{"n": "A"}, {"n": "A"}], [{"n": "A"}]]), &[], json!([{"n": "A"}, {"n": "A"}]));
        check_many(json!([[{"n": "A"}], [{"n": "B"}], [{"n": "A"}]]), &[], json!([{"n": "A"}, {"n": "B"}, {"n": "A"}]));
        check_many(
            json!([[{"n": "A", "v": null, "w": 1}], [{"n": "A", "v": 2, "w": null}]]),
            &[],
            json!([{"n": "A", "v": null, "w": 1}, {"n": "A", "v": 2, "w": null}]),
        );
    }

    #[test]
    fn a_key_says_what_is_the_same_wherever_it_stands() {
        check_many(
            json!([[{"k": "7", "v": 1}, {"k": null, "v": 5}], [], [{"k": "7", "v": 2}, {"k": null, "v": 5}]]),
            &["k"],
            json!([{"k": "7", "v": 1}, {"k": null, "v": 5}, {"k": null, "v": 5}]),
        );
    }
}
