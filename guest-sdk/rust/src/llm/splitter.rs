//! Long texts: parts of which each fits the model with all that is asked about it.

use super::{Chat, Error};
use crate::text::{pause, resume, scaled};

/// Splits a text by tokens, as the host counts them: [`split`](Self::split).
///
/// ```no_run
/// # use sandmill_plugin::{Failure, llm};
/// # fn ask(text: &str) -> Result<(), Failure> {
/// let ask = |part: &str| llm::chat().system("Name the people in this text.").user(part);
/// let splitter = llm::Splitter { overlap_tokens: 200, ..llm::Splitter::default() };
/// for part in splitter.split(text, ask)? {
///     let names = ask(part.text).text()?;
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splitter {
    /// The most tokens of one request, with all that stands around the part. None: as many as the model takes, if that is known.
    pub tokens_max: Option<u64>,
    /// What two neighbours have in common, in tokens of text; never more than half a part.
    pub overlap_tokens: u64,
    /// What is left free in the model's window for the answer.
    pub output_tokens: u64,
}

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'t> {
    /// Where it begins in the text, in bytes.
    pub start: usize,
    pub text: &'t str,
}

impl Default for Splitter {
    fn default() -> Self {
        Self { tokens_max: None, overlap_tokens: 0, output_tokens: 2_000 }
    }
}

impl Splitter {
    /// Parts, in their order, of which each makes a `request` that fits. One part: the whole fits, or nothing is known of the model.
    ///
    /// Fails with [`ErrorKind::TooLarge`](super::ErrorKind::TooLarge) if no text fits beside what else the request says.
    pub fn split<'t>(&self, text: &'t str, request: impl Fn(&str) -> Chat) -> Result<Vec<Piece<'t>>, Error> {
        let whole = request(text).count_tokens()?;
        let Some(most) = self.most(whole.window).filter(|most| whole.tokens > *most) else {
            return Ok(vec![Piece { start: 0, text }]);
        };
        let frame = request("").count_tokens()?.tokens;
        let room = most.saturating_sub(frame);
        if room == 0 {
            return Err(no_room(frame, most));
        }
        let bytes_per_token = ratio(text.len() as u64, whole.tokens.saturating_sub(frame));
        let tokens_as_bytes = |tokens: u64| scaled(usize::try_from(tokens).unwrap_or(usize::MAX), bytes_per_token);
        let mut pieces = Vec::new();
        let mut start = 0;
        loop {
            let rest = &text[start..];
            let mut bytes = tokens_as_bytes(room);
            let end = loop {
                let end = if rest.len() <= bytes { rest.len() } else { pause(rest, bytes) };
                let tokens = request(&rest[..end]).count_tokens()?.tokens;
                if tokens <= most {
                    break end;
                }
                // A little less than by the rule of three, since tokens are not even; and always less.
                let smaller = scaled(end, ratio(room, tokens.saturating_sub(frame)) * 0.9).min(end - 1);
                if smaller == 0 || end == rest.chars().next().map_or(0, char::len_utf8) {
                    return Err(no_room(tokens, most));
                }
                bytes = smaller;
            };
            pieces.push(Piece { start, text: &rest[..end] });
            if end == rest.len() {
                return Ok(pieces);
            }
            let overlap = tokens_as_bytes(self.overlap_tokens).min(end / 2);
            start += if overlap == 0 { end } else { resume(&rest[..end], overlap) };
        }
    }

    fn most(&self, window: Option<u64>) -> Option<u64> {
        let by_window = window.map(|window| window.saturating_sub(self.output_tokens));
        self.tokens_max.into_iter().chain(by_window).min()
    }
}

fn no_room(tokens: u64, most: u64) -> Error {
    let message = format!(
        "a request has {tokens} tokens without any of the text, and may have {most}: shorten the instructions, or take a model with a larger context"
    );
    Error::too_large("no_room_for_text", message, tokens, most)
}

#[expect(clippy::cast_precision_loss, reason = "a rough ratio")]
fn ratio(of: u64, to: u64) -> f64 {
    of as f64 / to.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{ErrorKind, chat};
    use crate::testing::with_window;

    /// Natively four bytes are a token.
    fn split(text: &str, splitter: Splitter) -> Vec<Piece<'_>> {
        splitter.split(text, |part| chat().system("Name what you see.").user(part)).expect("parts")
    }

    fn by(tokens: u64, overlap_tokens: u64) -> Splitter {
        Splitter { tokens_max: Some(tokens), overlap_tokens, output_tokens: 0 }
    }

    #[test]
    fn what_fits_stays_whole_and_so_does_everything_where_nothing_is_known() {
        let text = "word ".repeat(1_000);
        assert_eq!(split(&text, by(10_000, 0)), [Piece { start: 0, text: &text }]);
        assert_eq!(split(&text, Splitter::default()).len(), 1);
    }

    #[test]
    fn parts_fit_and_lose_nothing() {
        let text = "A sentence of words. Another one; and more.\n".repeat(300) + &"\u{1f600}".repeat(500);
        let parts = split(&text, by(200, 0));
        assert!(parts.len() > 10);
        assert!(
            parts.iter().all(|part| chat()
                .system("Name what you see.")
                .user(part.text)
                .count_tokens()
                .expect("a count")
                .tokens
                <= 200)
        );
        assert_eq!(parts.iter().map(|part| part.text).collect::<String>(), text);
        assert!(parts.iter().all(|part| text[part.start..].starts_with(part.text)));
    }

    #[test]
    fn neighbours_have_text_in_common_and_begin_at_a_pause() {
        let text = (0..2_000).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" ");
        let parts = split(&text, by(300, 50));
        for pair in parts.windows(2) {
            let common = (pair[0].start + pair[0].text.len()).checked_sub(pair[1].start).expect("no gap");
            assert!((80..=220).contains(&common), "{common}");
            assert!(pair[1].text.starts_with("word"), "{:?}", &pair[1].text[..12]);
        }
        // However much is wanted, each part goes on.
        assert!(split(&text, by(300, 10_000)).len() < 60);
    }

    #[test]
    fn the_window_bounds_a_request_with_its_answer() {
        let text = "word ".repeat(2_000);
        let parts = with_window(1_000, || split(&text, Splitter { output_tokens: 400, ..Splitter::default() }));
        assert!(parts.len() >= 4 && parts.iter().all(|part| part.text.len() < 600 * 4), "{}", parts.len());
    }

    #[test]
    fn instructions_that_leave_no_room_are_told() {
        let long = "x".repeat(4_000);
        let error = by(900, 0).split("some text", |part| chat().system(&long).user(part)).expect_err("fails");
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::TooLarge, "no_room_for_text"));
    }
}
