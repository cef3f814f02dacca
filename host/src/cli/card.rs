//! The crash card as a person reads it, in 80 columns, and the job as commands name it.

use crate::domain::{CrashCard, sanitize_line, sanitize_text};
use crate::report::JobCommand;
use crate::store::{StoreError, encode_card};
use std::fmt::Write;
use std::path::Path;

const COLUMNS: usize = 80;
/// Where texts begin behind their names, and below them.
const MARGIN: usize = 12;
/// A card holds less; a file that others made may not.
const TEXT_BYTES_MAX: usize = 8_000;
/// Generics make them long; the JSON has more of them.
const FUNCTION_BYTES_MAX: usize = 70;

/// `again`: the command.
pub(super) fn as_text(card: &CrashCard, again: Option<&str>) -> String {
    let mut sheet = Sheet(String::new());
    sheet.line("crash", &format!("{}, in attempt {}", card.kind.name(), card.attempt.0));
    sheet.line("  cause", &card.cause);
    if let Some(frame) = card.place() {
        let place = frame.place().unwrap_or_default();
        sheet.line("  at", &format!("{place}, in {}", sanitize_line(&frame.function, FUNCTION_BYTES_MAX)));
    }
    if let Some(said) = &card.said {
        sheet.line("  said", said);
    }
    if let Some(call) = &card.last_call {
        let name = if call.before_end.is_none() { "  waits in" } else { "  last call" };
        sheet.line(name, &call.to_string());
    }
    let (cpu, memory) = (card.cpu.as_secs_f64() * 1e3, bytesize::ByteSize(card.memory_bytes));
    sheet.line(
        "  took",
        &format!("{cpu:.1} ms of the processor, {memory} of memory, {} calls of the host", card.host_calls),
    );
    sheet.line("  plugin", &card.plugin_digest);
    sheet.frames(card);
    for (name, lines) in [("log", &card.log), ("stdout", &card.stdout), ("stderr", &card.stderr)] {
        sheet.block(name, lines);
    }
    if let Some(again) = again {
        sheet.line("  again", again);
    }
    sheet.0
}

/// The keys are those that are stored.
pub(super) fn as_json(card: &CrashCard) -> Result<serde_json::Value, StoreError> {
    let text = encode_card(card)?;
    serde_json::from_str(&text).map_err(|error| StoreError::Format(format!("a crash card: {error}")))
}

/// Names a job of the folder `store` in commands.
pub(super) fn job_command(job: &str, store: Option<&Path>) -> JobCommand {
    let default = std::path::absolute(super::settings::STORE).unwrap_or_default();
    let other = store.filter(|dir| std::path::absolute(dir).is_ok_and(|dir| dir != default));
    JobCommand::new(job, other.map(|dir| dir.display().to_string()))
}

struct Sheet(String);

impl Sheet {
    /// Line feeds stay; what is longer goes on below.
    fn line(&mut self, name: &str, text: &str) {
        let text = sanitize_text(text, TEXT_BYTES_MAX);
        let mut name = name;
        for line in text.trim_end().lines().flat_map(|line| wrapped(line, COLUMNS - MARGIN)) {
            // Writing into a string cannot fail.
            let _ = writeln!(self.0, "{}", format!("{name:<MARGIN$}{line}").trim_end());
            name = "";
        }
    }

    fn block(&mut self, name: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(self.0, "  {name}");
        for line in lines
            .iter()
            .flat_map(|line| sanitize_text(line, TEXT_BYTES_MAX).lines().map(str::to_owned).collect::<Vec<_>>())
        {
            for part in wrapped(&line, COLUMNS - 4) {
                let _ = writeln!(self.0, "    {}", part.trim_end());
            }
        }
    }

    fn frames(&mut self, card: &CrashCard) {
        if card.frames.is_empty() {
            return;
        }
        let _ = writeln!(self.0, "  backtrace");
        for (depth, frame) in card.frames.iter().enumerate() {
            let _ = writeln!(self.0, "  {depth:>4}  {}", sanitize_line(&frame.function, FUNCTION_BYTES_MAX));
            if let Some(place) = frame.place() {
                let _ = writeln!(self.0, "        at {}", sanitize_line(&place, TEXT_BYTES_MAX));
            }
        }
        if card.frames_left_out > 0 {
            let _ = writeln!(self.0, "        and {} more", card.frames_left_out);
        }
    }
}

/// Broken between words; a word that is longer stays whole, so that paths can be copied.
pub(super) fn wrapped(line: &str, width: usize) -> Vec<String> {
    if line.chars().count() <= width {
        return vec![line.to_owned()];
    }
    let mut lines = vec![String::new()];
    let mut length = 0;
    for word in line.split_inclusive(' ') {
        let word_length = word.trim_end().chars().count();
        if length > 0 && length + word_length > width {
            lines.push(String::new());
            length = 0;
        }
        if let Some(last) = lines.last_mut() {
            last.push_str(word);
        }
        length += word.chars().count();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_card;

    #[test]
    fn a_card_tells_what_where_and_how_it_is_seen_again() {
        let text = as_text(&test_card(), Some("sandmill debug j a"));
        let expected = "\
crash       panic, in attempt 2
  cause     wasm `unreachable` instruction executed
  at        /home/me/plugin/src/lib.rs:7:5, in plugin::look_up
  said      thread 'main' panicked at src/lib.rs:7:5:
            no such row
  waits in  llm.complete, question 3 of the attempt, role default: for 1.2 s,
            and had no answer yet
  took      1.5 ms of the processor, 1.0 MiB of memory, 12 calls of the host
";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("\n     1  std::panicking::panic\n        at /rustc/abc/library"), "{text}");
        assert!(text.contains("        and 2 more\n  log\n    info: begun\n  stderr\n    a\n    b\n"), "{text}");
        assert!(text.ends_with("  again     sandmill debug j a\n"), "{text}");
    }

    #[test]
    fn words_are_never_broken_and_lines_are_no_wider_than_the_terminal() {
        let long = "word ".repeat(100);
        let card = CrashCard { cause: long.clone(), stderr: vec![long, "x".repeat(200)], ..test_card() };
        let text = as_text(&card, None);
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS || line.ends_with(&"x".repeat(200))), "{text}");
    }

    #[test]
    fn the_folder_is_named_where_it_is_not_the_default() {
        assert_eq!(job_command("j", None).of("debug"), "sandmill debug j");
        assert_eq!(job_command("j", Some(Path::new(".sandmill"))).of("debug"), "sandmill debug j");
        assert_eq!(job_command("j", Some(Path::new("/x"))).of("debug"), "sandmill debug --store /x j");
    }
}
