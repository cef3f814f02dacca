//! What the fuzz targets reach of this module: the text of `plugin.toml`. Part of no build but theirs (`tests/fuzz`).

use super::folder;

/// The error is for a person.
pub fn manifest(text: &str) -> Result<(), String> {
    folder::parse_manifest(text).map(|_| ())
}
