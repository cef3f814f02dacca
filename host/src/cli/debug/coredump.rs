//! Where a core dump is put: a file of its own, for its owner alone, named without a word of what the item is called.

use anyhow::Context;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What opens one.
pub(super) const HOW: &str = "`wasm-tools dump FILE` lists its stack, memories and globals; debuggers that know WebAssembly core dumps open it beside the plugin's modules";

/// Found out before anything is run.
pub(super) fn prepare(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("--coredump {}: cannot make the folder", dir.display()))?;
    tempfile::NamedTempFile::new_in(dir)
        .map(drop)
        .with_context(|| format!("--coredump {}: cannot write there", dir.display()))
}

pub(super) fn write(dir: &Path, item: &str, attempt: u32, bytes: &[u8]) -> anyhow::Result<PathBuf> {
    let path = dir.join(format!("{}-{attempt}.coredump", hex::encode(&Sha256::digest(item)[..8])));
    let cannot = || format!("cannot write the core dump into {}", path.display());
    // Made with 0600, and under its name only when it is whole.
    let mut file = tempfile::NamedTempFile::new_in(dir).with_context(cannot)?;
    file.write_all(bytes).with_context(cannot)?;
    file.persist(&path).with_context(cannot)?;
    Ok(path)
}
