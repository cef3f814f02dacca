//! How a command fails: an error for a person, and the exit code that it ends in.

use super::Exit;
use crate::domain::{reason, sanitize_text};
use std::error::Error;
use std::fmt::Write as _;

/// What is shown of an error, in bytes; a backtrace has room in it.
pub(super) const ERROR_BYTES_MAX: usize = 32_000;

/// An error with the exit code that it ends in.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(super) error: anyhow::Error,
    pub(super) exit: Exit,
}

/// What a person can mend: arguments, files, plugins.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), exit: Exit::Usage }
    }
}

impl Failure {
    pub(super) fn internal(error: impl Into<anyhow::Error>) -> Self {
        Self { error: error.into(), exit: Exit::Internal }
    }

    /// What is said of it. What a plugin, a provider or a file said may stand in it.
    pub(super) fn told(&self, shows_all: bool) -> String {
        sanitize_text(&told(&self.error, shows_all), ERROR_BYTES_MAX)
    }
}

pub(super) type CliResult = Result<Exit, Failure>;

/// One line with what happened and why, from the root of it; with all causes, a line each, those that led from one to the other.
fn told(error: &anyhow::Error, shows_all: bool) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain().map(text) {
        // Many an error says in its own words what its cause says.
        if !parts.last().is_some_and(|above| above.ends_with(&cause)) {
            parts.push(cause);
        }
    }
    let first = parts.first().cloned().unwrap_or_default();
    let mut text = match parts.last() {
        Some(root) if parts.len() > 1 => format!("{first}: {root}"),
        Some(_) | None => first,
    };
    if shows_all && parts.len() > 2 {
        for cause in parts.iter().skip(1) {
            let _ = write!(text, "\n  because: {}", cause.replace('\n', "\n    "));
        }
    }
    text
}

/// Of what the system says, what it means.
fn text(cause: &(dyn Error + 'static)) -> String {
    cause.downcast_ref::<std::io::Error>().map_or_else(|| cause.to_string(), reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    fn check(causes: &[&str], shows_all: bool, expected: &str) {
        let mut causes = causes.iter().rev();
        let root = anyhow!("{}", causes.next().unwrap());
        let error = causes.fold(root, |error, cause| Err::<(), _>(error).context((*cause).to_owned()).unwrap_err());
        assert_eq!(Failure::from(error).told(shows_all), expected);
    }

    #[test]
    fn the_first_line_says_what_happened_and_why_at_the_root() {
        check(&["no key: set OPENAI_API_KEY"], false, "no key: set OPENAI_API_KEY");
        check(&["cannot read x.toml", "it is a folder"], false, "cannot read x.toml: it is a folder");
        check(&["cannot start", "the route is wrong", "no such model"], false, "cannot start: no such model");
        check(&["cannot read x: it is a folder", "it is a folder"], false, "cannot read x: it is a folder");
    }

    #[test]
    fn what_the_system_says_comes_with_the_way_out() {
        let missing = std::fs::read("/no/such/file").context("cannot read /no/such/file").unwrap_err();
        let said = Failure::from(missing).told(false);
        assert_eq!(said, "cannot read /no/such/file: there is no such file or folder: check the path");
    }

    #[test]
    fn all_causes_are_a_line_each_where_they_are_wanted() {
        check(&["no key"], true, "no key");
        check(&["a", "b"], true, "a: b");
        check(&["a", "b", "c"], true, "a: c\n  because: b\n  because: c");
    }

    #[test]
    fn what_others_wrote_cannot_steer_a_terminal() {
        check(&["cannot load p", "\x1b[2Jgone"], false, "cannot load p:  [2Jgone");
    }
}
