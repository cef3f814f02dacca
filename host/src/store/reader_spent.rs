//! What calls have used up, those without an answer among them: limits over a job and over an item go on from there.

use super::error::StoreError;
use super::reader::Reader;
use crate::domain::ItemSeq;
use rusqlite::{Connection, params};

impl Reader {
    /// Tokens that calls without an answer may have taken: nobody told.
    pub fn lost_tokens(&self) -> Result<u64, StoreError> {
        self.query(|connection| {
            connection.query_row(
                "SELECT coalesce(sum(lost_tokens), 0) FROM call_end INDEXED BY call_end_books WHERE state IN ('failed', 'unknown')",
                [],
                |row| row.get::<_, i64>(0).map(i64::cast_unsigned),
            )
        })
    }
}

/// What an item's calls took, in millionths of a dollar and in tokens.
pub(super) fn of_item(connection: &Connection, item: ItemSeq) -> rusqlite::Result<(u64, u64)> {
    connection
        .prepare_cached(
            "SELECT coalesce(sum(e.cost), 0),
                    coalesce(sum(coalesce(e.input_tokens, 0) + coalesce(e.output_tokens, 0) + coalesce(e.lost_tokens, 0)), 0)
             FROM call c JOIN call_end e ON e.call = c.id WHERE c.item = ?1",
        )?
        .query_row(params![item.0], |row| {
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()))
        })
}
