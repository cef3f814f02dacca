//! The languages that there is a kit for, and how each plugin is built.

use crate::support::{built_or_why_not, root};
use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Rust,
    Python,
    TypeScript,
    Go,
    C,
}

impl Language {
    pub(super) const ALL: [Self; 5] = [Self::Rust, Self::Python, Self::TypeScript, Self::Go, Self::C];

    /// Of the plugin.
    pub(super) fn folder(self) -> PathBuf {
        root().join("tests/conformance").join(match self {
            Self::Rust => "rust",
            Self::Python => "py",
            Self::TypeScript => "ts",
            Self::Go => "go",
            Self::C => "c",
        })
    }

    /// The plugin, built once, whichever test asks first. The error: which tool is missing, and how to have it.
    pub(super) fn built(self) -> Result<String, String> {
        static BUILT: [OnceLock<Result<String, String>>; Language::ALL.len()] =
            [const { OnceLock::new() }; Language::ALL.len()];
        BUILT[self as usize].get_or_init(|| built_or_why_not(&self.folder())).clone()
    }

    /// For tests that print no table: `None` where a tool is missing, which is told.
    #[expect(clippy::print_stderr, reason = "a test that did not take place must be told")]
    pub(super) fn built_or_told(self) -> Option<String> {
        self.built().map_err(|said| eprintln!("not tested: {self}: {said}")).ok()
    }

    /// Where the plugin crashes when it is told to, as its crash card names the author's own line: the one that says `this line`.
    pub(super) fn place_of_crash(self) -> String {
        let file = match self {
            Self::Rust => "src/lib.rs",
            Self::Python => "plugin.py",
            Self::TypeScript => "plugin.ts",
            Self::Go => "plugin.go",
            Self::C => "plugin.c",
        };
        let source = std::fs::read_to_string(self.folder().join(file)).unwrap();
        let marked: Vec<usize> =
            source.lines().zip(1..).filter(|(line, _)| line.contains("this line")).map(|(_, number)| number).collect();
        let [line] = marked.as_slice() else { panic!("{file} marks {} lines", marked.len()) };
        match self {
            Self::Python => format!("File \"plugin.py\", line {line}"),
            Self::Rust | Self::TypeScript | Self::Go | Self::C => format!("{file}:{line}"),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::TypeScript => "TypeScript",
            Self::Go => "Go",
            Self::C => "C",
        })
    }
}
