//! The labels, found again however a model spells them.

use crate::config::Config;
use sandmill_plugin::Failure;
use std::collections::BTreeMap;

pub(crate) struct Labels<'a> {
    /// In the operator's order; `other` last.
    names: Vec<&'a str>,
    by_fold: BTreeMap<String, &'a str>,
}

impl<'a> Labels<'a> {
    pub(crate) fn of(config: &'a Config) -> Result<Self, Failure> {
        let bad = |message: String| Err(Failure::permanent("bad_config", message));
        let mut names: Vec<&str> = config.labels.iter().map(super::config::Label::name).collect();
        let mut by_fold = BTreeMap::new();
        for name in &names {
            let folded = fold(name);
            if folded.is_empty() {
                return bad(format!("the label {name:?} has no letters"));
            }
            if let Some(known) = by_fold.insert(folded, *name) {
                return bad(format!("the labels {known:?} and {name:?} differ in case, space or punctuation alone"));
            }
        }
        match &config.other {
            Some(other) if fold(other).is_empty() => return bad(format!("the label {other:?} has no letters")),
            Some(other) if !by_fold.contains_key(&fold(other)) => {
                names.push(other);
                by_fold.insert(fold(other), other);
            }
            None if config.unknown == crate::config::Unknown::Other => {
                return bad("`unknown` is `other`, and there is no `other`: name the label".to_owned());
            }
            Some(_) | None => {}
        }
        if config.template.is_some() && config.text_field != "text" {
            return bad("both `template` and `text_field` are set: keep one of them".to_owned());
        }
        if config.max_labels.is_some() && !config.multiple {
            return bad("`max_labels` says how many of several, and there is one without `multiple`".to_owned());
        }
        Ok(Self { names, by_fold })
    }

    pub(crate) fn names(&self) -> &[&'a str] {
        &self.names
    }

    /// The label as the operator writes it.
    pub(crate) fn find(&self, written: &str) -> Option<&'a str> {
        self.by_fold.get(&fold(written)).copied()
    }
}

/// Letters and digits in lower case, with one space between words.
fn fold(name: &str) -> String {
    let words = name.split(|letter: char| letter.is_whitespace() || letter == '_' || letter == '-' || letter == '/');
    let plain = words.map(|word| {
        word.trim_matches(|letter: char| {
            matches!(letter, '"' | '\'' | '`' | '*' | '.' | ':' | ',' | '\u{201c}' | '\u{201d}')
        })
        .to_lowercase()
    });
    plain.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn config(value: Value) -> Config {
        serde_json::from_value(value).expect("a configuration")
    }

    #[test]
    fn near_misses_are_the_label() {
        let config =
            config(json!({"labels": ["Bug report", {"name": "how-to", "description": "d"}], "other": "other"}));
        let labels = Labels::of(&config).expect("labels");
        for (written, expected) in [
            ("bug  report", Some("Bug report")),
            ("**Bug_Report**.", Some("Bug report")),
            ("\"How to\"", Some("how-to")),
            ("OTHER", Some("other")),
            ("bug", None),
            ("", None),
        ] {
            assert_eq!(labels.find(written), expected, "{written}");
        }
        assert_eq!(labels.names(), ["Bug report", "how-to", "other"]);
    }

    #[test]
    fn labels_that_cannot_be_told_apart_are_refused() {
        for (value, part) in [
            (json!({"labels": ["a b", "A_B"]}), "alone"),
            (json!({"labels": ["a", "--"]}), "no letters"),
            (json!({"labels": ["a", "b"], "other": ""}), "no letters"),
            (json!({"labels": ["a", "b"], "unknown": "other"}), "`other`"),
            (json!({"labels": ["a", "b"], "max_labels": 2}), "multiple"),
            (json!({"labels": ["a", "b"], "template": "{{x}}", "text_field": "y"}), "both"),
        ] {
            let config = config(value);
            let failure = Labels::of(&config).err().expect("fails");
            assert!(failure.code() == "bad_config" && failure.message().contains(part), "{failure}");
        }
    }
}
