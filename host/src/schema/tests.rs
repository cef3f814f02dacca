//! Schemas that are used every day, and those that are made to hurt.

use super::*;
use serde_json::json;

fn compiled(schema: &Value) -> Schema {
    Schema::compile(&schema.to_string()).unwrap()
}

fn places(schema: &Value, value: &Value) -> Vec<String> {
    compiled(schema).violations(value).unwrap().into_iter().map(|violation| violation.place).collect()
}

#[track_caller]
fn refused(schema: &Value, why: &str) {
    let error = check_bounds(&schema.to_string()).unwrap_err();
    assert!(error.contains(why), "{error}");
    assert!(Schema::compile(&schema.to_string()).is_err());
}

/// `$defs` in which each refers to the next, `times` times.
fn chain(length: usize, times: usize, last: &Value, link: impl Fn(Value) -> Value) -> Value {
    let mut defs = serde_json::Map::new();
    for nth in 0..length {
        let next = json!({"$ref": format!("#/$defs/d{}", nth + 1)});
        defs.insert(format!("d{nth}"), link(Value::Array(vec![next; times])));
    }
    defs.insert(format!("d{length}"), last.clone());
    json!({"$defs": defs, "$ref": "#/$defs/d0"})
}

#[test]
fn a_violation_is_told_with_its_place() {
    let schema = json!({"type": "object", "required": ["a"], "properties": {"a": {"items": {"type": "integer"}}}});
    assert_eq!(places(&schema, &json!({"a": [1, 2]})), Vec::<String>::new());
    assert_eq!(places(&schema, &json!({"a": [1, "x", 2, "y"]})), ["/a/1", "/a/3"]);
    assert_eq!(places(&schema, &json!({})), [""]);
}

#[test]
fn schemas_that_are_used_every_day_are_taken() {
    let first = json!({"properties": {"children": {"items": {"$ref": "#"}}, "name": {"type": "string"}}});
    let mut value = json!({"name": "leaf"});
    for _ in 0..40 {
        value = json!({"children": [value], "name": "branch"});
    }
    assert_eq!(places(&first, &value), Vec::<String>::new());
    let tree = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/tree",
        "$defs": {"node": {
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": {"name": {"type": "string", "pattern": "^(?!x)[a-z]+$"},
                           "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
        }},
        "$ref": "#/$defs/node",
    });
    let mut value = json!({"name": "leaf"});
    for _ in 0..40 {
        value = json!({"name": "branch", "children": [value, {"name": "leaf"}]});
    }
    assert_eq!(places(&tree, &value), Vec::<String>::new());
    let old = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"a": {"type": "integer"}},
        "properties": {"a": {"$ref": "#/definitions/a"}, "t": {"items": [{"type": "null"}, {"type": "string"}]}},
    });
    assert_eq!(places(&old, &json!({"a": 1, "t": [null, "x"]})), Vec::<String>::new());
    assert_eq!(places(&old, &json!({"a": "x"})), ["/a"]);
}

#[test]
fn alternatives_that_a_const_tells_apart_cost_what_one_costs() {
    let kinds: Vec<Value> = (0..40)
        .map(|nth| {
            json!({"properties": {"kind": {"const": format!("k{nth}")}, "left": {"$ref": "#"}, "right": {"$ref": "#"}}})
        })
        .collect();
    let schema = json!({"oneOf": kinds});
    let mut value = json!({"kind": "k1"});
    for _ in 0..6 {
        value = json!({"kind": "k2", "left": value, "right": value});
    }
    assert_eq!(places(&schema, &value), Vec::<String>::new());
}

#[test]
fn a_schema_without_end_is_refused() {
    refused(&json!({"$ref": "#"}), "no end");
    refused(&json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}), "no end");
    refused(&json!({"x": {"y": {"$ref": "#/x/y"}}, "$ref": "#/x/y"}), "no end");
    refused(&chain(30, 2, &json!({}), |next| json!({"allOf": next})), "more than 10000 schemas");
    refused(&chain(500, 1, &json!({}), |next| json!({"anyOf": next})), "64 schemas one in another");
    let mut nested = json!({"unevaluatedProperties": false});
    for _ in 0..16 {
        nested = json!({"unevaluatedProperties": false, "allOf": [nested]});
    }
    refused(&nested, "more than 10000 schemas");
}

#[test]
fn what_cannot_be_followed_is_refused_with_the_way_out() {
    for schema in [
        json!({"$ref": "https://example.com/schema"}),
        json!({"$ref": "file:///etc/passwd"}),
        json!({"$ref": "#/$defs/none"}),
        json!({"$ref": "#name", "$defs": {"a": {"$anchor": "name"}}}),
        json!({"$dynamicRef": "#/$defs/a", "$defs": {"a": {}}}),
        json!({"$defs": {"a": {"$id": "x", "$ref": "#"}}}),
    ] {
        refused(&schema, "#/$defs/NAME");
    }
    refused(&json!({"$schema": "http://json-schema.org/draft-04/schema#"}), "2020-12");
    let references = vec![json!({"$ref": "#/$defs/a"}); 2_001];
    refused(&json!({"$defs": {"a": {}}, "prefixItems": references}), "2000 references");
    refused(&json!({"enum": ["x".repeat(BYTES_MAX)]}), "larger than");
    let deep = format!("{}{}", r#"{"not":"#.repeat(110), "true".to_owned() + &"}".repeat(110));
    assert!(Schema::compile(&deep).err().unwrap().contains("levels deep"));
}

#[test]
fn a_check_that_would_grow_with_every_level_is_not_made() {
    let below = json!({"$defs": {"a": {"additionalProperties": {"$ref": "#/$defs/a"}, "anyOf": [
        {"additionalProperties": {"$ref": "#/$defs/a"}}, {"additionalProperties": {"$ref": "#/$defs/a"}},
    ]}}, "$ref": "#/$defs/a"});
    let mut value = json!(1);
    for _ in 0..40 {
        value = json!({"x": value});
    }
    assert_eq!(compiled(&below).violations(&value).unwrap_err(), TooCostly);
    let list = chain(30, 1, &json!({"items": {"$ref": "#"}}), |next| json!({"allOf": next}));
    let mut value = json!([]);
    for _ in 0..100 {
        value = json!([value]);
    }
    assert_eq!(compiled(&list).violations(&value).unwrap_err(), TooCostly, "deeper than the stack");
}

/// With as much stack as the threads have that check.
#[test]
fn the_deepest_check_that_is_made_has_stack_enough() {
    let list = chain(30, 1, &json!({"items": {"$ref": "#"}}), |next| json!({"anyOf": next}));
    let schema = compiled(&list);
    let mut value = json!("x");
    for _ in 0..6 {
        value = json!([value]);
    }
    assert_eq!(schema.violations(&value), Ok(Vec::new()));
    let failing =
        compiled(&chain(30, 1, &json!({"type": "array", "items": {"$ref": "#"}}), |next| json!({"anyOf": next})));
    assert!(!failing.violations(&value).unwrap().is_empty());
}

#[test]
fn patterns_that_go_back_and_forth_are_given_up() {
    let schema = compiled(&json!({"pattern": "^(a|a)*\\1b$"}));
    assert!(!schema.violations(&json!(format!("{}!", "a".repeat(2_000)))).unwrap().is_empty());
    let repeated = "a{1000}".repeat(100);
    assert!(Schema::compile(&json!({"pattern": format!("(({repeated}){{1000}}){{1000}}")}).to_string()).is_err());
    let many: serde_json::Map<String, Value> = (0..251).map(|nth| (format!("^{nth}"), json!(true))).collect();
    refused(&json!({"patternProperties": many}), "250 patterns");
}

#[test]
fn of_a_large_value_one_violation_is_told() {
    let schema = compiled(&json!({"items": {"type": "string"}}));
    let violations = schema.violations(&Value::Array(vec![json!(1); 200_000])).unwrap();
    assert_eq!(violations.len(), 1);
}
