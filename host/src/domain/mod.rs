//! The words that everything else is written in: plain types without IO, clocks or serialisation.
//!
//! Stored and wire formats have types of their own (`store::codec`, `provider::*`), so that a name can change here
//! without a byte changing on disk.

pub mod base64;
mod crash;
mod digest;
mod error_class;
mod event;
mod grant;
mod item;
mod llm;
mod outcome;
mod price;
mod reason;
mod text;

#[cfg(test)]
pub(crate) use crash::tests::card as test_card;
pub use crash::{CrashCard, CrashKind, Frame, LastCall};
pub use digest::{Digest, NoDigest};
pub use error_class::{Action, ErrorClass};
pub use event::{Event, EventSink, Listeners, NoEvents};
pub use grant::{Folder, Grant, GrantError, Grants, HostPattern, Needs, Origin, Scheme};
pub use item::{Blob, BlobFile, Fingerprint, Item, ItemId, ItemSeq};
pub use llm::{
    CallEnd, Completion, Cut, JsonSchema, Llm, LlmError, LlmErrorKind, Media, MediaSource, Message, OtherPart, Pair,
    Part, Request, ResponseFormat, Speaker, Suspended, TokenCount, Tool, ToolCall, ToolChoice, ToolResult, Usage,
};
pub use outcome::{AttemptNumber, Budget, Emission, Failure, FailureClass, Outcome, Retryable, Verdict};
pub use price::{Prices, Rates, Tier, TierRates};
pub use reason::reason;
pub use text::{escape_json, sanitize_line, sanitize_text, shortened, visible_text, without_escapes};
