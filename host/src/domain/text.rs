//! Text of guests, providers and files made fit to be shown.

/// For terminals, logs and messages: control characters (escape sequences with them) and the line ends that only Unicode knows become
/// spaces, what cannot be seen or makes a line read otherwise than it is goes, and at most `bytes_max` bytes are kept, with `…` behind
/// them if that is not all. Line feeds and tabs stay.
pub fn sanitize_text(text: &str, bytes_max: usize) -> String {
    sanitized(text, bytes_max, |c| matches!(c, '\n' | '\t'))
}

/// The same in one line, for whoever prints one a record: line feeds and tabs become spaces too.
pub fn sanitize_line(text: &str, bytes_max: usize) -> String {
    sanitized(text, bytes_max, |_| false)
}

/// Without the escape sequences of terminals (colours, cursor, titles), of which [`sanitize_text`] would leave what stands behind the
/// escape character.
pub fn without_escapes(text: &str) -> String {
    // The one-character forms that UTF-8 has of `ESC [` and its like.
    let text = text.replace('\u{9b}', "\u{1b}[").replace('\u{9d}', "\u{1b}]");
    anstream::adapter::strip_str(&text).to_string()
}

fn sanitized(text: &str, bytes_max: usize, stays: impl Fn(char) -> bool) -> String {
    let mut clean = String::with_capacity(text.len().min(bytes_max));
    let mut last = None;
    for c in text.chars() {
        let c = match c {
            c if stays(c) => c,
            '\u{2028}' | '\u{2029}' => ' ',
            c if c.is_control() => ' ',
            // Of use behind a letter of a script that needs it, or a picture; anywhere else it only hides.
            c if is_joiner(c) && last.is_none_or(|last: char| last.is_ascii() || is_joiner(last)) => continue,
            c if is_hidden(c) => continue,
            c => c,
        };
        if clean.len() + c.len_utf8() > bytes_max {
            clean.push('…');
            break;
        }
        clean.push(c);
        last = Some(c);
    }
    clean
}

/// Joins or parts letters (Persian, Hindi), or chooses between the forms of a character.
const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}')
}

/// What takes no room: the code points that Unicode has programs ignore (`Default_Ignorable_Code_Point` in Unicode 16's
/// `DerivedCoreProperties`), bidirectional controls and tags among them, but for the joiners; and interlinear annotations.
const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// For pages: what [`sanitize_text`] would take away or blank stands there as `\u{202e}`, so that it is seen. Line feeds and tabs
/// stay; a carriage return before a line feed goes.
pub fn visible_text(text: &str) -> std::borrow::Cow<'_, str> {
    let acts = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || is_ignored(c);
    if !text.contains(acts) {
        return text.into();
    }
    let mut visible = String::with_capacity(text.len() + 16);
    let mut last = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_of_use = is_joiner(c) && last.is_some_and(|last: char| !last.is_ascii() && !is_joiner(last));
        if c == '\r' && rest.peek() == Some(&'\n') {
            continue;
        }
        if acts(c) && !is_of_use {
            visible.extend(c.escape_unicode());
        } else {
            visible.push(c);
        }
        last = Some(c);
    }
    visible.into()
}

/// At most `bytes_max` bytes of it, with `…` behind them if that is not all.
pub fn shortened(text: &str, bytes_max: usize) -> std::borrow::Cow<'_, str> {
    if text.len() <= bytes_max {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes_max)]).into()
}

const fn is_ignored(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}') || is_joiner(c) || is_hidden(c)
}

/// JSON that a terminal may be shown: what [`sanitize_text`] would take away stands there as an escape, so that the value is the same.
pub fn escape_json(json: &str) -> std::borrow::Cow<'_, str> {
    // `serde_json` escapes what lies below U+0020 itself, and line ends stand between tokens only.
    let acts = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{2028}' | '\u{2029}') || is_hidden(c);
    if !json.contains(acts) {
        return json.into();
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if acts(c) {
            // Two for what lies beyond U+FFFF.
            escaped.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_guests_text_cannot_move_the_cursor_or_turn_the_line_around() {
        assert_eq!(sanitize_text("a\x1b[2Jb\u{202e}c\r\nd", 100), "a [2Jbc \nd");
        assert_eq!(sanitize_text("a\u{9b}2Jb\u{7f}\u{85}c\0", 100), "a 2Jb  c ");
        assert_eq!(sanitize_text("äöü", 4), "äö…");
    }

    #[test]
    fn escape_sequences_go_whole() {
        let coloured = "\x1b[1;31mred\x1b[0m \x1b]0;title\x07plain \u{9b}2Jclear\nnext\tone";
        assert_eq!(without_escapes(coloured), "red plain clear\nnext\tone");
        assert_eq!(without_escapes("äöü 語"), "äöü 語");
    }

    #[test]
    fn nothing_is_there_that_cannot_be_seen() {
        let hidden =
            ["\u{61c}", "\u{200b}", "\u{feff}", "\u{2060}", "\u{ad}", "\u{e0041}\u{e007f}", "\u{3164}", "\u{fff9}"];
        assert_eq!(sanitize_text(&format!("a{}b", hidden.join("")), 100), "ab");
        assert_eq!(sanitize_text("a\u{2028}b\u{2029}c", 100), "a b c");
    }

    #[test]
    fn letters_are_joined_where_their_script_wants_it_and_nowhere_else() {
        let persian = "می\u{200c}خواهم";
        assert_eq!(sanitize_text(persian, 100), persian);
        assert_eq!(sanitize_text("👩\u{200d}💻 ❤\u{fe0f}", 100), "👩\u{200d}💻 ❤\u{fe0f}");
        assert_eq!(sanitize_text("pass\u{200d}word\u{200c}", 100), "password");
        assert_eq!(sanitize_text("é\u{200d}\u{200d}\u{200d}", 100), "é\u{200d}");
    }

    #[test]
    fn on_a_page_what_is_hidden_is_seen_and_what_belongs_to_a_script_stays() {
        assert_eq!(visible_text("a\u{202e}b\u{0}\r\nc\rd\te"), "a\\u{202e}b\\u{0}\nc\\u{d}d\te");
        assert_eq!(visible_text("pass\u{200d}word"), "pass\\u{200d}word");
        for good in ["می\u{200c}خواهم", "👩\u{200d}💻", "a\tb\nc", "äöü"] {
            assert_eq!(visible_text(good), good);
        }
    }

    #[test]
    fn what_is_shortened_ends_between_characters() {
        assert_eq!(shortened("äöü", 6), "äöü");
        assert_eq!(shortened("äöü", 5), "äö…");
    }

    #[test]
    fn one_line_stays_one() {
        assert_eq!(sanitize_line("a\nb\tc\r\nd\u{2028}e", 100), "a b c  d e");
    }

    proptest! {
        #[test]
        fn escaped_json_is_the_same_value_and_is_clean(text: String, marks in "[\u{7f}-\u{9f}\u{202a}-\u{202e}\u{e0000}-\u{e007f}\n]{0,9}") {
            let value = serde_json::json!({ "key": format!("{text}{marks}") });
            for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let escaped = escape_json(&json);
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value.clone());
                prop_assert!(!escaped.contains(|c: char| (c.is_control() && c != '\n') || is_hidden(c)));
            }
        }
    }
}
