//! Text of others: made fit to be shown, and counted.

use sandmill::domain::{sanitize_line, sanitize_text};
use sandmill::resilience::fuzzing::counted;

/// Whether a terminal shows of `text` what stands in it, and nothing else happens.
pub(crate) fn is_clean(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\n' | '\t') || !(c.is_control() || is_hidden(c)))
}

/// Characters that break lines, reorder them, or cannot be seen: Unicode's default-ignorable ones and interlinear annotations, but
/// for those that shape what stands before them.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether it is clean and stands in one line.
pub(crate) fn is_line(text: &str) -> bool {
    is_clean(text) && !text.contains(['\n', '\t'])
}

/// The first byte is how much is kept.
pub(crate) fn sanitized(bytes: &[u8]) {
    let (most, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let (most, text) = (usize::from(*most), String::from_utf8_lossy(rest));
    let clean = sanitize_text(&text, most);
    assert!(is_clean(&clean), "{clean:?}");
    assert!(clean.len() <= most + '…'.len_utf8(), "{clean:?}");
    assert_eq!(sanitize_text(&clean, usize::MAX), clean, "what is clean stays as it is");
    let line = sanitize_line(&text, most);
    assert!(is_line(&line) && line.len() <= most + '…'.len_utf8(), "{line:?}");
    if text.chars().all(|c| c == ' ' || (c.is_alphanumeric() && !is_hidden(c))) && text.len() <= most {
        assert_eq!(clean, text, "letters are never lost");
    }
}

/// The longest text that is counted: encoding is slow, and pieces are shorter.
const COUNTED_MAX: usize = 20_000;

/// The first byte chooses the encoding, the second how much is kept.
pub(crate) fn tokens(bytes: &[u8]) {
    let [model, keep, rest @ ..] = bytes else { return };
    let models = ["gpt-4o", "gpt-4", "text-davinci-003", "davinci", "of nobody"];
    let model = models[usize::from(*model) % models.len()];
    let text = String::from_utf8_lossy(&rest[..rest.len().min(COUNTED_MAX)]);
    let (most, start, ends) = counted(model, &text, u64::from(*keep));
    assert!(most <= text.len() as u64, "no token without a byte");
    for cut in [start, ends] {
        let (kept, mark) = cut.split_once("\n[… ").expect("a mark");
        let (number, tail) = mark.split_once(" bytes cut …]\n").expect("a mark");
        if let Ok(number) = number.parse::<usize>() {
            assert!(number <= text.len());
        }
        assert!(text.starts_with(kept) || kept.contains("[… "), "{kept:?}");
        assert!(text.ends_with(tail) || tail.contains(" bytes cut …]\n"), "{tail:?}");
    }
}
