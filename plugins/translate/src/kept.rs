//! What a translation must not change: looked for in the source and in the translation, and compared. No model is asked.

use regex_lite::Regex;
use sandmill_plugin::Failure;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Addresses of the web and of mail.
    Urls,
    /// Tags of HTML and XML, by their names, and code between backticks.
    Markup,
    /// `{name}`, `{{name}}`, `${name}`, `%s`, `%1$d`, `%(name)s`, `%NAME%`.
    Placeholders,
    /// Numbers of two digits or more, whatever separates their groups and decimals. Others may be written as words.
    Numbers,
}

impl Kind {
    /// In the order in which they are looked for: what belongs to one is no part of the next.
    pub(crate) const ALL: [Self; 4] = [Self::Urls, Self::Markup, Self::Placeholders, Self::Numbers];

    const fn pattern(self) -> &'static str {
        match self {
            Self::Urls => r#"(?i)(?:https?://|www\.)[^\s<>"'()\[\]{}]+|[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+"#,
            Self::Markup => r"</?[A-Za-z][A-Za-z0-9:-]*(?:\s[^<>]*)?/?>|`[^`\n]+`",
            Self::Placeholders => {
                r"\{\{[^{}\n]*\}\}|\$\{[^{}\n]*\}|\{[A-Za-z0-9_.:-]*\}|%\([A-Za-z0-9_]+\)[a-z]|%[A-Z][A-Z0-9_]+%|%(?:\d+\$)?[-+0#]*\d*(?:\.\d+)?[sdifuxXeEgGc@]"
            }
            Self::Numbers => "[0-9]{1,3}(?:[ \u{a0}\u{202f}][0-9]{3})+(?:[.,][0-9]+)?|[0-9](?:[0-9.,'\u{2019}]*[0-9])?",
        }
    }

    /// What of a match counts; `None`: it need not be kept.
    fn plain(self, found: &str) -> Option<String> {
        match self {
            Self::Urls => Some(found.trim_end_matches(['.', ',', ';', ':', '!', '?']).to_owned()),
            Self::Markup if found.starts_with('<') => {
                let name = found.find(|letter: char| letter.is_whitespace()).map_or(found, |end| &found[..end]);
                Some(format!("{}>", name.trim_end_matches(['>', '/']).to_ascii_lowercase()))
            }
            Self::Markup | Self::Placeholders => Some(found.to_owned()),
            Self::Numbers => {
                let digits: String = found.chars().filter(char::is_ascii_digit).collect();
                (digits.len() > 1).then_some(digits)
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Urls => "address",
            Self::Markup => "markup",
            Self::Placeholders => "placeholder",
            Self::Numbers => "number",
        }
    }
}

/// Finds what must be kept.
pub(crate) struct Keeper {
    patterns: Vec<(Kind, Regex, bool)>,
}

type Found = BTreeMap<(Kind, String), usize>;

impl Keeper {
    pub(crate) fn new(kinds: &[Kind]) -> Result<Self, Failure> {
        let compiled = Kind::ALL.map(|kind| {
            let pattern =
                Regex::new(kind.pattern()).map_err(|error| Failure::permanent("bad_pattern", error.to_string()))?;
            Ok((kind, pattern, kinds.contains(&kind)))
        });
        Ok(Self { patterns: compiled.into_iter().collect::<Result<_, Failure>>()? })
    }

    /// What the translation lacks, and what it has that the source has not; in words. A number may be added: not all are
    /// written as such in the source.
    pub(crate) fn differences(&self, source: &str, translation: &str) -> Vec<String> {
        let (source, translation) = (self.find(source), self.find(translation));
        let more = |one: &Found, other: &Found, says: &str| -> Vec<String> {
            let missing = one.iter().filter(|(key, count)| other.get(*key).unwrap_or(&0) < *count);
            missing.map(|((kind, text), _)| format!("the {} {text} {says}", kind.name())).collect()
        };
        let mut told = more(&source, &translation, "of the source is missing");
        let added: Found = translation.into_iter().filter(|((kind, _), _)| *kind != Kind::Numbers).collect();
        told.extend(more(&added, &source, "does not stand in the source"));
        told
    }

    fn find(&self, text: &str) -> Found {
        let mut text = ascii_digits(text);
        let mut all = Found::new();
        for (kind, pattern, is_wanted) in &self.patterns {
            if *is_wanted {
                for found in pattern.find_iter(&text).filter_map(|found| kind.plain(found.as_str())) {
                    *all.entry((*kind, found)).or_default() += 1;
                }
            }
            text = pattern.replace_all(&text, " \u{1} ").into_owned();
        }
        all
    }
}

/// Digits of other scripts as ASCII's.
fn ascii_digits(text: &str) -> String {
    /// Zeros of Arabic, Persian, Devanagari, Bengali, Thai, and the full-width one.
    const ZEROS: [u32; 6] = [0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0xff10];
    let digit = |letter: char| {
        let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&u32::from(letter)))?;
        char::from_digit(u32::from(letter) - zero, 10)
    };
    text.chars().map(|letter| digit(letter).unwrap_or(letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, translation: &str, expected: &[&str]) {
        let keeper = Keeper::new(&Kind::ALL).expect("patterns");
        assert_eq!(keeper.differences(source, translation), expected, "{source} | {translation}");
    }

    #[test]
    fn placeholders_are_kept_to_the_letter() {
        let source = "Hi {name}, {{ count }} of %d for ${user.id}: %1$s, %(total)s, %NAME%, {}";
        check(source, "Hallo {name}, {{ count }} von %d für ${user.id}: %1$s, %(total)s, %NAME%, {}", &[]);
        check(
            "Hi {name}",
            "Hallo {Name}",
            &["the placeholder {name} of the source is missing", "the placeholder {Name} does not stand in the source"],
        );
        check("%s and %s", "%s und", &["the placeholder %s of the source is missing"]);
        check("50% discount, 100 % sure", "50 % Rabatt, 100% sicher", &[]);
    }

    #[test]
    fn numbers_are_the_same_however_they_are_separated() {
        check("1,234.56 in 2024, 10:30", "1.234,56 im Jahr 2024, 10:30", &[]);
        check("1,234,567 people", "1 234 567 personnes", &[]);
        check("12 items", "\u{661}\u{662} عنصر", &[]);
        check("3 dogs, 12 cats", "drei Hunde, 12 Katzen", &[]);
        check("12 cats and 12 dogs", "12 Katzen und Hunde", &["the number 12 of the source is missing"]);
        check("a dozen", "12", &[]);
        check("in 1999", "1989", &["the number 1999 of the source is missing"]);
    }

    #[test]
    fn addresses_are_kept_without_the_full_stop_behind_them() {
        check("See https://a.example/x?y=12.", "Siehe https://a.example/x?y=12!", &[]);
        check("mail jo@b.example", "schreib an jo@b.example.", &[]);
        check(
            "www.a.example/en",
            "www.a.example/de",
            &[
                "the address www.a.example/en of the source is missing",
                "the address www.a.example/de does not stand in the source",
            ],
        );
    }

    #[test]
    fn tags_are_kept_by_their_names_and_code_as_it_stands() {
        check(
            "<b>Hi</b> <a href=\"https://a.example\" title=\"Home\">x</a><br/>",
            "<b>Hallo</b> <A title=\"Heim\" href=\"https://a.example\">x</a><br>",
            &[],
        );
        check("<b>Hi</b>", "<b>Hallo", &["the markup </b> of the source is missing"]);
        check("run `rm -rf 12`", "führe `rm -rf 12` aus", &[]);
        check("run `ls`", "führe ls aus", &["the markup `ls` of the source is missing"]);
        check("a < b and c > d", "a < b und c > d", &[]);
    }

    #[test]
    fn only_what_is_wanted_is_looked_for() {
        let keeper = Keeper::new(&[Kind::Placeholders]).expect("patterns");
        assert!(keeper.differences("12 <b>", "").is_empty());
        assert_eq!(keeper.differences("{x} https://{y}", "").len(), 1 + 1);
    }
}
