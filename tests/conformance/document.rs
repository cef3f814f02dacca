//! `docs/conformance.md`: the table, for people.

use super::cases::{Case, End, cases};
use super::languages::Language;
use crate::support::root;
use std::fmt::Write;
use std::path::PathBuf;

const COMMAND: &str = "SANDMILL_UPDATE_DOCS=1 cargo test -p sandmill --test e2e conformance::document";
const BEGIN: &str = "<!-- the table: written by a test -->\n";
const END: &str = "<!-- end of the table -->\n";
/// Of what is emitted, in characters.
const SHOWN_MAX: usize = 120;

fn path() -> PathBuf {
    root().join("docs/conformance.md")
}

/// As code in a table's cell.
fn code(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_MAX).flat_map(shown).collect();
    if text.chars().count() > SHOWN_MAX {
        write!(shown, "… ({} bytes)", text.len()).unwrap();
    }
    let ticks = if shown.contains('`') { "``" } else { "`" };
    format!("{ticks}{}{ticks}", shown.replace('|', "\\|"))
}

/// What would not be seen, or would turn the line around, by its number.
fn shown(letter: char) -> Vec<char> {
    let is_plain = letter == ' ' || letter.is_alphanumeric() || letter.is_ascii_graphic() || letter > '\u{1f000}';
    let is_plain = is_plain && letter < '\u{10ffff}';
    if is_plain { vec![letter] } else { format!("\\u{{{:x}}}", u32::from(letter)).chars().collect() }
}

fn words(end: &End) -> String {
    match end {
        End::Emits(values) if values.is_empty() => "done, without a value".to_owned(),
        End::Emits(values) => values.iter().map(|value| code(value)).collect::<Vec<_>>().join(", "),
        End::Gives(value) => code(&value.to_string()),
        End::Has(fields) => {
            let one = |(name, kind): &(&str, &str)| format!("`{name}` ({kind})");
            format!("an object: {}", fields.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        End::Names(values) => {
            let one = |(value, name): &(&str, Option<&str>)| match name {
                Some(name) => format!("{} as {}", code(value), code(name)),
                None => code(value),
            };
            values.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        End::Skips(reason) => format!("skipped: {reason}"),
        End::Fails(class, told, _) if class == told => format!("fails: class `{class}`"),
        End::Fails(class, told, _) => format!("fails: class `{class}`, code `{told}`"),
        End::Crashes(_) => "fails: class `trap`; the crash card has the words and the author's line".to_owned(),
        End::Logs(lines) => {
            format!("in the log: {}", lines.iter().map(|line| code(line)).collect::<Vec<_>>().join(", "))
        }
    }
}

fn row(case: &Case) -> String {
    let mut row = format!("| {} | {} | {} |", case.name, code(&case.work), words(&case.end));
    for language in Language::ALL {
        match case.end_in(language) {
            (_, None) => row.push_str(" ok |"),
            (end, Some(why)) => write!(row, " {}: {why} |", words(end)).unwrap(),
        }
    }
    row + "\n"
}

fn table() -> String {
    let cases = cases();
    let mut text = String::from("\n| case | the item | ends |");
    for language in Language::ALL {
        write!(text, " {language} |").unwrap();
    }
    text.push_str("\n|---|---|---|---|---|---|---|---|\n");
    text.extend(cases.iter().map(row));
    let own = cases.iter().flat_map(|case| Language::ALL.map(|language| case.end_in(language).1)).flatten().count();
    let all = cases.len() * Language::ALL.len();
    write!(text, "\n{} cases; of {all} ends {own} are the language's own.\n\n", cases.len()).unwrap();
    text
}

#[test]
fn the_document_is_the_table() {
    let text = std::fs::read_to_string(path()).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, behind) = rest.split_once(END).unwrap();
    let current = format!("{before}{BEGIN}{}{END}{behind}", table());
    if std::env::var_os("SANDMILL_UPDATE_DOCS").is_some() {
        std::fs::write(path(), &current).unwrap();
        return;
    }
    assert!(text == current, "docs/conformance.md is not the table; write it with\n    {COMMAND}");
}
