//! From the PLUGIN argument to the bytes of a component. Nothing is executed here.

use super::embedded::Kit;
use super::{cases, signature};
use crate::config::{NeedsTable, did_you_mean_path, with_suggestion};
use crate::domain::{Digest as ContentDigest, Grant, Needs, reason};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Component as PathComponent, Path, PathBuf};
use std::sync::OnceLock;

/// What a plugin's folder says of itself.
const MANIFEST: &str = "plugin.toml";
/// What `plugin build` leaves behind, beside `plugin.toml`.
const STAMP: &str = ".sandmill-build.json";
/// Folders that never hold sources.
const NO_SOURCES: [&str; 3] = ["target", "node_modules", "__pycache__"];
/// Files of a plugin's sources.
const SOURCES_MAX: usize = 20_000;

/// A component, ready to be loaded.
#[derive(Debug)]
pub struct Component {
    /// Of the file, or the reference of a registry, fixed to what was pulled.
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    /// It is in text form.
    pub is_text: bool,
    /// What its folder says that it asks for; nothing for a component without one.
    pub needs: Needs,
    /// The name in its folder's `plugin.toml`.
    pub name: Option<String>,
    /// A minisign signature that came with it, unchecked.
    pub signature: Option<String>,
    /// The digest of its manifest, if it comes from a registry.
    pub manifest: Option<ContentDigest>,
    /// Taken once: many megabytes are hashed in some of the time that a start has.
    pub(super) digest: OnceLock<ContentDigest>,
}

impl Component {
    /// Of its bytes.
    pub fn digest(&self) -> ContentDigest {
        *self.digest.get_or_init(|| ContentDigest::of(&self.bytes))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("there is no plugin at {path}: name a component (.wasm or .wat) or a plugin's folder{meant}", path = .path.display())]
    Missing { path: PathBuf, meant: String },
    #[error("{path} has no {MANIFEST}, and is no plugin's folder: name one that has it, or a component (.wasm or .wat); `sandmill plugin new` begins one", path = .0.display())]
    NoManifest(PathBuf),
    #[error("{path}: {reason}", path = .path.display())]
    BadManifest { path: PathBuf, reason: String },
    #[error("the plugin in {dir} has not been built: run `sandmill plugin build {dir}`", dir = .0.display())]
    NotBuilt(PathBuf),
    #[error("the plugin in {dir} has changed since it was built: run `sandmill plugin build {dir}`", dir = .0.display())]
    Stale(PathBuf),
    #[error("cannot read {path}: {reason}", path = .path.display())]
    Unreadable { path: PathBuf, reason: String },
}

/// `plugin.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FolderManifest {
    pub(super) name: String,
    /// The component, relative to the folder.
    pub(super) component: PathBuf,
    /// What it is built from, relative to the folder; the whole folder if it does not say.
    #[serde(default)]
    sources: Vec<PathBuf>,
    /// Which kit `plugin build` writes beside it.
    pub(super) kit: Option<Kit>,
    /// What the plugin asks for; the operator gives it.
    #[serde(default)]
    grants: NeedsTable,
    pub(super) build: Build,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Build {
    /// Run in the folder, without a shell.
    pub(super) command: Vec<String>,
    /// What the command makes, relative to the folder, if that is a core module of which the component is still to be made.
    pub(super) core: Option<PathBuf>,
    /// Tools that must be there.
    #[serde(default)]
    pub(super) needs: Vec<Need>,
}

/// A tool, and how to get it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Need {
    /// Run in the folder, without a shell: succeeds if the tool is there.
    pub(super) run: Vec<String>,
    /// What a person types, in the folder, to have it. Told, and never run.
    pub(super) install: String,
}

/// Which sources made which component.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Stamp {
    sources: String,
    component: String,
}

/// Finds and reads the component that `plugin` names.
pub fn locate(plugin: &Path) -> Result<Component, FolderError> {
    if !plugin.is_dir() {
        if !plugin.exists() {
            let meant = did_you_mean_path(plugin, may_be_plugin);
            return Err(FolderError::Missing { path: plugin.to_path_buf(), meant });
        }
        return read(plugin.to_path_buf());
    }
    let manifest = read_manifest(plugin)?;
    let path = plugin.join(&manifest.component);
    if !path.exists() {
        return Err(FolderError::NotBuilt(plugin.to_path_buf()));
    }
    let component = read(path)?;
    if is_stale(plugin, &manifest, &component)? {
        return Err(FolderError::Stale(plugin.to_path_buf()));
    }
    Ok(Component { needs: needs(plugin, &manifest)?, name: Some(manifest.name), ..component })
}

/// By its name, or by what lies in it.
fn may_be_plugin(path: &Path) -> bool {
    let is_component = path.extension().is_some_and(|extension| extension == "wasm" || extension == "wat");
    is_component || path.join(MANIFEST).is_file()
}

/// Where the files are, or may come to be, that a folder's component is built from.
pub fn folders_of_sources(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    walk(folder, &read_manifest(folder)?).map(|(_, folders)| folders)
}

/// The same as long as none of them has changed.
pub fn digest_of_sources(folder: &Path) -> Result<String, FolderError> {
    sources_digest(folder, &read_manifest(folder)?)
}

fn read(path: PathBuf) -> Result<Component, FolderError> {
    let bytes = std::fs::read(&path).map_err(|error| unreadable(&path, &error))?;
    let is_text = path.extension().is_some_and(|extension| extension == "wat");
    let signature = read_signature(&path)?;
    Ok(Component {
        path,
        bytes,
        is_text,
        needs: Needs::default(),
        name: None,
        signature,
        manifest: None,
        digest: OnceLock::new(),
    })
}

/// The one beside the component, if there is one.
fn read_signature(component: &Path) -> Result<Option<String>, FolderError> {
    let mut name = component.as_os_str().to_owned();
    name.push(format!(".{}", signature::EXTENSION));
    let path = PathBuf::from(name);
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(&path).and_then(|file| file.take(signature::SIGNATURE_BYTES_MAX).read_to_end(&mut bytes));
    match read {
        // What is no text is no signature either, and is told as a bad one.
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&path, &error)),
    }
}

/// A plugin names folders of its own at most: what an operator is asked to give shall not lead to a key by way of a copied line.
fn needs(folder: &Path, manifest: &FolderManifest) -> Result<Needs, FolderError> {
    let bad = |reason: String| FolderError::BadManifest { path: folder.join(MANIFEST), reason };
    let needs = manifest.grants.needs().map_err(|error| bad(format!("[grants]: {error}")))?;
    for grant in needs.all() {
        if let Grant::Read(asked) | Grant::Write(asked) = &grant
            && asked.host.components().any(|part| !matches!(part, PathComponent::Normal(_) | PathComponent::CurDir))
        {
            return Err(bad(format!(
                "[grants]: {grant} leads out of the plugin's folder: name a folder in it, or leave which it is to the operator: \"={}\"",
                asked.guest()
            )));
        }
    }
    Ok(needs)
}

fn unreadable(path: &Path, error: &std::io::Error) -> FolderError {
    FolderError::Unreadable { path: path.to_path_buf(), reason: reason(error) }
}

pub(super) fn read_manifest(folder: &Path) -> Result<FolderManifest, FolderError> {
    let path = folder.join(MANIFEST);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(FolderError::NoManifest(folder.to_path_buf()));
        }
        Err(error) => return Err(unreadable(&path, &error)),
    };
    parse_manifest(&text).map_err(|reason| FolderError::BadManifest { path, reason })
}

pub(super) fn parse_manifest(text: &str) -> Result<FolderManifest, String> {
    let manifest: FolderManifest = toml::from_str(text).map_err(|error| with_suggestion(error.to_string()))?;
    if manifest.build.command.is_empty() {
        return Err("build.command is empty: name a program and its arguments".into());
    }
    if manifest.build.needs.iter().any(|need| need.run.is_empty()) {
        return Err("build.needs has an empty `run`: name a program that succeeds if the tool is there".into());
    }
    Ok(manifest)
}

/// By the stamp of the last `plugin build`; for a component that was built by hand, by the files' times.
fn is_stale(folder: &Path, manifest: &FolderManifest, component: &Component) -> Result<bool, FolderError> {
    let built = std::fs::read(folder.join(STAMP)).ok().and_then(|bytes| serde_json::from_slice::<Stamp>(&bytes).ok());
    if let Some(built) = built
        && built.component == component.digest().hex()
    {
        return Ok(built.sources != sources_digest(folder, manifest)?);
    }
    let time = |path: &Path| path.metadata().and_then(|meta| meta.modified()).map_err(|error| unreadable(path, &error));
    let built_at = time(&component.path)?;
    for source in sources(folder, manifest)? {
        if time(&source)? > built_at {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Remembers what was built from what.
pub(super) fn stamp(folder: &Path, manifest: &FolderManifest) -> Result<PathBuf, FolderError> {
    let component = folder.join(&manifest.component);
    let bytes = std::fs::read(&component).map_err(|error| unreadable(&component, &error))?;
    let stamp = Stamp { sources: sources_digest(folder, manifest)?, component: ContentDigest::of(&bytes).hex() };
    let path = folder.join(STAMP);
    let text = serde_json::to_vec(&stamp).map_err(|error| unreadable(&path, &error.into()))?;
    std::fs::write(&path, text).map_err(|error| unreadable(&path, &error))?;
    Ok(component)
}

fn sources_digest(folder: &Path, manifest: &FolderManifest) -> Result<String, FolderError> {
    let mut hasher = Sha256::new();
    let named = |path: PathBuf| (path.strip_prefix(folder).unwrap_or(&path).to_path_buf(), path);
    let mut files: Vec<_> = sources(folder, manifest)?.into_iter().map(named).collect();
    // The same order however the folder is named, which sources outside of it would disturb.
    files.sort();
    for (name, path) in files {
        let bytes = std::fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        hasher.update(name.as_os_str().as_encoded_bytes());
        hasher.update([0]);
        hasher.update(Sha256::digest(&bytes));
    }
    Ok(hex::encode(hasher.finalize()))
}

/// Every source file, sorted.
fn sources(folder: &Path, manifest: &FolderManifest) -> Result<Vec<PathBuf>, FolderError> {
    walk(folder, manifest).map(|(files, _)| files)
}

/// Every source file, and every folder that may hold one; sorted.
fn walk(folder: &Path, manifest: &FolderManifest) -> Result<(Vec<PathBuf>, Vec<PathBuf>), FolderError> {
    let component = folder.join(&manifest.component);
    let (mut found, mut folders) = (vec![folder.join(MANIFEST)], vec![folder.to_path_buf()]);
    let listed = if manifest.sources.is_empty() { vec![PathBuf::from(".")] } else { manifest.sources.clone() };
    let mut open: Vec<PathBuf> = listed.iter().map(|source| folder.join(source)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(|error| unreadable(&path, &error))? {
                let entry = entry.map_err(|error| unreadable(&path, &error))?.path();
                let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if !name.starts_with('.')
                    && !NO_SOURCES.contains(&name)
                    && entry != component
                    && !is_of_cases(folder, &entry)
                {
                    open.push(entry);
                }
            }
            folders.push(path);
        } else if path.exists() {
            folders.extend(path.parent().map(Path::to_path_buf));
            found.push(path);
        } else {
            return Err(unreadable(&path, &std::io::Error::other(format!("{MANIFEST} names it as a source"))));
        }
        if found.len() > SOURCES_MAX {
            let reason = format!("it has more than {SOURCES_MAX} files: list the sources in {MANIFEST}");
            return Err(unreadable(folder, &std::io::Error::other(reason)));
        }
    }
    for paths in [&mut found, &mut folders] {
        paths.sort();
        paths.dedup();
    }
    Ok((found, folders))
}

/// What a plugin is tried on is no part of it.
fn is_of_cases(folder: &Path, path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == cases::EXTENSION)
        && path.parent().is_some_and(|parent| parent.ends_with(cases::FOLDER) && parent.parent() == Some(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join(MANIFEST),
            "name = \"p\"\ncomponent = \"target/p.wasm\"\n[build]\ncommand = [\"true\"]\n",
        )
        .unwrap();
        std::fs::write(dir.path().join("main.py"), "1").unwrap();
        dir
    }

    fn built(dir: &Path) {
        std::fs::create_dir_all(dir.join("target")).unwrap();
        std::fs::write(dir.join("target/p.wasm"), "component").unwrap();
        stamp(dir, &read_manifest(dir).unwrap()).unwrap();
    }

    #[test]
    fn a_folder_that_was_not_built_or_is_stale_names_the_command() {
        let dir = folder();
        let error = locate(dir.path()).unwrap_err();
        assert!(matches!(error, FolderError::NotBuilt(_)) && error.to_string().contains("sandmill plugin build"));
        built(dir.path());
        assert_eq!(locate(dir.path()).unwrap().bytes, b"component");
        std::fs::write(dir.path().join("main.py"), "2").unwrap();
        assert!(matches!(locate(dir.path()), Err(FolderError::Stale(_))));
        std::fs::write(dir.path().join("main.py"), "1").unwrap();
        assert!(locate(dir.path()).is_ok());
    }

    #[test]
    fn cases_are_no_sources() {
        let dir = folder();
        built(dir.path());
        std::fs::create_dir(dir.path().join("tests")).unwrap();
        std::fs::write(dir.path().join("tests/cases.jsonl"), "{}").unwrap();
        assert!(locate(dir.path()).is_ok());
        std::fs::write(dir.path().join("tests/test_main.py"), "1").unwrap();
        assert!(matches!(locate(dir.path()), Err(FolderError::Stale(_))));
    }

    #[test]
    fn sources_by_absolute_paths_are_the_same_however_the_folder_is_named() {
        let dir = folder();
        let kit = tempfile::tempdir_in("/tmp").unwrap();
        std::fs::write(kit.path().join("kit.c"), "1").unwrap();
        let sources = format!("sources = [\"main.py\", {:?}]", kit.path());
        let text = format!("name = \"p\"\ncomponent = \"target/p.wasm\"\n{sources}\n[build]\ncommand = [\"true\"]\n");
        std::fs::write(dir.path().join(MANIFEST), text).unwrap();
        built(dir.path());
        let roundabout: PathBuf = Path::new("/..").join(dir.path().strip_prefix("/").unwrap());
        let upwards = std::env::current_dir().unwrap().components().skip(1).map(|_| "..").collect::<PathBuf>();
        let relative = upwards.join(dir.path().strip_prefix("/").unwrap());
        for name in [roundabout, relative] {
            assert!(locate(&name).is_ok(), "{}", name.display());
        }
    }

    #[test]
    fn what_a_plugin_asks_for_is_read_and_leads_nowhere_else() {
        let dir = folder();
        let ask = |grants: &str| {
            let text = format!("name = \"p\"\ncomponent = \"target/p.wasm\"\n[build]\ncommand = [\"true\"]\n{grants}");
            std::fs::write(dir.path().join(MANIFEST), text).unwrap();
            built(dir.path());
            locate(dir.path()).map(|component| component.needs.all()).map_err(|error| error.to_string())
        };
        let asked = ask("[grants]\nread = [\"data\", \"=/corpora\"]\n[grants.optional]\nclock = true").unwrap();
        assert_eq!(asked.iter().map(Grant::as_seen).collect::<Vec<_>>(), ["read=/corpora", "read=/data", "clock"]);
        for elsewhere in ["/etc", "../..=/data", "a/../../x"] {
            let error = ask(&format!("[grants]\nread = [{elsewhere:?}]")).unwrap_err();
            assert!(error.contains("leads out of the plugin's folder"), "{error}");
        }
    }

    #[test]
    fn an_unknown_key_in_the_manifest_is_told() {
        let dir = folder();
        std::fs::write(dir.path().join(MANIFEST), "nam = 1").unwrap();
        assert!(matches!(locate(dir.path()), Err(FolderError::BadManifest { .. })));
    }
}
