//! Splits a text where a reader would pause.

/// Ends of what is kept together, the best first.
const PAUSES: [&str; 5] = ["\n\n", "\n", ". ", "; ", " "];

/// Parts of at most `share` of the text each, as even as its pauses allow. One part: it cannot be split.
pub(crate) fn halves_or_more(text: &str, share: f64) -> Vec<&str> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rough size"
    )]
    let bytes_max = ((text.len() as f64 * share) as usize).max(200);
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.len() > bytes_max {
        let (part, tail) = rest.split_at(pause(rest, bytes_max));
        parts.push(part.trim());
        rest = tail;
    }
    parts.push(rest.trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// The last good place to pause before `bytes_max`, in the second half of what fits.
fn pause(text: &str, bytes_max: usize) -> usize {
    let end = text.floor_char_boundary(bytes_max);
    let window = &text[..end];
    let best = PAUSES.iter().find_map(|mark| window.rfind(mark).map(|at| at + mark.len()).filter(|at| *at > end / 2));
    best.unwrap_or(end).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_where_sentences_do_and_lose_nothing() {
        let text = "One sentence stands here. ".repeat(100);
        let parts = halves_or_more(text.trim(), 0.3);
        assert!(parts.len() >= 4);
        assert!(parts.iter().all(|part| part.ends_with('.')));
        assert_eq!(parts.join(" "), text.trim());
    }

    #[test]
    fn a_text_without_pauses_is_split_between_characters() {
        let text = "ü".repeat(1_000);
        let parts = halves_or_more(&text, 0.5);
        assert!(parts.len() >= 2);
        assert_eq!(parts.concat(), text);
    }

    #[test]
    fn a_short_text_stays_whole() {
        assert_eq!(halves_or_more("short", 0.1), ["short"]);
    }
}
