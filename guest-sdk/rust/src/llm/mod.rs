//! Language models, as far as a plugin needs to know of them.
//!
//! ```no_run
//! # use sandmill_plugin::{Failure, llm};
//! # fn ask(text: &str) -> Result<(), Failure> {
//! let answer = llm::chat().system("Answer in one word.").user(text).temperature(0.0).text()?;
//! # Ok(()) }
//! ```
//!
//! `?` turns an [`Error`] into a permanent [`Failure`](crate::Failure), since the host has already retried what is worth
//! it; only an answer of the wrong shape ([`ErrorKind::BadAnswer`]) becomes a retryable one.

mod chat;
mod error;
mod host;
mod response;
mod schema;
mod splitter;

pub use chat::{Chat, Overflow};
pub use error::{Error, ErrorKind};
pub use response::{Response, ToolCall};
pub use splitter::{Piece, Splitter};

pub use crate::bindings::sandmill::plugin::llm::{
    Cut, Media, MediaSource, Message, OtherPart, Part, Speaker, TokenCount, ToolChoice, ToolResult, Usage,
};

/// Begins a request to the model in the role `default`.
pub fn chat() -> Chat {
    role("default")
}

/// Begins a request to the model in another role, one of those that the manifest names.
pub fn role(name: impl Into<String>) -> Chat {
    Chat::new(name.into())
}

/// Asks several things at the same time. The results stand in the order of the requests; an error in place of the list
/// means that the whole was refused and nothing was asked.
///
/// ```no_run
/// # use sandmill_plugin::{Failure, llm};
/// # fn ask(parts: &[String]) -> Result<(), Failure> {
/// let requests = parts.iter().map(|part| llm::chat().user(part.as_str())).collect();
/// for answer in llm::all(requests)? {
///     let text = answer?.text;
/// }
/// # Ok(()) }
/// ```
pub fn all(chats: Vec<Chat>) -> Result<Vec<Result<Response, Error>>, Error> {
    let requests = chats.into_iter().map(Chat::into_request).collect::<Result<Vec<_>, _>>()?;
    let results = host::complete_many(&requests)?;
    Ok(results.into_iter().map(|result| result.map_err(Error::from_wit)).collect())
}
