//! What a plugin is handed: the item, and what stands around it, with JSON already turned into the plugin's own types.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Failure;
use crate::bindings::sandmill::plugin::{blobs, types as wit};

/// The most that [`Blob::read_all`] asks for at a time.
const BLOB_CHUNK_BYTES: u32 = 1 << 20;

/// One unit of work: a line of the input.
#[derive(Debug, Clone, PartialEq)]
pub struct Item<T> {
    /// Unique within the job, and the same in every run.
    pub id: String,
    /// Position in the input, from 0.
    pub index: u64,
    /// The item itself. Use [`serde_json::Value`] for `T` if the shape is open, or `Box<serde_json::value::RawValue>` for the
    /// text as it stood in the input.
    pub data: T,
    /// Bytes that came with the item. Often none.
    pub blobs: Vec<Blob>,
    /// What a newer host may add.
    pub extra: BTreeMap<String, Value>,
}

/// Bytes that the host holds: a scan, a sound. Hand it to [`llm::Chat::blob`](crate::llm::Chat::blob), and the bytes never
/// enter the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Unique within the item.
    pub name: String,
    /// Such as `image/png`.
    pub mime_type: String,
    /// In bytes.
    pub size: u64,
    /// SHA-256, as 64 lower case hexadecimal digits.
    pub digest: String,
    /// What a newer host may add.
    pub extra: BTreeMap<String, Value>,
}

/// What stands around an item.
#[derive(Debug, Clone, PartialEq)]
pub struct Context<C> {
    /// The job's name.
    pub job: String,
    /// 1, and one more each time the plugin answered with a retryable failure for this item.
    pub attempt: u32,
    pub config: C,
    /// What is left for this item, as it stood when the attempt began.
    pub budget: Budget,
    /// What a newer host may add.
    pub extra: BTreeMap<String, Value>,
}

/// What is left before the host refuses with [`ErrorKind::Limit`](crate::llm::ErrorKind::Limit). None: no limit was set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Budget {
    /// Calls to a provider, each element of [`llm::all`](crate::llm::all) being one.
    pub calls: Option<u64>,
    /// Tokens, read and written together.
    pub tokens: Option<u64>,
    /// Millionths of a US dollar.
    pub micro_dollars: Option<u64>,
    /// What a newer host may add.
    pub extra: BTreeMap<String, Value>,
}

impl<T: DeserializeOwned> Item<T> {
    pub(crate) fn from_wit(item: wit::Item) -> Result<Self, Failure> {
        let data = serde_json::from_str(&item.json).map_err(|error| {
            Failure::permanent("bad_item", format!("the item is not what this plugin reads: {error}"))
        })?;
        let blobs = item.blobs.into_iter().map(Blob::from_wit).collect();
        Ok(Self { id: item.id, index: item.index, data, blobs, extra: extra_map(&item.extra) })
    }
}

impl<C: DeserializeOwned> Context<C> {
    pub(crate) fn from_wit(context: wit::Context) -> Result<Self, Failure> {
        let config = serde_json::from_str(&context.config).map_err(|error| {
            Failure::permanent("bad_config", format!("the configuration is not what this plugin takes: {error}"))
        })?;
        let wit::Budget { calls, tokens, micro_dollars, extra } = context.budget;
        Ok(Self {
            job: context.job,
            attempt: context.attempt,
            config,
            budget: Budget { calls, tokens, micro_dollars, extra: extra_map(&extra) },
            extra: extra_map(&context.extra),
        })
    }
}

impl Blob {
    fn from_wit(blob: wit::Blob) -> Self {
        let extra = extra_map(&blob.extra);
        Self { name: blob.name, mime_type: blob.mime_type, size: blob.size, digest: blob.digest, extra }
    }

    /// At most `length` bytes from `offset`; fewer, or none, where the blob ends. Fails with the code `missing_blob`.
    pub fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>, Failure> {
        blobs::read(&self.name, offset, length).map_err(|message| Failure::permanent("missing_blob", message))
    }

    /// All of it. It has to fit the plugin's memory.
    pub fn read_all(&self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        loop {
            let chunk = self.read(bytes.len() as u64, BLOB_CHUNK_BYTES)?;
            if chunk.is_empty() {
                return Ok(bytes);
            }
            bytes.extend_from_slice(&chunk);
        }
    }
}

/// The host hands out only valid JSON; what is not is left out, like a name that nobody knows.
pub(crate) fn extra_map(pairs: &[wit::Pair]) -> BTreeMap<String, Value> {
    pairs.iter().filter_map(|pair| Some((pair.name.clone(), serde_json::from_str(&pair.value).ok()?))).collect()
}

/// `None`: the value has no JSON form.
pub(crate) fn pair(name: impl Into<String>, value: impl Serialize) -> Option<wit::Pair> {
    let value = serde_json::to_string(&value).ok()?;
    Some(wit::Pair { name: name.into(), value })
}
