//! `plugin build`: the only thing that executes what a plugin's folder says.

use super::component;
use super::embedded;
use super::folder::{FolderError, FolderManifest, read_manifest, stamp};
use super::tools;
use crate::domain::sanitize_text;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// Bytes of why a core module is no component.
const ENCODING_BYTES_MAX: usize = 1_000;
/// Bytes that are shown of what a build said that was to be quiet: the end of it.
const SAID_BYTES_MAX: usize = 16 << 10;

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("cannot run `{program}`: {reason}; {way_out}")]
    NoTool { program: String, reason: String, way_out: &'static str },
    #[error("`{name}` needs what is not there (`{probe}`: {reason}): {way_out}")]
    Missing { name: String, probe: String, reason: String, way_out: String },
    #[error("the build of `{name}` made {path}, of which no component can be made: {reason}", path = .path.display())]
    NoComponent { name: String, path: PathBuf, reason: String },
    #[error(
        "the build of `{name}` ended well, and there is no {path}: `component` in plugin.toml and the build command must name the same file",
        path = .path.display()
    )]
    Nothing { name: String, path: PathBuf },
    #[error("cannot {what} {path}: {reason}", path = .path.display())]
    Unwritable { what: &'static str, path: PathBuf, reason: String },
    #[error("the build of `{name}` failed ({status}): `{command}` in {dir}{said}", dir = .dir.display())]
    Failed { name: String, status: String, command: String, dir: PathBuf, said: String },
}

/// Where what the build command says goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// To our stderr, at once.
    Aloud,
    /// Nowhere, unless the build fails.
    Quietly,
}

/// A component that was built.
#[derive(Debug)]
pub struct Built {
    pub path: PathBuf,
    /// Of the component.
    pub bytes: u64,
}

/// Writes the folder's kit where it wants one, and runs its build command.
pub fn build(folder: &Path, says: Says) -> Result<Built, BuildError> {
    let manifest = read_manifest(folder)?;
    if let Some(kit) = manifest.kit {
        embedded::lay(folder, kit).map_err(|error| unwritable("write", &folder.join(embedded::KIT), &error))?;
    }
    for need in &manifest.build.needs {
        tools::probe(folder, &need.run).map_err(|lack| BuildError::Missing {
            name: manifest.name.clone(),
            probe: need.run.join(" "),
            way_out: way_out(folder, &need.install, lack.source),
            reason: lack.reason,
        })?;
    }
    if let Some(core) = &manifest.build.core {
        make_room(&folder.join(core))?;
    }
    run(folder, &manifest, says)?;
    if let Some(core) = &manifest.build.core {
        encode(folder, &manifest, &folder.join(core))?;
    }
    let path = folder.join(&manifest.component);
    if !path.exists() {
        return Err(BuildError::Nothing { name: manifest.name, path });
    }
    let path = stamp(folder, &manifest)?;
    let bytes = path.metadata().map_err(|error| unwritable("read", &path, &error))?.len();
    Ok(Built { path, bytes })
}

/// `source`: the program itself is missing, which the command may need in turn.
fn way_out(folder: &Path, install: &str, source: Option<&str>) -> String {
    let run = format!("run `{install}` in {}", folder.display());
    source.map_or_else(|| run.clone(), |source| format!("{source}; then, or instead, {run}"))
}

fn run(folder: &Path, manifest: &FolderManifest, says: Says) -> Result<(), BuildError> {
    let line = &manifest.build.command;
    let mut command = tools::command(folder, line).ok_or_else(|| FolderError::NoManifest(folder.to_path_buf()))?;
    let ended = match says {
        Says::Aloud => {
            command.stdout(std::io::stderr());
            command.status().map(|status| Output { status, stdout: Vec::new(), stderr: Vec::new() })
        }
        Says::Quietly => command.stdout(Stdio::piped()).stderr(Stdio::piped()).output(),
    };
    let ended = ended.map_err(|error| BuildError::NoTool {
        program: line[0].clone(),
        reason: error.to_string(),
        way_out: tools::source(&error, &line[0]).unwrap_or("install it, or put it on the PATH"),
    })?;
    if ended.status.success() {
        return Ok(());
    }
    Err(BuildError::Failed {
        name: manifest.name.clone(),
        status: ended.status.to_string(),
        command: line.join(" "),
        dir: folder.to_path_buf(),
        said: end_of(&ended),
    })
}

/// On lines of its own.
fn end_of(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(SAID_BYTES_MAX)..]).trim_end().to_owned();
    if said.is_empty() { said } else { format!("\n{}", sanitize_text(&said, SAID_BYTES_MAX)) }
}

/// Compilers do not make the folder that they write to.
fn make_room(path: &Path) -> Result<(), BuildError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|error| unwritable("make", folder, &error))
}

fn encode(folder: &Path, manifest: &FolderManifest, core: &Path) -> Result<(), BuildError> {
    let module = std::fs::read(core).map_err(|error| unwritable("read", core, &error))?;
    let bytes = component::encode(&module).map_err(|reason| BuildError::NoComponent {
        name: manifest.name.clone(),
        path: core.to_path_buf(),
        reason: sanitize_text(&reason, ENCODING_BYTES_MAX),
    })?;
    let path = folder.join(&manifest.component);
    make_room(&path)?;
    std::fs::write(&path, bytes).map_err(|error| unwritable("write", &path, &error))
}

fn unwritable(what: &'static str, path: &Path, error: &std::io::Error) -> BuildError {
    BuildError::Unwritable { what, path: path.to_path_buf(), reason: crate::domain::reason(error) }
}

#[cfg(test)]
mod tests {
    use super::Says;

    fn folder(build: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let manifest = format!("name = \"p\"\ncomponent = \"p.wasm\"\n[build]\n{build}");
        std::fs::write(dir.path().join("plugin.toml"), manifest).unwrap();
        dir
    }

    fn said(build: &str) -> String {
        let dir = folder(build);
        super::build(dir.path(), Says::Aloud).unwrap_err().to_string()
    }

    #[test]
    fn a_tool_that_is_missing_is_told_with_the_command_that_installs_it() {
        let need = |run: &str| format!("command = [\"true\"]\n[[build.needs]]\nrun = [{run}]\ninstall = \"get it\"\n");
        for (run, reason) in [("\"no-such-tool\"", "os error 2"), ("\"false\"", "exit status: 1")] {
            let said = said(&need(run));
            assert!(said.contains(reason) && said.contains("run `get it` in "), "{said}");
        }
        assert!(said("command = [\"true\"]\n[[build.needs]]\nrun = []\ninstall = \"\"\n").contains("empty `run`"));
    }

    #[test]
    fn a_core_module_that_was_built_is_made_a_component() {
        let module = r#"(module
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 8)
            (func (export "sandmill:plugin/handler@1.0.0#describe") (result i32) unreachable)
            (func (export "sandmill:plugin/handler@1.0.0#process") (param i32) (result i32) unreachable))"#;
        let dir = folder("command = [\"cp\", \"it.wasm\", \"made/core.wasm\"]\ncore = \"made/core.wasm\"\n");
        std::fs::write(dir.path().join("it.wasm"), wat::parse_str(module).unwrap()).unwrap();
        let path = super::build(dir.path(), Says::Quietly).unwrap().path;
        assert!(crate::sandbox::Anatomy::read(&std::fs::read(path).unwrap(), false).is_ok());
        std::fs::write(dir.path().join("it.wasm"), wat::parse_str("(module)").unwrap()).unwrap();
        let said = super::build(dir.path(), Says::Quietly).unwrap_err().to_string();
        assert!(said.contains("made/core.wasm, of which no component can be made: "), "{said}");
    }

    #[test]
    fn what_is_needed_and_there_is_not_mentioned() {
        let dir =
            folder("command = [\"touch\", \"p.wasm\"]\n[[build.needs]]\nrun = [\"true\"]\ninstall = \"get it\"\n");
        assert!(super::build(dir.path(), Says::Quietly).is_ok());
    }

    #[test]
    fn a_quiet_build_that_fails_says_why() {
        let said = |says| {
            let dir = folder("command = [\"sh\", \"-c\", \"echo line 3 is wrong >&2; exit 1\"]");
            super::build(dir.path(), says).unwrap_err().to_string()
        };
        assert!(said(Says::Quietly).ends_with("\nline 3 is wrong"), "{}", said(Says::Quietly));
        assert!(!said(Says::Aloud).contains("\nline 3"));
    }

    #[test]
    fn a_build_that_makes_something_else_is_told() {
        assert!(said("command = [\"true\"]").contains("p.wasm: `component` in plugin.toml and the build command"));
    }

    #[test]
    fn what_a_program_that_is_missing_is_installed_from_goes_before_what_it_installs() {
        let told = super::way_out("f".as_ref(), "npm install", Some("install Node.js"));
        assert_eq!(told, "install Node.js; then, or instead, run `npm install` in f");
    }
}
