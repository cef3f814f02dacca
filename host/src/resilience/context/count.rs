//! How long a request is, in tokens of the model that it goes to.
//!
//! A guest can send text that makes a tokenizer slow, or panic (tiktoken-rs 0.12.1 does on a megabyte of spaces), so counting runs off
//! the async threads, in bounded pieces, and a piece that cannot be counted is estimated.

use crate::domain::{Media, MediaSource, Message, Part, Request, ResponseFormat, TokenCount};
use crate::heavy;
use std::panic::catch_unwind;
use std::sync::Arc;
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};
use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton, p50k_base_singleton, r50k_base_singleton};

/// A piece that is encoded at once, in bytes: small enough that no text makes the encoding slow (it is quadratic in the
/// length of a run without a break). Tokens that would span two pieces are counted as two.
const PIECE_BYTES: usize = 4 << 10;
/// Tokens of the frame around each message, and before the answer, and of the tools' frames (OpenAI cookbook, "How to count
/// tokens").
pub(super) const PER_MESSAGE: u64 = 4;
const FOR_REPLY: u64 = 3;
const PER_TOOL: u64 = 22;
/// What a picture costs is each provider's own affair; this is above most.
const PER_PICTURE: u64 = 1_500;
/// A page of a document is read as text and as a picture, about 3,000 tokens for some 60 KB; a second of sound is about 30
/// tokens for 1 KB and more.
const DOCUMENT_BYTES_PER_TOKEN: u64 = 20;
/// What a cut between two pieces may hide, in tokens.
const PER_SEAM: u64 = 4;
/// For models whose encoding is not known, in hundredths.
const MARGIN: u64 = 110;

/// Encodings that can be counted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    O200k,
    Cl100k,
    P50k,
    R50k,
}

/// What is known of how a model's tokens are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counting {
    /// `None`: by the model's name, where that tells.
    pub encoding: Option<Encoding>,
    /// For a model without an encoding of its own: what the count in `o200k_base` is multiplied by.
    pub percent: Option<u32>,
}

/// Counts off the async threads.
pub(crate) async fn count(model: String, counting: Counting, request: Arc<Request>, window: Option<u64>) -> TokenCount {
    let fallback = estimate(&request);
    let counted = heavy::attempted(move || {
        let counter = Counter::of_model(&model, counting);
        let has_only_text = request.messages.iter().flat_map(|m| &m.parts).all(|part| matches!(part, Part::Text(_)));
        (counter.request(&request), counter.is_own && has_only_text && request.tools.is_empty())
    });
    let (tokens, exact) = counted.await.unwrap_or((fallback, false));
    TokenCount { tokens, window, exact }
}

/// Counts in the encoding of a model.
pub(crate) struct Counter {
    encoding: &'static CoreBPE,
    /// The encoding is the model's own; otherwise counts are estimates with a margin.
    is_own: bool,
    /// In hundredths.
    margin: u64,
}

impl Counter {
    /// Models of unknown encoding are counted in `o200k_base`, with a margin of a tenth, and never below a token for four
    /// characters.
    pub(crate) fn of_model(model: &str, counting: Counting) -> Self {
        let margin = counting.percent.map_or(MARGIN, |percent| u64::from(percent.max(100)));
        let by_name = match get_tokenizer(model) {
            Some(Tokenizer::O200kBase | Tokenizer::O200kHarmony) => Some(Encoding::O200k),
            Some(Tokenizer::Cl100kBase) => Some(Encoding::Cl100k),
            Some(Tokenizer::P50kBase | Tokenizer::P50kEdit) => Some(Encoding::P50k),
            Some(Tokenizer::R50kBase | Tokenizer::Gpt2) => Some(Encoding::R50k),
            _ => None,
        };
        let own = counting.encoding.or(by_name.filter(|_| counting.percent.is_none()));
        let encoding = match own {
            Some(Encoding::O200k) | None => o200k_base_singleton(),
            Some(Encoding::Cl100k) => cl100k_base_singleton(),
            Some(Encoding::P50k) => p50k_base_singleton(),
            Some(Encoding::R50k) => r50k_base_singleton(),
        };
        Self { encoding, is_own: own.is_some(), margin }
    }

    /// To its end, however long.
    pub(crate) fn request(&self, request: &Request) -> u64 {
        let messages = request.messages.iter().map(|message| self.message(message, u64::MAX));
        messages.fold(self.fixed(request), u64::saturating_add)
    }

    /// What every request has beside its messages.
    pub(super) fn fixed(&self, request: &Request) -> u64 {
        let tool = |tool: &crate::domain::Tool| {
            let texts = [&tool.name, &tool.description, &tool.parameters];
            PER_TOOL + texts.into_iter().map(|text| self.text(text, u64::MAX)).sum::<u64>()
        };
        FOR_REPLY + self.text(schema(request), u64::MAX) + request.tools.iter().map(tool).sum::<u64>()
    }

    /// From `enough` tokens on it is an estimate, never below `enough`.
    pub(super) fn message(&self, message: &Message, enough: u64) -> u64 {
        let part = |part: &Part| match part {
            Part::Text(text) => self.text(text, enough),
            Part::ToolCall(call) => self.text(&call.arguments, enough) + self.text(&call.name, enough),
            Part::ToolResult(result) => self.text(&result.content, enough) + media_of(&result.media),
            Part::Other(other) => self.text(&other.value, enough),
            Part::Media(medium) => media(medium),
        };
        PER_MESSAGE + message.parts.iter().map(part).sum::<u64>()
    }

    pub(super) fn text(&self, text: &str, enough: u64) -> u64 {
        let (mut tokens, mut bytes) = (0_u64, 0);
        for piece in pieces(text) {
            tokens += self.piece(piece);
            bytes += piece.len();
            if tokens > enough && bytes < text.len() {
                // The rest is like the start.
                let all = u128::from(tokens) * text.len() as u128 / bytes as u128;
                tokens = u64::try_from(all).unwrap_or(u64::MAX);
                break;
            }
        }
        self.with_margin(tokens, text.len())
    }

    /// In one piece, as the provider counts it.
    #[cfg(test)]
    pub(super) fn whole(&self, text: &str) -> u64 {
        self.encoding.encode_ordinary(text).len() as u64
    }

    fn with_margin(&self, tokens: u64, bytes: usize) -> u64 {
        if self.is_own { tokens } else { (tokens * self.margin).div_ceil(100).max((bytes as u64).div_ceil(4)) }
    }

    /// tiktoken-rs panics on some texts; those are estimated.
    fn piece(&self, piece: &str) -> u64 {
        catch_unwind(|| self.encoding.encode_ordinary(piece).len() as u64).unwrap_or_else(|_| estimate_text(piece))
    }

    /// No fewer than the text has. Without the model's own encoding that is its bytes: there is no token without one.
    pub(crate) fn most(&self, text: &str) -> u64 {
        let bytes = text.len() as u64;
        if !self.is_own {
            return bytes;
        }
        let piece =
            |piece: &str| catch_unwind(|| self.encoding.encode_ordinary(piece).len()).unwrap_or(piece.len()) as u64;
        // Where two pieces meet the encoding of the whole may differ by some tokens.
        let counted: u64 = pieces(text).map(|text| piece(text) + PER_SEAM).sum();
        counted.min(bytes)
    }

    /// The start of a text, of about so many tokens and not more, and a mark.
    pub(crate) fn without_end(&self, text: &str, tokens: u64) -> String {
        let kept = self.start(text, tokens);
        format!("{}{}", &text[..kept], mark(text.len() - kept))
    }

    /// Start and end of a text, of about so many tokens together and not more, and a mark between.
    pub(crate) fn without_middle(&self, text: &str, tokens: u64) -> String {
        let head = self.start(text, tokens / 2);
        let tail = self.end(&text[head..], tokens - tokens / 2) + head;
        format!("{}{}{}", &text[..head], mark(tail - head), &text[tail..])
    }

    /// How many bytes from the start make so many tokens; a boundary of characters.
    fn start(&self, text: &str, tokens: u64) -> usize {
        let (mut left, mut at) = (self.without_margin(tokens), 0);
        for piece in pieces(text) {
            let counted = self.piece(piece);
            if counted > left {
                at += self.prefix(piece, left);
                break;
            }
            left -= counted;
            at += piece.len();
        }
        text.floor_char_boundary(self.at_most(at, tokens))
    }

    /// Where the end begins that makes so many tokens.
    fn end(&self, text: &str, tokens: u64) -> usize {
        // No token is longer than this on average, over a span that matters.
        let span = usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(16).min(text.len());
        let from = text.ceil_char_boundary(text.len() - self.at_most(span, tokens));
        let (mut left, mut at) = (self.without_margin(tokens), text.len());
        let pieces: Vec<&str> = pieces(&text[from..]).collect();
        for piece in pieces.into_iter().rev() {
            let counted = self.piece(piece);
            if counted > left {
                at -= piece.len() - self.suffix(piece, left);
                break;
            }
            left -= counted;
            at -= piece.len();
        }
        text.ceil_char_boundary(at)
    }

    fn without_margin(&self, tokens: u64) -> u64 {
        if self.is_own { tokens } else { tokens * 100 / self.margin }
    }

    /// With an unknown encoding, no more than four bytes count as a token.
    fn at_most(&self, bytes: usize, tokens: u64) -> usize {
        if self.is_own { bytes } else { bytes.min(usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(4)) }
    }

    /// How many bytes of a piece its first tokens hold.
    fn prefix(&self, piece: &str, tokens: u64) -> usize {
        let count = usize::try_from(tokens).unwrap_or(usize::MAX);
        let encoded = catch_unwind(|| self.encoding.encode_ordinary(piece)).unwrap_or_default();
        let bytes = self.encoding.decode_bytes(&encoded[..count.min(encoded.len())]).map_or(0, |bytes| bytes.len());
        piece.floor_char_boundary(bytes)
    }

    /// Where in a piece its last tokens begin.
    fn suffix(&self, piece: &str, tokens: u64) -> usize {
        let count = usize::try_from(tokens).unwrap_or(usize::MAX);
        let encoded = catch_unwind(|| self.encoding.encode_ordinary(piece)).unwrap_or_default();
        let tail = &encoded[encoded.len().saturating_sub(count)..];
        let bytes = self.encoding.decode_bytes(tail).map_or(0, |bytes| bytes.len());
        piece.ceil_char_boundary(piece.len().saturating_sub(bytes))
    }
}

fn mark(bytes: usize) -> String {
    format!("\n[… {bytes} bytes cut …]\n")
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

/// Without an encoding: what a call is reckoned with where nothing depends on its being enough.
pub(crate) fn estimate(request: &Request) -> u64 {
    let part = |part: &Part| match part {
        Part::Text(text) => estimate_text(text),
        Part::ToolCall(call) => estimate_text(&call.arguments) + estimate_text(&call.name),
        Part::ToolResult(result) => estimate_text(&result.content) + media_of(&result.media),
        Part::Other(other) => estimate_text(&other.value),
        Part::Media(medium) => media(medium),
    };
    let tools = request.tools.iter().map(|tool| {
        PER_TOOL + estimate_text(&tool.parameters) + estimate_text(&tool.description) + estimate_text(&tool.name)
    });
    let messages = request.messages.iter().map(|message| PER_MESSAGE + message.parts.iter().map(part).sum::<u64>());
    FOR_REPLY + estimate_text(schema(request)) + tools.chain(messages).sum::<u64>()
}

/// It is read with the question.
fn schema(request: &Request) -> &str {
    match &request.format {
        ResponseFormat::JsonSchema(schema) => &schema.schema,
        ResponseFormat::Text | ResponseFormat::Json => "",
    }
}

fn media(media: &Media) -> u64 {
    match &media.source {
        MediaSource::Bytes(bytes) if !media.mime_type.starts_with("image/") => {
            (bytes.len() as u64 / DOCUMENT_BYTES_PER_TOKEN).max(PER_PICTURE)
        }
        MediaSource::Bytes(_) | MediaSource::Url(_) => PER_PICTURE,
    }
}

fn media_of(list: &[Media]) -> u64 {
    list.iter().map(media).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::hash::tests::request;

    fn count_of(model: &str, text: &str) -> u64 {
        Counter::of_model(model, Counting::default()).text(text, u64::MAX)
    }

    #[tokio::test]
    async fn a_short_text_is_counted_in_the_models_own_encoding() {
        assert_eq!(count_of("gpt-4o", "hello world"), 2);
        let counted = count("gpt-4o".into(), Counting::default(), Arc::new(request("hello world")), None).await;
        assert_eq!((counted.tokens, counted.exact), (2 + 4 + 3, true));
        assert!(!count("some-local-model".into(), Counting::default(), Arc::new(request("hello")), None).await.exact);
    }

    #[test]
    fn text_made_to_break_a_tokenizer_is_counted_all_the_same() {
        for hostile in [" ".repeat(1 << 20), "a".repeat(200_000), "ß\u{301}".repeat(50_000)] {
            assert!(count_of("gpt-4o", &hostile) > 0);
            assert!(Counter::of_model("gpt-4o", Counting::default()).without_end(&hostile, 100).len() < hostile.len());
        }
    }

    #[test]
    fn pieces_are_whole_characters_and_lose_nothing() {
        let text = "añ🙂 ".repeat(40_000);
        assert_eq!(pieces(&text).collect::<String>(), text);
        assert!(pieces(&text).all(|piece| piece.len() <= PIECE_BYTES));
    }
}
