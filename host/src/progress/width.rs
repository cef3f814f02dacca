//! How many columns a text takes on a terminal, and cutting it to as many.
//!
//! Never less than a terminal may give it: where terminals differ (pictures that are joined of several), the wider one counts.

use unicode_width::UnicodeWidthChar;

/// Asks for the form of a character that is a picture, which is two columns wide.
const AS_PICTURE: char = '\u{fe0f}';

fn of_char(c: char) -> usize {
    if c == AS_PICTURE { 1 } else { c.width().unwrap_or(0) }
}

pub(super) fn width(text: &str) -> usize {
    text.chars().map(of_char).sum()
}

/// At most `most` columns of it, with `…` in the last if that is not all.
pub(super) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut taken = 0;
    let fits = |c: &char| {
        taken += of_char(*c);
        taken < most
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    if most > 0 {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_cut_is_told_by_its_last_column() {
        let cases = [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("語語", 4, "語語"),
            ("語語", 3, "語…"),
            ("語語", 2, "…"),
            ("e\u{301}e\u{301}", 2, "e\u{301}e\u{301}"),
            ("❤\u{fe0f}a", 2, "❤…"),
            ("abc", 0, ""),
        ];
        for (text, most, cut_to) in cases {
            assert_eq!(cut(text, most), cut_to, "{text} {most}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_it_may_be(text in "\\PC*", most in 0_usize..50) {
            prop_assert!(width(&cut(&text, most)) <= most);
        }
    }
}
