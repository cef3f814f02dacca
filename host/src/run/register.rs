//! From the input to the store: every item is registered before the first one runs, so that totals, duplicates and a resume from
//! stdin follow from the store alone.

use crate::domain::{Fingerprint, ItemId};
use crate::input::{Entry, InputError, Record};
use crate::store::{Added, NewItem, Registration, RegistrationReport, Store, StoreError};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};

/// What to do about an id that comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicatePolicy {
    Error,
    /// The first one stands.
    Skip,
}

/// What the input holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    pub report: RegistrationReport,
    pub duplicates_skipped: u64,
    /// Lines that are no items; they are registered as failed.
    pub bad_lines: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the id `{id}` comes twice, in lines {first} and {second}: make ids unique, choose another field with --id-field, or keep the first with --on-duplicate skip"
    )]
    Duplicate { id: String, first: u64, second: u64 },
}

/// One of `of` parts of the input, chosen by the items' ids, so that an item keeps its part whatever stands around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 0, and below `of`.
    pub index: u32,
    pub of: u32,
}

impl Shard {
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    fn holds(self, id: &ItemId) -> bool {
        let digest = Sha256::digest(id.as_str().as_bytes());
        let number = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
        number % self.of == self.index
    }
}

/// How much of the input is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Take so many records and no more.
    pub limit: Option<u64>,
    /// Positions count through the whole input, so that the parts can be put together again.
    pub shard: Shard,
}

/// Reads everything; blocks. `source` is stored as the mark of a complete registration.
pub fn register(
    records: impl Iterator<Item = Result<Record, InputError>>,
    store: &Store,
    policy: DuplicatePolicy,
    extent: Extent,
    source: &str,
    now_ms: u64,
) -> Result<Registered, RegisterError> {
    let mut registration = store.begin_registration(now_ms)?;
    let mut registered = Registered { report: RegistrationReport::default(), duplicates_skipped: 0, bad_lines: 0 };
    let mut nth = ContentCounts::default();
    // What was handed over and not yet settled: as many as the registration buffers.
    let mut unsettled = VecDeque::new();
    let take = extent.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    for (position, record) in (0..).zip(records.take(take)) {
        let record = record?;
        let is_bad = record.entry.is_err();
        let item = new_item(record, position, &mut nth);
        if !extent.shard.holds(&item.id) {
            continue;
        }
        registered.bad_lines += u64::from(is_bad);
        unsettled.push_back((item.id.clone(), item.line));
        registration.add(item)?;
        settle(&mut registration, &mut unsettled, policy, &mut registered)?;
    }
    registration.flush()?;
    settle(&mut registration, &mut unsettled, policy, &mut registered)?;
    registered.report = registration.finish(source)?;
    Ok(registered)
}

fn settle(
    registration: &mut Registration,
    unsettled: &mut VecDeque<(ItemId, u64)>,
    policy: DuplicatePolicy,
    registered: &mut Registered,
) -> Result<(), RegisterError> {
    while let Some(added) = registration.settled() {
        let item = unsettled.pop_front();
        match (added, policy, item) {
            (Added::Duplicate { .. }, DuplicatePolicy::Skip, _) => registered.duplicates_skipped += 1,
            (Added::Duplicate { first_line }, DuplicatePolicy::Error, Some((id, line))) => {
                return Err(RegisterError::Duplicate { id: id.to_string(), first: first_line, second: line });
            }
            (Added::New | Added::Unchanged | Added::Changed | Added::Duplicate { .. }, _, _) => {}
        }
    }
    Ok(())
}

fn new_item(record: Record, position: u64, nth: &mut ContentCounts) -> NewItem {
    let line = record.line;
    match record.entry {
        Ok(Entry { id, json, files }) => {
            let id = id.unwrap_or_else(|| ItemId::from_content(&json, nth.next(&json)));
            NewItem {
                fingerprint: Fingerprint::with_files(&id, json.as_bytes(), &files),
                id,
                line,
                position,
                input: json,
                problem: None,
                blobs: files,
            }
        }
        Err(bad) => {
            let id = ItemId::from_bad_line(line);
            NewItem {
                fingerprint: Fingerprint::of(&id, bad.raw.as_bytes()),
                id,
                line,
                position,
                input: bad.raw,
                problem: Some(bad.message),
                blobs: Vec::new(),
            }
        }
    }
}

/// How often each content without an id came so far: eight bytes an item without an id.
#[derive(Default)]
struct ContentCounts {
    seen: HashMap<u64, u64>,
}

impl ContentCounts {
    fn next(&mut self, content: &str) -> u64 {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let key = BuildHasherDefault::<DefaultHasher>::default().hash_one(content);
        let count = self.seen.entry(key).or_default();
        let nth = *count;
        *count += 1;
        nth
    }
}
