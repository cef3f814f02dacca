//! From what wasmtime says to what failed the item.

use super::attempt::StopCause;
use super::limits::Limits;
use super::state::GuestState;
use crate::domain::{Failure, FailureClass, Verdict, sanitize_text};
use std::fmt::Write;
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
    let (class, message) = classify(error, trap, state);
    let mut failure = Failure::new(class, message);
    failure.backtrace = Some(backtrace(error, state));
    Verdict::Failed(failure)
}

fn classify(error: &wasmtime::Error, trap: Option<Trap>, state: &GuestState) -> (FailureClass, String) {
    let limits = &state.limits;
    if trap == Some(Trap::Interrupt) {
        return (FailureClass::CpuTime, cpu_message(limits));
    }
    if trap == Some(Trap::StackOverflow) {
        return (FailureClass::Stack, "the plugin's stack overflowed: endless or very deep recursion".into());
    }
    if let Some(cause) = state.meter.refused {
        return refused(cause, limits);
    }
    // wasmtime gives this error no type of its own; a test holds the text.
    if format!("{error:#}").contains("fuel allocated for hostcalls has been exhausted") {
        return crossing(error, limits);
    }
    if let Some(wasmtime_wasi::I32Exit(code)) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        return (FailureClass::Trap, format!("the plugin ended itself with exit code {code}"));
    }
    let stderr = last_lines(&state.stderr.text());
    let cause =
        trap.map_or_else(|| sanitize_text(&error.root_cause().to_string(), MESSAGE_BYTES_MAX), |t| t.to_string());
    (FailureClass::Trap, if stderr.is_empty() { cause } else { format!("{cause}: {stderr}") })
}

pub(super) fn cpu_message(limits: &Limits) -> String {
    format!(
        "the plugin used more than {} of processor time: an endless loop, or raise --limit-cpu",
        humantime::format_duration(limits.cpu_time)
    )
}

fn refused(cause: StopCause, limits: &Limits) -> (FailureClass, String) {
    match cause {
        StopCause::Memory => (
            FailureClass::Memory,
            format!(
                "the plugin asked for more than {} MiB of memory: it allocates without end, or raise --limit-memory",
                limits.memory_bytes >> 20
            ),
        ),
        StopCause::Table => (
            FailureClass::ResourceLimit,
            format!("the plugin asked for more than {} table elements", limits.table_elements),
        ),
    }
}

/// Too many bytes between guest and host. With no guest frame on the stack it is what `process` returned.
fn crossing(error: &wasmtime::Error, limits: &Limits) -> (FailureClass, String) {
    let in_call = error.downcast_ref::<WasmBacktrace>().is_some_and(|trace| !trace.frames().is_empty());
    let mib = limits.crossing_bytes >> 20;
    if in_call {
        (FailureClass::ResourceLimit, format!("the plugin handed the host more than {mib} MiB in one call"))
    } else {
        (FailureClass::OutputTooLarge, format!("the plugin returned more than {mib} MiB: emit less per item"))
    }
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
