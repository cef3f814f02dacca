//! What a PLUGIN argument names.

use super::folder::Component;
use crate::domain::Needs;
use crate::registry::{Pulled, Reference, RegistryError};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where a plugin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A component, or a plugin's folder.
    Path(PathBuf),
    Registry(Reference),
}

impl Source {
    /// Whether what was given is of a registry, rather than a path that could be made absolute.
    pub fn is_registry(plugin: &Path) -> bool {
        plugin.to_str().is_some_and(Reference::is_meant)
    }

    pub fn parse(plugin: &Path) -> Result<Self, RegistryError> {
        match plugin.to_str() {
            Some(text) if Reference::is_meant(text) => Ok(Self::Registry(Reference::parse(text)?)),
            Some(_) | None => Ok(Self::Path(plugin.to_path_buf())),
        }
    }
}

impl Component {
    pub fn pulled(reference: &Reference, pulled: Pulled) -> Self {
        let path = PathBuf::from(reference.with_digest(pulled.manifest).to_string());
        let Pulled { bytes, signature, manifest, .. } = pulled;
        Self {
            path,
            bytes,
            is_text: false,
            signature,
            manifest: Some(manifest),
            needs: Needs::default(),
            name: None,
            digest: OnceLock::new(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Registry(reference) => write!(f, "{reference}"),
        }
    }
}
