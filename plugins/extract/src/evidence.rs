//! Whether words stand in a document.

/// A document, as quotes are looked up in it: white space and the shapes of quotation marks and dashes do not count.
pub(crate) struct Words(String);

impl Words {
    pub(crate) fn of(text: &str) -> Self {
        Self(plain(text))
    }

    pub(crate) fn hold(&self, quote: &str) -> bool {
        let quote = plain(quote);
        !quote.is_empty() && self.0.contains(&quote)
    }
}

fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !plain.is_empty() {
            plain.push(' ');
        }
        plain.extend(word.chars().filter(|letter| !matches!(letter, '\u{ad}' | '\u{200b}')).map(
            |letter| match letter {
                '\u{2018}' | '\u{2019}' | '\u{201b}' => '\'',
                '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' => '"',
                '\u{2010}'..='\u{2015}' => '-',
                other => other,
            },
        ));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_there_whatever_their_space_and_marks() {
        let words = Words::of("The \u{201c}total\u{201d}\n  is 1\u{2013}2\u{a0}EUR, don\u{2019}t pay.");
        for quote in ["\"total\" is", "1-2 EUR", "don't pay", " The "] {
            assert!(words.hold(quote), "{quote}");
        }
        for quote in ["", "  ", "the total", "EUR don't"] {
            assert!(!words.hold(quote), "{quote}");
        }
    }
}
