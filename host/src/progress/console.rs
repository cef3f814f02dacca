//! Lines and a bar on stderr. Messages never break the bar: they go through it.

use crate::domain::{Event, EventSink, sanitize_line, sanitize_text};
use crate::monitor::Snapshot;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Between two looks at the counts on a terminal.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// A wait shorter than this is not worth a line.
const LONG_WAIT: Duration = Duration::from_secs(1);
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

/// Writes to stderr.
#[derive(Clone)]
pub struct Console {
    verbosity: Verbosity,
    bar: Option<ProgressBar>,
}

impl Console {
    pub fn new(verbosity: Verbosity) -> Self {
        let terminal = std::io::stderr().is_terminal() && verbosity > Verbosity::Quiet;
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            // The template is a constant that is known to parse.
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg} ETA {eta}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { verbosity, bar }
    }

    /// A line for the person who watches; not when they asked for quiet.
    pub fn say(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.line(text);
        }
    }

    fn line(&self, text: &str) {
        let write = || {
            // A terminal that has gone away is no reason to stop the batch.
            let _ = writeln!(std::io::stderr().lock(), "{}", sanitize_text(text, LINE_BYTES_MAX));
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Shows how it stands until it is dropped.
    pub async fn follow(self, mut figures: watch::Receiver<Arc<Snapshot>>) {
        if self.verbosity == Verbosity::Quiet {
            return std::future::pending().await;
        }
        let every = if self.bar.is_some() { DRAW_EVERY } else { LINE_EVERY };
        let mut ticks = tokio::time::interval(every);
        ticks.tick().await;
        if let Some(bar) = &self.bar {
            let items = figures.borrow().items;
            bar.set_length(items.total);
            bar.set_position(items.before);
            bar.reset_eta();
        }
        loop {
            ticks.tick().await;
            let now = Arc::clone(&figures.borrow_and_update());
            let (ended, details) = (now.items.ended(), details(&now));
            match &self.bar {
                Some(bar) => {
                    bar.set_position(ended);
                    bar.set_message(details);
                }
                None => self.line(&format!("{ended}/{} items, {details}", now.items.total)),
            }
        }
    }

    /// Takes the bar off the screen.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Short enough for a line of 80 columns. A route that is not closed is what everybody waits for.
fn details(now: &Snapshot) -> String {
    let mut text = format!("{} failed, {} calls, {} retries", now.items.failed, now.calls, now.retries);
    if now.paused {
        text.insert_str(0, "paused, ");
    }
    for route in now.routes.iter().filter(|route| !route.is_closed()) {
        let _ = match (route.breaker, route.open_ms) {
            ("open", Some(left)) => {
                let left = humantime::format_duration(Duration::from_secs(left / 1_000 + 1));
                write!(text, ", {} open for {left}", route.name)
            }
            (breaker, _) => write!(text, ", {} {breaker}", route.name),
        };
    }
    text
}

impl EventSink for Console {
    fn emit(&self, event: Event) {
        if let Event::BreakerChanged { route, to, reason, pause, .. } = &event {
            let pause = pause.map_or(String::new(), |pause| format!(", for {:.1} s", pause.as_secs_f64()));
            self.say(&format!("route {route}: circuit breaker {to}: {}{pause}", sanitize_line(reason, 300)));
        }
        if let Event::NoProgress { patience, waiting_for } = &event {
            let patience = humantime::format_duration(*patience);
            self.say(&format!("nothing has moved for {patience}: {waiting_for}"));
        }
        if self.verbosity < Verbosity::Verbose {
            return;
        }
        self.tell(event);
    }
}

impl Console {
    /// What only those want to see who ask for more; in one line, whatever a guest or a provider says.
    fn tell(&self, event: Event) {
        let short = |text: &str| sanitize_line(text, 300);
        match event {
            Event::CallRetry { item, class, message, attempt, attempts_max, wait, .. } if wait >= LONG_WAIT => self
                .line(&format!(
                    "{item}: {class}, {}, waiting {:.1} s: {}",
                    match attempt {
                        0 => "which costs no attempt".to_owned(),
                        attempt => format!("attempt {attempt} of {attempts_max} failed"),
                    },
                    wait.as_secs_f64(),
                    short(&message)
                )),
            Event::ItemRetry { item, attempt, code, message, wait } => self.line(&format!(
                "{item}: attempt {attempt} rejected by the plugin ({code}), again in {:.1} s: {}",
                wait.as_secs_f64(),
                short(&message)
            )),
            Event::ItemFailed { item, class, code, message } => {
                self.line(&format!("{item}: failed: {class}/{code}: {}", short(&message)));
            }
            Event::GuestLog { item, level, message } => self.line(&format!("{item}: {level}: {}", short(&message))),
            Event::ItemSkipped { item, reason } => self.line(&format!("{item}: skipped: {}", short(&reason))),
            Event::RequestCut { item, tokens_before, tokens_after } => {
                self.line(&format!(
                    "{item}: cut from {tokens_before} to {tokens_after} tokens to fit the model's context"
                ));
            }
            Event::FellBack { from, to, reason } => self.line(&format!("route {from}: {reason}, {to} steps in")),
            Event::PaceLearned { route, requests, tokens } => {
                let per_minute = |limit: Option<u64>| limit.map_or("?".into(), |limit| limit.to_string());
                self.line(&format!(
                    "route {route}: the provider takes {} requests and {} tokens a minute",
                    per_minute(requests),
                    per_minute(tokens)
                ));
            }
            Event::ConcurrencyChanged { route, limit } => self.line(&format!("route {route}: {limit} calls at once")),
            Event::CallRetry { .. }
            | Event::BreakerChanged { .. }
            | Event::NoProgress { .. }
            | Event::CallAnswered { .. }
            | Event::CallReused { .. }
            | Event::GuestGaveWay { .. }
            | Event::CallFailed { .. }
            | Event::ItemDone { .. } => {}
        }
    }
}
