//! All that is recorded of one attempt at an item, for running it again without asking anybody.

use super::reader::{Reader, unsigned};
use super::told::decode;
use super::types::CallId;
use super::{StoreError, ToldEntry, codec};
use crate::domain::{AttemptNumber, Completion, ErrorClass, ItemSeq};
use rusqlite::{OptionalExtension, Row, params};

/// An attempt as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedAttempt {
    pub number: AttemptNumber,
    /// What the guest was handed; `None`: it was never begun.
    pub context: Option<String>,
    /// The component's SHA-256 and the plugin's configuration, of the run that began it last.
    pub plugin_digest: Option<String>,
    pub config: Option<String>,
    /// In the order in which they were sent, tries that failed among them.
    pub calls: Vec<RecordedCall>,
    pub told: Vec<ToldEntry>,
}

/// A call that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedCall {
    pub id: CallId,
    pub hash: [u8; 32],
    pub occurrence: u32,
    pub route: String,
    pub model: String,
    /// The job that the answer was taken from.
    pub source: Option<String>,
    pub end: RecordedEnd,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RecordedEnd {
    Answered(Box<Completion>),
    /// The answer is no longer kept.
    Pruned,
    Failed {
        class: ErrorClass,
        code: String,
        message: String,
    },
    /// Sent, and then the process died.
    Unknown,
}

impl Reader {
    /// The numbers of the attempts at an item, in order.
    pub fn attempts(&self, item: ItemSeq) -> Result<Vec<AttemptNumber>, StoreError> {
        self.query(|connection| {
            connection
                .prepare("SELECT DISTINCT number FROM attempt WHERE item = ?1 AND run > 0 ORDER BY number")?
                .query_map(params![item.0], |row| row.get(0).map(AttemptNumber))?
                .collect()
        })
    }

    pub fn recorded(&self, item: ItemSeq, number: AttemptNumber) -> Result<RecordedAttempt, StoreError> {
        type Raw = (CallId, [u8; 32], u32, String, String, Option<String>, Result<RecordedEnd, String>);
        let key = params![item.0, number.0];
        let (context, generation, rows, told) = self.query(|connection| {
            let context: Option<String> = connection
                .prepare("SELECT context FROM attempt WHERE item = ?1 AND number = ?2 ORDER BY id LIMIT 1")?
                .query_row(key, |row| row.get(0))
                .optional()?;
            let generation: Option<(String, String)> = connection
                .prepare(
                    "SELECT g.plugin_digest, g.config FROM attempt a JOIN run r ON r.id = a.run JOIN generation g ON g.id = r.generation
                     WHERE a.item = ?1 AND a.number = ?2 ORDER BY a.id DESC LIMIT 1",
                )?
                .query_row(key, |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let rows: Vec<Raw> = connection
                .prepare(
                    "SELECT c.id, c.hash, c.occurrence, c.route, c.model, e.source, e.state, e.answer, e.class, e.code, e.message
                     FROM call c JOIN call_end e ON e.call = c.id JOIN attempt a ON a.id = c.attempt
                     WHERE c.item = ?1 AND a.number = ?2 ORDER BY c.id",
                )?
                .query_map(key, |row| {
                    Ok((CallId(row.get(0)?), row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, end(row)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let told: Vec<([u8; 32], u32, String)> = connection
                .prepare(
                    "SELECT t.hash, t.occurrence, t.fact FROM told t JOIN attempt a ON a.id = t.attempt
                     WHERE t.item = ?1 AND a.number = ?2 ORDER BY t.id",
                )?
                .query_map(key, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<rusqlite::Result<_>>()?;
            Ok((context, generation, rows, told))
        })?;
        let (plugin_digest, config) = generation.unzip();
        let call = |(id, hash, occurrence, route, model, source, end): Raw| {
            let end = match end {
                Ok(end) => end,
                Err(answer) => RecordedEnd::Answered(Box::new(codec::decode_completion(&answer)?)),
            };
            Ok(RecordedCall { id, hash, occurrence, route, model, source, end })
        };
        let told = told
            .into_iter()
            .map(|(hash, occurrence, fact)| Ok(ToldEntry { hash, occurrence, fact: decode(&fact)? }))
            .collect::<Result<_, StoreError>>()?;
        Ok(RecordedAttempt {
            number,
            context,
            plugin_digest,
            config,
            calls: rows.into_iter().map(call).collect::<Result<_, StoreError>>()?,
            told,
        })
    }

    /// The first item of the input whose plugin did not end by itself.
    pub fn first_crash(&self) -> Result<Option<String>, StoreError> {
        self.query(|connection| {
            connection
                .query_row(
                    "SELECT i.id FROM outcome o JOIN item i ON i.seq = o.item
                     WHERE o.state = 'failed' AND o.card IS NOT NULL AND i.position IS NOT NULL ORDER BY i.position LIMIT 1",
                    [],
                    |row| row.get(0),
                )
                .optional()
        })
    }

    /// How the attempt is numbered that an item's outcome is of.
    pub fn last_attempt(&self, item: ItemSeq) -> Result<Option<AttemptNumber>, StoreError> {
        self.query(|connection| {
            connection
                .query_row(
                    "SELECT a.number FROM outcome o JOIN attempt a ON a.id = o.attempt WHERE o.item = ?1",
                    params![item.0],
                    |row| unsigned(row, 0),
                )
                .optional()
        })
        .map(|number| number.map(|number| AttemptNumber(u32::try_from(number).unwrap_or(u32::MAX))))
    }
}

/// The inner error is an answer as it is stored.
fn end(row: &Row<'_>) -> rusqlite::Result<Result<RecordedEnd, String>> {
    let (state, answer): (String, Option<String>) = (row.get(6)?, row.get(7)?);
    Ok(match (state.as_str(), answer) {
        ("answered" | "taken", Some(answer)) => Err(answer),
        ("answered" | "taken", None) => Ok(RecordedEnd::Pruned),
        ("failed", _) => {
            let class: Option<String> = row.get(8)?;
            Ok(match class.as_deref().and_then(ErrorClass::from_name) {
                Some(class) => RecordedEnd::Failed {
                    class,
                    code: row.get::<_, Option<String>>(9)?.unwrap_or_default(),
                    message: row.get::<_, Option<String>>(10)?.unwrap_or_default(),
                },
                None => RecordedEnd::Unknown,
            })
        }
        _ => Ok(RecordedEnd::Unknown),
    })
}
