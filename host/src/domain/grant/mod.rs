//! What a plugin may reach beside its own interfaces. The same words say what a plugin asks for and what an operator gives.
//!
//! Nothing is reached by asking: what is in force is what was given. Whether a folder exists or an address is public is
//! found out by those who open it.

mod folder;
mod origin;
mod set;

pub use folder::Folder;
pub use origin::{HostPattern, Origin, Scheme};
pub use set::{Grants, Needs};

use std::fmt;
use std::str::FromStr;

/// One thing that is asked for, or given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// The files below a folder, read only.
    Read(Folder),
    /// The files below a folder, which may be changed, made and removed too.
    Write(Folder),
    /// The environment variable of this name.
    Env(String),
    /// Requests over HTTP to a host.
    Http(Origin),
    /// The real time, in place of that of the job's creation.
    Clock,
    /// Real random numbers, in place of those that follow from item and attempt.
    Random,
}

/// What is no grant; the text names the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct GrantError(pub(super) String);

impl Grant {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Read(_) => "read",
            Self::Write(_) => "write",
            Self::Env(_) => "env",
            Self::Http(_) => "http",
            Self::Clock => "clock",
            Self::Random => "random",
        }
    }

    /// What stands behind the kind, as it is written; nothing for those that are a word.
    pub fn value(&self) -> Option<String> {
        match self {
            Self::Read(folder) | Self::Write(folder) => Some(folder.to_string()),
            Self::Env(name) => Some(name.clone()),
            Self::Http(origin) => Some(origin.to_string()),
            Self::Clock | Self::Random => None,
        }
    }

    /// Whether whoever is given this has what `asked` asks for. Of a folder, what counts is where the plugin sees it.
    pub fn covers(&self, asked: &Self) -> bool {
        match (self, asked) {
            (Self::Read(given) | Self::Write(given), Self::Read(asked)) | (Self::Write(given), Self::Write(asked)) => {
                given.is_seen_around(asked)
            }
            (Self::Http(given), Self::Http(asked)) => given.covers(asked),
            _ => self == asked,
        }
    }

    /// What it is in the eyes of the plugin: which folder of the host it is does not count.
    pub fn as_seen(&self) -> String {
        match self {
            Self::Read(folder) | Self::Write(folder) => format!("{}={}", self.kind(), folder.guest()),
            _ => self.to_string(),
        }
    }

    /// Whether what a plugin finds there may be another thing each time, so that a replay may ask another question.
    pub fn is_of_the_world(&self) -> bool {
        match self {
            Self::Read(_) | Self::Write(_) | Self::Http(_) | Self::Clock | Self::Random => true,
            Self::Env(_) => false,
        }
    }
}

/// As on the command line: `read=data`, `http=api.example.com`, `clock`.
impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let (kind, value) = text.split_once('=').map_or((text, None), |(kind, value)| (kind, Some(value)));
        match (kind, value) {
            ("read", Some(value)) => value.parse().map(Self::Read),
            ("write", Some(value)) => value.parse().map(Self::Write),
            ("env", Some(value)) => env_name(value).map(Self::Env),
            ("http", Some(value)) => value.parse().map(Self::Http),
            ("clock", None) => Ok(Self::Clock),
            ("random", None) => Ok(Self::Random),
            ("read" | "write" | "env" | "http", None) => {
                Err(GrantError(format!("the grant `{kind}` says not of what: write {}", example(kind))))
            }
            ("clock" | "random", Some(_)) => {
                Err(GrantError(format!("the grant `{kind}` is of one thing only: write {kind}")))
            }
            _ => Err(GrantError(format!(
                "`{text}` is no grant: there are read=FOLDER, write=FOLDER, env=NAME, http=HOST, clock and random"
            ))),
        }
    }
}

fn example(kind: &str) -> &'static str {
    match kind {
        "read" => "read=data",
        "write" => "write=out",
        "env" => "env=LANG",
        _ => "http=api.example.com",
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Some(value) => write!(f, "{}={value}", self.kind()),
            None => f.write_str(self.kind()),
        }
    }
}

/// A name that an environment can have; one is named at a time.
fn env_name(text: &str) -> Result<String, GrantError> {
    let good = |c: char| c.is_ascii_graphic() && !"=*?[]{}'\"`$\\".contains(c);
    if text.is_empty() || text.len() > 255 || !text.chars().all(good) {
        return Err(GrantError(format!(
            "`{text}` is no name of an environment variable: name each by itself, env=LANG"
        )));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> Grant {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_is_written_is_what_is_said_of_it() {
        for text in [
            "read=data",
            "write=out=/results",
            "env=LANG",
            "http=api.example.com",
            "http=http://10.0.0.5:8080",
            "clock",
        ] {
            assert_eq!(grant(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_grant_names_what_there_is() {
        for (text, part) in [
            ("reed=data", "there are read=FOLDER"),
            ("read", "write read=data"),
            ("clock=real", "write clock"),
            ("env=A*", "name each by itself"),
            ("env=", "name each by itself"),
            ("http=api.example.com/v1", "no path"),
            ("", "there are"),
        ] {
            let error = text.parse::<Grant>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_folder_to_write_in_is_one_to_read_and_not_the_other_way_round() {
        let covers = |given: &str, asked: &str| grant(given).covers(&grant(asked));
        assert!(covers("write=/srv/x=/data", "read=data"));
        assert!(covers("read=/srv/x=/data", "read=data=/data/old"));
        assert!(!covers("read=/srv/x=/data", "write=data"));
        assert!(!covers("read=data", "read=database"));
        assert!(!covers("read=/srv/x=/data/old", "read=data"));
        assert!(!covers("clock", "random"));
        assert!(covers("env=A", "env=A") && !covers("env=A", "env=a"));
    }
}
