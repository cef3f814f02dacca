//! Programs that a plugin's folder names, run in the folder: what it has of its own, in an environment of Python's, goes before what
//! the machine has.

use crate::domain::sanitize_text;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where a folder has tools of its own, as `python3 -m venv .venv` makes it.
const OWN_TOOLS: &str = ".venv/bin";
/// Bytes of what a missing tool's probe said.
const REASON_BYTES_MAX: usize = 200;

/// How a program comes onto a machine.
const KNOWN: [(&str, &str); 8] = [
    ("cargo", "install Rust from https://rustup.rs"),
    ("rustup", "install Rust from https://rustup.rs"),
    ("node", "install Node.js 20 or newer from https://nodejs.org"),
    ("npm", "install Node.js 20 or newer from https://nodejs.org"),
    ("npx", "install Node.js 20 or newer from https://nodejs.org"),
    ("python3", "install Python 3.11 or newer from https://www.python.org"),
    ("python", "install Python 3.11 or newer from https://www.python.org"),
    ("go", "install Go 1.25 or newer from https://go.dev"),
];

/// A tool that is not there, or not as it must be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lack {
    pub(super) reason: String,
    /// The program itself is missing, and this is where it comes from.
    pub(super) source: Option<&'static str>,
}

/// `line`: a program and its arguments, run without a shell.
pub(super) fn command(folder: &Path, line: &[String]) -> Option<Command> {
    let (program, arguments) = line.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    if let Some(path) = path_with_own(folder) {
        command.env("PATH", path);
    }
    Some(command)
}

/// `None`: the folder has no tools of its own.
fn path_with_own(folder: &Path) -> Option<OsString> {
    let own = std::path::absolute(folder.join(OWN_TOOLS)).ok().filter(|own| own.is_dir())?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path))).ok()
}

/// Runs a probe, which succeeds if a tool is there.
pub(super) fn probe(folder: &Path, line: &[String]) -> Result<(), Lack> {
    let Some(mut command) = command(folder, line) else { return Ok(()) };
    let lack = |reason: String, source| Err(Lack { reason, source });
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => lack(last_line(&output.stderr).unwrap_or_else(|| output.status.to_string()), None),
        Err(error) => lack(error.to_string(), source(&error, &line[0])),
    }
}

/// Where a program comes from that could not be run.
pub(super) fn source(error: &std::io::Error, program: &str) -> Option<&'static str> {
    let known = KNOWN.iter().find(|(name, _)| *name == program).map(|(_, source)| *source);
    known.filter(|_| error.kind() == std::io::ErrorKind::NotFound)
}

fn last_line(said: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(said);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(sanitize_text(line, REASON_BYTES_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn line(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_folders_own_tools_go_before_the_machines() {
        let dir = tempfile::tempdir().unwrap();
        let which = || {
            let output = command(dir.path(), &line(&["env", "python3"])).unwrap().output();
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
        };
        assert_ne!(which(), "mine\n");
        let own = dir.path().join(OWN_TOOLS);
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(own.join("python3"), "#!/bin/sh\necho mine\n").unwrap();
        std::fs::set_permissions(own.join("python3"), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(which(), "mine\n");
    }

    #[test]
    fn what_a_probe_lacks_is_told_by_its_last_line() {
        let here = Path::new(".");
        assert_eq!(probe(here, &line(&["true"])), Ok(()));
        let lack = probe(here, &line(&["sh", "-c", "echo first >&2; echo no module >&2; exit 3"])).unwrap_err();
        assert_eq!(lack, Lack { reason: "no module".into(), source: None });
        assert_eq!(probe(here, &line(&["false"])).unwrap_err().reason, "exit status: 1");
        let none = std::io::Error::from(std::io::ErrorKind::NotFound);
        assert!(source(&none, "npx").unwrap().contains("nodejs.org"));
        assert_eq!(source(&none, "no-such-tool"), None);
        assert_eq!(source(&std::io::Error::from(std::io::ErrorKind::PermissionDenied), "npx"), None);
    }
}
