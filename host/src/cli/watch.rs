//! `status --watch`: the status again and again, from the store, until the run ends.

use super::Failure;
use super::status::View;
use super::status_figures::Paces;
use crate::clock::Clock;
use crate::domain::escape_json;
use crate::monitor::Snapshot;
use crate::progress::Screen;
use crate::store::StoreError;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks; where a look takes long, the pauses are longer, so that no more than a fifth of the time is spent on it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const SHARE: u32 = 4;
/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Where it is shown.
pub(super) enum Form {
    /// In place.
    Terminal(Screen),
    /// A line every ten seconds.
    Lines,
    /// The same, as JSON.
    Json,
}

/// Shows what `look` finds until the run has ended; its last look is always shown.
pub(super) async fn watch(
    clock: &dyn Clock,
    form: Form,
    mut paces: Paces,
    out: &mut dyn Write,
    mut look: impl FnMut() -> Result<View, StoreError>,
) -> Result<(), Failure> {
    let mut shown: Option<Duration> = None;
    let mut state = String::new();
    let first = clock.monotonic();
    loop {
        let began = clock.monotonic();
        let view = look()?;
        let now = clock.monotonic();
        paces.saw(now.saturating_sub(first), &view);
        let figures = view.figures(&paces);
        let is_due = shown.is_none_or(|at| now >= at + LINE_EVERY) || !view.goes_on;
        let gone = match &form {
            Form::Terminal(screen) => {
                draw(screen, &view, figures, &mut state);
                false
            }
            Form::Lines if is_due => writeln!(out, "{}", view.line(&figures)).and_then(|()| out.flush()).is_err(),
            Form::Json if is_due => {
                let line = view.json(Some(&figures)).to_string();
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

/// Whether it runs stands above the figures, once; at the end all that is known takes their place.
fn draw(screen: &Screen, view: &View, figures: Snapshot, state: &mut String) {
    if !view.goes_on {
        screen.clear();
        screen.above(&view.text());
        return;
    }
    if *state != view.state {
        screen.above(&format!("Job {}: {}\n", view.job, view.state));
        state.clone_from(&view.state);
    }
    screen.show(Arc::new(figures));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::progress::Size;
    use crate::store::{Counts, Live, UsageTotals};
    use std::sync::{Mutex, PoisonError};

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
            started_ms: 0,
            now_ms: 0,
            live: Live::default(),
            guests: None,
            groups: Vec::new(),
        }
    }

    async fn watched(form: Form, looks: u64) -> String {
        let mut out = Vec::new();
        let mut done = 0;
        let look = || {
            done += 1;
            Ok(view(done, done < looks))
        };
        assert!(watch(&SimulatedClock::default(), form, Paces::default(), &mut out, look).await.is_ok());
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn piped_it_is_a_line_every_ten_seconds_and_one_at_the_end() {
        let text = watched(Form::Lines, 26).await;
        let done: Vec<&str> = text.lines().map(|line| line.split(" of ").next().unwrap()).collect();
        assert_eq!(done, ["j: 1", "j: 11", "j: 21", "j: 26"], "{text}");
        assert!(text.lines().last().unwrap().contains("1.0 items/s"), "{text}");
    }

    /// What a terminal was sent.
    #[derive(Clone, Default)]
    struct Sent(Arc<Mutex<Vec<u8>>>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn on_a_terminal_each_look_replaces_the_one_before_and_the_last_says_all() {
        let sent = Sent::default();
        let size = || Size { columns: 80, rows: 24 };
        watched(Form::Terminal(Screen::new(Box::new(sent.clone()), Box::new(size), false)), 4).await;
        let mut terminal = vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0);
        terminal.process(String::from_utf8(sent.0.lock().unwrap().clone()).unwrap().replace('\n', "\r\n").as_bytes());
        let text = terminal.screen().contents();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines[..3],
            ["Job j: running", "Job j: running", "  items   4 of 100 done, 0 skipped, 0 failed, 96 pending"],
            "{text}"
        );
        assert!(text.contains("2.0 KiB") && !text.contains('░'), "{text}");
    }
}
