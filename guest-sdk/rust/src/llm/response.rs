//! Reading an answer.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{Error, Message, Part, Speaker};

pub use crate::bindings::sandmill::plugin::llm::{Response, ToolCall};

impl Response {
    /// The text as a value. Ask for JSON, or there is no reason why it should parse.
    ///
    /// An answer that does not parse is told apart by how it ended: [`ErrorKind::Limit`](super::ErrorKind::Limit) with the code
    /// `answer_cut` at the end of the model's output, [`ErrorKind::Refused`](super::ErrorKind::Refused) with `refusal` or
    /// `content_filter`; else [`ErrorKind::BadAnswer`](super::ErrorKind::BadAnswer).
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.text).map_err(|error| match self.finish.as_str() {
            "length" => Error::cut(
                "the answer was cut where the model's output ends: allow more output tokens, or ask for less"
                    .to_owned(),
            ),
            "refusal" => Error::refused("refusal", format!("the model refused to answer: {}", start_of(&self.text))),
            "content-filter" => {
                Error::refused("content_filter", "the provider's content filter stopped the answer".to_owned())
            }
            finish => Error::bad_answer(format!(
                "the model's answer is not what was asked for (it ended by `{finish}`): {error}"
            )),
        })
    }

    /// The answer as a message of the conversation, for the next request: what the provider wants back, the text, and the
    /// tool calls.
    pub fn to_message(&self) -> Message {
        let mut parts: Vec<Part> = self.opaque.iter().cloned().map(Part::Other).collect();
        if !self.text.is_empty() {
            parts.push(Part::Text(self.text.clone()));
        }
        parts.extend(self.tool_calls.iter().cloned().map(Part::ToolCall));
        Message { speaker: Speaker::Assistant, parts, cache: false, extra: Vec::new() }
    }
}

impl ToolCall {
    /// The arguments as a value. The model wrote them: they may be anything.
    pub fn parse<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.arguments).map_err(|error| {
            Error::bad_answer(format!("the model called the tool `{}` with wrong arguments: {error}", self.name))
        })
    }
}

/// What is quoted of an answer.
fn start_of(text: &str) -> &str {
    &text[..text.floor_char_boundary(300)]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::Failure;
    use crate::llm::ErrorKind;
    use crate::testing::answer;

    fn check(text: &str, finish: &str, expected: Result<(), (ErrorKind, &str)>) {
        let mut response = answer(text);
        finish.clone_into(&mut response.finish);
        let got = response.parse::<Value>().map(|_| ()).map_err(|error| (error.kind, error.code));
        assert_eq!(got, expected.map_err(|(kind, code)| (kind, code.to_owned())), "{text} {finish}");
    }

    #[test]
    fn an_answer_that_does_not_parse_is_told_apart_by_how_it_ended() {
        check("{}", "stop", Ok(()));
        check("{}", "length", Ok(()));
        check(r#"{"a":"#, "length", Err((ErrorKind::Limit, "answer_cut")));
        check("I cannot do that.", "refusal", Err((ErrorKind::Refused, "refusal")));
        check("", "content-filter", Err((ErrorKind::Refused, "content_filter")));
        check("Sure!", "stop", Err((ErrorKind::BadAnswer, "bad_answer")));
    }

    #[test]
    fn what_was_cut_or_refused_would_end_the_same_again() {
        let mut response = answer("{");
        "length".clone_into(&mut response.finish);
        let failure = Failure::from(response.parse::<Value>().expect_err("fails"));
        assert!(!failure.is_retryable());
    }
}
