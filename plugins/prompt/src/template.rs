//! `{{field}}`, and nothing else: no loops, no conditions, nothing that a template could do wrong on one item in a thousand.

use sandmill_plugin::Failure;
use serde_json::Value;

/// Fills the template from the item. `{{id}}` is the item's id where it has no such field.
pub(crate) fn render(template: &str, id: &str, item: &Value) -> Result<String, Failure> {
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
        push_field(&mut filled, name.trim(), id, item)?;
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn push_field(filled: &mut String, name: &str, id: &str, item: &Value) -> Result<(), Failure> {
    let found = item.get(name).or_else(|| name.split('.').try_fold(item, |value, key| value.get(key)));
    match found {
        Some(Value::String(text)) => filled.push_str(text),
        Some(value) => filled.push_str(&value.to_string()),
        None if name == "id" => filled.push_str(id),
        None => {
            let fields: Vec<&str> =
                item.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default();
            return Err(Failure::permanent(
                "missing_field",
                format!("the template wants `{name}`, and the item has: {}", fields.join(", ")),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(template: &str, expected: Result<&str, &str>) {
        let item = json!({"text": "hi {{x}}", "n": 1.5, "a": {"b": [1]}, "c.d": "dotted"});
        let got = render(template, "i7", &item).map_err(|failure| failure.code().to_owned());
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
}
