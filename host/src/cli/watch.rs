//! `status --watch`: the status again and again, from the store, until the run ends.

use super::Failure;
use super::status::View;
use crate::clock::Clock;
use crate::domain::escape_json;
use crate::monitor::Pace;
use crate::store::StoreError;
use std::io::Write;
use std::time::Duration;

/// Between two looks; where a look takes long, the pauses are longer, so that no more than a fifth of the time is spent on it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const SHARE: u32 = 4;
/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Where it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In place; so many lines are there already.
    Terminal { lines: usize },
    /// A line every ten seconds.
    Lines,
    /// The same, as JSON.
    Json,
}

/// Shows what `look` finds until the run has ended; its last look is always shown.
pub(super) async fn watch(
    clock: &dyn Clock,
    mut form: Form,
    out: &mut dyn Write,
    mut look: impl FnMut() -> Result<View, StoreError>,
) -> Result<(), Failure> {
    let mut pace = Pace::default();
    let mut shown: Option<Duration> = None;
    loop {
        let began = clock.monotonic();
        let view = look()?;
        let now = clock.monotonic();
        pace.saw(now, view.ended());
        let is_due = shown.is_none_or(|at| now >= at + LINE_EVERY) || !view.goes_on;
        let gone = match &mut form {
            Form::Terminal { lines } => {
                let text = view.text(Some(&pace));
                // Up to the first line of what was written last, and all below it away; a line that is too long is cut by
                // the terminal, since one that wraps would be two.
                let up = if *lines == 0 { String::new() } else { format!("\x1b[{lines}A\x1b[J") };
                *lines = text.lines().count();
                write!(out, "\x1b[?7l{up}{text}\x1b[?7h").and_then(|()| out.flush()).is_err()
            }
            Form::Lines if is_due => writeln!(out, "{}", view.line(&pace)).and_then(|()| out.flush()).is_err(),
            Form::Json if is_due => {
                let line = view.json(Some(&pace)).to_string();
                writeln!(out, "{}", escape_json(&line)).and_then(|()| out.flush()).is_err()
            }
            Form::Lines | Form::Json => false,
        };
        if is_due {
            shown = Some(now);
        }
        // Whoever read it may have gone, as `head` does.
        if gone || !view.goes_on {
            return Ok(());
        }
        clock.sleep(LOOK_EVERY.max(now.saturating_sub(began) * SHARE)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::store::{Counts, UsageTotals};

    fn view(done: u64, goes_on: bool) -> View {
        View {
            job: "j".into(),
            counts: Counts { total: 100, done, ..Counts::default() },
            usage: UsageTotals::default(),
            runs: 1,
            state: "running".into(),
            failures: Vec::new(),
            bytes: 2048,
            paused: false,
            goes_on,
        }
    }

    async fn watched(form: Form, looks: u64) -> String {
        let mut out = Vec::new();
        let mut done = 0;
        let look = || {
            done += 1;
            Ok(view(done, done < looks))
        };
        assert!(watch(&SimulatedClock::default(), form, &mut out, look).await.is_ok());
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn piped_it_is_a_line_every_ten_seconds_and_one_at_the_end() {
        let text = watched(Form::Lines, 26).await;
        let done: Vec<&str> = text.lines().map(|line| line.split(" of ").next().unwrap()).collect();
        assert_eq!(done, ["j: 1", "j: 11", "j: 21", "j: 26"], "{text}");
        assert!(text.lines().last().unwrap().contains("1.0 items/s, about 1m 14s left"), "{text}");
    }

    #[tokio::test]
    async fn on_a_terminal_each_look_replaces_the_one_before() {
        let text = watched(Form::Terminal { lines: 0 }, 3).await;
        let lines = view(1, true).text(Some(&Pace::default())).lines().count();
        assert_eq!(text.matches(&format!("\x1b[{lines}A\x1b[J")).count(), 2, "{text:?}");
        assert!(text.contains("2.0 KiB"), "{text}");
    }
}
