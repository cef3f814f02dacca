//! The kits and the first files of a plugin, carried in the program: a plugin is begun and built where this repository is not.
//!
//! Always holds: what is written into a plugin's folder is what the kit of this version of the program is, byte for byte, but for the
//! manifest of the Rust kit, which is written as it would be published: without the workspace that it lies in here.

use rust_embed::Embed;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

/// Where a plugin's folder has its kit.
pub(super) const KIT: &str = ".sandmill/kit";
/// In there: what was written, a name a line.
const LISTED: &str = "files";
/// In there: the folder is nobody's to check in.
const IGNORE: (&str, &str) = (".gitignore", "*\n");
/// What all languages have in common.
const TEMPLATE: &str = "template";
/// The workspace that the Rust kit lies in.
const WORKSPACE: &str = include_str!("../../../Cargo.toml");

/// Sources only: neither tests nor what tools leave behind. A `*` stands for slashes too.
#[derive(Embed)]
#[folder = "../guest-sdk"]
#[include = "template/**"]
#[include = "*/template/**"]
#[include = "rust/Cargo.toml"]
#[include = "rust/README.md"]
#[include = "rust/src/**/*.rs"]
#[include = "rust/wit/*.wit"]
#[include = "python/pyproject.toml"]
#[include = "python/README.md"]
#[include = "python/src/sandmill_plugin/**/*.py"]
#[include = "python/src/sandmill_plugin/py.typed"]
#[include = "python/src/sandmill_plugin/wit/*.wit"]
#[include = "js/package.json"]
#[include = "js/README.md"]
#[include = "js/bin/*.js"]
#[include = "js/src/*.js"]
#[include = "js/types/*.d.ts"]
#[include = "js/wit/*.wit"]
#[include = "go/go.mod"]
#[include = "go/README.md"]
#[include = "go/*.go"]
#[include = "go/*.s"]
#[include = "go/internal/**"]
#[include = "go/sandmilltest/*.go"]
#[include = "c/README.md"]
#[include = "c/sandmill*.[ch]"]
#[include = "c/bindings/*"]
#[include = "c/yyjson/*"]
#[exclude = "**/__pycache__/**"]
#[exclude = "**/target/**"]
#[exclude = "**/node_modules/**"]
#[exclude = "**/.pytest_cache/**"]
#[exclude = "go/schema_test.go"]
#[exclude = "go/sandmilltest/*_test.go"]
struct GuestSdk;

/// What a plugin's folder wants to have beside it, as `plugin.toml` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kit {
    Rust,
    Python,
    Js,
    Go,
    C,
}

impl Kit {
    const fn folder(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Js => "js",
            Self::Go => "go",
            Self::C => "c",
        }
    }
}

/// What a plugin is begun in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Rust,
    Python,
    JavaScript,
    TypeScript,
    Go,
    C,
}

impl Language {
    pub const ALL: [Self; 6] = [Self::Rust, Self::Python, Self::JavaScript, Self::TypeScript, Self::Go, Self::C];

    pub(super) const fn kit(self) -> Kit {
        match self {
            Self::Rust => Kit::Rust,
            Self::Python => Kit::Python,
            Self::JavaScript | Self::TypeScript => Kit::Js,
            Self::Go => Kit::Go,
            Self::C => Kit::C,
        }
    }

    const fn template(self) -> &'static str {
        match self {
            Self::Rust => "rust/template",
            Self::Python => "python/template",
            Self::JavaScript => "js/template/js",
            Self::TypeScript => "js/template/ts",
            Self::Go => "go/template",
            Self::C => "c/template",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
            Self::TypeScript => "TypeScript",
            Self::Go => "Go",
            Self::C => "C",
        })
    }
}

type Files = BTreeMap<String, Cow<'static, [u8]>>;

/// What a new plugin in a language begins with, by path; its name is still to be put in.
pub(super) fn template(language: Language) -> Files {
    let mut files = below(TEMPLATE);
    files.extend(below(language.template()));
    files
}

/// The kit's files, by path from the folder of the kits.
fn kit(kit: Kit) -> Result<Files, String> {
    let folder = kit.folder();
    let mut files = Files::new();
    for (name, bytes) in below(folder) {
        if !name.starts_with("template/") {
            files.insert(format!("{folder}/{name}"), bytes);
        }
    }
    if kit == Kit::Rust
        && let Some(manifest) = files.get_mut("rust/Cargo.toml")
    {
        let text = String::from_utf8_lossy(manifest);
        *manifest = Cow::Owned(by_itself(&text, WORKSPACE)?.into_bytes());
    }
    Ok(files)
}

fn below(folder: &str) -> Files {
    let named = |path: Cow<'static, str>| {
        let name = path.strip_prefix(folder)?.strip_prefix('/')?.to_owned();
        Some((name, GuestSdk::get(&path)?.data))
    };
    GuestSdk::iter().filter_map(named).collect()
}

/// A package's manifest with what it has of its workspace written out, as `cargo package` does it.
fn by_itself(manifest: &str, workspace: &str) -> Result<String, String> {
    let parse = |text: &str| text.parse::<toml::Table>().map_err(|error| error.to_string());
    let (mut manifest, workspace) = (parse(manifest)?, parse(workspace)?);
    // Whoever builds the kit runs none of its tests.
    for section in ["lints", "dev-dependencies"] {
        manifest.remove(section);
    }
    for section in ["package", "dependencies"] {
        let shared = workspace.get("workspace").and_then(|it| it.get(section)).and_then(toml::Value::as_table);
        let Some(own) = manifest.get_mut(section).and_then(toml::Value::as_table_mut) else { continue };
        for (name, value) in own.iter_mut().filter(|(_, value)| value.get("workspace").is_some()) {
            let found = shared.and_then(|shared| shared.get(name));
            *value = match found.filter(|_| value.as_table().is_some_and(|own| own.len() == 1)) {
                Some(found) => found.clone(),
                None => return Err(format!("{section}.{name} is not what the workspace has, and no more")),
            };
        }
    }
    toml::to_string(&manifest).map_err(|error| error.to_string())
}

/// Sees to it that a plugin's folder has its kit, of this version of the program. Touches no file that is as it should be.
pub(super) fn lay(folder: &Path, which: Kit) -> std::io::Result<()> {
    let root = folder.join(KIT);
    let files = kit(which).map_err(std::io::Error::other)?;
    let mut listed = String::new();
    for name in files.keys() {
        listed.push_str(name);
        listed.push('\n');
    }
    let before = std::fs::read_to_string(root.join(LISTED)).unwrap_or_default();
    for gone in before.lines().filter(|name| !files.contains_key(*name) && is_inside(name)) {
        match std::fs::remove_file(root.join(gone)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    write(&root.join(IGNORE.0), IGNORE.1.as_bytes())?;
    for (name, bytes) in &files {
        write(&root.join(name), bytes)?;
    }
    // Last: whatever came before it is written again if this run is cut short.
    write(&root.join(LISTED), listed.as_bytes())
}

fn is_inside(name: &str) -> bool {
    Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Whole or not at all; programs can be run. A file that is as it should be is left alone, so that compilers see no change.
pub(super) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    std::fs::create_dir_all(&folder)?;
    let mut file = tempfile::Builder::new().permissions(permissions(bytes)).tempfile_in(&folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Of a program, and of any other file; less what the person's umask takes off.
fn permissions(bytes: &[u8]) -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(if bytes.starts_with(b"#!") { 0o777 } else { 0o666 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KITS: [Kit; 5] = [Kit::Rust, Kit::Python, Kit::Js, Kit::Go, Kit::C];

    fn sdk() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-sdk")
    }

    fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { files_below(&path, found) } else { found.push(path) }
        }
    }

    /// A file that came since the program was compiled is in the program when it is compiled again.
    #[test]
    fn what_is_carried_is_what_lies_in_the_repository() {
        for path in GuestSdk::iter() {
            let there = std::fs::read(sdk().join(&*path)).unwrap_or_default();
            assert!(GuestSdk::get(&path).unwrap().data == there, "{path}: touch host/src/kit/embedded.rs");
        }
        let sources =
            ["template", "rust/src", "rust/wit", "js/src", "js/wit", "js/bin", "go/internal", "c/bindings", "c/yyjson"];
        let python = [
            "python/src/sandmill_plugin",
            "python/template",
            "rust/template",
            "js/template",
            "go/template",
            "c/template",
        ];
        let mut found = Vec::new();
        for folder in sources.iter().chain(&python) {
            files_below(&sdk().join(folder), &mut found);
        }
        let aside = ["__pycache__", ".pytest_cache", "node_modules", "target"];
        for path in found.iter().filter(|path| !path.iter().any(|part| aside.iter().any(|it| part == *it))) {
            let name = path.strip_prefix(sdk()).unwrap().to_str().unwrap();
            assert!(GuestSdk::get(name).is_some(), "{name} is not carried: touch host/src/kit/embedded.rs");
        }
    }

    #[test]
    fn neither_tests_nor_leftovers_are_carried() {
        for path in GuestSdk::iter() {
            let is_aside = ["__pycache__", "node_modules", "target/", "/test/", "python/tests", ".egg-info"]
                .iter()
                .any(|it| path.contains(it));
            assert!(!is_aside, "{path}");
        }
        let bytes: usize = GuestSdk::iter().map(|path| GuestSdk::get(&path).unwrap().data.len()).sum();
        assert!((100_000..2_000_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_kit_is_written_once_and_again_where_it_is_not_as_it_should_be() {
        for kit in KITS {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join(KIT);
            lay(dir.path(), kit).unwrap();
            let all = super::kit(kit).unwrap();
            assert!(all.len() > 5, "{kit:?}");
            let time = |name: &str| std::fs::metadata(root.join(name)).unwrap().modified().unwrap();
            let (first, last) = (all.keys().next().unwrap(), all.keys().last().unwrap());
            let before = time(last);
            std::fs::write(root.join(first), "damaged").unwrap();
            std::fs::write(root.join("mine"), "kept").unwrap();
            std::fs::write(root.join("older"), "of an older version").unwrap();
            let listed = std::fs::read_to_string(root.join(LISTED)).unwrap();
            std::fs::write(root.join(LISTED), format!("{listed}older\n../../../outside\n")).unwrap();
            lay(dir.path(), kit).unwrap();
            for (name, bytes) in &all {
                assert!(std::fs::read(root.join(name)).unwrap() == **bytes, "{kit:?}: {name}");
            }
            assert_eq!(time(last), before, "what was as it should be was written again");
            assert!(root.join("mine").exists() && !root.join("older").exists());
            assert_eq!(std::fs::read_to_string(root.join(LISTED)).unwrap(), listed);
        }
    }

    #[test]
    fn programs_can_be_run() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        lay(dir.path(), Kit::Js).unwrap();
        let mode = |name: &str| std::fs::metadata(dir.path().join(KIT).join(name)).unwrap().permissions().mode();
        assert_eq!(mode("js/bin/sandmill-plugin.js") & 0o100, 0o100);
        assert_eq!(mode("js/package.json") & 0o111, 0);
    }

    #[test]
    fn the_rust_kit_stands_by_itself() {
        let manifest = String::from_utf8(super::kit(Kit::Rust).unwrap()["rust/Cargo.toml"].to_vec()).unwrap();
        assert!(!manifest.contains("workspace") && manifest.contains("wit-bindgen"), "{manifest}");
        let own = "[package]\nversion.workspace = true\n[dependencies]\na.workspace = true\nb = \"2\"\n[lints]\nworkspace = true";
        let workspace = "[workspace.package]\nversion = \"1.2.3\"\n[workspace.dependencies]\na = { version = \"1\" }";
        let told: toml::Table = by_itself(own, workspace).unwrap().parse().unwrap();
        assert_eq!(
            told,
            "[package]\nversion = \"1.2.3\"\n[dependencies]\na = { version = \"1\" }\nb = \"2\"".parse().unwrap()
        );
        assert!(by_itself(own, "[workspace]").unwrap_err().contains("package.version is not what the workspace has"));
    }
}
