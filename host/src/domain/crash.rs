//! What is known of an attempt that did not end by itself: for whoever mends the plugin.

use super::AttemptNumber;
use std::fmt;
use std::time::Duration;

/// How an attempt was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashKind {
    /// The component trapped, and says nothing of why.
    Trap,
    /// A Rust panic.
    Panic,
    /// An exception that nobody caught, of Python or JavaScript.
    Exception,
    /// The component ended itself with an exit code.
    Exit,
    /// A limit on something else than time.
    Limit,
    /// A limit on time: of the processor, of the host, on the wall.
    Timeout,
}

impl CrashKind {
    pub const ALL: [Self; 6] = [Self::Trap, Self::Panic, Self::Exception, Self::Exit, Self::Limit, Self::Timeout];

    /// The name in stores and on cards; never changes once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Panic => "panic",
            Self::Exception => "exception",
            Self::Exit => "exit",
            Self::Limit => "limit",
            Self::Timeout => "timeout",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A function that was under way, with where it stood if the component has debug info.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    pub function: String,
    pub file: Option<String>,
    /// From 1, as the column.
    pub line: Option<u32>,
    pub column: Option<u32>,
}

/// Folders of what an author did not write, as debug info names them.
const LIBRARIES: [&str; 8] = [
    "/rustc/",
    "/registry/src/",
    "/.cargo/",
    "/.rustup/",
    "library/std/",
    "library/core/",
    "library/alloc/",
    "/wasi-libc/",
];

impl Frame {
    /// `file:line:column`, as far as that is known.
    pub fn place(&self) -> Option<String> {
        let file = self.file.as_deref()?;
        Some(match (self.line, self.column) {
            (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
            (Some(line), None) => format!("{file}:{line}"),
            (None, _) => file.to_owned(),
        })
    }

    fn is_of_author(&self) -> bool {
        self.line.is_some()
            && self.file.as_deref().is_some_and(|file| !LIBRARIES.iter().any(|library| file.contains(library)))
    }
}

/// The last call of a function of the host that may take long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCall {
    /// `llm.complete`, say.
    pub function: String,
    /// Of a question: how many had been asked, those of this call among them; 0 of another call.
    pub questions: u64,
    /// The model role; empty where there is none.
    pub role: String,
    /// How long it took, or had taken by the end.
    pub took: Duration,
    /// From its return to the end; `None`: it had not returned, and that is what the plugin was waiting in.
    pub before_end: Option<Duration>,
}

impl fmt::Display for LastCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        if self.questions > 0 {
            write!(f, ", question {} of the attempt", self.questions)?;
        }
        if !self.role.is_empty() {
            write!(f, ", role {}", self.role)?;
        }
        let took = self.took.as_secs_f64();
        match self.before_end {
            None => write!(f, ": for {took:.1} s, and had no answer yet"),
            Some(since) => write!(f, ": took {took:.1} s, returned {:.1} s before the end", since.as_secs_f64()),
        }
    }
}

/// All of it. Texts are fit to be shown, and bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashCard {
    pub kind: CrashKind,
    /// What the engine says, or which limit was met.
    pub cause: String,
    /// What the plugin said of it: the panic with its place, or the traceback of an exception.
    pub said: Option<String>,
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// How many more there were.
    pub frames_left_out: u64,
    /// The last lines of each.
    pub stderr: Vec<String>,
    pub stdout: Vec<String>,
    pub log: Vec<String>,
    /// Processor time of the plugin.
    pub cpu: Duration,
    /// The most memory that it had.
    pub memory_bytes: u64,
    /// Calls of the host's functions.
    pub host_calls: u64,
    pub last_call: Option<LastCall>,
    pub attempt: AttemptNumber,
    /// SHA-256 of the component, in hexadecimal digits.
    pub plugin_digest: String,
}

impl CrashCard {
    /// The innermost place that the plugin's author wrote, as far as debug info tells.
    pub fn place(&self) -> Option<&Frame> {
        self.frames.iter().find(|frame| frame.is_of_author())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn card() -> CrashCard {
        let frame = |function: &str, file: &str, line| Frame {
            function: function.into(),
            file: Some(file.into()),
            line: Some(line),
            column: Some(5),
        };
        CrashCard {
            kind: CrashKind::Panic,
            cause: "wasm `unreachable` instruction executed".into(),
            said: Some("thread 'main' panicked at src/lib.rs:7:5:\nno such row".into()),
            frames: vec![
                Frame { function: "abort".into(), ..Frame::default() },
                frame("std::panicking::panic", "/rustc/abc/library/std/src/panicking.rs", 1),
                frame("plugin::look_up", "/home/me/plugin/src/lib.rs", 7),
            ],
            frames_left_out: 2,
            stderr: vec!["a".into(), "b".into()],
            stdout: Vec::new(),
            log: vec!["info: begun".into()],
            cpu: Duration::from_micros(1_500),
            memory_bytes: 1 << 20,
            host_calls: 12,
            last_call: Some(LastCall {
                function: "llm.complete".into(),
                questions: 3,
                role: "default".into(),
                took: Duration::from_millis(1_200),
                before_end: None,
            }),
            attempt: AttemptNumber(2),
            plugin_digest: "ab".repeat(32),
        }
    }

    #[test]
    fn the_place_is_the_innermost_that_the_author_wrote() {
        let place = card().place().and_then(Frame::place);
        assert_eq!(place.as_deref(), Some("/home/me/plugin/src/lib.rs:7:5"));
    }

    #[test]
    fn a_call_without_an_answer_is_what_it_waits_in() {
        let call = card().last_call.unwrap();
        assert_eq!(
            call.to_string(),
            "llm.complete, question 3 of the attempt, role default: for 1.2 s, and had no answer yet"
        );
        let returned = LastCall { before_end: Some(Duration::from_secs(2)), ..call };
        assert!(returned.to_string().ends_with("took 1.2 s, returned 2.0 s before the end"), "{returned}");
    }

    #[test]
    fn every_kind_is_found_by_its_name() {
        assert!(CrashKind::ALL.into_iter().all(|kind| CrashKind::from_name(kind.name()) == Some(kind)));
    }
}
