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

/// Of sentences in the long text, one in so many is none of English.
const ELSEWHERE: usize = 25;
const SENTENCES_ELSEWHERE: [&str; 4] = [
    "Über allen Gipfeln ist Ruh, in allen Wipfeln spürest du kaum einen Hauch.",
    "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.",
    "国境の長いトンネルを抜けると雪国であった。夜の底が白くなった。",
    "Año 1936 – ¿quién lo recuerda? 🙂 – Σ(x²) ≈ 3,14 €.",
];

impl Scene {
    pub(crate) fn new(rounds: usize, scale: f64) -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        if !Self::program()?.exists() {
            bail!("{} is missing: cargo build --release --workspace makes it", Self::program()?.display());
        }
        // Beside the program rather than where temporary files go, which on many systems is memory: what is durable shall be.
        let folder =
            std::env::current_exe()?.parent().map(tempfile::tempdir_in).context("the program has no folder")??;
        let scene = Self { rounds: rounds.max(1), scale, folder, root };
        for name in ["redact", "prompt"] {
            scene.build(name)?;
        }
        Ok(scene)
    }

    fn build(&self, plugin: &str) -> anyhow::Result<Took> {
        process::run(self.sandmill()?.args(["plugin", "build"]).arg(self.plugin(plugin)))
    }

    /// Whether a plugin is there that takes more than Rust to build; it is built if it can be, and if not, that is said.
    pub(crate) fn has(&self, plugin: &str) -> anyhow::Result<bool> {
        if process::run(self.sandmill()?.args(["plugin", "inspect"]).arg(self.plugin(plugin))).is_ok() {
            return Ok(true);
        }
        let built = self.build(plugin);
        if let Err(error) = &built {
            eprintln!("left out: {plugin} is not built, and cannot be: {error:#}");
        }
        Ok(built.is_ok())
    }

    /// How and where it was measured, as a sentence.
    pub(crate) fn described(&self) -> anyhow::Result<String> {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let known = std::fs::read_to_string("/proc/cpuinfo")?;
        let name = known.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
        let part = if self.scale < 1.0 { format!(", of {} of the work", self.scale) } else { String::new() };
        Ok(format!(
            "Medians of {}{part}, taken on {} processors ({}), Linux {}, by sandmill {}.",
            self.rounds,
            std::thread::available_parallelism()?,
            name.unwrap_or("of an unknown name"),
            kernel.trim(),
            env!("CARGO_PKG_VERSION")
        ))
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

    pub(crate) fn root(&self) -> &Path {
        &self.root
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

    /// Has a plugin compiled by a small job, so that no job that is measured does that.
    pub(crate) fn compile(&self, plugin: &str, args: &[&str]) -> anyhow::Result<()> {
        self.job(plugin, &self.items(10)?, args).map(|_| ())
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

    /// A text of so many characters: sentences of the addresses that `summarize` is tried on, drawn at random, and some of other scripts.
    pub(crate) fn long_text(&self, characters: usize) -> anyhow::Result<PathBuf> {
        let sample = std::fs::read_to_string(self.plugin("summarize").join("sample/addresses.jsonl"))?;
        let texts = sample.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        let sentences: Vec<&str> =
            texts.iter().filter_map(|item| item["text"].as_str()).flat_map(|text| text.split_inclusive(". ")).collect();
        if sentences.is_empty() {
            bail!("the sample of `summarize` holds no text");
        }
        let (mut draw, mut text, mut length) = (Draw(1), String::new(), 0);
        while length < characters {
            let is_elsewhere = draw.below(ELSEWHERE) == 0;
            let of = if is_elsewhere { &SENTENCES_ELSEWHERE[..] } else { &sentences };
            let sentence = of.get(draw.below(of.len())).copied().unwrap_or_default();
            text.extend(sentence.chars().take(characters - length));
            length = text.chars().count();
        }
        let path = self.path("long.txt");
        std::fs::write(&path, text)?;
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

    /// At its peak.
    #[expect(clippy::cast_precision_loss, reason = "a size")]
    pub(crate) fn mebibytes(&self) -> f64 {
        self.took.peak_kib as f64 / 1024.0
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
