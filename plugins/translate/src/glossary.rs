//! Terms that have one translation.

use std::collections::BTreeMap;

pub(crate) struct Glossary<'a>(&'a BTreeMap<String, String>);

impl<'a> Glossary<'a> {
    pub(crate) const fn new(terms: &'a BTreeMap<String, String>) -> Self {
        Self(terms)
    }

    /// Of the terms that the text holds, as the model is told.
    pub(crate) fn lines(&self, text: &str) -> Vec<String> {
        self.used(text).map(|(term, translation)| format!("- {term}: {translation}")).collect()
    }

    /// Terms of the source whose translation does not stand in the translation.
    pub(crate) fn missing(&self, source: &str, translation: &str) -> Vec<String> {
        let translation = translation.to_lowercase();
        let missing = self.used(source).filter(|(_, wanted)| !translation.contains(&wanted.to_lowercase()));
        missing.map(|(term, wanted)| format!("the glossary has {wanted:?} for {term:?}")).collect()
    }

    fn used(&self, text: &str) -> impl Iterator<Item = (&'a String, &'a String)> {
        let text = text.to_lowercase();
        self.0.iter().filter(move |(term, _)| holds_word(&text, &term.to_lowercase()))
    }
}

/// Whether it stands there, and not within a longer word.
fn holds_word(text: &str, word: &str) -> bool {
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let behind = text[at + word.len()..].chars().next();
            let is_edge = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
            is_edge(before) && is_edge(behind)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_terms_that_the_text_holds_as_words_count() {
        let terms = [("invoice", "Rechnung"), ("Sandmill", "Sandmill"), ("art", "Kunst")]
            .map(|(term, translation)| (term.to_owned(), translation.to_owned()));
        let terms = BTreeMap::from(terms);
        let glossary = Glossary::new(&terms);
        assert_eq!(glossary.lines("The Invoice of Sandmill: start."), ["- Sandmill: Sandmill", "- invoice: Rechnung"]);
        let missing = glossary.missing("The invoice of Sandmill.", "Die Faktura von SANDMILL.");
        assert_eq!(missing, ["the glossary has \"Rechnung\" for \"invoice\""]);
    }
}
