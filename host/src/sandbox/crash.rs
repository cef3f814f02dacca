//! The crash card: what is known of a guest that did not end by itself.

use super::limits::Exceeded;
use super::state::GuestState;
use crate::domain::{AttemptNumber, CrashCard, CrashKind, FailureClass, Frame, LastCall, sanitize_line, sanitize_text};
use std::time::Duration;
use wasmtime::WasmBacktrace;

const FRAMES_MAX: usize = 32;
/// Bytes of what is shown: of a name, of what the plugin said of its end, of a line that it wrote.
const NAME_BYTES_MAX: usize = 300;
const SAID_BYTES_MAX: usize = 4_000;
const LINE_BYTES_MAX: usize = 300;
/// The last lines of stdout and of stderr, and of the log, where a line may be a whole stack.
const OUTPUT_LINES_MAX: usize = 20;
const LOG_LINES_MAX: usize = 5;
const LOG_LINE_BYTES_MAX: usize = 2_000;

/// What a guest calls that may take long, as it goes.
#[derive(Debug, Default)]
pub(super) struct Calls {
    questions: u64,
    last: Option<Call>,
}

#[derive(Debug)]
struct Call {
    function: &'static str,
    questions: u64,
    role: String,
    /// Since the attempt began.
    began: Duration,
    ended: Option<Duration>,
}

impl Calls {
    /// `roles`: of the questions that it asks. A call that is dropped never ends.
    pub(super) fn begin<'a>(
        &mut self,
        function: &'static str,
        mut roles: impl ExactSizeIterator<Item = &'a str>,
        now: Duration,
    ) {
        let asked = roles.len() as u64;
        self.questions += asked;
        let questions = if asked == 0 { 0 } else { self.questions };
        let role = roles.next().map_or_else(String::new, |role| sanitize_line(role, NAME_BYTES_MAX));
        self.last = Some(Call { function, questions, role, began: now, ended: None });
    }

    pub(super) fn end(&mut self, now: Duration) {
        if let Some(call) = &mut self.last {
            call.ended = Some(now);
        }
    }

    fn last(&self, now: Duration) -> Option<LastCall> {
        let call = self.last.as_ref()?;
        Some(LastCall {
            function: call.function.to_owned(),
            questions: call.questions,
            role: call.role.clone(),
            took: call.ended.unwrap_or(now).saturating_sub(call.began),
            before_end: call.ended.map(|ended| now.saturating_sub(ended)),
        })
    }
}

/// Whose attempt and which plugin it was is filled in by whoever knows.
pub(super) fn card(
    class: FailureClass,
    cause: &str,
    error: Option<&wasmtime::Error>,
    state: &GuestState,
) -> Box<CrashCard> {
    let stderr = state.stderr.text();
    let log: Vec<String> = state.log.lines.iter().map(|line| format!("{}: {}", line.level, line.message)).collect();
    let told = said(&stderr, state);
    let kind = match class {
        FailureClass::CpuTime | FailureClass::HostTime | FailureClass::WallTime => CrashKind::Timeout,
        FailureClass::Trap if error.is_some_and(|e| e.downcast_ref::<wasmtime_wasi::I32Exit>().is_some()) => {
            CrashKind::Exit
        }
        FailureClass::Trap => told.as_ref().map_or(CrashKind::Trap, |(kind, _)| *kind),
        _ => CrashKind::Limit,
    };
    let (frames, frames_left_out) = frames(error);
    Box::new(CrashCard {
        kind,
        cause: sanitize_line(cause, SAID_BYTES_MAX),
        said: told.map(|(_, text)| sanitize_text(text.trim_end(), SAID_BYTES_MAX)),
        frames,
        frames_left_out,
        stderr: last_lines(stderr.lines(), OUTPUT_LINES_MAX, LINE_BYTES_MAX),
        stdout: last_lines(state.stdout.text().lines(), OUTPUT_LINES_MAX, LINE_BYTES_MAX),
        log: last_lines(log.iter().map(String::as_str), LOG_LINES_MAX, LOG_LINE_BYTES_MAX),
        cpu: state.cpu.guest(),
        memory_bytes: state.meter.memory_bytes as u64,
        host_calls: state.host_calls(),
        last_call: state.calls.last(state.wall.elapsed()),
        attempt: AttemptNumber::FIRST,
        plugin_digest: String::new(),
    })
}

fn last_lines<'a>(lines: impl Iterator<Item = &'a str>, most: usize, bytes_max: usize) -> Vec<String> {
    let lines: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(most)..].iter().map(|line| sanitize_text(line.trim_end(), bytes_max)).collect()
}

/// What the plugin's language says of its end.
fn said(stderr: &str, state: &GuestState) -> Option<(CrashKind, String)> {
    if let Some(panic) = panic_of(stderr) {
        return Some((CrashKind::Panic, panic));
    }
    if let Some(start) = stderr.rfind("Traceback (most recent call last):") {
        return Some((CrashKind::Exception, stderr[start..].to_owned()));
    }
    // The kit for JavaScript logs an error with its stack, and its runtime then repeats the first line on stderr.
    let last = state.log.lines.last().filter(|line| line.level == "error")?;
    let first_line = last.message.lines().next().filter(|line| !line.is_empty())?;
    stderr.contains(first_line).then(|| (CrashKind::Exception, last.message.clone()))
}

/// As Rust's standard library writes it, without what it says of variables that no plugin can set.
fn panic_of(stderr: &str) -> Option<String> {
    let at = stderr.rfind(" panicked at ")?;
    let start = stderr[..at].rfind('\n').map_or(0, |end| end + 1);
    let text = &stderr[start..];
    let end =
        ["\nnote: run with `RUST_BACKTRACE", "\nstack backtrace:"].iter().filter_map(|mark| text.find(mark)).min();
    Some(text[..end.unwrap_or(text.len())].to_owned())
}

/// Innermost first, those that were inlined each for itself; and how many more there were.
fn frames(error: Option<&wasmtime::Error>) -> (Vec<Frame>, u64) {
    let Some(trace) = error.and_then(|error| error.downcast_ref::<WasmBacktrace>()) else { return (Vec::new(), 0) };
    let mut frames = Vec::new();
    for frame in trace.frames() {
        let name = frame.func_name().map_or_else(|| format!("function {}", frame.func_index()), demangled);
        if frame.symbols().is_empty() {
            frames.push(Frame { function: name, ..Frame::default() });
            continue;
        }
        for symbol in frame.symbols() {
            frames.push(Frame {
                function: symbol.name().map_or_else(|| name.clone(), demangled),
                file: symbol.file().map(|file| sanitize_line(file, NAME_BYTES_MAX)),
                line: symbol.line(),
                column: symbol.column(),
            });
        }
    }
    let more = frames.len().saturating_sub(FRAMES_MAX);
    frames.truncate(FRAMES_MAX);
    (frames, more as u64)
}

fn demangled(name: &str) -> String {
    sanitize_line(&format!("{:#}", rustc_demangle::demangle(name)), NAME_BYTES_MAX)
}

/// A limit that ended a guest, with the card.
pub(super) fn by_limit(limit: Exceeded, error: Option<&wasmtime::Error>, state: &GuestState) -> crate::domain::Failure {
    let failure = limit.failure(&state.limits);
    let card = card(failure.class, &failure.message, error, state);
    crate::domain::Failure { card: Some(card), ..failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_place_and_without_advice_that_no_plugin_can_follow() {
        let stderr = "before\n\nthread 'main' (1) panicked at src/lib.rs:7:5:\nno such\nrow\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
        assert_eq!(panic_of(stderr).as_deref(), Some("thread 'main' (1) panicked at src/lib.rs:7:5:\nno such\nrow"));
        assert_eq!(panic_of("it panicked a bit"), None);
    }

    #[test]
    fn the_last_lines_are_kept_and_bounded() {
        let text = (0..100).map(|n| format!("line {n}\n\n")).collect::<Vec<_>>().concat();
        let lines = last_lines(text.lines(), 3, 6);
        assert_eq!(lines, ["line 9…", "line 9…", "line 9…"]);
        assert_eq!(last_lines("".lines(), 3, 6), [""; 0]);
    }

    #[test]
    fn a_call_that_has_not_returned_is_told_as_such() {
        let mut calls = Calls::default();
        let at = Duration::from_secs;
        assert_eq!(calls.last(at(1)), None);
        calls.begin("llm.complete-many", ["a", "b"].into_iter(), at(1));
        calls.end(at(2));
        let returned = calls.last(at(4)).unwrap();
        assert_eq!((returned.questions, returned.took, returned.before_end), (2, at(1), Some(at(2))));
        calls.begin("llm.complete", ["b"].into_iter(), at(5));
        let open = calls.last(at(8)).unwrap();
        assert_eq!((open.questions, open.role.as_str(), open.took, open.before_end), (3, "b", at(3), None));
    }
}
