//! The bytes that items are handed: those of their own files, read when they run, and those of attached files, held once.

use crate::domain::{Blob, BlobFile, Failure, FailureClass};
use crate::store::StoreError;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What the files of all items in flight may take up, in KiB; an item that finds no room waits.
const ROOM_KIB: u32 = 512 << 10;
const _: () = assert!(BlobFile::BYTES_MAX >> 10 <= ROOM_KIB as u64, "the largest file finds room");

/// Cheap to clone; all clones share the room.
#[derive(Debug, Clone)]
pub struct Blobs {
    attached: Arc<[Blob]>,
    room: Arc<Semaphore>,
}

impl Blobs {
    /// `attached` goes to every item, behind its own.
    pub fn new(attached: Arc<[Blob]>) -> Self {
        Self { attached, room: Arc::new(Semaphore::new(ROOM_KIB as usize)) }
    }

    /// Reads an item's files off the async threads. What is returned beside the bytes keeps their room; the inner error is
    /// the item's.
    pub(super) async fn load(
        &self,
        files: Vec<BlobFile>,
    ) -> Result<Result<(Arc<[Blob]>, Option<OwnedSemaphorePermit>), Failure>, StoreError> {
        if files.is_empty() {
            return Ok(Ok((Arc::clone(&self.attached), None)));
        }
        let kib = files.iter().map(|file| file.size / 1024 + 1).sum::<u64>();
        let kib = u32::try_from(kib).unwrap_or(ROOM_KIB).min(ROOM_KIB);
        // Never closed.
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await.map_err(|_| StoreError::Closed)?;
        let attached = Arc::clone(&self.attached);
        let read = move || {
            let mut blobs = files.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
            blobs.extend(attached.iter().cloned());
            Ok(Arc::from(blobs))
        };
        let blobs: Result<Arc<[Blob]>, Failure> =
            tokio::task::spawn_blocking(read).await.map_err(|_| StoreError::Closed)?;
        Ok(blobs.map(|blobs| (blobs, Some(room))))
    }
}

/// As it was registered, or not at all.
fn read(file: BlobFile) -> Result<Blob, Failure> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => changed(&file, "is no longer there"),
        _ => failure(
            "file_unreadable",
            format!("{} cannot be read ({error}): make it readable, and run the job again", file.path),
        ),
    };
    // Asked before it is opened: opening a pipe waits for a writer.
    let meta = std::fs::metadata(&file.path).map_err(unreadable)?;
    if !meta.is_file() || meta.len() != file.size {
        return Err(changed(&file, "has changed"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(file.size).unwrap_or(0));
    let open = File::open(&file.path).map_err(unreadable)?;
    open.take(file.size + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if hex::encode(Sha256::digest(&bytes)) != file.digest {
        return Err(changed(&file, "has changed"));
    }
    let BlobFile { name, mime_type, digest, .. } = file;
    Ok(Blob { name, mime_type, digest, bytes: bytes.into() })
}

fn changed(file: &BlobFile, what: &str) -> Failure {
    let way_out = "run the job again, and it is taken as it is then";
    failure("file_changed", format!("{} {what} since the job began: {way_out}", file.path))
}

fn failure(code: &str, message: String) -> Failure {
    Failure { code: code.into(), ..Failure::new(FailureClass::BadInput, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &std::path::Path, bytes: &[u8]) -> BlobFile {
        BlobFile {
            name: "file".into(),
            mime_type: "text/plain".into(),
            size: bytes.len() as u64,
            digest: hex::encode(Sha256::digest(bytes)),
            path: path.display().to_string(),
        }
    }

    fn attachment() -> Arc<[Blob]> {
        let (name, mime_type, digest) = ("table".into(), "text/csv".into(), String::new());
        Arc::new([Blob { name, mime_type, digest, bytes: b"1,2"[..].into() }])
    }

    #[tokio::test]
    async fn an_item_gets_its_file_and_what_is_attached_and_gives_the_room_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "abc").unwrap();
        let blobs = Blobs::new(attachment());
        let (got, room) = blobs.load(vec![file(&path, b"abc")]).await.unwrap().unwrap();
        let names: Vec<_> = got.iter().map(|blob| (blob.name.as_str(), &*blob.bytes)).collect();
        assert_eq!(names, [("file", &b"abc"[..]), ("table", b"1,2")]);
        assert!(blobs.room.available_permits() < ROOM_KIB as usize);
        drop(room);
        assert_eq!(blobs.room.available_permits(), ROOM_KIB as usize);
        let (got, room) = blobs.load(Vec::new()).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&got, &blobs.attached) && room.is_none());
    }

    #[tokio::test]
    async fn a_file_that_is_not_what_it_was_fails_its_item_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let blobs = Blobs::new(Arc::new([]));
        for now in [Some("abd"), Some("abcd"), None] {
            match now {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            let failure = blobs.load(vec![file(&path, b"abc")]).await.unwrap().unwrap_err();
            assert_eq!((failure.class, failure.code.as_str()), (FailureClass::BadInput, "file_changed"));
            assert!(failure.message.contains("run the job again"), "{}", failure.message);
        }
        assert_eq!(blobs.room.available_permits(), ROOM_KIB as usize);
    }
}
