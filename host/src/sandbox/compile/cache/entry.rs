//! What an entry is called, and what it looks like: a header with a checksum, then the native code.

use sha2::{Digest, Sha256};
use std::hash::{Hash, Hasher};
use twox_hash::xxhash3_128::Hasher as XxHash3;
use wasmtime::Engine;

/// Of the header's form, and of what native code means to this program beyond wasmtime's own version.
const MAGIC: [u8; 24] = *b"sandmill compiled 2\n\0\0\0\0";
const HEADER_BYTES: usize = MAGIC.len() + size_of::<u64>() + size_of::<u128>();
/// Hexadecimal digits of the component's digest, and of what else the code depends on.
const DIGEST_DIGITS: usize = 64;
const REST_DIGITS: usize = 32;

/// What native code depends on: the component's bytes, how they are read, the engine, the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Key(String);

impl Key {
    /// `digest`: SHA-256 of the component as it was given, in hexadecimal. `is_text`: it is in text form.
    pub(in super::super) fn new(engine: &Engine, digest: &str, is_text: bool) -> Self {
        let mut rest = Collector(Sha256::new_with_prefix(env!("CARGO_PKG_VERSION")));
        is_text.hash(&mut rest);
        engine.precompile_compatibility_hash().hash(&mut rest);
        let rest = hex::encode(rest.0.finalize());
        Self(format!("{digest}-{}", &rest[..REST_DIGITS]))
    }

    #[cfg(test)]
    pub(super) fn named(name: &str) -> Self {
        Self(name.into())
    }

    /// Of the file.
    pub(super) fn name(&self) -> &str {
        &self.0
    }
}

/// Whether a file of this name is one of ours.
pub(super) fn is_name(name: &str) -> bool {
    let is_hex = |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.split_once('-').is_some_and(|(digest, rest)| is_hex(digest, DIGEST_DIGITS) && is_hex(rest, REST_DIGITS))
}

/// What is fed to a `Hasher`, kept whole.
struct Collector(Sha256);

impl Hasher for Collector {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nobody asks: what is wanted is the whole digest.
    fn finish(&self) -> u64 {
        0
    }
}

pub(super) fn header(key: &Key, artefact: &[u8]) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..MAGIC.len()].copy_from_slice(&MAGIC);
    header[MAGIC.len()..MAGIC.len() + 8].copy_from_slice(&(artefact.len() as u64).to_le_bytes());
    header[MAGIC.len() + 8..].copy_from_slice(&checksum(key, artefact));
    header
}

/// An entry that is as it was written, under the key that it was written under.
pub(in super::super) struct Whole(Vec<u8>);

impl Whole {
    pub(super) fn check(key: &Key, bytes: Vec<u8>) -> Option<Self> {
        let (head, artefact) = bytes.split_at_checked(HEADER_BYTES)?;
        (head == header(key, artefact)).then_some(Self(bytes))
    }

    pub(in super::super) fn artefact(&self) -> &[u8] {
        &self.0[HEADER_BYTES..]
    }
}

/// Finds damage, which is all that a checksum beside the data can do; SHA-256 took longer than all the rest of a start.
fn checksum(key: &Key, artefact: &[u8]) -> [u8; 16] {
    let mut hasher = XxHash3::new();
    hasher.write(key.name().as_bytes());
    hasher.write(artefact);
    hasher.finish_128().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::super::settings;
    use super::*;

    #[test]
    fn native_code_for_another_engine_component_or_form_has_another_name() {
        let engine = Engine::new(&settings::config()).unwrap();
        let other = Engine::new(settings::config().epoch_interruption(false)).unwrap();
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let keys = [
            Key::new(&engine, &one, false),
            Key::new(&engine, &two, false),
            Key::new(&engine, &one, true),
            Key::new(&other, &one, false),
        ];
        for (nth, key) in keys.iter().enumerate() {
            assert!(is_name(key.name()), "{key:?}");
            assert!(!keys[..nth].contains(key), "{key:?}");
        }
        assert_eq!(keys[0], Key::new(&Engine::new(&settings::config()).unwrap(), &one, false));
    }
}
