//! The most tokens that a request can have: what is set aside before it leaves, where money or tokens are limited.
//!
//! An estimate would do for a pace; a limit that must hold needs a bound. A byte is a token at most, so the body's length is
//! one for all its text; a long text in an encoding that is known is counted instead. What media are read as has nothing to do
//! with their bytes.

use super::count::{Counter, Counting};
use crate::domain::{Media, MediaSource, Part, Request, ResponseFormat};
use crate::heavy;
use std::sync::Arc;

/// Shorter texts cost less to set aside in full than to count, in bytes.
const COUNTED_FROM: usize = 4 << 10;
/// What servers put around a conversation that is not in the body: the default system prompts of chat templates, and the
/// instructions for tools and schemas (Anthropic's are up to 804 tokens).
const AROUND: u64 = 256;
const AROUND_TOOLS: u64 = 1_024;
/// The dearest picture that vendors document: 10,000 patches with the factor 1.2. gpt-4o-mini counts its tiles 33 times: 2,833
/// tokens, and 5,667 for each of 8 tiles.
const PICTURE: u64 = 12_000;
const PICTURE_OF_4O_MINI: u64 = 48_169;
/// A document, sound or film that stands behind an address, where the model's window does not bound it.
const UNSEEN: u64 = 1_000_000;

/// A request as it is sent to a model.
pub(crate) struct Sent {
    pub(crate) request: Arc<Request>,
    pub(crate) model: String,
    pub(crate) counting: Counting,
    /// What the model takes in all, where that is known.
    pub(crate) window: Option<u64>,
    /// Of the whole body, as it is encoded.
    pub(crate) body_bytes: u64,
}

/// Long texts are counted off the async threads.
pub(crate) async fn at_most(sent: Sent) -> u64 {
    if !texts(&sent.request).any(|text| text.len() >= COUNTED_FROM) {
        return bound(&sent, None);
    }
    let in_bytes = bound(&sent, None);
    let counted = heavy::attempted(move || {
        let counter = Counter::of_model(&sent.model, sent.counting);
        bound(&sent, Some(&counter))
    });
    // What cannot be counted is bounded all the same.
    counted.await.unwrap_or(in_bytes)
}

fn bound(sent: &Sent, counter: Option<&Counter>) -> u64 {
    let request = &sent.request;
    let mut words = sent.body_bytes;
    if let Some(counter) = counter {
        for text in texts(request).filter(|text| text.len() >= COUNTED_FROM) {
            words = words.saturating_sub(text.len() as u64).saturating_add(counter.most(text));
        }
    }
    let picture = if sent.model.starts_with("gpt-4o-mini") { PICTURE_OF_4O_MINI } else { PICTURE };
    let unseen = sent.window.unwrap_or(UNSEEN);
    let mut read = 0_u64;
    for medium in media(request) {
        words = words.saturating_sub(bytes_in_body(medium));
        read = read.saturating_add(match (&medium.source, medium.mime_type.split('/').next()) {
            (_, Some("image")) => picture,
            // It stands in the body as it is, or longer.
            (MediaSource::Bytes(_), Some("text")) => 0,
            (MediaSource::Bytes(bytes), _) => (bytes.len() as u64 * 4 / 3).max(picture),
            (MediaSource::Url(_), _) => unseen,
        });
    }
    let is_plain = request.tools.is_empty() && request.format == ResponseFormat::Text;
    let around = if is_plain { AROUND } else { AROUND_TOOLS };
    // A request whose media alone are more than the model takes is refused.
    words.saturating_add(read.min(sent.window.unwrap_or(u64::MAX))).saturating_add(around)
}

fn texts(request: &Request) -> impl Iterator<Item = &str> {
    request.messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        Part::ToolResult(result) => Some(result.content.as_str()),
        Part::Media(_) | Part::ToolCall(_) | Part::Other(_) => None,
    })
}

fn media(request: &Request) -> impl Iterator<Item = &Media> {
    request.messages.iter().flat_map(|message| &message.parts).flat_map(|part| match part {
        Part::Media(media) => std::slice::from_ref(media),
        Part::ToolResult(result) => &result.media,
        Part::Text(_) | Part::ToolCall(_) | Part::Other(_) => &[],
    })
}

/// What is surely in the body for a medium and is not read as text: its base64.
fn bytes_in_body(media: &Media) -> u64 {
    match &media.source {
        // Another field may stand in the place of the bytes.
        MediaSource::Bytes(bytes) if media.extra.is_empty() && !media.mime_type.starts_with("text/") => {
            bytes.len().div_ceil(3) as u64 * 4
        }
        MediaSource::Bytes(_) | MediaSource::Url(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Message, ToolResult};
    use crate::resilience::hash::tests::request;
    use proptest::prelude::*;

    fn sent(request: Request, model: &str) -> Sent {
        let in_text: usize = texts(&request).map(|text| serde_json::to_string(text).unwrap().len() + 30).sum();
        let in_media: u64 = media(&request).map(bytes_in_body).sum();
        let body_bytes = in_text as u64 + in_media + 100;
        Sent {
            request: Arc::new(request),
            model: model.into(),
            counting: Counting::default(),
            window: None,
            body_bytes,
        }
    }

    fn picture(mime_type: &str, bytes: usize) -> Media {
        Media { mime_type: mime_type.into(), source: MediaSource::Bytes(vec![0; bytes].into()), extra: Vec::new() }
    }

    fn with(part: Part) -> Request {
        let mut request = request("look");
        let message = Message { parts: vec![part], ..request.messages[0].clone() };
        request.messages.push(message);
        request
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_text_has_more_tokens_than_are_set_aside_for_it(
            text in prop_oneof!["[A-Za-z0-9+/]{3000,9000}", "\\PC{10,6000}", "([a-z]{1,9} ){100,2000}", "[0-9 ]{10,9000}"],
            model in prop::sample::select(vec!["gpt-4o", "gpt-4", "some-local-model"]),
        ) {
            let counter = Counter::of_model(if model == "some-local-model" { "gpt-2" } else { model }, Counting::default());
            let whole = counter.whole(&text);
            let sent = sent(request(&text), model);
            prop_assert!(bound(&sent, Some(&Counter::of_model(model, Counting::default()))) >= whole);
            prop_assert!(bound(&sent, None) >= whole);
        }
    }

    #[tokio::test]
    async fn a_long_text_in_a_known_encoding_is_not_set_aside_by_its_bytes() {
        let text = "It was the best of times, it was the worst of times. ".repeat(2_000);
        let counted = at_most(sent(request(&text), "gpt-4o")).await;
        assert!(counted < text.len() as u64 / 3, "{counted} of {} bytes", text.len());
        assert!(at_most(sent(request(&text), "some-local-model")).await > text.len() as u64);
    }

    #[test]
    fn media_are_set_aside_by_what_they_are_read_as_in_results_of_tools_too() {
        let of = |part: Part| bound(&sent(with(part), "m"), None);
        let plain = of(Part::Text("x".into()));
        let image = of(Part::Media(picture("image/png", 3_000_000)));
        assert!(image > PICTURE && image < PICTURE + 2 * plain, "{image}");
        assert!(of(Part::Media(picture("application/pdf", 3_000_000))) >= 4_000_000);
        let result = ToolResult {
            call_id: "1".into(),
            name: "f".into(),
            content: "x".into(),
            is_error: false,
            media: vec![picture("image/png", 10)],
            extra: Vec::new(),
        };
        assert!(of(Part::ToolResult(result)) > PICTURE);
    }
}
