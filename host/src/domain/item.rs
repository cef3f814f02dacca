//! Items: what the batch consists of, and how one is told from another.

use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// The longest id, in bytes. Ids are shown, indexed and put into every output line.
const ID_BYTES_MAX: usize = 1024;

/// The name of an item: unique in its job, the same in every run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(Arc<str>);

impl ItemId {
    /// Takes an id from the input: 1 to 1,024 bytes, without control characters.
    pub fn new(text: &str) -> Result<Self, BadItemId> {
        if text.is_empty() {
            return Err(BadItemId::Empty);
        }
        if text.len() > ID_BYTES_MAX {
            return Err(BadItemId::TooLong(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(BadItemId::ControlCharacter);
        }
        Ok(Self(text.into()))
    }

    /// The id of an item that brings none: the start of the digest of its content, and a number from the second
    /// item of the same content on. The same content gets the same ids in every run, wherever it stands.
    pub fn from_content(content: &str, nth: u64) -> Self {
        let digest = hex::encode(&Sha256::digest(content.as_bytes())[..12]);
        Self(if nth == 0 { digest.into() } else { format!("{digest}-{}", nth + 1).into() })
    }

    /// The id under which a line of the input is kept that is no item at all.
    pub fn from_bad_line(line: u64) -> Self {
        Self(format!("line {line}").into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadItemId {
    #[error("the id is empty")]
    Empty,
    #[error("the id is {0} bytes long: at most {ID_BYTES_MAX} are allowed")]
    TooLong(usize),
    #[error("the id holds a control character")]
    ControlCharacter,
}

/// An item's number in its store, given when it is first registered, never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemSeq(pub i64);

/// SHA-256 over id and content: two items of one fingerprint are the same work.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    pub fn of(id: &ItemId, content: &[u8]) -> Self {
        Self::with_files(id, content, &[])
    }

    /// Also over the bytes of files, wherever they lie.
    pub fn with_files(id: &ItemId, content: &[u8], files: &[BlobFile]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update((id.as_str().len() as u64).to_le_bytes());
        hasher.update(id.as_str().as_bytes());
        hasher.update(content);
        for file in files {
            // A byte that no JSON has, so that a file is not taken for content.
            hasher.update([0]);
            hasher.update(&file.digest);
        }
        Self(hasher.finalize().into())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..8]))
    }
}

/// Bytes that came with an item and that stay with the host unless the plugin reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    pub name: String,
    pub mime_type: String,
    /// SHA-256, 64 hexadecimal digits.
    pub digest: String,
    pub bytes: Arc<[u8]>,
}

/// Bytes of an item that stay in their file until the item runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobFile {
    /// What the plugin calls it.
    pub name: String,
    pub mime_type: String,
    /// In bytes, when it was registered, like the digest.
    pub size: u64,
    /// SHA-256, 64 hexadecimal digits.
    pub digest: String,
    /// Absolute.
    pub path: String,
}

impl BlobFile {
    /// The most that one may have, in bytes: it is held in memory while its item runs.
    pub const BYTES_MAX: u64 = 256 << 20;
}

/// One item as a plugin is handed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub seq: ItemSeq,
    pub id: ItemId,
    /// Position in the input, from 0.
    pub index: u64,
    /// Valid JSON.
    pub json: Arc<str>,
    pub blobs: Arc<[Blob]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_from_content_is_the_same_in_every_run_and_tells_repetitions_apart() {
        let first = ItemId::from_content(r#"{"a":1}"#, 0);
        assert_eq!(first, ItemId::from_content(r#"{"a":1}"#, 0));
        assert_eq!(ItemId::from_content(r#"{"a":1}"#, 1).as_str(), format!("{first}-2"));
        assert_ne!(first, ItemId::from_content(r#"{"a":2}"#, 0));
    }

    #[test]
    fn an_id_that_could_break_a_line_is_refused() {
        assert_eq!(ItemId::new("a\nb"), Err(BadItemId::ControlCharacter));
        assert_eq!(ItemId::new(""), Err(BadItemId::Empty));
        assert!(ItemId::new("a b/c").is_ok());
    }

    #[test]
    fn a_fingerprint_does_not_confuse_id_with_content() {
        let split = |id: &str, content: &str| Fingerprint::of(&ItemId::new(id).unwrap(), content.as_bytes());
        assert_ne!(split("ab", "c"), split("a", "bc"));
    }

    #[test]
    fn a_fingerprint_follows_the_bytes_of_a_file_and_not_its_place() {
        let of = |digest: &str, path: &str| {
            let (name, mime_type) = ("file".to_owned(), "image/png".to_owned());
            let file = BlobFile { name, mime_type, size: 1, digest: digest.into(), path: path.into() };
            Fingerprint::with_files(&ItemId::new("a").unwrap(), b"{}", &[file])
        };
        assert_eq!(of("1", "/a"), of("1", "/b"));
        assert_ne!(of("1", "/a"), of("2", "/a"));
        assert_ne!(of("1", "/a"), Fingerprint::of(&ItemId::new("a").unwrap(), b"{}"));
    }
}
