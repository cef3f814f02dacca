//! From what wasmtime says to what failed the item.

use super::crash;
use super::limits::Exceeded;
use super::state::GuestState;
use crate::domain::{CrashCard, Failure, FailureClass, Verdict, sanitize_text};
use std::fmt::Write;
use wasmtime::component::ResourceTableError;
use wasmtime::{Engine, Store, Trap, WasmBacktrace};

/// Bytes of guest text in a message, and in a backtrace.
const MESSAGE_BYTES_MAX: usize = 2_000;
const BACKTRACE_BYTES_MAX: usize = 8_000;

/// Raised by a host function that stops the guest without failing the item.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("suspended")]
struct SuspendGuest;

/// Ends the guest without failing the item. It brings a backtrace without frames along, that of a store in which nothing runs: for an error without one
/// wasmtime looks up the source lines of each frame, which takes milliseconds, and nobody reads them.
pub(super) fn suspension(engine: &Engine) -> wasmtime::Error {
    wasmtime::Error::from(SuspendGuest).context(WasmBacktrace::capture(Store::new(engine, ())))
}

/// How an attempt ended that wasmtime reports as an error.
pub(super) fn verdict(error: &wasmtime::Error, store: &Store<GuestState>) -> Verdict {
    if error.downcast_ref::<SuspendGuest>().is_some() {
        return Verdict::Suspended;
    }
    let state = store.data();
    let trap = error.downcast_ref::<Trap>().copied();
    let mut failure = match exceeded(error, trap, state) {
        Some(limit) => crash::by_limit(limit, Some(error), state),
        None => unlimited(error, trap, state),
    };
    failure.backtrace = Some(backtrace(failure.card.as_deref(), state));
    Verdict::Failed(failure)
}

/// The limit that ended the guest, if one did.
fn exceeded(error: &wasmtime::Error, trap: Option<Trap>, state: &GuestState) -> Option<Exceeded> {
    match trap {
        Some(Trap::Interrupt) => return state.stopped.or(Some(Exceeded::CpuTime)),
        Some(Trap::StackOverflow) => return Some(Exceeded::Stack),
        _ => {}
    }
    let full = |error: &ResourceTableError| matches!(error, ResourceTableError::Full);
    if error.downcast_ref::<ResourceTableError>().is_some_and(full) {
        return Some(Exceeded::Handles);
    }
    // wasmtime gives these errors no types of their own; tests hold the texts.
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        // With no frame of the guest's on the stack it is what it returned.
        let in_call = error.downcast_ref::<WasmBacktrace>().is_some_and(|trace| !trace.frames().is_empty());
        return Some(if in_call { Exceeded::Transfer } else { Exceeded::Output });
    }
    if text.contains("store handle limit exceeded") {
        return Some(Exceeded::Handles);
    }
    if text.contains("count too high at") {
        return Some(Exceeded::Instances);
    }
    error.downcast_ref::<Exceeded>().copied().or(state.meter.refused)
}

fn unlimited(error: &wasmtime::Error, trap: Option<Trap>, state: &GuestState) -> Failure {
    if let Some(wasmtime_wasi::I32Exit(code)) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        let message = format!("the plugin ended itself with exit code {code}");
        let card = crash::card(FailureClass::Trap, &message, Some(error), state);
        return Failure { card: Some(card), ..Failure::new(FailureClass::Trap, message) };
    }
    let stderr = last_lines(&state.stderr.text());
    let cause =
        trap.map_or_else(|| sanitize_text(&error.root_cause().to_string(), MESSAGE_BYTES_MAX), |t| t.to_string());
    let card = crash::card(FailureClass::Trap, &cause, Some(error), state);
    let message = if stderr.is_empty() { cause } else { format!("{cause}: {stderr}") };
    Failure { card: Some(card), ..Failure::new(FailureClass::Trap, message) }
}

/// The end of stderr in one line: where most languages put what went wrong.
fn last_lines(text: &str) -> String {
    // Rust's standard library tells of a variable that a plugin has no way to set.
    let of_use = |line: &&str| !line.is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(of_use).collect();
    let tail = &lines[lines.len().saturating_sub(3)..];
    sanitize_text(&tail.join(" | "), MESSAGE_BYTES_MAX)
}

/// As `sandmill log --item` shows it.
fn backtrace(card: Option<&CrashCard>, state: &GuestState) -> String {
    let mut text = String::new();
    for (depth, frame) in card.iter().flat_map(|card| &card.frames).enumerate() {
        let _ = write!(text, "{depth:>3}: {}", frame.function);
        if let Some(place) = frame.place() {
            let _ = write!(text, "\n       at {place}");
        }
        text.push('\n');
    }
    for (name, tail) in [("stdout", &state.stdout), ("stderr", &state.stderr)] {
        let said = tail.text();
        if !said.trim().is_empty() {
            let _ = write!(text, "{name}:\n{}\n", said.trim_end());
        }
    }
    sanitize_text(&text, BACKTRACE_BYTES_MAX)
}
