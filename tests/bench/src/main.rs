//! Sandmill beside yardsticks, in the same run and on the same data: every figure that is told is a ratio.
//!
//!     cargo build --release --workspace && target/release/sandmill-bench all --write README.md --write docs/performance.md
//!
//! Each measurement is taken several times, ours and the yardstick by turns, so that a machine that slows meanwhile slows both; the median counts.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that tells figures")]

mod bare_calls;
mod bare_commits;
mod bare_json;
mod bare_rows;
mod bare_wasm;
mod calls;
mod items;
mod job_rows;
mod latency;
mod layers;
mod many;
mod overhead;
mod pace;
mod process;
mod python;
mod scene;
mod server;
mod start;
mod table;
mod tokens;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use scene::Scene;
use std::path::PathBuf;
use table::Row;

#[derive(Parser)]
#[command(name = "sandmill-bench", about = "Sandmill beside yardsticks")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All measurements
    All(How),
    /// Items without a call: beside a bare wasmtime loop, and beside reading and writing the same JSON
    Items(How),
    /// One call an item, of a server that answers at once: beside bare loops, and Python programs where Python is there
    Calls(How),
    /// Many calls at once of a server that takes its time: beside the ideal
    Latency(How),
    /// From 10,000 items to a million: time an item, memory, and the resume of a job that is nearly done
    Many(How),
    /// From the command to the first item, the second time
    Start(How),
    /// What the host adds to a call, at a thousand calls a second: beside the commits of the same rows
    Overhead(How),
    /// A long text, counted and cut: beside tiktoken in Python
    Tokens(How),
    /// A yardstick in a process of its own
    #[command(subcommand, hide = true)]
    Bare(Bare),
    /// The server that is asked
    #[command(hide = true)]
    Serve {
        /// How long an answer takes, in milliseconds.
        latency_ms: u64,
        /// What it is.
        kind: server::Kind,
    },
}

#[derive(Subcommand)]
enum Bare {
    /// Items of INPUT through COMPONENT, a fresh store each
    Wasm {
        component: PathBuf,
        input: PathBuf,
        /// The plugin's configuration.
        #[arg(long, default_value = "{}")]
        config: String,
    },
    /// So many calls at once of URL
    Calls { url: String, calls: usize, at_once: usize },
    /// The rows of a job's file into another, in groups of so many items
    Rows { job: PathBuf, into: PathBuf, group: usize },
    /// INPUT read, and as many lines written
    Json { input: PathBuf, into: PathBuf },
}

#[derive(Args)]
struct How {
    /// Measurements of each, of which the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// A part of the usual work, such as 0.01, to see whether it runs at all
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Write what has a bound between `<!-- bench -->` and `<!-- /bench -->` of FILE, or all between `<!-- bench: all -->` and `<!-- /bench -->`
    #[arg(long, value_name = "FILE")]
    write: Vec<PathBuf>,
}

/// One part of the table.
type Measure = fn(&Scene) -> anyhow::Result<Vec<Row>>;

fn main() -> anyhow::Result<()> {
    let (how, rows): (How, Measure) = match Arguments::parse().command {
        Command::All(how) => (how, all),
        Command::Items(how) => (how, items::measure),
        Command::Calls(how) => (how, calls::measure),
        Command::Latency(how) => (how, latency::measure),
        Command::Many(how) => (how, many::measure),
        Command::Start(how) => (how, start::measure),
        Command::Overhead(how) => (how, overhead::measure),
        Command::Tokens(how) => (how, tokens::measure),
        Command::Bare(Bare::Wasm { component, input, config }) => return bare_wasm::run(&component, &input, config),
        Command::Bare(Bare::Calls { url, calls, at_once }) => return bare_calls::run(&url, calls, at_once),
        Command::Bare(Bare::Rows { job, into, group }) => return bare_rows::run(&job, &into, group),
        Command::Bare(Bare::Json { input, into }) => return bare_json::run(&input, &into),
        Command::Serve { latency_ms, kind } => return server::serve(latency_ms, kind),
    };
    let scene = Scene::new(how.rounds, how.scale)?;
    let rows = rows(&scene)?;
    let taken = scene.described()?;
    println!("{}", table::text(&rows, &taken));
    for path in how.write {
        table::write(&path, &rows, &taken)
            .with_context(|| format!("cannot write the table into {}", path.display()))?;
    }
    Ok(())
}

fn all(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    let parts: [(&str, Measure); 7] = [
        ("items", items::measure),
        ("calls", calls::measure),
        ("overhead", overhead::measure),
        ("latency", latency::measure),
        ("many", many::measure),
        ("start", start::measure),
        ("tokens", tokens::measure),
    ];
    let mut all = Vec::new();
    for (name, measure) in parts {
        let rows = measure(scene).with_context(|| format!("cannot measure {name}"))?;
        // What comes later may fail.
        eprintln!("{name}\n{}", table::text(&rows, ""));
        all.extend(rows);
    }
    Ok(all)
}
