//! Reading an answer.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{Error, Message, Part, Speaker};

pub use crate::bindings::sandmill::plugin::llm::{Response, ToolCall};

impl Response {
    /// The text as a value. Ask for JSON, or there is no reason why it should parse.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.text).map_err(|error| {
            let finish = &self.finish;
            Error::bad_answer(format!("the model's answer is not what was asked for (it ended by `{finish}`): {error}"))
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
