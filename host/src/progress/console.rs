//! Everything that is said on stderr, in the form that is asked for: to a person or to a program. Messages never break the screen: they
//! go above it.

use super::compact::{self, Due};
use super::log;
use super::screen::{Screen, size_of};
use super::told::{Weight, line, weight};
use super::unblocked::Unblocked;
use crate::clock::SystemClock;
use crate::domain::{Event, EventSink, sanitize_text};
use crate::monitor::Snapshot;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The longest thing that is said at once.
const LINE_BYTES_MAX: usize = 32_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    Normal,
    /// Each longer wait, each failure, what plugins log.
    Verbose,
}

/// How it is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// For a person.
    #[default]
    Text,
    /// One JSON object a line; whoever wants that sets up `log::layer` first.
    Json,
}

/// Writes to stderr.
#[derive(Clone)]
pub struct Console {
    verbosity: Verbosity,
    form: Form,
    screen: Option<Arc<Screen>>,
}

impl Console {
    /// For a person.
    pub fn new(verbosity: Verbosity) -> Self {
        Self::in_form(verbosity, Form::Text)
    }

    pub fn in_form(verbosity: Verbosity, form: Form) -> Self {
        let is_drawn = form == Form::Text && verbosity > Verbosity::Quiet && is_able(&std::io::stderr());
        let screen = is_drawn.then(|| {
            let is_coloured = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
            let out: Box<dyn Write + Send> = match Unblocked::new(std::io::stderr()) {
                Ok(out) => Box::new(out),
                Err(_) => Box::new(std::io::stderr()),
            };
            Arc::new(Screen::new(out, Box::new(|| size_of(std::io::stderr())), is_coloured))
        });
        Self { verbosity, form, screen }
    }

    /// A line for whoever reads; not when they asked for quiet.
    pub fn say(&self, text: &str) {
        match self.form {
            Form::Json => log::say(text),
            Form::Text if self.verbosity > Verbosity::Quiet => self.line(text),
            Form::Text => {}
        }
    }

    /// The same, also to those who asked for quiet.
    pub fn insist(&self, text: &str) {
        match self.form {
            Form::Json => self.line(&log::object(text, None, None, &SystemClock::new())),
            Form::Text => self.line(text),
        }
    }

    /// The last thing that is said: `text` to a person, `summary` (JSON) to a program. `words`: in one line, to those who want to hear of
    /// nothing but what went wrong.
    pub fn conclude(&self, text: &str, summary: &str, words: &str, is_well: bool) {
        match self.form {
            Form::Json => log::summary(words, summary, is_well),
            Form::Text if self.verbosity > Verbosity::Quiet => self.line(text),
            Form::Text if is_well => {}
            Form::Text => self.line(words),
        }
    }

    fn line(&self, text: &str) {
        let text = sanitize_text(text, LINE_BYTES_MAX) + "\n";
        match &self.screen {
            Some(screen) => screen.above(&text),
            // Whoever read it may have gone; that is no reason to stop the batch.
            None => drop(std::io::stderr().lock().write_all(text.as_bytes())),
        }
    }

    /// Shows how it stands until it is dropped.
    pub async fn follow(self, mut figures: watch::Receiver<Arc<Snapshot>>) {
        if self.verbosity == Verbosity::Quiet {
            return std::future::pending().await;
        }
        let mut due = Due::default();
        // Without the signal the next look sees the new size.
        let mut resized = signal(SignalKind::window_change()).ok();
        loop {
            let changed = tokio::select! {
                changed = figures.changed() => changed,
                Some(()) = received(resized.as_mut()) => {
                    self.screen.iter().for_each(|screen| screen.redraw());
                    continue;
                }
            };
            if changed.is_err() {
                // Nobody looks any more; what was shown last stays.
                return std::future::pending().await;
            }
            let now = Arc::clone(&figures.borrow_and_update());
            match &self.screen {
                Some(screen) => screen.show(now),
                None if due.is_told(&now) => self.tell_progress(&now),
                None => {}
            }
        }
    }

    fn tell_progress(&self, now: &Snapshot) {
        let text = compact::line(now);
        match (self.form, serde_json::to_string(now)) {
            (Form::Json, Ok(figures)) => log::progress(&text, &figures),
            (Form::Text, _) | (Form::Json, Err(_)) => self.line(&text),
        }
    }

    /// Takes the figures off the screen.
    pub fn finish(&self) {
        if let Some(screen) = &self.screen {
            screen.clear();
        }
    }
}

/// A terminal on which lines can be drawn over.
pub fn is_able(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

async fn received(signal: Option<&mut tokio::signal::unix::Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    }
}

impl EventSink for Console {
    fn emit(&self, event: Event) {
        if self.form == Form::Json {
            return log::tell(&event);
        }
        let is_told = match weight(&event) {
            Weight::Figures => false,
            Weight::Detail => self.verbosity == Verbosity::Verbose,
            Weight::News => self.verbosity > Verbosity::Quiet,
        };
        if is_told {
            self.line(&line(&event));
        }
    }
}
