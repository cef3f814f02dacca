//! `log`: kept with the item, within bounds.

use crate::domain::{sanitize_text, without_escapes};
use crate::sandbox::attempt::LogLine;
use crate::sandbox::bindings::v1_0::sandmill::plugin::log::{Host, Level};
use crate::sandbox::bindings::v1_0::sandmill::plugin::types::Pair;
use crate::sandbox::state::GuestState;
use std::fmt::Write;

/// Bytes of one line, fields included.
const LINE_BYTES_MAX: usize = 4_000;

impl Host for GuestState {
    async fn log(&mut self, level: Level, message: String, fields: Vec<Pair>) -> wasmtime::Result<()> {
        self.check_calls()?;
        let _works = self.cpu.host_works();
        let log = &mut self.log;
        if log.lines.len() >= self.limits.log_lines || log.bytes >= self.limits.log_bytes {
            log.dropped += 1;
            return Ok(());
        }
        let mut line = sanitize_text(&without_escapes(&message), LINE_BYTES_MAX);
        for field in fields.iter().take(50) {
            let _ = write!(line, " {}={}", sanitize_text(&field.name, 100), sanitize_text(&field.value, 500));
        }
        let line = sanitize_text(&line, LINE_BYTES_MAX);
        log.bytes += line.len();
        let line = LogLine { level: level_name(level), message: line };
        if let Some(listens) = &self.watch.log {
            listens(&line);
        }
        log.lines.push(line);
        Ok(())
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}
