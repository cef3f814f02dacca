//! What is said of cases: a line for each, what differs below it, and how many there were.

use super::super::super::{Failure, attempts, card, out, print_json};
use super::suite::{Counts, Ended, Recorded, Tried};
use crate::domain::{Digest, sanitize_line, sanitize_text};
use crate::kit::cases::{Difference, Expect, Side};
use crate::resilience::{AnsweredBy, Heard, Taped, TapedQuestion};
use crate::sandbox::Plugin;
use serde_json::{Value, json};
use std::path::Path;

const COLUMNS: usize = 80;
/// Where lines of a difference begin.
const MARGIN: usize = 8;
/// Of a stretch that is the same on both sides of a long line, this many characters stay at each end.
const STRETCH: usize = 20;
/// Lines of a difference.
const LINES_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 8_000;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Without colours where nobody would see them.
fn say(text: &str) {
    out::print_styled(&format!("{text}\n"));
}

pub(super) fn begin(folder: &Path, plugin: &Plugin, cases: usize) {
    let name = sanitize_line(&plugin.manifest().name, 100);
    let cases = counted(cases as u64, "case", "cases");
    say(&format!("{BOLD}{name}{PLAIN} ({}): {cases}", sanitize_line(&folder.display().to_string(), 500)));
}

pub(super) fn case(tried: &Tried<'_>, is_verbose: bool) {
    let (word, colour) = match &tried.ended {
        Ended::Passed => ("pass", GREEN),
        Ended::Updated => ("updated", YELLOW),
        Ended::Differs(_) => ("differs", RED),
        Ended::New => ("new", RED),
        Ended::Unanswered => ("asks", RED),
        Ended::Broken(_) => ("broken", RED),
    };
    say(&format!("  {colour}{word:<8}{PLAIN} {}{}", tried.case.name, remark(tried)));
    let is_fine = matches!(tried.ended, Ended::Passed | Ended::Updated);
    if !is_fine {
        detail("at", &place(tried));
    }
    if is_verbose {
        for question in &tried.questions {
            block(&attempts::question(&heard(question, &tried.case.answers)));
        }
        for line in tried.report.iter().flat_map(|report| &report.log) {
            block(&attempts::log(line));
        }
    }
    match &tried.ended {
        Ended::Passed => {}
        Ended::Updated => {
            for line in tried.report.iter().flat_map(|report| attempts::verdict(&report.verdict)) {
                block(&line);
            }
        }
        Ended::Differs(difference) => self::difference(difference),
        Ended::New => new(tried),
        Ended::Unanswered => unanswered(tried),
        Ended::Broken(reason) => detail("why", reason),
    }
    if let Some(card) =
        (!is_fine).then(|| tried.report.as_ref().and_then(|report| attempts::card(&report.verdict))).flatten()
    {
        // It has its own width.
        say(card::as_text(card, None).trim_end());
    }
}

/// What stands behind the name.
fn remark(tried: &Tried<'_>) -> String {
    let mut said = Vec::new();
    let Recorded { answers, errors, dropped } = tried.recorded;
    if answers > 0 {
        let of_them = if errors > 0 { format!(", {errors} of them errors") } else { String::new() };
        said.push(format!("{} recorded{of_them}", counted(answers as u64, "answer", "answers")));
    }
    if dropped > 0 {
        said.push(format!("{} that nobody asks for taken out", counted(dropped as u64, "answer", "answers")));
    }
    if !tried.left_over.is_empty() {
        said.push(format!("{} left over", counted(tried.left_over.len() as u64, "answer", "answers")));
    }
    if said.is_empty() { String::new() } else { format!(" {DIM}({}){PLAIN}", said.join("; ")) }
}

fn place(tried: &Tried<'_>) -> String {
    format!("{}:{}", tried.file.display(), tried.case.line)
}

fn detail(name: &str, text: &str) {
    block(&attempts::line(name, text));
}

/// Indented.
fn block(text: &str) {
    for line in text.trim_end().lines() {
        say(&format!("    {line}"));
    }
}

fn new(tried: &Tried<'_>) {
    detail("why", "the case does not say what it expects");
    for line in tried.report.iter().flat_map(|report| attempts::verdict(&report.verdict)) {
        block(&line);
    }
    detail("way out", "look at it, and accept it with --update");
}

/// Everything that the plugin asked and nobody had an answer to, and the answers that nobody asked for.
fn unanswered(tried: &Tried<'_>) {
    for question in tried.questions.iter().filter(|question| question.by == AnsweredBy::Nobody) {
        let text = format!("role {}: {}", sanitize_line(&question.role, 100), question.excerpt);
        detail("asks", &wrapped(&text));
        detail("request", &Digest::from_bytes(question.request).to_string());
    }
    let answers = tried.case.answers.len();
    if answers == 0 {
        detail("why", "the case has no answers");
    } else if tried.left_over.is_empty() {
        detail("why", &format!("all of its {} are used by then", counted(answers as u64, "answer", "answers")));
    } else {
        detail("why", "no answer of the case is for that; left are those of:");
        for taped in &tried.left_over {
            detail("", &wrapped(&asked(taped)));
        }
    }
    let folder = sanitize_line(&tried.folder.display().to_string(), 500);
    detail(
        "way out",
        &format!(
            "write the answer into the case, or record it:\nsandmill plugin test {folder} --record --provider NAME"
        ),
    );
}

fn asked(taped: &Taped) -> String {
    match (&taped.asked, taped.request) {
        (Some(asked), _) => sanitize_line(asked, 200),
        (None, Some(request)) => Digest::from_bytes(request).to_string(),
        (None, None) => "any".into(),
    }
}

/// For beside a name.
fn wrapped(text: &str) -> String {
    card::wrapped(text, COLUMNS - 16).iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

fn heard(question: &TapedQuestion, answers: &[Taped]) -> Heard {
    let answer = match &question.by {
        AnsweredBy::Tape(place) => {
            let end = answers.get(*place).map(|taped| end(&taped.end)).unwrap_or_default();
            Some(format!("answer {} of the case{end}", place + 1))
        }
        AnsweredBy::Live(answer) => Some(format!("the provider{}", end(answer))),
        AnsweredBy::Host(error) => Some(format!("the host, which refuses it: {}: {}", error.code, error.message)),
        AnsweredBy::Nobody => None,
    };
    Heard {
        function: "llm.complete",
        role: question.role.clone(),
        excerpt: question.excerpt.clone(),
        hash: Digest::from_bytes(question.request).hex(),
        occurrence: 0,
        answer: answer.map(|answer| sanitize_line(&answer, 500)),
    }
}

fn end(end: &Result<crate::domain::Completion, crate::domain::LlmError>) -> String {
    match end {
        Ok(completion) => format!(": {}", sanitize_line(&completion.text, 200)),
        Err(error) => format!(", an error: {}: {}", error.code, error.message),
    }
}

/// `-` what was expected, `+` what came.
fn difference(difference: &Difference) {
    let lines = difference.lines();
    say(&format!("    {RED}- expected{PLAIN}   {GREEN}+ came{PLAIN}"));
    for (side, pieces) in lines.iter().take(LINES_MAX) {
        let (sign, colour) = match side {
            Side::Both => (' ', DIM),
            Side::Expected => ('-', RED),
            Side::Actual => ('+', GREEN),
            Side::Gap => {
                say(&format!("    {DIM}  …{PLAIN}"));
                continue;
            }
        };
        for line in broken(&shortened(pieces), COLUMNS - MARGIN) {
            say(&format!("    {colour}{sign}{PLAIN} {}", coloured(&line, colour)));
        }
    }
    if lines.len() > LINES_MAX {
        detail("", &format!("and {} lines more: --json has all of it", lines.len() - LINES_MAX));
    }
}

type Pieces = Vec<(bool, String)>;

/// Long stretches that are the same on both sides give way.
fn shortened(pieces: &Pieces) -> Pieces {
    let has_marks = pieces.iter().any(|(is_marked, _)| *is_marked);
    let count = pieces.len();
    let one = |(index, (is_marked, text)): (usize, &(bool, String))| {
        let text = sanitize_text(text, TEXT_BYTES_MAX).replace('\n', " ");
        let chars: Vec<char> = text.chars().collect();
        if *is_marked || !has_marks || chars.len() <= 3 * STRETCH {
            return (*is_marked, text);
        }
        // The start of a line tells whose value it is.
        let head = if index == 0 { 2 * STRETCH } else { STRETCH };
        let tail = if index + 1 == count { 8 } else { STRETCH };
        let (head, tail): (String, String) =
            (chars[..head].iter().collect(), chars[chars.len() - tail..].iter().collect());
        (*is_marked, format!("{head} … {tail}"))
    };
    pieces.iter().enumerate().map(one).collect()
}

/// Into lines of so many characters, between words where there are any.
fn broken(pieces: &Pieces, width: usize) -> Vec<Pieces> {
    let mut rest: Vec<(bool, char)> =
        pieces.iter().flat_map(|(is_marked, text)| text.chars().map(|c| (*is_marked, c))).collect();
    let mut lines = Vec::new();
    while rest.len() > width {
        let space = rest[..width].iter().rposition(|(_, c)| *c == ' ').filter(|at| *at > width / 2);
        let tail = rest.split_off(space.map_or(width, |at| at + 1));
        // The space that it is broken at goes.
        lines.push(joined(if space.is_some() { &rest[..rest.len() - 1] } else { &rest }));
        rest = tail;
    }
    lines.push(joined(&rest));
    lines
}

fn joined(chars: &[(bool, char)]) -> Pieces {
    let mut pieces: Pieces = Vec::new();
    for (is_marked, c) in chars {
        match pieces.last_mut() {
            Some((before, text)) if before == is_marked => text.push(*c),
            _ => pieces.push((*is_marked, c.to_string())),
        }
    }
    pieces
}

fn coloured(pieces: &Pieces, colour: &str) -> String {
    let one = |(is_marked, text): &(bool, String)| {
        if *is_marked { format!("{colour}{BOLD}{text}{PLAIN}") } else { format!("{colour}{text}{PLAIN}") }
    };
    pieces.iter().map(one).collect()
}

pub(super) fn summary(counts: &Counts) {
    let of = |number: u64, colour: &str, what: &str| (number > 0).then(|| format!("{colour}{number} {what}{PLAIN}"));
    let parts = [
        of(counts.passed, GREEN, "passed"),
        of(counts.updated, YELLOW, "updated"),
        of(counts.differs, RED, if counts.differs == 1 { "differs" } else { "differ" }),
        of(counts.new, RED, "new"),
        of(counts.unanswered, RED, "unanswered"),
        of(counts.broken, RED, "broken"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    say(&format!("{}: {}", counted(counts.all(), "case", "cases"), parts.join(", ")));
    if counts.recorded > 0 {
        say(&format!("{} recorded", counted(counts.recorded, "answer", "answers")));
    }
    if counts.left_over > 0 {
        say(&format!("{} left over: nobody asks for them", counted(counts.left_over, "answer", "answers")));
    }
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

pub(super) fn as_json(tried: &Tried<'_>) -> Result<(), Failure> {
    let (state, reason) = match &tried.ended {
        Ended::Passed => ("passed", None),
        Ended::Updated => ("updated", None),
        Ended::Differs(_) => ("differs", None),
        Ended::New => ("new", None),
        Ended::Unanswered => ("unanswered", None),
        Ended::Broken(reason) => ("broken", Some(reason)),
    };
    let question = |question: &TapedQuestion| {
        json!({
            "role": question.role,
            "text": question.excerpt,
            "request": Digest::from_bytes(question.request).to_string(),
            "answer": heard(question, &tried.case.answers).answer,
        })
    };
    let left_over = |taped: &Taped| json!({ "text": taped.asked, "request": taped.request.map(|it| Digest::from_bytes(it).to_string()) });
    let mut all = json!({
        "schema": 1,
        "plugin": tried.folder,
        "file": tried.file,
        "line": tried.case.line,
        "name": tried.case.name,
        "state": state,
        "reason": reason,
        "expected": tried.case.expect.as_ref().map(Expect::as_json),
        "questions": tried.questions.iter().map(question).collect::<Vec<_>>(),
        "left_over": tried.left_over.iter().map(left_over).collect::<Vec<_>>(),
        "recorded": tried.recorded.answers,
    });
    if let (Value::Object(all), Some(report)) = (&mut all, &tried.report) {
        all.insert("came".into(), json!(Expect::of(&report.verdict).as_ref().map(Expect::as_json)));
        if let Value::Object(report) = attempts::report_as_json(report).map_err(Failure::internal)? {
            all.extend(report);
        }
    }
    print_json(&all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &[(bool, &str)]) -> Pieces {
        text.iter().map(|(is_marked, text)| (*is_marked, (*text).to_owned())).collect()
    }

    #[test]
    fn what_is_the_same_in_a_long_line_gives_way_to_what_differs() {
        let long = "x".repeat(200);
        let shown =
            shortened(&pieces(&[(false, &long), (true, "new"), (false, &long), (true, "last"), (false, &long)]));
        let lengths: Vec<usize> = shown.iter().map(|(_, text)| text.chars().count()).collect();
        assert_eq!(lengths, [63, 3, 43, 4, 31]);
        assert!(shown[0].1.starts_with("xxx") && shown[0].1.contains(" … "));
        assert_eq!(shortened(&pieces(&[(false, &long)])), pieces(&[(false, &long)]), "without a mark all of it is new");
    }

    #[test]
    fn lines_are_broken_between_words_and_keep_their_marks() {
        let lines = broken(&pieces(&[(false, "one two "), (true, "three four")]), 12);
        assert_eq!(lines, [pieces(&[(false, "one two")]), pieces(&[(true, "three four")])]);
        assert_eq!(broken(&pieces(&[(false, "abcdef")]), 4), [pieces(&[(false, "abcd")]), pieces(&[(false, "ef")])]);
        assert_eq!(broken(&Vec::new(), 4), [Vec::new()]);
    }
}
