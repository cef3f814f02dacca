//! Dates and numbers as the schema says, where the answer has them otherwise and there is one way to read it. Everything else
//! stays as the document has it.

use jiff::civil::Date;
use serde_json::{Map, Number, Value};

/// Dates that can be read in one way.
const DATES: [&str; 9] =
    ["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d %B %Y", "%d. %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y"];

/// Makes of a value what its schema says, as far as it can.
pub(crate) fn normalise(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if let Some(schema) = schema.get("properties").and_then(|properties| properties.get(name)) {
                    normalise(value, schema);
                }
            }
        }
        Value::Array(list) => {
            if let Some(schema) = schema.get("items") {
                for value in list {
                    normalise(value, schema);
                }
            }
        }
        Value::String(text) => {
            let is = |kind| has_type(schema, kind);
            if is("string") && schema.get("format").is_some_and(|format| format == "date") {
                if let Some(date) = date(text) {
                    *text = date;
                }
            } else if (is("number") || is("integer"))
                && !is("string")
                && let Some(number) = number(text)
            {
                *value = Value::Number(whole(number));
            }
        }
        Value::Number(number) if has_type(schema, "integer") => *number = whole(number.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

pub(crate) fn normalise_record(record: &mut Map<String, Value>, schema: &Map<String, Value>) {
    for (name, value) in record {
        if let Some(schema) = schema.get("properties").and_then(|properties| properties.get(name)) {
            normalise(value, schema);
        }
    }
}

fn has_type(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(own)) => own == kind,
        Some(Value::Array(own)) => own.iter().any(|own| own == kind),
        _ => false,
    }
}

/// As ISO 8601 has it; `None` where it is none, or could be two (`03/04/2024`).
fn date(text: &str) -> Option<String> {
    let text = text.trim();
    let read = |format: &&str| Date::strptime(format, text).ok();
    let found = DATES.iter().find_map(read).or_else(|| match (read(&"%d/%m/%Y"), read(&"%m/%d/%Y")) {
        (Some(day_first), Some(month_first)) => (day_first == month_first).then_some(day_first),
        (one, other) => one.or(other),
    });
    found.map(|date| date.to_string())
}

/// `1,234.50`, `1 234.5`, `1.234,50`; `None` for what could be two numbers (`1,234`, `1.234`) and for all else.
fn number(text: &str) -> Option<Number> {
    let compact: String = text.trim().chars().filter(|letter| !letter.is_whitespace() && *letter != '\'').collect();
    let (last_comma, last_point) = (compact.rfind(','), compact.rfind('.'));
    let plain = match (last_comma, last_point) {
        (None, None) => compact,
        (Some(comma), Some(point)) if comma < point && groups(&compact[..point], ',') => compact.replace(',', ""),
        (Some(comma), Some(point)) if point < comma && groups(&compact[..comma], '.') => {
            compact.replace('.', "").replace(',', ".")
        }
        (Some(at), None) | (None, Some(at))
            if compact.len() - at - 1 != 3 && compact.matches([',', '.']).count() == 1 =>
        {
            compact.replace(',', ".")
        }
        _ => return None,
    };
    let is_number = plain.trim_start_matches(['-', '+']).chars().all(|letter| letter.is_ascii_digit() || letter == '.');
    is_number.then(|| plain.trim_start_matches('+').parse().ok()).flatten()
}

/// Whether what stands before the decimals is in groups of three.
fn groups(text: &str, separator: char) -> bool {
    text.split(separator).skip(1).all(|group| group.len() == 3)
}

/// `3.0` as `3`.
fn whole(number: Number) -> Number {
    let text = number.to_string();
    let digits = text.strip_suffix(".0").filter(|digits| digits.len() <= 16);
    digits.and_then(|digits| digits.parse::<i64>().ok()).map_or(number, Number::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: Value, schema: Value, expected: Value) {
        let mut got = value.clone();
        normalise(&mut got, &schema);
        assert_eq!(got, expected, "{value}");
    }

    #[test]
    fn dates_that_can_be_read_in_one_way_become_iso() {
        for text in
            ["2024-03-05", "2024/03/05", "05.03.2024", "5 March 2024", "March 5, 2024", "5 Mar 2024", " 5. March 2024 "]
        {
            check(json!(text), json!({"type": ["string", "null"], "format": "date"}), json!("2024-03-05"));
        }
        check(json!("13/03/2024"), json!({"type": "string", "format": "date"}), json!("2024-03-13"));
        for text in ["03/04/2024", "soon", "2024-02-30", "March 2024"] {
            check(json!(text), json!({"type": "string", "format": "date"}), json!(text));
        }
    }

    #[test]
    fn numbers_that_can_be_read_in_one_way_become_numbers() {
        for (text, expected) in [
            ("1,234.50", json!(1234.50)),
            ("1.234,50", json!(1234.50)),
            ("12,5", json!(12.5)),
            ("-3", json!(-3)),
            ("1 234 567", json!(1_234_567)),
            ("2,345,678.9", json!(2_345_678.9)),
        ] {
            check(json!(text), json!({"type": ["number", "null"]}), expected);
        }
        for text in ["1,234", "1.234", "12 EUR", "", "1,23,4.5", "-", "1e5"] {
            check(json!(text), json!({"type": "number"}), json!(text));
        }
        check(json!(3.0), json!({"type": "integer"}), json!(3));
        check(json!("7.00"), json!({"type": "integer"}), json!(7));
    }

    #[test]
    fn nothing_is_touched_that_the_schema_does_not_name() {
        check(json!("5 March 2024"), json!({"type": "string"}), json!("5 March 2024"));
        check(json!("1,5"), json!({"type": ["string", "number"]}), json!("1,5"));
        check(json!(3.0), json!({"type": "number"}), json!(3.0));
        let schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string", "format": "date"}}}});
        check(
            json!({"a": ["5 March 2024"], "b": "5 March 2024"}),
            schema,
            json!({"a": ["2024-03-05"], "b": "5 March 2024"}),
        );
    }
}
