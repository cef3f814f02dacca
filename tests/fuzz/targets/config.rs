//! Files that people write: sandmill.toml, the policy, plugin.toml, a mock's faults.

use sandmill::catalog::Catalog;
use sandmill::config::fuzzing as config;
use sandmill::kit::fuzzing as kit;
use sandmill::provider::Faults;

/// The first byte chooses the file.
pub(crate) fn files(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let refusal = match kind {
        b'p' => config::policy(text).err().map(|error| error.to_string()),
        b'k' => kit::manifest(text).err(),
        b'f' => Faults::parse(text).err().map(|error| error.to_string()),
        _ => match config::config(text) {
            Ok(config) => Catalog::embedded().with_tables(&config.model).err(),
            Err(error) => Some(error.to_string()),
        },
    };
    assert!(refusal.is_none_or(|refusal| !refusal.is_empty()));
}
