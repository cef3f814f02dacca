//! `plugin.lock`: which bytes each plugin is, as somebody who has looked at them left it.
//!
//! A file of its own beside `sandmill.toml`, since a command writes it: it is to be checked in, and its changes are to be read.

use super::folder::Component;
use super::source::Source;
use crate::config::with_suggestion;
use crate::domain::Digest;
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

pub const LOCK_FILE: &str = "plugin.lock";
const VERSION: u32 = 1;
const HEADER: &str = "# Written by `sandmill plugin lock`: a run refuses a plugin that is not what stands here.\n\n";

/// The pins of one file.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    pins: Vec<Pin>,
}

/// One plugin, pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// As it is named: relative to the file's folder if it lies below it, or `oci://…` without a digest.
    pub plugin: String,
    /// Of the component's bytes.
    pub digest: Digest,
    /// Of what the registry has, if it comes from one.
    pub manifest: Option<Digest>,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("cannot read {path}: {reason}", path = .path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{path}: {reason}; mend it, or remove it and pin the plugins again with `sandmill plugin lock`", path = .path.display())]
    Bad { path: PathBuf, reason: String },
    #[error("cannot write {path}: {reason}", path = .path.display())]
    Unwritable { path: PathBuf, reason: String },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    #[serde(default)]
    plugin: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    plugin: String,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<String>,
}

impl Lock {
    /// A file that is not there pins nothing.
    pub fn read(path: &Path) -> Result<Self, LockError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self { path, pins: Vec::new() }),
            Err(error) => return Err(LockError::Unreadable { path, reason: crate::domain::reason(&error) }),
        };
        match parse(&text) {
            Ok(pins) => Ok(Self { path, pins }),
            Err(reason) => Err(LockError::Bad { path, reason }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn find(&self, source: &Source) -> Option<&Pin> {
        let name = self.name(source);
        self.pins.iter().find(|pin| pin.plugin == name)
    }

    /// Takes the place of what was pinned before, which it returns.
    pub fn set(&mut self, source: &Source, component: &Component) -> Option<Pin> {
        let pin = Pin { plugin: self.name(source), digest: component.digest(), manifest: component.manifest };
        if let Some(known) = self.pins.iter_mut().find(|known| known.plugin == pin.plugin) {
            return Some(std::mem::replace(known, pin));
        }
        self.pins.push(pin);
        None
    }

    /// The file is whole on return, the old one until then.
    pub fn write(&mut self) -> Result<(), LockError> {
        self.pins.sort_by(|one, other| one.plugin.cmp(&other.plugin));
        let failed = |reason: String| LockError::Unwritable { path: self.path.clone(), reason };
        let entry = |pin: &Pin| Entry {
            plugin: pin.plugin.clone(),
            digest: pin.digest.to_string(),
            manifest: pin.manifest.as_ref().map(ToString::to_string),
        };
        let document = Document { version: VERSION, plugin: self.pins.iter().map(entry).collect() };
        let text = toml::to_string(&document).map_err(|error| failed(error.to_string()))?;
        let write = || {
            let mut file = tempfile::Builder::new().prefix(".plugin-lock-").tempfile_in(self.folder())?;
            file.write_all(HEADER.as_bytes())?;
            file.write_all(text.as_bytes())?;
            let mode =
                self.path.metadata().map_or(0o644, |meta| std::os::unix::fs::PermissionsExt::mode(&meta.permissions()));
            file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode & 0o777))?;
            file.as_file().sync_all()?;
            file.persist(&self.path).map_err(|error| error.error)
        };
        write().map(drop).map_err(|error| failed(error.to_string()))
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new("/"))
    }

    /// The same for the same plugin, from wherever and however it is named.
    fn name(&self, source: &Source) -> String {
        match source {
            Source::Registry(reference) => reference.without_digest().to_string(),
            Source::Path(path) => {
                let real = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
                let path = real(path).unwrap_or_else(|_| path.clone());
                let folder = real(self.folder()).unwrap_or_else(|_| self.folder().to_path_buf());
                let name = path.strip_prefix(&folder).unwrap_or(&path).to_string_lossy().into_owned();
                if name.is_empty() { ".".to_owned() } else { name }
            }
        }
    }
}

fn parse(text: &str) -> Result<Vec<Pin>, String> {
    let document: Document = toml::from_str(text).map_err(|error| with_suggestion(error.to_string()))?;
    if document.version != VERSION {
        return Err(format!("it is of version {}, and this sandmill knows {VERSION}", document.version));
    }
    let digest = |text: &str, plugin: &str| text.parse::<Digest>().map_err(|error| format!("`{plugin}`: {error}"));
    let mut pins: Vec<Pin> = Vec::new();
    for Entry { plugin, digest: of_component, manifest } in document.plugin {
        if pins.iter().any(|pin| pin.plugin == plugin) {
            return Err(format!("`{plugin}` stands there twice"));
        }
        let manifest = manifest.map(|text| digest(&text, &plugin)).transpose()?;
        pins.push(Pin { digest: digest(&of_component, &plugin)?, manifest, plugin });
    }
    Ok(pins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Needs;
    use crate::registry::Reference;

    fn component(bytes: &[u8], manifest: Option<Digest>) -> Component {
        Component {
            path: "x".into(),
            bytes: bytes.to_vec(),
            is_text: false,
            signature: None,
            manifest,
            needs: Needs::default(),
            name: None,
            digest: std::sync::OnceLock::new(),
        }
    }

    #[test]
    fn what_is_pinned_is_found_however_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("plugins/p")).unwrap();
        let mut lock = Lock::read(&dir.path().join(LOCK_FILE)).unwrap();
        let at = |path: &str| Source::Path(dir.path().join(path));
        assert_eq!(lock.set(&at("plugins/p"), &component(b"1", None)), None);
        let oci = |text: &str| Source::Registry(Reference::parse(text).unwrap());
        lock.set(&oci("oci://ghcr.io/a/p:1"), &component(b"2", Some(Digest::of(b"m"))));
        lock.write().unwrap();
        let text = std::fs::read_to_string(dir.path().join(LOCK_FILE)).unwrap();
        assert!(text.contains("plugin = \"plugins/p\"") && text.starts_with("# Written by"), "{text}");
        let mut lock = Lock::read(&dir.path().join(LOCK_FILE)).unwrap();
        for name in ["plugins/p", "plugins/p/", "./plugins/../plugins/p"] {
            assert_eq!(lock.find(&at(name)).unwrap().digest, Digest::of(b"1"), "{name}");
        }
        let with_digest = format!("oci://ghcr.io/a/p:1@{}", Digest::of(b"other"));
        assert_eq!(lock.find(&oci(&with_digest)).unwrap().manifest, Some(Digest::of(b"m")));
        assert!(lock.find(&oci("oci://ghcr.io/a/p:2")).is_none() && lock.find(&at("plugins")).is_none());
        let old = lock.set(&at("plugins/p"), &component(b"3", None)).unwrap();
        assert_eq!(old.digest, Digest::of(b"1"));
    }

    #[test]
    fn a_file_that_cannot_be_believed_is_refused() {
        let digest = Digest::of(b"");
        let check = |text: &str, part: &str| {
            let reason = parse(text).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        };
        check("version = 2", "version 2");
        check("version = 1\n[[plugin]]\nplugin = \"p\"\ndigest = \"x\"", "`p`: it is no digest");
        check("version = 1\n[[plugin]]\nplugin = \"p\"", "digest");
        check("version = 1\nplugins = 3", "plugins");
        let twice = format!("[[plugin]]\nplugin = \"p\"\ndigest = \"{digest}\"\n").repeat(2);
        check(&format!("version = 1\n{twice}"), "twice");
    }
}
