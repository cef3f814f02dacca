//! Whether an answer has the form that was asked for, and how it is asked for again.

use crate::domain::{Completion, ErrorClass, Message, Part, Request, ResponseFormat, Speaker, sanitize_text};
use crate::heavy;
use crate::provider::ProviderError;
use crate::schema::{SchemaCache, Violation};
use serde_json::Value;
use std::sync::Arc;

/// What is repeated of a wrong answer, in bytes.
const QUOTE_BYTES: usize = 16 << 10;

/// An answer that was not what had been asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    text: String,
    problem: String,
}

/// [`check`], off the network's threads where there is a schema: that is the plugin's, and may take long.
pub(super) async fn check_elsewhere(
    schemas: &Arc<SchemaCache>,
    request: &Request,
    completion: &Completion,
) -> Result<(), (Box<ProviderError>, Wrong)> {
    match &request.format {
        ResponseFormat::Text => Ok(()),
        ResponseFormat::Json => heavy::in_place(completion.text.len(), || check(schemas, &request.format, completion)),
        ResponseFormat::JsonSchema(_) => {
            let (schemas, format, completion) = (Arc::clone(schemas), request.format.clone(), completion.clone());
            Box::pin(heavy::elsewhere(move || check(&schemas, &format, &completion))).await
        }
    }
}

/// An answer that was asked to be JSON and is not, or does not keep to its schema, is no answer. Not for one that was cut
/// off, refused, or that calls tools: how it ended says so, and the plugin decides.
fn check(
    schemas: &SchemaCache,
    format: &ResponseFormat,
    completion: &Completion,
) -> Result<(), (Box<ProviderError>, Wrong)> {
    let schema = match format {
        ResponseFormat::Text => return Ok(()),
        ResponseFormat::Json => None,
        ResponseFormat::JsonSchema(schema) => Some(schema),
    };
    if completion.finish != "stop" || !completion.tool_calls.is_empty() {
        return Ok(());
    }
    let value = match serde_json::from_str::<Value>(&completion.text) {
        Ok(value) => value,
        Err(error) => return Err(wrong(completion, "not_json", &format!("it is not JSON: {error}"))),
    };
    let Some(schema) = schema else { return Ok(()) };
    match violations(schemas, &schema.schema, &value) {
        None => Ok(()),
        Some(problem) => Err(wrong(completion, "not_of_schema", &problem)),
    }
}

/// A schema that is none is the plugin's mistake, which the provider tells it of.
fn violations(schemas: &SchemaCache, schema: &str, value: &Value) -> Option<String> {
    let found = match schemas.compile(schema).ok()?.violations(value) {
        Ok(found) => found,
        Err(costly) => return Some(costly.to_string()),
    };
    let told: Vec<String> =
        found.into_iter().map(|Violation { place, text }| format!("at `{place}`: {text}")).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn wrong(completion: &Completion, code: &str, problem: &str) -> (Box<ProviderError>, Wrong) {
    let mut error = ProviderError::new(
        ErrorClass::Garbage,
        format!("the model was asked for JSON and wrote something else: {problem}"),
    );
    code.clone_into(&mut error.code);
    error.body = sanitize_text(&completion.text, 2_000);
    let text = completion.text[..completion.text.floor_char_boundary(QUOTE_BYTES)].to_owned();
    (Box::new(error), Wrong { text, problem: problem.to_owned() })
}

/// The same question, with the wrong answer, if it is to be quoted, and what was wrong with it.
pub(super) fn ask_again(request: &Request, wrong: &Wrong, quotes: bool) -> Request {
    let message = |speaker: Speaker, text: String| Message {
        speaker,
        parts: vec![Part::Text(text)],
        cache: false,
        extra: Vec::new(),
    };
    let mut request = request.clone();
    if quotes && !wrong.text.is_empty() {
        request.messages.push(message(Speaker::Assistant, wrong.text.clone()));
    }
    let complaint = format!(
        "Your answer could not be used: {}. Answer again, with nothing but the JSON that was asked for.",
        wrong.problem
    );
    request.messages.push(message(Speaker::User, complaint));
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JsonSchema, Usage};
    use crate::resilience::hash::tests::request;

    fn answer(text: &str, finish: &str) -> Completion {
        Completion {
            text: text.into(),
            tool_calls: Vec::new(),
            finish: finish.into(),
            model: "m".into(),
            usage: Usage::default(),
            opaque: Vec::new(),
            cut: None,
            extra: Vec::new(),
        }
    }

    fn of_schema() -> Request {
        let schema = r#"{"type":"object","required":["a"],"properties":{"a":{"type":"integer"}}}"#.into();
        Request {
            format: ResponseFormat::JsonSchema(JsonSchema { name: "x".into(), schema, strict: true, extra: vec![] }),
            ..request("q")
        }
    }

    fn check_code(request: &Request, text: &str, finish: &str, expected: Option<&str>) {
        let found =
            check(&SchemaCache::default(), &request.format, &answer(text, finish)).err().map(|(error, _)| error.code);
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn what_was_asked_for_as_json_is_held_to_it() {
        let json = Request { format: ResponseFormat::Json, ..request("q") };
        check_code(&request("q"), "no JSON", "stop", None);
        check_code(&json, "{}", "stop", None);
        check_code(&json, "{", "stop", Some("not_json"));
        check_code(&json, "{", "length", None);
        check_code(&of_schema(), r#"{"a":1}"#, "stop", None);
        check_code(&of_schema(), r#"{"a":"1"}"#, "stop", Some("not_of_schema"));
        check_code(&of_schema(), "Sure!", "stop", Some("not_json"));
    }

    #[test]
    fn it_is_asked_again_with_what_was_wrong() {
        let (_, wrong) =
            check(&SchemaCache::default(), &of_schema().format, &answer(r#"{"a":"1"}"#, "stop")).unwrap_err();
        assert_eq!(ask_again(&of_schema(), &wrong, false).messages.len(), 2);
        let again = ask_again(&of_schema(), &wrong, true);
        let Part::Text(complaint) = &again.messages.last().unwrap().parts[0] else { panic!() };
        assert!(complaint.contains("/a") && complaint.contains("integer"), "{complaint}");
        assert_eq!(again.messages.len(), 3);
    }
}
