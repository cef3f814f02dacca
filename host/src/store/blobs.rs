//! Files that belong to items, and what is read of a job by the job that goes on with its outputs.

use super::reader::PAGE_BYTES;
use super::types::Cursor;
use super::{Reader, Store, StoreError, codec};
use crate::domain::{BlobFile, Emission, ItemSeq};
use rusqlite::{Connection, params};

/// A finished item with an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneRow {
    pub at: Cursor,
    pub id: String,
    pub emissions: Vec<Emission>,
}

pub(super) fn write(connection: &Connection, seq: i64, blobs: &[BlobFile]) -> rusqlite::Result<()> {
    for (nth, blob) in (0_i64..).zip(blobs) {
        connection
            .prepare_cached(
                "INSERT INTO item_blob (item, nth, name, mime_type, size, digest, path) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                seq,
                nth,
                blob.name,
                blob.mime_type,
                blob.size.cast_signed(),
                blob.digest,
                blob.path
            ])?;
    }
    Ok(())
}

pub(super) fn replace(connection: &Connection, seq: i64, blobs: &[BlobFile]) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM item_blob WHERE item = ?1")?.execute(params![seq])?;
    write(connection, seq, blobs)
}

impl Store {
    /// The files of an item; off the async threads.
    pub async fn blobs(&self, item: ItemSeq) -> Result<Vec<BlobFile>, StoreError> {
        let reader = self.reader().clone();
        tokio::task::spawn_blocking(move || reader.blobs(item)).await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Reader {
    /// The files of an item.
    pub fn blobs(&self, item: ItemSeq) -> Result<Vec<BlobFile>, StoreError> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT name, mime_type, size, digest, path FROM item_blob WHERE item = ?1 ORDER BY nth",
                )?
                .query_map(params![item.0], |row| {
                    Ok(BlobFile {
                        name: row.get(0)?,
                        mime_type: row.get(1)?,
                        size: row.get::<_, i64>(2)?.cast_unsigned(),
                        digest: row.get(3)?,
                        path: row.get(4)?,
                    })
                })?
                .collect()
        })
    }

    /// A page of finished items with an output, in the order of the input: at most `limit`, and fewer where they are large.
    /// Empty: there are no more.
    pub fn done_after(&self, after: Option<Cursor>, limit: usize) -> Result<Vec<DoneRow>, StoreError> {
        let after = after.map_or(-1, |cursor| cursor.0);
        let rows: Vec<(i64, String, String)> = self.query(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT i.position, i.id, o.emissions FROM item i JOIN outcome o ON o.item = i.seq
                 WHERE i.position > ?1 AND o.state = 'done' ORDER BY i.position LIMIT ?2",
            )?;
            let mut rows = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
            let (mut page, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let (position, id, emissions): (_, _, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                bytes += emissions.len();
                page.push((position, id, emissions));
                if bytes >= PAGE_BYTES {
                    break;
                }
            }
            Ok(page)
        })?;
        rows.into_iter()
            .map(|(position, id, emissions)| {
                Ok(DoneRow { at: Cursor(position), id, emissions: codec::decode_emissions(&emissions)? })
            })
            .collect()
    }

    /// Tells the visitor of each finished item with an output its id and which execution ended it, and when: what changes
    /// whenever its output may have changed. Reads no output.
    pub fn for_each_done_mark(&self, mut visit: impl FnMut(&str, i64, i64)) -> Result<(), StoreError> {
        self.query(|connection| {
            let mut statement = connection.prepare(
                "SELECT i.id, coalesce(o.attempt, 0), o.ended_ms FROM item i JOIN outcome o ON o.item = i.seq
                 WHERE i.position IS NOT NULL AND o.state = 'done' ORDER BY i.position",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                visit(row.get_ref(0)?.as_str()?, row.get(1)?, row.get(2)?);
            }
            Ok(())
        })
    }
}
