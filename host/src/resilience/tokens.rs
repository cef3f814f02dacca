//! How long a request is, in tokens of the model that it goes to.
//!
//! A guest can send text that makes a tokenizer slow, or panic (tiktoken-rs 0.12.1 does on a megabyte of spaces), so counting runs off
//! the async threads, in bounded pieces, and a piece that cannot be counted is estimated.

use crate::domain::{Part, Request, TokenCount};
use std::panic::catch_unwind;
use std::sync::Arc;
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};
use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton, p50k_base_singleton, r50k_base_singleton};

/// A piece that is encoded at once, in bytes. Tokens that would span two pieces are counted as two.
const PIECE_BYTES: usize = 64 << 10;
/// Tokens of the frame around each message, and before the answer (OpenAI cookbook, "How to count tokens").
const TOKENS_PER_MESSAGE: u64 = 3;
const TOKENS_FOR_REPLY: u64 = 3;

/// Counts off the async threads.
pub(super) async fn count(model: String, request: Arc<Request>, window: Option<u64>) -> TokenCount {
    let fallback = estimate(&request);
    let (tokens, exact) =
        tokio::task::spawn_blocking(move || count_blocking(&model, &request)).await.unwrap_or((fallback, false));
    TokenCount { tokens, window, exact }
}

fn count_blocking(model: &str, request: &Request) -> (u64, bool) {
    let (encoding, known) = encoding(model);
    let mut tokens = TOKENS_FOR_REPLY;
    let mut exact = known && request.tools.is_empty();
    for message in &request.messages {
        tokens += TOKENS_PER_MESSAGE + 1;
        for part in &message.parts {
            let (counted, part_exact) = count_part(encoding, part);
            tokens += counted;
            exact &= part_exact;
        }
    }
    for tool in &request.tools {
        for text in [&tool.name, &tool.description, &tool.parameters] {
            tokens += count_text(encoding, text).0;
        }
    }
    (tokens, exact)
}

fn count_part(encoding: &CoreBPE, part: &Part) -> (u64, bool) {
    match part {
        Part::Text(text) => count_text(encoding, text),
        Part::ToolCall(call) => (count_text(encoding, &call.arguments).0 + count_text(encoding, &call.name).0, false),
        Part::ToolResult(result) => (count_text(encoding, &result.content).0, false),
        Part::Other(other) => (count_text(encoding, &other.value).0, false),
        // What a picture costs is each provider's own affair.
        Part::Media(_) => (1_000, false),
    }
}

/// The model's encoding, and whether it is really its own. Unknown models are counted in `cl100k_base`.
fn encoding(model: &str) -> (&'static CoreBPE, bool) {
    match get_tokenizer(model) {
        Some(Tokenizer::O200kBase | Tokenizer::O200kHarmony) => (o200k_base_singleton(), true),
        Some(Tokenizer::Cl100kBase) => (cl100k_base_singleton(), true),
        Some(Tokenizer::P50kBase | Tokenizer::P50kEdit) => (p50k_base_singleton(), true),
        Some(Tokenizer::R50kBase | Tokenizer::Gpt2) => (r50k_base_singleton(), true),
        _ => (cl100k_base_singleton(), false),
    }
}

fn count_text(encoding: &CoreBPE, text: &str) -> (u64, bool) {
    let mut exact = text.len() <= PIECE_BYTES;
    let tokens = pieces(text)
        .map(|piece| {
            catch_unwind(|| encoding.encode_ordinary(piece).len() as u64).unwrap_or_else(|_| {
                exact = false;
                estimate_text(piece)
            })
        })
        .sum();
    (tokens, exact)
}

/// Cuts at character boundaries, after white space where there is some near the end.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let mut end = text.floor_char_boundary(PIECE_BYTES);
        if end < text.len()
            && let Some(space) = text[..end].rfind(' ')
            && space > end / 2
        {
            end = space;
        }
        let (piece, rest) = text.split_at(end);
        text = rest;
        Some(piece)
    })
}

/// One token for three bytes of ASCII, and for two of anything else: above what English, most code, and texts in other
/// scripts need in any encoding of the field.
fn estimate_text(text: &str) -> u64 {
    let ascii = text.bytes().filter(u8::is_ascii).count() as u64;
    ascii.div_ceil(3) + (text.len() as u64 - ascii).div_ceil(2)
}

pub(super) fn estimate(request: &Request) -> u64 {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    parts
        .map(|part| match part {
            Part::Text(text) => estimate_text(text),
            Part::ToolCall(call) => estimate_text(&call.arguments),
            Part::ToolResult(result) => estimate_text(&result.content),
            Part::Other(other) => estimate_text(&other.value),
            Part::Media(_) => 1_000,
        })
        .sum::<u64>()
        + TOKENS_FOR_REPLY
        + TOKENS_PER_MESSAGE * request.messages.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::hash::tests::request;

    #[test]
    fn a_short_text_is_counted_in_the_models_own_encoding() {
        assert_eq!(count_text(encoding("gpt-4o").0, "hello world").0, 2);
        let (tokens, exact) = count_blocking("gpt-4o", &request("hello world"));
        assert_eq!((tokens, exact), (2 + 4 + 3, true));
        assert!(!count_blocking("some-local-model", &request("hello")).1);
    }

    #[test]
    fn text_made_to_break_a_tokenizer_is_counted_all_the_same() {
        for hostile in [" ".repeat(1 << 20), "a".repeat(200_000), "ß\u{301}".repeat(50_000)] {
            assert!(count_blocking("gpt-4o", &request(&hostile)).0 > 0);
        }
    }

    #[test]
    fn pieces_are_whole_characters_and_lose_nothing() {
        let text = "añ🙂 ".repeat(40_000);
        assert_eq!(pieces(&text).collect::<String>(), text);
        assert!(pieces(&text).all(|piece| piece.len() <= PIECE_BYTES));
    }
}
