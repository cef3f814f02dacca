//! What the fuzz targets reach of this module: the files' texts. Part of no build but theirs (`tests/fuzz`).

use super::{Config, ConfigError, Policy, parse};
use std::path::Path;

pub fn config(text: &str) -> Result<Config, ConfigError> {
    parse(text, Path::new("sandmill.toml"))
}

pub fn policy(text: &str) -> Result<Policy, ConfigError> {
    parse(text, Path::new("policy.toml"))
}
