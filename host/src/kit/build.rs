//! `plugin build`: the only thing that executes what a plugin's folder says.

use super::folder::{FolderError, read_manifest, stamp};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("cannot run `{program}`: {reason}; {way_out}")]
    NoTool { program: String, reason: String, way_out: &'static str },
    #[error("the build of `{name}` failed ({status}): `{command}` in {dir}", dir = .dir.display())]
    Failed { name: String, status: String, command: String, dir: PathBuf },
}

/// Runs the folder's build command with its output on our stderr, and returns the component's path.
pub fn build(folder: &Path) -> Result<PathBuf, BuildError> {
    let manifest = read_manifest(folder)?;
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
                "npx" | "npm" => "install Node.js",
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
    Ok(stamp(folder, &manifest)?)
}
