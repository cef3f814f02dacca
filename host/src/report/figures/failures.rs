//! Failed items by kind, each kind with examples.

use super::super::JobCommand;
use super::{NAME_BYTES_MAX, TEXT_BYTES_MAX};
use crate::domain::{CrashCard, ItemSeq, shortened};
use crate::store::{FailedGroup, ItemRow, Reader, StoreError, decode_card};
use serde::Serialize;

/// Kinds of failure that are told, the most frequent ones.
const GROUPS_MAX: u64 = 20;
/// Codes of rejections.
const REJECTIONS_MAX: u64 = 10;
/// Frames and lines of a crash that are told.
const FRAMES_MAX: usize = 12;
const LINES_MAX: usize = 8;

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Failures {
    pub groups: Vec<FailureGroup>,
    /// Kinds that are not listed.
    pub groups_left_out: u64,
    /// Attempts that the plugin rejected and that were begun anew, the most frequent codes.
    pub rejections: Vec<Rejection>,
}

/// Failed items of one class and code.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailureGroup {
    pub class: String,
    pub code: String,
    pub count: u64,
    /// The one that was seen first, and the one that was seen last.
    pub examples: Vec<FailureExample>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailureExample {
    pub id: String,
    pub line: u64,
    pub attempts: u64,
    pub ended_ms: Option<u64>,
    pub message: String,
    /// The command that shows all of it.
    pub show: String,
    /// Of a plugin that did not end by itself.
    pub crash: Option<CrashFigures>,
}

/// The crash card, shorter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CrashFigures {
    pub kind: String,
    pub cause: String,
    /// The innermost place that the plugin's author wrote.
    pub place: Option<String>,
    pub said: Option<String>,
    pub last_call: Option<String>,
    pub frames: Vec<String>,
    /// Of what it wrote, the last lines.
    pub lines: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rejection {
    pub code: String,
    pub count: u64,
    /// One of their messages.
    pub message: String,
}

impl Failures {
    pub(super) fn read(reader: &Reader, job: &JobCommand) -> Result<Self, StoreError> {
        let (groups, kinds) = reader.failed_groups(GROUPS_MAX)?;
        let groups = groups.into_iter().map(|group| read_group(reader, job, group)).collect::<Result<Vec<_>, _>>()?;
        let rejections = reader.rejected_groups(REJECTIONS_MAX)?.into_iter().map(|group| Rejection {
            code: text(&group.code, NAME_BYTES_MAX),
            count: group.count,
            message: text(&group.message, TEXT_BYTES_MAX),
        });
        Ok(Self {
            groups_left_out: kinds.saturating_sub(groups.len() as u64),
            groups,
            rejections: rejections.collect(),
        })
    }
}

fn read_group(reader: &Reader, job: &JobCommand, group: FailedGroup) -> Result<FailureGroup, StoreError> {
    let mut items: Vec<ItemSeq> = vec![group.first, group.last];
    items.dedup();
    let rows = items.into_iter().map(|item| reader.item_at(item)).collect::<Result<Vec<_>, _>>()?;
    Ok(FailureGroup {
        class: text(&group.class, NAME_BYTES_MAX),
        code: text(&group.code, NAME_BYTES_MAX),
        count: group.count,
        examples: rows.iter().flatten().map(|row| failure(row, job)).collect(),
    })
}

/// A failed item as pages show it: bounded, and with the start of its crash card.
pub fn failure(row: &ItemRow, job: &JobCommand) -> FailureExample {
    FailureExample {
        id: text(&row.id, NAME_BYTES_MAX),
        line: row.line,
        attempts: row.attempts,
        ended_ms: row.ended_ms,
        message: text(row.message.as_deref().unwrap_or_default(), TEXT_BYTES_MAX),
        show: job.of_item("failed show", &row.id),
        crash: row.card.as_deref().map(crash),
    }
}

/// A card that a later version wrote is told as one that cannot be read.
fn crash(card: &str) -> CrashFigures {
    match decode_card(card) {
        Ok(card) => crash_figures(&card),
        Err(error) => CrashFigures {
            kind: "unknown".into(),
            cause: text(&error.to_string(), TEXT_BYTES_MAX),
            place: None,
            said: None,
            last_call: None,
            frames: Vec::new(),
            lines: Vec::new(),
        },
    }
}

fn crash_figures(card: &CrashCard) -> CrashFigures {
    let frame = |frame: &crate::domain::Frame| match frame.place() {
        Some(place) => format!("{} at {}", text(&frame.function, NAME_BYTES_MAX), text(&place, NAME_BYTES_MAX)),
        None => text(&frame.function, NAME_BYTES_MAX),
    };
    let lines: Vec<&String> = [&card.log, &card.stdout, &card.stderr].into_iter().flatten().collect();
    let last = &lines[lines.len().saturating_sub(LINES_MAX)..];
    CrashFigures {
        kind: card.kind.name().into(),
        cause: text(&card.cause, TEXT_BYTES_MAX),
        place: card.place().and_then(crate::domain::Frame::place).map(|place| text(&place, NAME_BYTES_MAX)),
        said: card.said.as_deref().map(|said| text(said, TEXT_BYTES_MAX)),
        last_call: card.last_call.as_ref().map(|call| text(&call.to_string(), TEXT_BYTES_MAX)),
        frames: card.frames.iter().take(FRAMES_MAX).map(frame).collect(),
        lines: last.iter().map(|line| text(line, NAME_BYTES_MAX)).collect(),
    }
}

fn text(text: &str, most: usize) -> String {
    shortened(text, most).into_owned()
}
