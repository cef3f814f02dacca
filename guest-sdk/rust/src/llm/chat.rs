//! Putting a request together.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Error, Media, MediaSource, Message, Part, Response, Speaker, TokenCount, ToolCall, ToolChoice, ToolResult,
};
use super::{host, schema};
use crate::Blob;
use crate::bindings::sandmill::plugin::llm::{JsonSchema as WitSchema, Request, ResponseFormat, Tool};
use crate::bindings::sandmill::plugin::types::Pair;

/// A request to a model: [`chat`](super::chat()) or [`role`](super::role) begins it, [`text`](Self::text),
/// [`json`](Self::json) or [`send`](Self::send) asks.
#[derive(Debug, Clone)]
#[must_use = "nothing is asked before `.text()`, `.json()` or `.send()`"]
pub struct Chat {
    request: Request,
    /// The first thing that cannot be said in JSON; told when the request is sent.
    fault: Option<String>,
}

/// What the host does with a request that is too long for the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// Drop the oldest messages, then the end of the longest.
    Truncate,
    /// Cut the middle out of the longest message.
    TruncateMiddle,
    /// Do not ask: [`ErrorKind::TooLarge`](super::ErrorKind::TooLarge), so that the plugin can split.
    Error,
}

/// What is said.
impl Chat {
    pub(super) fn new(role: String) -> Self {
        let request = Request {
            role,
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            format: ResponseFormat::Text,
            max_output_tokens: None,
            temperature: None,
            top_p: None,
            stop: Vec::new(),
            seed: None,
            on_overflow: None,
            extra: Vec::new(),
        };
        Self { request, fault: None }
    }

    /// Instructions. Kept whatever has to be cut.
    pub fn system(self, text: impl Into<String>) -> Self {
        self.say(Speaker::System, Part::Text(text.into()))
    }

    pub fn user(self, text: impl Into<String>) -> Self {
        self.say(Speaker::User, Part::Text(text.into()))
    }

    /// What the model said earlier, or is to be shown as having said.
    pub fn assistant(self, text: impl Into<String>) -> Self {
        self.say(Speaker::Assistant, Part::Text(text.into()))
    }

    /// Any message, such as [`Response::to_message`].
    pub fn message(mut self, message: Message) -> Self {
        self.request.messages.push(message);
        self
    }

    /// Bytes that are in the plugin's memory, added to the user's message.
    pub fn media(self, mime_type: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.add_media(mime_type.into(), MediaSource::Bytes(bytes))
    }

    /// A medium that the provider fetches, added to the user's message.
    pub fn media_url(self, mime_type: impl Into<String>, url: impl Into<String>) -> Self {
        self.add_media(mime_type.into(), MediaSource::Url(url.into()))
    }

    /// Bytes that the host holds, added to the user's message; they never enter the plugin.
    pub fn blob(self, blob: &Blob) -> Self {
        self.add_media(blob.mime_type.clone(), MediaSource::Blob(blob.name.clone()))
    }

    /// The result of a tool that the model called. Goes after the message that holds the call.
    pub fn tool_result(self, call: &ToolCall, content: impl Into<String>) -> Self {
        let result = ToolResult {
            call_id: call.id.clone(),
            name: call.name.clone(),
            content: content.into(),
            is_error: false,
            media: Vec::new(),
            extra: Vec::new(),
        };
        self.add(Speaker::Tool, Part::ToolResult(result))
    }

    /// A hint: what stands up to here comes again with other items.
    pub fn cache(mut self) -> Self {
        if let Some(last) = self.request.messages.last_mut() {
            last.cache = true;
        }
        self
    }

    fn say(self, speaker: Speaker, part: Part) -> Self {
        self.message(Message { speaker, parts: vec![part], cache: false, extra: Vec::new() })
    }

    /// To the last message, if it has this speaker; else to a new one.
    fn add(mut self, speaker: Speaker, part: Part) -> Self {
        match self.request.messages.last_mut() {
            Some(last) if last.speaker == speaker => {
                last.parts.push(part);
                self
            }
            _ => self.say(speaker, part),
        }
    }

    fn add_media(self, mime_type: String, source: MediaSource) -> Self {
        self.add(Speaker::User, Part::Media(Media { mime_type, source, extra: Vec::new() }))
    }
}

/// How it is to be answered.
impl Chat {
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.request.temperature = Some(temperature);
        self
    }

    pub fn top_p(mut self, top_p: f64) -> Self {
        self.request.top_p = Some(top_p);
        self
    }

    pub fn max_output_tokens(mut self, tokens: u32) -> Self {
        self.request.max_output_tokens = Some(tokens);
        self
    }

    /// The model stops before it would write this. May be given several times.
    pub fn stop(mut self, text: impl Into<String>) -> Self {
        self.request.stop.push(text.into());
        self
    }

    pub fn seed(mut self, seed: u64) -> Self {
        self.request.seed = Some(seed);
        self
    }

    /// A function that the model may ask for, with arguments of the type `A`.
    pub fn tool<A: JsonSchema>(mut self, name: impl Into<String>, description: impl Into<String>) -> Self {
        let parameters = schema::answer_schema::<A>().1.to_string();
        let tool = Tool { name: name.into(), description: description.into(), parameters, extra: Vec::new() };
        self.request.tools.push(tool);
        self
    }

    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.request.tool_choice = Some(choice);
        self
    }

    /// If it is not said here, the operator's setting holds.
    pub fn on_overflow(mut self, overflow: Overflow) -> Self {
        let word = match overflow {
            Overflow::Truncate => "truncate",
            Overflow::TruncateMiddle => "truncate-middle",
            Overflow::Error => "error",
        };
        self.request.on_overflow = Some(word.to_owned());
        self
    }

    /// A field that only one provider has. The operator must have allowed it.
    pub fn extra(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let name = name.into();
        match serde_json::to_string(&value) {
            Ok(value) => self.request.extra.push(Pair { name, value }),
            Err(error) => self.fault = self.fault.or(Some(format!("`{name}` cannot be written as JSON: {error}"))),
        }
        self
    }

    /// The answer shall be JSON of this type: for [`all`](super::all) and [`send`](Self::send), where the answer is read by
    /// [`Response::parse`].
    pub fn answer<T: JsonSchema>(mut self) -> Self {
        let (name, schema) = schema::answer_schema::<T>();
        self.request.format = schema_format(name, &schema);
        self
    }

    /// The same for a schema that is only known at run time.
    pub fn answer_schema(mut self, schema: &Value) -> Self {
        let name = schema::valid_name(schema.get("title").and_then(Value::as_str).unwrap_or_default());
        self.request.format = schema_format(name, schema);
        self
    }
}

/// Asking.
impl Chat {
    /// Asks, and gives the text of the answer.
    pub fn text(self) -> Result<String, Error> {
        Ok(self.send()?.text)
    }

    /// Asks for JSON of the type `T`. An answer that is JSON but not a `T` is an error of the kind
    /// [`BadAnswer`](super::ErrorKind::BadAnswer), which `?` turns into a retryable failure.
    pub fn json<T: DeserializeOwned + JsonSchema>(self) -> Result<T, Error> {
        self.answer::<T>().send()?.parse()
    }

    /// Asks for JSON that fits a schema.
    pub fn json_value(self, schema: &Value) -> Result<Value, Error> {
        self.answer_schema(schema).send()?.parse()
    }

    /// Asks, and gives the whole answer, tool calls, usage and all.
    pub fn send(self) -> Result<Response, Error> {
        host::complete(&self.into_request()?)
    }

    /// How long the request would be. Costs nothing.
    pub fn count_tokens(&self) -> Result<TokenCount, Error> {
        host::count_tokens(&self.clone().into_request()?)
    }

    pub(super) fn into_request(self) -> Result<Request, Error> {
        match self.fault {
            None => Ok(self.request),
            Some(fault) => Err(Error::bad_request(fault)),
        }
    }
}

fn schema_format(name: String, schema: &Value) -> ResponseFormat {
    let (strict, schema) = (schema::is_strict(schema), schema.to_string());
    ResponseFormat::JsonSchema(WitSchema { name, schema, strict, extra: Vec::new() })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use serde::Deserialize;

    use super::*;
    use crate::llm::{ErrorKind, all, chat, role};
    use crate::testing::{answer, with_model};

    #[derive(Debug, Deserialize, JsonSchema, PartialEq)]
    struct Verdict {
        good: bool,
    }

    fn request(chat: Chat) -> Request {
        chat.into_request().expect("a request")
    }

    #[test]
    fn media_join_the_users_message() {
        let blob = Blob {
            name: "scan".into(),
            mime_type: "image/png".into(),
            size: 1,
            digest: String::new(),
            extra: BTreeMap::new(),
        };
        let request = request(chat().system("a").user("b").blob(&blob).media("audio/wav", vec![1]).cache());
        assert_eq!(request.messages.len(), 2);
        assert_eq!(request.messages[1].parts.len(), 3);
        assert!(request.messages[1].cache && !request.messages[0].cache);
    }

    #[test]
    fn settings_arrive() {
        let chat = role("judge").user("a").temperature(0.5).stop("x").stop("y").seed(7).extra("top_k", 3);
        let request = request(chat.on_overflow(Overflow::TruncateMiddle).max_output_tokens(9));
        assert_eq!((request.role.as_str(), request.seed, request.max_output_tokens), ("judge", Some(7), Some(9)));
        assert_eq!(request.stop, ["x", "y"]);
        assert_eq!(request.on_overflow.as_deref(), Some("truncate-middle"));
        assert_eq!(request.extra, [Pair { name: "top_k".into(), value: "3".into() }]);
    }

    #[test]
    fn an_answer_is_read_into_the_type_that_was_asked_for() {
        let model = |request: &Request| {
            let ResponseFormat::JsonSchema(format) = &request.format else { panic!("a schema") };
            assert!(format.strict && format.name == "Verdict");
            Ok(answer(r#"{"good":true}"#))
        };
        assert_eq!(with_model(model, || chat().user("a").json::<Verdict>()), Ok(Verdict { good: true }));
    }

    #[test]
    fn json_of_another_shape_is_a_bad_answer() {
        let error = with_model(|_| Ok(answer("[]")), || chat().user("a").json::<Verdict>()).expect_err("fails");
        assert_eq!(error.kind, ErrorKind::BadAnswer);
    }

    #[test]
    fn what_cannot_be_said_in_json_is_told_when_it_is_sent() {
        let error = chat().extra("a", HashMap::from([((1, 2), 3)])).text().expect_err("fails");
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Rejected, "bad_request"));
    }

    #[test]
    fn several_answers_stand_in_the_order_of_the_requests() {
        let model = |request: &Request| {
            let Part::Text(text) = &request.messages[0].parts[0] else { panic!("text") };
            Ok(answer(text.to_uppercase()))
        };
        let answers = with_model(model, || all(vec![chat().user("a"), chat().user("b")])).expect("a list");
        let texts: Vec<String> = answers.into_iter().map(|answer| answer.expect("an answer").text).collect();
        assert_eq!(texts, ["A", "B"]);
    }

    #[test]
    fn without_a_host_there_is_no_model() {
        assert_eq!(chat().user("a").text().expect_err("fails").code, "no_host");
    }
}
