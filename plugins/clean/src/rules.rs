//! What needs no model: rules that are right whatever the text is about. Each says what it took away.

use crate::config::{Config, Rule};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What was taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Removed {
    /// The line or paragraph.
    pub(crate) text: String,
    pub(crate) why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Why {
    /// The number of a page.
    Page,
    /// A line that stands too often.
    Repeat,
    /// A paragraph that stood there before.
    Duplicate,
    /// The model calls it boilerplate.
    Model,
}

/// Lines shorter than this, in characters without digits, are no headers however often they stand: `},`, `Yes`.
const REPEAT_CHARACTERS_MIN: usize = 6;
/// Paragraphs shorter than this are no duplicates: `Thank you.`
const DUPLICATE_CHARACTERS_MIN: usize = 40;

/// Words that notices, footers and menus have.
const DOUBTFUL: [&str; 16] = [
    "unsubscribe",
    "all rights reserved",
    "copyright",
    "©",
    "privacy policy",
    "terms of",
    "cookie",
    "confidential",
    "intended recipient",
    "do not reply",
    "sent from my",
    "view in browser",
    "click here",
    "follow us",
    "read more",
    "subscribe",
];

/// The text after the rules, and what they took out.
pub(crate) fn apply(text: &str, config: &Config) -> (String, Vec<Removed>) {
    let has = |rule| config.rules.contains(&rule);
    let mut removed = Vec::new();
    let mut text = if has(Rule::Space) { spaced(text) } else { text.to_owned() };
    if has(Rule::Pages) || has(Rule::Repeats) {
        text = lines(&text, config, &mut removed);
    }
    if has(Rule::Hyphens) {
        text = joined(&text);
    }
    if has(Rule::Duplicates) {
        text = unique(&text, &mut removed);
    }
    if has(Rule::Space) {
        // What was taken out may have left empty lines.
        text = spaced(&text);
    }
    (text, removed)
}

/// Paragraphs that may be boilerplate, by their place among all paragraphs.
pub(crate) fn doubtful(text: &str, config: &Config) -> Vec<usize> {
    let own: Vec<String> =
        config.doubtful.iter().map(|word| word.to_lowercase()).filter(|word| !word.is_empty()).collect();
    let is_doubtful = |paragraph: &str| {
        let lower = paragraph.to_lowercase();
        DOUBTFUL.iter().any(|word| lower.contains(word)) || own.iter().any(|word| lower.contains(word))
    };
    paragraphs(text).enumerate().filter(|(_, paragraph)| is_doubtful(paragraph)).map(|(at, _)| at).collect()
}

pub(crate) fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n")
}

fn spaced(text: &str) -> String {
    let plain: String = text
        .replace("\r\n", "\n")
        .chars()
        .filter(|letter| !matches!(letter, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}'))
        .map(|letter| match letter {
            '\r' | '\u{2028}' | '\u{2029}' | '\u{c}' => '\n',
            '\t' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => ' ',
            other => other,
        })
        .collect();
    let mut lines: Vec<String> = Vec::new();
    for line in plain.split('\n') {
        let line = line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    lines.join("\n").trim_end().to_owned()
}

fn lines(text: &str, config: &Config, removed: &mut Vec<Removed>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    if config.rules.contains(&Rule::Repeats) {
        for line in text.lines() {
            *counts.entry(without_digits(line)).or_default() += 1;
        }
    }
    let mut kept = Vec::new();
    for line in text.split('\n') {
        let plain = without_digits(line);
        let why = if config.rules.contains(&Rule::Pages) && is_page(line) {
            Some(Why::Page)
        } else if plain.chars().count() >= REPEAT_CHARACTERS_MIN
            && counts.get(&plain).is_some_and(|count| *count >= config.repeats_min)
        {
            Some(Why::Repeat)
        } else {
            None
        };
        match why {
            Some(why) => removed.push(Removed { text: line.trim().to_owned(), why }),
            None => kept.push(line),
        }
    }
    kept.join("\n")
}

/// The same on each page.
fn without_digits(line: &str) -> String {
    line.trim().chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// `Page 3`, `Page 3 of 10`, `- 3 -`, `3 / 10`, `Seite 3`; not `3`, which may be a number in a table.
fn is_page(line: &str) -> bool {
    let lower = line.trim().to_lowercase();
    let is_number =
        |text: &str| !text.is_empty() && text.len() <= 5 && text.chars().all(|letter| letter.is_ascii_digit());
    let counted = |text: &str| {
        let of = [" of ", "/", " von ", " sur ", " de "].iter().find_map(|between| text.split_once(between));
        of.map_or_else(|| is_number(text), |(page, all)| is_number(page.trim()) && is_number(all.trim()))
    };
    let named = ["page ", "seite ", "página ", "pagina ", "p. "].iter().find_map(|name| lower.strip_prefix(name));
    let between_dashes = lower.strip_prefix(['-', '–', '—']).and_then(|rest| rest.strip_suffix(['-', '–', '—']));
    named.is_some_and(|rest| counted(rest.trim())) || between_dashes.is_some_and(|rest| is_number(rest.trim()))
}

/// `exam-\nple` as `example`, where `example` stands elsewhere.
fn joined(text: &str) -> String {
    let is_in_word = |letter: char| letter.is_alphanumeric();
    let known: BTreeSet<String> = text.split(|letter| !is_in_word(letter)).map(str::to_lowercase).collect();
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("-\n") {
        whole.push_str(before);
        let first = before.rsplit(|letter| !is_in_word(letter)).next().unwrap_or_default();
        let second = behind.split(|letter| !is_in_word(letter)).next().unwrap_or_default();
        let is_broken =
            !first.is_empty() && !second.is_empty() && known.contains(&format!("{first}{second}").to_lowercase());
        if is_broken {
            whole.push_str(second);
            // The line goes on behind the word.
            let tail = &behind[second.len()..];
            whole.push('\n');
            rest = tail.strip_prefix(' ').or_else(|| tail.strip_prefix('\n')).unwrap_or(tail);
            if !tail.starts_with([' ', '\n']) && !tail.is_empty() {
                whole.pop();
            }
        } else {
            whole.push_str("-\n");
            rest = behind;
        }
    }
    whole.push_str(rest);
    whole
}

fn unique(text: &str, removed: &mut Vec<Removed>) -> String {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    for paragraph in paragraphs(text) {
        let plain = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        if plain.chars().count() >= DUPLICATE_CHARACTERS_MIN && !seen.insert(plain.to_lowercase()) {
            removed.push(Removed { text: paragraph.to_owned(), why: Why::Duplicate });
        } else {
            kept.push(paragraph);
        }
    }
    kept.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(more: Value) -> Config {
        serde_json::from_value(more).expect("a configuration")
    }

    fn check(rules: Value, text: &str, expected: &str, taken: &[(&str, Why)]) {
        let (clean, removed) = apply(text, &config(json!({"rules": rules})));
        assert_eq!(clean, expected);
        let removed: Vec<(&str, Why)> = removed.iter().map(|removed| (removed.text.as_str(), removed.why)).collect();
        assert_eq!(removed, taken, "{text}");
    }

    #[test]
    fn space_that_says_nothing_goes() {
        check(json!(["space"]), "\r\n a\u{a0}\t b \r\n\r\n\r\n\u{feff}c\u{ad}d\u{c}\n\n ", "a b\n\ncd", &[]);
        check(json!([]), " a  b ", " a  b ", &[]);
    }

    #[test]
    fn pages_numbers_go_and_numbers_stay() {
        check(
            json!(["pages"]),
            "Page 3\nSeite 4 von 10\n- 5 -\npage 6/9\n7\nPage three\nsee page 3\n-x-",
            "7\nPage three\nsee page 3\n-x-",
            &[("Page 3", Why::Page), ("Seite 4 von 10", Why::Page), ("- 5 -", Why::Page), ("page 6/9", Why::Page)],
        );
    }

    #[test]
    fn a_line_on_every_page_goes_whatever_its_number() {
        let text = "Annual report 1\na\nAnnual report 2\nb\nAnnual report 3\nno\nno\nno";
        let lines = ["Annual report 1", "Annual report 2", "Annual report 3"].map(|line| (line, Why::Repeat));
        check(json!(["repeats"]), text, "a\nb\nno\nno\nno", &lines);
        check(json!(["repeats"]), "Annual report\nAnnual report", "Annual report\nAnnual report", &[]);
    }

    #[test]
    fn a_word_is_joined_only_where_it_is_known() {
        check(json!(["hyphens"]), "an exam-\nple of an example", "an example\nof an example", &[]);
        check(json!(["hyphens"]), "an exam-\nple, an example", "an example, an example", &[]);
        check(json!(["hyphens"]), "a well-\nknown thing", "a well-\nknown thing", &[]);
        check(json!(["hyphens"]), "end-\n\nexample-\n", "end-\n\nexample-\n", &[]);
    }

    #[test]
    fn a_long_paragraph_stands_once() {
        let long = "This paragraph is long enough to be told from a mere greeting.";
        check(
            json!(["duplicates"]),
            &format!("{long}\n\nThanks.\n\nThanks.\n\n{long}"),
            &format!("{long}\n\nThanks.\n\nThanks."),
            &[(long, Why::Duplicate)],
        );
    }

    #[test]
    fn a_paragraph_is_doubtful_by_its_words() {
        let config = config(json!({"doubtful": ["Impressum", ""]}));
        let text = "Hello.\n\nClick here to UNSUBSCRIBE.\n\nImpressum: x\n\nBye.";
        assert_eq!(doubtful(text, &config), [1, 2]);
    }
}
