//! What a user would otherwise write, run where Python has what it needs.

use crate::calls::AT_ONCE;
use crate::process;
use crate::scene::Scene;
use anyhow::Context;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A loop with asyncio and sqlite, in `tests/bench/python`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    file: &'static str,
    /// What it imports.
    needs: &'static str,
    /// `each`: one an answer, as one writes it; `groups`: one for all that have come, by a thread.
    commits: &'static str,
}

pub(crate) const OFFICIAL: Program =
    Program { name: "Python, official client", file: "official.py", needs: "openai", commits: "each" };
pub(crate) const AIOHTTP: Program =
    Program { name: "Python, aiohttp", file: "with_aiohttp.py", needs: "aiohttp", commits: "each" };
pub(crate) const OFFICIAL_IN_GROUPS: Program =
    Program { name: "Python, official client, commits in groups", commits: "groups", ..OFFICIAL };
pub(crate) const AIOHTTP_IN_GROUPS: Program =
    Program { name: "Python, aiohttp, commits in groups", commits: "groups", ..AIOHTTP };

/// The interpreter that has a package; `None`: there is none, and that is said.
fn with(package: &str) -> Option<String> {
    let python = std::env::var("SANDMILL_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let can = Command::new(&python).args(["-c", &format!("import {package}")]).output();
    if can.is_ok_and(|can| can.status.success()) {
        return Some(python);
    }
    eprintln!("left out: {python} has no {package} (pip install {package}; SANDMILL_BENCH_PYTHON names another)");
    None
}

/// A program that can be run here.
pub(crate) struct Runs {
    pub(crate) program: Program,
    python: String,
}

/// `None`: it cannot be run here, and that is said.
pub(crate) fn runs(program: Program) -> Option<Runs> {
    Some(Runs { program, python: with(program.needs)? })
}

impl Runs {
    /// Its calls a second, without what Python takes to start and to import.
    #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
    pub(crate) fn rate(&self, scene: &Scene, input: &Path, calls: usize, url: &str) -> anyhow::Result<f64> {
        let folder = scene.fresh()?;
        let mut command = Command::new(&self.python);
        command.arg(scene.python(self.program.file)).arg(input).arg(folder.path().join("done.db")).arg(url);
        let took = process::run(command.arg(AT_ONCE.to_string()).arg(self.program.commits))?;
        Ok(calls as f64 / process::work(&took)?.0)
    }
}

/// tiktoken, with the ranks that this program counts by.
pub(crate) struct Tiktoken {
    python: String,
    program: PathBuf,
    /// `TIKTOKEN_CACHE_DIR`; where there is none, tiktoken fetches them from the web.
    ranks: Option<PathBuf>,
}

/// How tiktoken calls `o200k_base` in its cache: the SHA-1 of the address that it comes from.
const RANKS: &str = "fb374d419588a4632f3f557e76b4b70aebbca790";

/// Tried on `text`. `None`: it cannot be run here, and that is said.
pub(crate) fn tiktoken(scene: &Scene, text: &Path) -> anyhow::Result<Option<Tiktoken>> {
    let Some(python) = with("tiktoken") else { return Ok(None) };
    let ranks = match ranks_of_crate(scene)? {
        Some(file) => {
            let folder = scene.path("tiktoken");
            std::fs::create_dir_all(&folder)?;
            std::fs::copy(file, folder.join(RANKS))?;
            Some(folder)
        }
        None => None,
    };
    let tiktoken = Tiktoken { python, program: scene.python("tiktoken_count.py"), ranks };
    if let Err(error) = tiktoken.count(text, 1) {
        eprintln!("left out: tiktoken cannot count: {error:#}");
        return Ok(None);
    }
    Ok(Some(tiktoken))
}

impl Tiktoken {
    /// The seconds that one time takes, and the tokens.
    pub(crate) fn count(&self, text: &Path, times: usize) -> anyhow::Result<(f64, u64)> {
        let mut command = Command::new(&self.python);
        command.arg(&self.program).arg(text).arg(times.to_string());
        if let Some(ranks) = &self.ranks {
            command.env("TIKTOKEN_CACHE_DIR", ranks);
        }
        let told: Value = serde_json::from_str(&process::run(&mut command)?.stdout)?;
        let tokens = told["tokens"].as_u64().context("tiktoken tells no tokens")?;
        Ok((told["seconds"].as_f64().context("tiktoken tells no seconds")?, tokens))
    }
}

/// Where cargo keeps the crate's own copy, which is the same to the byte.
fn ranks_of_crate(scene: &Scene) -> anyhow::Result<Option<PathBuf>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--offline", "--locked", "--format-version", "1"]);
    // What is not needed here need not have been downloaded.
    cargo.args(["--filter-platform", &format!("{}-unknown-linux-gnu", std::env::consts::ARCH), "--manifest-path"]);
    let Ok(told) = process::run(cargo.arg(scene.root().join("Cargo.toml"))) else { return Ok(None) };
    let told: Value = serde_json::from_str(&told.stdout).context("cargo metadata is no JSON")?;
    let packages = told["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let file = packages.iter().find(|package| package["name"] == "tiktoken-rs").and_then(|package| {
        let folder = Path::new(package["manifest_path"].as_str()?).parent()?;
        Some(folder.join("assets/o200k_base.tiktoken"))
    });
    Ok(file.filter(|file| file.exists()))
}
