//! What stands in an item, as text: one field, or several in a template. `{{field}}`, and nothing else: no loops, no
//! conditions, nothing that a template could do wrong on one item in a thousand.

use std::borrow::Cow;

use serde_json::Value;

use crate::Failure;

/// Fills the template from the item. `{{field}}` and `{{a.b}}` stand for what the item holds there, `{{id}}` for its id where
/// it has no such field. What the item holds is never read as a template.
///
/// Fails for good, with `missing_field` if the item lacks a field and with `bad_config` if the template is not closed.
pub fn render(template: &str, id: &str, item: &Value) -> Result<String, Failure> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, tail)) = after.split_once("}}") else {
            let column = template.len() - after.len() - 1;
            return Err(Failure::permanent(
                "bad_config",
                format!("the template has no `}}}}` for the `{{{{` at byte {column}"),
            ));
        };
        match (find(item, name.trim()), name.trim()) {
            (Some(value), _) => filled.push_str(&as_text(value)),
            (None, "id") => filled.push_str(id),
            (None, name) => return Err(missing("the template wants", name, item)),
        }
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// What stands in one field, or at `a.b`: a string as it stands, nothing for null, any other JSON as JSON.
///
/// Fails for good, with `missing_field`, if there is none.
pub fn field<'a>(item: &'a Value, name: &str) -> Result<Cow<'a, str>, Failure> {
    match find(item, name) {
        Some(Value::Null) => Ok(Cow::Borrowed("")),
        Some(value) => Ok(as_text(value)),
        None => Err(missing("the plugin reads", name, item)),
    }
}

/// By its whole name first, since a name may hold a dot.
fn find<'a>(item: &'a Value, name: &str) -> Option<&'a Value> {
    item.get(name).or_else(|| name.split('.').try_fold(item, |value, key| value.get(key)))
}

fn as_text(value: &Value) -> Cow<'_, str> {
    value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed)
}

fn missing(who: &str, name: &str, item: &Value) -> Failure {
    let fields: Vec<&str> = item.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default();
    Failure::permanent("missing_field", format!("{who} `{name}`, and the item has: {}", fields.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item() -> Value {
        json!({"text": "hi {{x}}", "n": 1.5, "a": {"b": [1]}, "c.d": "dotted", "none": null})
    }

    fn check(template: &str, expected: Result<&str, &str>) {
        let got = render(template, "i7", &item()).map_err(|failure| failure.code().to_owned());
        assert_eq!(got, expected.map(str::to_owned).map_err(str::to_owned), "{template}");
    }

    #[test]
    fn a_template_takes_what_the_item_holds_and_never_reads_it_as_a_template() {
        check("Say: {{text}}!", Ok("Say: hi {{x}}!"));
        check("{{ n }} {{a.b}} {{c.d}} {{id}}", Ok("1.5 [1] dotted i7"));
        check("plain } {", Ok("plain } {"));
    }

    #[test]
    fn what_is_missing_or_not_closed_is_told() {
        check("{{nope}}", Err("missing_field"));
        check("{{text", Err("bad_config"));
    }

    #[test]
    fn a_field_is_text_whatever_it_holds() {
        let item = item();
        let texts = ["text", "n", "a.b", "c.d", "none"].map(|name| field(&item, name).expect("a text").into_owned());
        assert_eq!(texts, ["hi {{x}}", "1.5", "[1]", "dotted", ""]);
        let failure = field(&item, "body").expect_err("fails");
        assert_eq!(failure.code(), "missing_field");
        assert!(failure.message().contains("`body`") && failure.message().contains("text, n, a"), "{failure}");
    }
}
