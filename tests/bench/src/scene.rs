//! Where things lie, and the data that everything is measured on: drawn from a seed, so that it is the same each time.

use crate::process::{self, Took};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A tenth of a kilobyte of these is a text.
const WORDS: &str = "the order came late and the invoice was wrong so please call me back as soon as you can about it";

pub(crate) struct Scene {
    /// Measurements of each.
    pub(crate) rounds: usize,
    scale: f64,
    folder: TempDir,
    /// Of the repository.
    root: PathBuf,
}

impl Scene {
    pub(crate) fn new(rounds: usize, scale: f64) -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        let scene = Self { rounds: rounds.max(1), scale, folder: tempfile::tempdir()?, root };
        if !Self::program()?.exists() {
            bail!("{} is missing: cargo build --release --workspace makes it", Self::program()?.display());
        }
        for name in ["redact", "prompt"] {
            process::run(scene.sandmill()?.args(["plugin", "build", &scene.plugin(name).display().to_string()]))?;
        }
        Ok(scene)
    }

    /// So many, or the share of them that was asked for.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a count of items"
    )]
    pub(crate) fn scaled(&self, count: usize) -> usize {
        ((count as f64 * self.scale) as usize).max(10)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder of its own, empty.
    pub(crate) fn fresh(&self) -> anyhow::Result<TempDir> {
        Ok(tempfile::tempdir_in(self.folder.path())?)
    }

    pub(crate) fn python(&self, name: &str) -> PathBuf {
        self.root.join("tests/bench/python").join(name)
    }

    pub(crate) fn plugin(&self, name: &str) -> PathBuf {
        self.root.join("plugins").join(name)
    }

    /// Where a plugin in Rust of this repository lies when it is built.
    pub(crate) fn component(&self, name: &str) -> PathBuf {
        self.root.join("plugins/target/wasm32-wasip2/plugin").join(name).with_extension("wasm")
    }

    fn program() -> anyhow::Result<PathBuf> {
        Ok(std::env::current_exe()?.with_file_name("sandmill"))
    }

    pub(crate) fn sandmill(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(Self::program()?);
        // Compiled plugins are kept here, so that each start but the first is a second one.
        command.current_dir(self.folder.path()).env("XDG_CACHE_HOME", self.folder.path().join("cache"));
        Ok(command)
    }

    /// A job in a folder of its own: what it took, its summary, and the folder.
    pub(crate) fn job(&self, plugin: &str, input: &Path, args: &[&str]) -> anyhow::Result<Job> {
        let folder = self.fresh()?;
        let (store, output) = (folder.path().join("store"), folder.path().join("out.jsonl"));
        let mut command = self.sandmill()?;
        command.arg("run").arg(self.plugin(plugin)).arg("--input").arg(input).arg("--output").arg(output);
        command.arg("--store").arg(store).args(["--job", "j", "--json", "-q"]).args(args);
        let took = process::run(&mut command)?;
        let summary = serde_json::from_str(&took.stdout).context("the summary is no JSON")?;
        Ok(Job { took, summary, folder })
    }

    /// Items with a text of about a kilobyte, with an address and a number in it.
    pub(crate) fn items(&self, count: usize) -> anyhow::Result<PathBuf> {
        let path = self.path(&format!("items-{count}.jsonl"));
        if path.exists() {
            return Ok(path);
        }
        let words: Vec<&str> = WORDS.split(' ').collect();
        let mut draw = Draw(1);
        let mut file = BufWriter::new(File::create(&path)?);
        for number in 0..count {
            let text: Vec<&str> = (0..180).filter_map(|_| words.get(draw.below(words.len())).copied()).collect();
            let text = format!("{} jo{number}@example.org or 555-123-{:04}", text.join(" "), number % 10_000);
            writeln!(file, "{}", json!({ "id": format!("i{number}"), "text": text }))?;
        }
        file.into_inner()?.sync_all()?;
        Ok(path)
    }

    /// Short questions.
    pub(crate) fn questions(&self, count: usize) -> anyhow::Result<PathBuf> {
        let path = self.path(&format!("questions-{count}.jsonl"));
        let mut file = BufWriter::new(File::create(&path)?);
        for number in 0..count {
            writeln!(file, "{}", json!({ "id": format!("q{number}"), "text": format!("number {number}") }))?;
        }
        file.flush()?;
        Ok(path)
    }
}

pub(crate) struct Job {
    pub(crate) took: Took,
    pub(crate) summary: Value,
    pub(crate) folder: TempDir,
}

impl Job {
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("store/j.db")
    }

    /// Of the run alone, without start and registration.
    pub(crate) fn seconds(&self) -> anyhow::Result<f64> {
        self.summary["run"]["duration_seconds"].as_f64().context("the summary has no duration")
    }
}

/// Numbers that are the same each time (Knuth's constants for a linear congruential generator).
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % most
    }
}
