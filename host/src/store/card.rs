//! Crash cards as they are stored and handed out: JSON, bounded.

use super::StoreError;
use crate::domain::{AttemptNumber, CrashCard, CrashKind, Frame, LastCall};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const VERSION: u32 = 1;
/// Of the JSON.
const BYTES_MAX: usize = 16 << 10;

#[derive(Serialize, Deserialize)]
struct Stored {
    v: u32,
    kind: String,
    cause: String,
    said: Option<String>,
    frames: Vec<StoredFrame>,
    frames_left_out: u64,
    stderr: Vec<String>,
    stdout: Vec<String>,
    log: Vec<String>,
    cpu_us: u64,
    memory_bytes: u64,
    host_calls: u64,
    last_call: Option<StoredCall>,
    attempt: u32,
    plugin: String,
}

#[derive(Serialize, Deserialize)]
struct StoredFrame {
    function: String,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct StoredCall {
    function: String,
    questions: u64,
    role: String,
    took_us: u64,
    /// `null`: it was waiting in it.
    before_end_us: Option<u64>,
}

/// JSON of at most 16 KiB: lines and frames are left out until it is.
pub fn encode_card(card: &CrashCard) -> Result<String, StoreError> {
    let mut stored = stored(card);
    loop {
        let text = serde_json::to_string(&stored).map_err(|error| bad(&error.to_string()))?;
        if text.len() <= BYTES_MAX || !shorten(&mut stored) {
            return Ok(text);
        }
    }
}

pub fn decode_card(text: &str) -> Result<CrashCard, StoreError> {
    let stored: Stored = serde_json::from_str(text).map_err(|error| bad(&error.to_string()))?;
    if stored.v != VERSION {
        return Err(bad(&format!("of version {}", stored.v)));
    }
    let kind = CrashKind::from_name(&stored.kind).ok_or_else(|| bad(&format!("of the kind {}", stored.kind)))?;
    let frame = |StoredFrame { function, file, line, column }| Frame { function, file, line, column };
    let call = |StoredCall { function, questions, role, took_us, before_end_us }| LastCall {
        function,
        questions,
        role,
        took: Duration::from_micros(took_us),
        before_end: before_end_us.map(Duration::from_micros),
    };
    Ok(CrashCard {
        kind,
        cause: stored.cause,
        said: stored.said,
        frames: stored.frames.into_iter().map(frame).collect(),
        frames_left_out: stored.frames_left_out,
        stderr: stored.stderr,
        stdout: stored.stdout,
        log: stored.log,
        cpu: Duration::from_micros(stored.cpu_us),
        memory_bytes: stored.memory_bytes,
        host_calls: stored.host_calls,
        last_call: stored.last_call.map(call),
        attempt: AttemptNumber(stored.attempt),
        plugin_digest: stored.plugin,
    })
}

fn stored(card: &CrashCard) -> Stored {
    let card = card.clone();
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let frame = |Frame { function, file, line, column }| StoredFrame { function, file, line, column };
    let call = |LastCall { function, questions, role, took, before_end }| StoredCall {
        function,
        questions,
        role,
        took_us: us(took),
        before_end_us: before_end.map(us),
    };
    Stored {
        v: VERSION,
        kind: card.kind.name().to_owned(),
        cause: card.cause,
        said: card.said,
        frames: card.frames.into_iter().map(frame).collect(),
        frames_left_out: card.frames_left_out,
        stderr: card.stderr,
        stdout: card.stdout,
        log: card.log,
        cpu_us: us(card.cpu),
        memory_bytes: card.memory_bytes,
        host_calls: card.host_calls,
        last_call: card.last_call.map(call),
        attempt: card.attempt.0,
        plugin: card.plugin_digest,
    }
}

/// Leaves out what is of least use, a piece at a time; false: nothing is left to leave out.
fn shorten(card: &mut Stored) -> bool {
    if let Some(lines) = [&mut card.stdout, &mut card.log, &mut card.stderr].into_iter().find(|lines| lines.len() > 1) {
        lines.remove(0);
        return true;
    }
    if card.frames.len() > 1 {
        card.frames.pop();
        card.frames_left_out += 1;
        return true;
    }
    let last_lines = [&mut card.stdout, &mut card.log, &mut card.stderr].into_iter().find(|lines| !lines.is_empty());
    last_lines.is_some_and(|lines| lines.pop().is_some())
        || card.frames.pop().is_some()
        || card.said.take().is_some()
        || !std::mem::take(&mut card.cause).is_empty()
}

fn bad(problem: &str) -> StoreError {
    StoreError::Format(format!("a crash card: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_card;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_card_comes_back_as_it_was(cause: String, said: Option<String>, line: Option<u32>, micros in 0..u64::MAX, lines in prop::collection::vec(".{0,40}", 0..9)) {
            let mut card = CrashCard { cause, said, stderr: lines, cpu: Duration::from_micros(micros), ..test_card() };
            card.frames[1].line = line;
            prop_assert_eq!(decode_card(&encode_card(&card).unwrap()).unwrap(), card);
        }
    }

    #[test]
    fn a_card_is_never_larger_than_its_bound_and_keeps_what_is_of_most_use() {
        let hostile = "\u{1}".repeat(300);
        let frame = Frame { function: hostile.clone(), ..Frame::default() };
        let card = CrashCard {
            frames: vec![frame; 32],
            stderr: vec![hostile.clone(); 20],
            stdout: vec![hostile.clone(); 20],
            log: vec![hostile.repeat(6); 5],
            ..test_card()
        };
        let text = encode_card(&card).unwrap();
        assert!(text.len() <= BYTES_MAX, "{}", text.len());
        let kept = decode_card(&text).unwrap();
        assert_eq!((kept.said, kept.last_call), (card.said.clone(), card.last_call.clone()));
        assert_eq!(kept.frames.len() as u64 + kept.frames_left_out, 34);
        let larger = CrashCard { said: Some(hostile.repeat(20)), cause: hostile.repeat(20), ..card };
        assert!(encode_card(&larger).unwrap().len() <= BYTES_MAX);
    }

    #[test]
    fn a_later_form_is_refused_and_not_guessed_at() {
        let text = encode_card(&test_card()).unwrap();
        assert!(decode_card(&text.replace("\"v\":1", "\"v\":2")).is_err());
        assert!(decode_card(&text.replace("\"panic\"", "\"whim\"")).is_err());
    }
}
