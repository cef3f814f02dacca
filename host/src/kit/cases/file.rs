//! A file of cases: read whole, checked whole, and written anew only as the one that was read.

use super::rewrite::{self, Change};
use super::{Expect, answer};
use crate::config::with_suggestion;
use crate::domain::{AttemptNumber, Item, ItemId, ItemSeq, sanitize_line};
use crate::input;
use crate::output::{AtomicFile, OutputError};
use crate::resilience::Taped;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where they stand in a plugin's folder, and how their names end.
pub(crate) const FOLDER: &str = "tests";
pub(crate) const EXTENSION: &str = "jsonl";
/// What is shown of a name, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// Behind the name of a file that was changed meanwhile.
const ASIDE: &str = "recorded";

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// In its file, from 1.
    pub line: usize,
    /// Fit to be shown.
    pub name: String,
    pub item: Item,
    /// A JSON object.
    pub config: String,
    pub attempt: AttemptNumber,
    pub answers: Vec<Taped>,
    /// What the model takes, in tokens.
    pub context: Option<u64>,
    /// `None`: nobody has said yet.
    pub expect: Option<Expect>,
}

/// An answer of a case as it shall be.
#[derive(Debug, Clone, PartialEq)]
pub enum NewAnswer {
    /// The one that stands there at this place, as it stands.
    Kept(usize),
    Recorded(Box<Taped>),
}

/// Something that is wrong with a file of cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub path: PathBuf,
    /// `None`: it is the whole file.
    pub line: Option<usize>,
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path.display(), self.reason),
            None => write!(f, "{}: {}", self.path.display(), self.reason),
        }
    }
}

impl std::error::Error for Problem {}

/// The files of cases in a plugin's folder, by name.
pub fn find(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder.join(FOLDER)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A file of cases as it was read.
#[derive(Debug)]
pub struct CaseFile {
    pub path: PathBuf,
    text: String,
    pub cases: Vec<Case>,
}

impl CaseFile {
    /// The error: all that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, Vec<Problem>> {
        let problem = |line, reason| Problem { path: path.to_path_buf(), line, reason };
        let bytes = std::fs::read(path).map_err(|error| vec![problem(None, format!("cannot be read: {error}"))])?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.split(|byte| *byte == b'\n').count();
            vec![problem(Some(line), "it is not UTF-8: save the file as UTF-8".into())]
        })?;
        let (mut cases, mut problems) = (Vec::new(), Vec::new());
        for (index, line) in text.split('\n').enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            match case(line, index + 1) {
                Ok(case) => cases.push(case),
                Err(reason) => problems.push(problem(Some(index + 1), reason)),
            }
        }
        if problems.is_empty() { Ok(Self { path: path.to_path_buf(), text, cases }) } else { Err(problems) }
    }

    /// Changes one case, and writes the file: whole or not at all, and only if it is still what was read. Should somebody have changed it,
    /// what was to be written stands in a file beside it, which the error names.
    pub fn change(&mut self, line: usize, change: &Change) -> Result<(), Problem> {
        let path = self.path.clone();
        let problem = |line, reason: String| Problem { path: path.clone(), line, reason };
        let new = rewrite::file(&self.text, line, change).map_err(|error| problem(Some(line), error.to_string()))?;
        let on_disk = std::fs::read(&self.path).map_err(|error| problem(None, format!("cannot be read: {error}")))?;
        if on_disk != self.text.as_bytes() {
            let mut aside = self.path.clone().into_os_string();
            aside.push(format!(".{ASIDE}"));
            let aside = PathBuf::from(aside);
            write(&aside, &new).map_err(|reason| problem(None, reason))?;
            let told = "it was changed meanwhile, and is left as it is: what would have been written is in";
            return Err(problem(None, format!("{told} {}", aside.display())));
        }
        write(&self.path, &new).map_err(|reason| problem(None, reason))?;
        self.text = new;
        Ok(())
    }
}

/// The error is for a person.
fn write(path: &Path, text: &str) -> Result<(), String> {
    // Which file it is was not chosen by a flag.
    let told = |error: OutputError| error.to_string().replace(", or choose another --output", "");
    let file = AtomicFile::create(path).map_err(told)?;
    (&file).write_all(text.as_bytes()).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    file.commit().map_err(told)
}

/// A line, as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    item: &'a RawValue,
    #[serde(borrow, default)]
    config: Option<&'a RawValue>,
    #[serde(default)]
    attempt: Option<u32>,
    #[serde(borrow, default)]
    answers: Vec<&'a RawValue>,
    #[serde(default)]
    context: Option<u64>,
    #[serde(default)]
    expect: Option<Value>,
}

/// The error is for a person, and says not where.
fn case(text: &str, line: usize) -> Result<Case, String> {
    let form: Form<'_> = serde_json::from_str(text)
        .map_err(|error| with_suggestion(error.to_string()).replace(" at line 1 column ", " at column "))?;
    let number = u64::try_from(line).unwrap_or(u64::MAX);
    let entry = input::from_line(form.item.get(), number).map_err(|bad| format!("`item`: {}", bad.message))?;
    let config = form.config.map_or("{}", RawValue::get);
    if !matches!(serde_json::from_str(config), Ok(Value::Object(_))) {
        return Err("`config` is no object".into());
    }
    if form.attempt == Some(0) {
        return Err("`attempt` is counted from 1".into());
    }
    let mut answers = Vec::with_capacity(form.answers.len());
    for (index, raw) in form.answers.iter().enumerate() {
        let parsed = answer::parse(raw.get()).map_err(|reason| format!("answer {}: {reason}", index + 1));
        answers.push(parsed?);
    }
    let id = entry.id.unwrap_or_else(|| ItemId::from_content(&entry.json, 0));
    Ok(Case {
        line,
        name: sanitize_line(&form.name, NAME_BYTES_MAX),
        item: Item { seq: ItemSeq(0), id, index: 0, json: entry.json.into(), blobs: Arc::new([]) },
        config: config.to_owned(),
        attempt: form.attempt.map_or(AttemptNumber::FIRST, AttemptNumber),
        answers,
        context: form.context,
        expect: form.expect.map(Expect::parse).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Emission, Outcome, Verdict};

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cases.jsonl");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn expects_one() -> Change {
        let emission = Emission { value: "1".into(), name: None, extra: Vec::new() };
        Change { answers: None, expect: Expect::of(&Verdict::Finished(Outcome::Done(vec![emission]))) }
    }

    #[test]
    fn a_case_has_what_it_says_and_what_goes_without_saying() {
        let (_dir, path) =
            file("\n{\"name\": \"a\", \"item\": {\"id\": 7, \"n\": 1e400}}\n".replace("1e400", "1.50").as_str());
        let read = CaseFile::read(&path).unwrap();
        let case = &read.cases[0];
        assert_eq!((case.line, case.name.as_str(), case.attempt), (2, "a", AttemptNumber::FIRST));
        assert_eq!((case.item.id.as_str(), &*case.item.json), ("7", "{\"id\": 7, \"n\": 1.50}"), "as it stands");
        assert_eq!((case.config.as_str(), case.answers.len(), &case.expect), ("{}", 0, &None));
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let (_dir, path) = file(concat!(
            "{\"name\": \"a\"}\n",
            "{\"name\": \"b\", \"item\": [1]}\n",
            "{\"name\": \"c\", \"item\": {}, \"atempt\": 2}\n",
            "{\"name\": \"d\", \"item\": {}}\n",
            "{\"name\": \"e\", \"item\": {}, \"answers\": [\"x\", 1]}\n",
            "{\"name\": \"f\", \"item\": {}, \"attempt\": 0}\n",
            "{\"name\": \"g\", \"item\": {}, \"config\": 1}\n",
            "{\"name\": \"h\", \"item\": {}\n",
            "{\"name\": \"i\", \"item\": {}, \"expect\": {\"emit\": 1}}\n",
            "{\"name\": \"j\", \"item\": {}, \"name\": \"k\"}\n",
        ));
        let told: Vec<String> = CaseFile::read(&path).unwrap_err().iter().map(ToString::to_string).collect();
        let expected = [
            (1, "missing field `item`"),
            (2, "`item`: line 2 is an array"),
            (3, "did you mean `attempt`?"),
            (5, "answer 2: it is neither a text nor an object"),
            (6, "`attempt` is counted from 1"),
            (7, "`config` is no object"),
            (8, "EOF while parsing"),
            (9, "`expect.emit` is the list"),
            (10, "duplicate field `name`"),
        ];
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, (line, part)) in told.iter().zip(expected) {
            assert!(told.contains(&format!("cases.jsonl:{line}: ")) && told.contains(part), "{told}");
        }
    }

    #[test]
    fn a_file_is_written_only_if_it_is_the_one_that_was_read_and_nothing_is_lost() {
        let (dir, path) = file("{\"name\": \"a\", \"item\": {}}\n");
        let mut read = CaseFile::read(&path).unwrap();
        read.change(1, &expects_one()).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, "{\"name\": \"a\", \"item\": {}, \"expect\": {\"emit\": [1]}}\n");
        std::fs::write(&path, "{}\n").unwrap();
        let problem = read.change(1, &expects_one()).unwrap_err().to_string();
        assert!(problem.contains("cases.jsonl.recorded"), "{problem}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n");
        assert_eq!(std::fs::read_to_string(dir.path().join("cases.jsonl.recorded")).unwrap(), written);
    }

    #[test]
    fn what_is_no_text_is_told_with_its_line() {
        let (_dir, path) = file("");
        std::fs::write(&path, b"\n\n\xff").unwrap();
        assert!(CaseFile::read(&path).unwrap_err()[0].to_string().contains("cases.jsonl:3: it is not UTF-8"));
    }

    #[test]
    fn files_of_cases_are_found_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        assert!(find(dir.path()).unwrap().is_empty());
        std::fs::create_dir_all(dir.path().join("tests/x.jsonl")).unwrap();
        for name in ["b.jsonl", "a.jsonl", "test_a.py"] {
            std::fs::write(dir.path().join("tests").join(name), "").unwrap();
        }
        let names: Vec<_> =
            find(dir.path()).unwrap().iter().filter_map(|path| path.file_name().map(ToOwned::to_owned)).collect();
        assert_eq!(names, ["a.jsonl", "b.jsonl"]);
    }
}
