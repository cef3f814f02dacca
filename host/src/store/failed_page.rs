//! Failed items, a page at a time: for whoever looks while a run goes on, and reads no more than is shown.

use super::StoreError;
use super::reader::{Reader, unsigned};
use crate::domain::{FailureClass, ItemSeq};
use rusqlite::{named_params, types::Value};

/// A failed item in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRow {
    pub item: ItemSeq,
    pub id: String,
    /// In the input, from 1.
    pub line: u64,
    pub class: String,
    pub code: String,
    pub message: String,
    /// Executions in all runs.
    pub attempts: u64,
    pub ended_ms: Option<u64>,
    /// Whether there is a crash card.
    pub has_card: bool,
}

/// Some of them, in the order in which they were registered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedPage {
    pub rows: Vec<FailedRow>,
    /// Whether there are more behind the last.
    pub has_more: bool,
}

/// What is read of a message, in characters; a file that others made may hold any number.
const MESSAGE_MAX: i64 = 4_000;

pub(super) const PAGE: &str = "SELECT i.seq, i.id, i.line, coalesce(o.class, ''), coalesce(o.code, ''),
            substr(coalesce(o.message, ''), 1, :message), coalesce(o.attempts, 0), o.ended_ms, o.card IS NOT NULL
     FROM outcome x INDEXED BY outcome_item JOIN item i ON i.seq = x.item JOIN outcome o ON o.item = x.item
     WHERE x.item > :after AND x.state = 'failed' AND i.position IS NOT NULL AND (:class IS NULL OR o.class = :class)
     ORDER BY x.item LIMIT :limit";

impl Reader {
    /// The failed items of the input behind the one with the number `after`, `limit` of them at most; `class`: of that class alone.
    pub fn failed_page(
        &self,
        after: ItemSeq,
        class: Option<FailureClass>,
        limit: u32,
    ) -> Result<FailedPage, StoreError> {
        let class = class.map_or(Value::Null, |class| Value::Text(class.name().to_owned()));
        let mut rows: Vec<FailedRow> = self.query(|connection| {
            let parameters = named_params! {
                ":after": after.0, ":class": class, ":limit": i64::from(limit) + 1, ":message": MESSAGE_MAX,
            };
            connection
                .prepare_cached(PAGE)?
                .query_map(parameters, |row| {
                    Ok(FailedRow {
                        item: ItemSeq(row.get(0)?),
                        id: row.get(1)?,
                        line: unsigned(row, 2)?,
                        class: row.get(3)?,
                        code: row.get(4)?,
                        message: row.get(5)?,
                        attempts: unsigned(row, 6)?,
                        ended_ms: row.get::<_, Option<i64>>(7)?.map(i64::cast_unsigned),
                        has_card: row.get(8)?,
                    })
                })?
                .collect()
        })?;
        let has_more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        Ok(FailedPage { rows, has_more })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{EndOf, Rows};
    use super::*;
    use crate::domain::test_card;

    fn failed(class: &str) -> EndOf {
        EndOf { state: "failed", class: class.into(), code: "c".into(), message: "m".into(), ..EndOf::default() }
    }

    #[test]
    fn pages_follow_each_other_and_miss_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let rows = Rows::new(dir.path(), "x");
        for nth in 1..=9_u64 {
            rows.item(&format!("i{nth}"));
            match nth {
                2 => rows.end(nth, &EndOf { state: "done", ..EndOf::default() }),
                5 => {}
                7 => rows.end(nth, &EndOf { card: Some(test_card()), ..failed("trap") }),
                _ => rows.end(nth, &failed("plugin")),
            }
        }
        let reader = rows.reader();
        let (mut after, mut seen) = (ItemSeq(0), Vec::new());
        loop {
            let page = reader.failed_page(after, None, 2).unwrap();
            assert!(page.rows.len() <= 2);
            seen.extend(page.rows.iter().map(|row| row.id.clone()));
            if !page.has_more {
                break;
            }
            after = page.rows.last().unwrap().item;
        }
        assert_eq!(seen, ["i1", "i3", "i4", "i6", "i7", "i8", "i9"]);
        let traps = reader.failed_page(ItemSeq(0), Some(FailureClass::Trap), 9).unwrap();
        assert_eq!(traps.rows.iter().map(|row| (row.id.as_str(), row.has_card)).collect::<Vec<_>>(), [("i7", true)]);
        assert!(!traps.has_more);
        assert_eq!(reader.failed_page(ItemSeq(9), None, 2).unwrap(), FailedPage::default());
    }
}
