//! From what wasmtime says to what failed the item.

use super::limits::Exceeded;
use super::state::GuestState;
use crate::domain::{Failure, FailureClass, Verdict, sanitize_text};
use std::fmt::Write;
use wasmtime::component::ResourceTableError;
use wasmtime::{Store, Trap, WasmBacktrace};

/// Bytes of guest text in a message, and in a backtrace.
const MESSAGE_BYTES_MAX: usize = 2_000;
const BACKTRACE_BYTES_MAX: usize = 8_000;
const FRAMES_MAX: usize = 32;

/// Raised by a host function that stops the guest without failing the item.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("suspended")]
pub(super) struct SuspendGuest;

/// How an attempt ended that wasmtime reports as an error.
pub(super) fn verdict(error: &wasmtime::Error, store: &Store<GuestState>) -> Verdict {
    if error.downcast_ref::<SuspendGuest>().is_some() {
        return Verdict::Suspended;
    }
    let state = store.data();
    let trap = error.downcast_ref::<Trap>().copied();
    let mut failure = match exceeded(error, trap, state) {
        Some(limit) => limit.failure(&state.limits),
        None => unlimited(error, trap, state),
    };
    failure.backtrace = Some(backtrace(error, state));
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
        return Failure::new(FailureClass::Trap, format!("the plugin ended itself with exit code {code}"));
    }
    let stderr = last_lines(&state.stderr.text());
    let cause =
        trap.map_or_else(|| sanitize_text(&error.root_cause().to_string(), MESSAGE_BYTES_MAX), |t| t.to_string());
    Failure::new(FailureClass::Trap, if stderr.is_empty() { cause } else { format!("{cause}: {stderr}") })
}

/// The end of stderr in one line: where most languages put what went wrong.
fn last_lines(text: &str) -> String {
    // Rust's standard library tells of a variable that a plugin has no way to set.
    let of_use = |line: &&str| !line.is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(of_use).collect();
    let tail = &lines[lines.len().saturating_sub(3)..];
    sanitize_text(&tail.join(" | "), MESSAGE_BYTES_MAX)
}

fn backtrace(error: &wasmtime::Error, state: &GuestState) -> String {
    let mut text = String::new();
    if let Some(trace) = error.downcast_ref::<WasmBacktrace>() {
        for (depth, frame) in trace.frames().iter().take(FRAMES_MAX).enumerate() {
            let name = frame.func_name().map_or_else(|| format!("function {}", frame.func_index()), rustc_demangle);
            let _ = write!(text, "{depth:>3}: {name}");
            if let Some(symbol) = frame.symbols().first()
                && let Some(file) = symbol.file()
            {
                let _ = write!(text, "\n       at {file}:{}", symbol.line().unwrap_or(0));
            }
            text.push('\n');
        }
    }
    for (name, tail) in [("stdout", &state.stdout), ("stderr", &state.stderr)] {
        let said = tail.text();
        if !said.trim().is_empty() {
            let _ = write!(text, "{name}:\n{}\n", said.trim_end());
        }
    }
    sanitize_text(&text, BACKTRACE_BYTES_MAX)
}

fn rustc_demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
