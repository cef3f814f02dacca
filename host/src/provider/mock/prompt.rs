//! What the mock sees of a request: enough to answer it, and a digest by which it is known again.

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Estimated tokens of a message beyond its text, and of a part that is no text.
const TOKENS_PER_MESSAGE: u64 = 3;
const TOKENS_PER_MEDIUM: u64 = 85;

/// The start of the SHA-256 over everything in a request that the answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest(pub(super) [u8; 6]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Digest {
    /// A number that follows from the digest and a place in the answer.
    pub(super) fn number(self, place: &str) -> u64 {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(place.as_bytes());
        let hash = hasher.finalize();
        u64::from_le_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]])
    }
}

/// How the answer is to look.
#[derive(Debug)]
pub(super) enum Form {
    Text,
    Json,
    Schema(Value),
    /// A call of this tool, with arguments of this schema.
    Call {
        name: String,
        parameters: Value,
    },
}

#[derive(Debug)]
pub(super) struct Prompt {
    pub(super) model: String,
    pub(super) digest: Digest,
    pub(super) form: Form,
    /// The text of the last message of the user.
    pub(super) question: String,
    pub(super) input_tokens: u64,
    pub(super) tokens_max: Option<u64>,
}

/// A request as a chat completion has it; the other protocols are read into the same.
#[derive(Deserialize)]
pub(super) struct Body {
    pub(super) model: String,
    pub(super) messages: Vec<Message>,
    pub(super) tools: Option<Vec<Value>>,
    pub(super) tool_choice: Option<Value>,
    pub(super) response_format: Option<Value>,
    pub(super) max_tokens: Option<u64>,
    pub(super) max_completion_tokens: Option<u64>,
    pub(super) stream: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct Message {
    role: String,
    content: Option<Content>,
    tool_calls: Option<Value>,
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Value>),
}

impl Message {
    pub(super) fn of(role: &str, content: Content) -> Self {
        Self { role: role.to_owned(), content: Some(content), tool_calls: None, tool_call_id: None }
    }
}

impl Prompt {
    /// The error is for the client.
    pub(super) fn of(body: Body) -> Result<Self, String> {
        if body.messages.is_empty() {
            return Err("`messages` is empty".to_owned());
        }
        if body.stream == Some(true) {
            return Err("this mock does not stream: leave out `stream`".to_owned());
        }
        let form = form(&body);
        let mut reader = Reader { hasher: Sha256::new(), tokens: 0, question: String::new() };
        reader.hash(&body.model);
        for message in body.messages {
            reader.message(message);
        }
        let tokens_max = body.max_completion_tokens.or(body.max_tokens);
        // A wish that is not stated is another than one for 0 tokens.
        reader.hash(&format!("{form:?} {tokens_max:?} {}", body.tools.map_or(0, |tools| tools.len())));
        let hash = reader.hasher.finalize();
        Ok(Self {
            model: body.model,
            digest: Digest([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5]]),
            form,
            question: reader.question,
            input_tokens: reader.tokens,
            tokens_max,
        })
    }
}

/// A rough one, four characters to a token.
pub(super) fn estimate_tokens(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(4)
}

struct Reader {
    hasher: Sha256,
    tokens: u64,
    question: String,
}

impl Reader {
    fn message(&mut self, message: Message) {
        self.tokens += TOKENS_PER_MESSAGE;
        self.hash(&message.role);
        let mut text = String::new();
        match message.content {
            None => {}
            Some(Content::Text(content)) => text = content,
            Some(Content::Parts(parts)) => {
                for part in &parts {
                    if let Some(more) = part.get("text").and_then(Value::as_str) {
                        text.push_str(more);
                    } else {
                        self.tokens += TOKENS_PER_MEDIUM;
                        self.hash(&part.to_string());
                    }
                }
            }
        }
        self.tokens += estimate_tokens(&text);
        self.hash(&text);
        for more in [message.tool_calls.map(|calls| calls.to_string()), message.tool_call_id].into_iter().flatten() {
            self.hash(&more);
        }
        // A turn that only holds results asks nothing.
        if message.role == "user" && !text.is_empty() {
            self.question = text;
        }
    }

    fn hash(&mut self, text: &str) {
        self.hasher.update((text.len() as u64).to_le_bytes());
        self.hasher.update(text.as_bytes());
    }
}

fn form(body: &Body) -> Form {
    if let Some(call) = forced_call(body) {
        return call;
    }
    let format = body.response_format.as_ref();
    match format.and_then(|format| format.get("type")).and_then(Value::as_str) {
        Some("json_object") => Form::Json,
        Some("json_schema") => {
            Form::Schema(format.and_then(|f| f.pointer("/json_schema/schema")).cloned().unwrap_or_default())
        }
        _ => Form::Text,
    }
}

/// A tool is called where the request leaves no choice.
fn forced_call(body: &Body) -> Option<Form> {
    let choice = body.tool_choice.as_ref()?;
    let wanted = choice.pointer("/function/name").and_then(Value::as_str);
    if wanted.is_none() && choice.as_str() != Some("required") {
        return None;
    }
    let function = |tool: &Value| {
        let name = tool.pointer("/function/name")?.as_str()?.to_owned();
        let parameters = tool.pointer("/function/parameters").cloned().unwrap_or_default();
        wanted.is_none_or(|wanted| wanted == name).then_some(Form::Call { name, parameters })
    };
    body.tools.as_deref()?.iter().find_map(function)
}
