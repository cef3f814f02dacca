//! Requests and answers as the host speaks of them: what the WIT's `llm` interface says, in plain types.
//!
//! Provider protocols convert from and to these; the sandbox converts from and to the WIT. JSON stays text, since
//! neither side may depend on how the other parses.

use async_trait::async_trait;
use std::sync::Arc;

/// One open-ended property: a name and a JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speaker {
    System,
    User,
    Assistant,
    Tool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaSource {
    Url(String),
    /// Inline bytes, or a blob of the item: the host has resolved it by its name.
    Bytes(Arc<[u8]>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    pub mime_type: String,
    pub source: MediaSource,
    pub extra: Vec<Pair>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// As the model wrote them: meant to be a JSON object, not checked.
    pub arguments: String,
    pub extra: Vec<Pair>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    pub call_id: String,
    pub name: String,
    pub content: String,
    pub is_error: bool,
    pub media: Vec<Media>,
    pub extra: Vec<Pair>,
}

/// A part that only the provider understands. `value` is valid JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherPart {
    pub kind: String,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text(String),
    Media(Media),
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    Other(OtherPart),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub speaker: Speaker,
    pub parts: Vec<Part>,
    /// Worth the provider's prompt cache up to the end of this message.
    pub cache: bool,
    pub extra: Vec<Pair>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    pub name: String,
    pub description: String,
    /// A JSON Schema; valid JSON.
    pub parameters: String,
    pub extra: Vec<Pair>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    Auto,
    None,
    Required,
    Named(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonSchema {
    pub name: String,
    /// Valid JSON.
    pub schema: String,
    pub strict: bool,
    pub extra: Vec<Pair>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseFormat {
    Text,
    Json,
    JsonSchema(JsonSchema),
}

/// What a plugin asks of a model role.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub role: String,
    pub messages: Vec<Message>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    pub format: ResponseFormat,
    pub max_output_tokens: Option<u32>,
    /// Finite.
    pub temperature: Option<f64>,
    /// Finite.
    pub top_p: Option<f64>,
    pub stop: Vec<String>,
    pub seed: Option<u64>,
    pub on_overflow: Option<String>,
    pub extra: Vec<Pair>,
}

impl Request {
    /// About how long it is, in bytes: to tell what takes long to hash and to send.
    pub fn bytes(&self) -> usize {
        let schema = match &self.format {
            ResponseFormat::JsonSchema(schema) => schema.schema.len() + of_pairs(&schema.extra),
            ResponseFormat::Text | ResponseFormat::Json => 0,
        };
        let tools =
            self.tools.iter().map(|tool| tool.description.len() + tool.parameters.len() + of_pairs(&tool.extra));
        let of_message =
            |message: &Message| message.parts.iter().map(Part::bytes).sum::<usize>() + of_pairs(&message.extra);
        schema + tools.sum::<usize>() + self.messages.iter().map(of_message).sum::<usize>() + of_pairs(&self.extra)
    }
}

impl Part {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Media(media) => media.bytes(),
            Self::ToolCall(call) => call.arguments.len() + of_pairs(&call.extra),
            Self::ToolResult(result) => {
                let media = result.media.iter().map(Media::bytes).sum::<usize>();
                result.content.len() + media + of_pairs(&result.extra)
            }
            Self::Other(other) => other.value.len(),
        }
    }
}

impl Media {
    fn bytes(&self) -> usize {
        let source = match &self.source {
            MediaSource::Url(url) => url.len(),
            MediaSource::Bytes(bytes) => bytes.len(),
        };
        source + of_pairs(&self.extra)
    }
}

impl Completion {
    /// About how long it is, in bytes.
    pub fn bytes(&self) -> usize {
        let calls = self.tool_calls.iter().map(|call| call.arguments.len() + of_pairs(&call.extra));
        let opaque = self.opaque.iter().map(|part| part.value.len());
        self.text.len() + calls.chain(opaque).sum::<usize>() + of_pairs(&self.extra) + of_pairs(&self.usage.extra)
    }
}

fn of_pairs(pairs: &[Pair]) -> usize {
    pairs.iter().map(|pair| pair.name.len() + pair.value.len()).sum()
}

/// Tokens of one call, as the provider counted them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// All that was read, from a cache or not.
    pub input_tokens: u64,
    /// All that was written, reasoning included.
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub reasoning_tokens: u64,
    pub extra: Vec<Pair>,
}

/// How a request was shortened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    pub how: String,
    pub tokens_before: u64,
    pub tokens_after: u64,
    pub messages_dropped: u32,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    pub text: String,
    pub tool_calls: Vec<ToolCall>,
    /// `stop`, `length`, `tool-calls`, `content-filter`, `refusal`, or what the provider says.
    pub finish: String,
    pub model: String,
    pub usage: Usage,
    pub opaque: Vec<OtherPart>,
    pub cut: Option<Cut>,
    pub extra: Vec<Pair>,
}

/// What can still be done about an error that reached the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LlmErrorKind {
    Transient,
    TooLarge,
    Rejected,
    Refused,
    Limit,
    Denied,
    Cancelled,
}

/// An error that is final for this attempt of the item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LlmError {
    pub kind: LlmErrorKind,
    pub code: String,
    pub message: String,
    pub extra: Vec<Pair>,
}

/// The item cannot go on now, through no fault of its own: it stays pending, and the same attempt is run again later.
/// Why is known to the run, which has been told by whoever suspends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspended;

/// How a call ends when it gives no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallEnd {
    /// The plugin is told.
    Error(LlmError),
    /// The plugin is not told: it is stopped where it stands.
    Suspended,
}

impl From<LlmError> for CallEnd {
    fn from(error: LlmError) -> Self {
        Self::Error(error)
    }
}

impl From<Suspended> for CallEnd {
    fn from(Suspended: Suspended) -> Self {
        Self::Suspended
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenCount {
    pub tokens: u64,
    pub window: Option<u64>,
    /// Counted in the model's own encoding, rather than estimated.
    pub exact: bool,
}

/// The world of models as one attempt of one item sees it.
#[async_trait]
pub trait Llm: Send + Sync {
    async fn complete(&self, request: Request) -> Result<Completion, CallEnd>;

    /// All at the same time; results in the order of the requests. The outer error: nothing was asked.
    async fn complete_many(&self, requests: Vec<Request>) -> Result<Vec<Result<Completion, LlmError>>, CallEnd>;

    async fn count_tokens(&self, request: Request) -> Result<TokenCount, CallEnd>;
}
