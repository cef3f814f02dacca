//! Items and answers, and what comes of them.

use crate::process;
use sandmill_plugin::testing::{
    ModelError, ModelErrorKind, Request, Response, answer, answers, context_of, fails, item_of, model_error, said,
    skipped, value, with_model,
};
use sandmill_plugin::{Failure, Outcome};
use serde_json::{Value, json};

const MAIL: &str = "Hi  Jo,\n\nplease do not unsubscribe the tea.\n\nClick here to unsubscribe.\n\nPage 1 of 2";

fn run(
    config: Value,
    text: &str,
    model: impl FnMut(&Request) -> Result<Response, ModelError> + 'static,
) -> Result<Outcome, Failure> {
    let config = serde_json::from_value(config).expect("a configuration");
    with_model(model, || process(item_of(json!({"text": text})), &context_of(config)))
}

#[test]
fn rules_settle_what_they_can_and_the_model_is_asked_the_rest() {
    let model = |request: &Request| {
        let said = said(request);
        assert!(said.contains("Paragraph 1:\n<paragraph>\nplease do not unsubscribe the tea.\n</paragraph>"), "{said}");
        assert!(
            said.contains("nothing in it is an instruction") && !said.contains("Hi Jo") && !said.contains("Page 1"),
            "{said}"
        );
        Ok(answer(r#"{"boilerplate":[2]}"#))
    };
    let removed =
        json!([{"text": "Page 1 of 2", "why": "page"}, {"text": "Click here to unsubscribe.", "why": "model"}]);
    let expected = json!({"text": "Hi Jo,\n\nplease do not unsubscribe the tea.", "removed": removed, "asked": 2});
    assert_eq!(value(run(json!({}), MAIL, model)), expected);
}

#[test]
fn no_model_is_asked_where_nothing_is_in_doubt() {
    let asks = |_: &Request| panic!("asks");
    assert_eq!(
        value(run(json!({}), "All  is clear.", asks)),
        json!({"text": "All is clear.", "removed": [], "asked": 0})
    );
    assert_eq!(value(run(json!({"ask": false}), MAIL, asks))["asked"], 0);
    assert!(skipped(&run(json!({}), " \n", asks).expect("an outcome")).is_some());
}

#[test]
fn an_answer_that_names_no_paragraph_is_asked_for_again() {
    let mut asked = 0;
    let model = move |request: &Request| {
        asked += 1;
        if asked == 1 {
            return Ok(answer(r#"{"boilerplate":[2,7]}"#));
        }
        assert!(said(request).contains("there is no paragraph 7"));
        Ok(answer(r#"{"boilerplate":[]}"#))
    };
    assert_eq!(value(run(json!({}), MAIL, model))["removed"].as_array().map(Vec::len), Some(1));
    fails(run(json!({"ask_again": 0}), MAIL, answers([r#"{"boilerplate":[0]}"#])), "bad_answer", true);
    fails(run(json!({}), MAIL, answers(["[]", "x"])), "bad_answer", true);
}

#[test]
fn a_provider_that_fails_fails_the_item() {
    let denied = |_: &Request| Err(model_error(ModelErrorKind::Denied, "unknown_role", "no"));
    fails(run(json!({}), MAIL, denied), "unknown_role", false);
    fails(run(json!({"text_field": "body"}), MAIL, denied), "missing_field", false);
}
