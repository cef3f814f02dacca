//! Sandmill beside yardsticks, in the same run and on the same data: every figure that is told is a ratio.
//!
//!     cargo build --release --workspace && target/release/sandmill-bench all --write README.md
//!
//! Each measurement is taken several times, ours and the yardstick by turns, so that a machine that slows meanwhile slows both; the median counts.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that tells figures")]

mod bare_calls;
mod bare_json;
mod bare_rows;
mod bare_wasm;
mod calls;
mod items;
mod latency;
mod many;
mod process;
mod python;
mod scene;
mod server;
mod start;
mod table;

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
    /// A yardstick in a process of its own
    #[command(subcommand, hide = true)]
    Bare(Bare),
    /// The server that is asked
    #[command(hide = true)]
    Serve {
        /// How long an answer takes, in milliseconds.
        latency_ms: u64,
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
    /// Write the table between `<!-- bench -->` and `<!-- /bench -->` of FILE
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
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
        Command::Bare(Bare::Wasm { component, input, config }) => return bare_wasm::run(&component, &input, config),
        Command::Bare(Bare::Calls { url, calls, at_once }) => return bare_calls::run(&url, calls, at_once),
        Command::Bare(Bare::Rows { job, into, group }) => return bare_rows::run(&job, &into, group),
        Command::Bare(Bare::Json { input, into }) => return bare_json::run(&input, &into),
        Command::Serve { latency_ms } => return server::serve(latency_ms),
    };
    let scene = Scene::new(how.rounds, how.scale)?;
    let text = table::text(&rows(&scene)?);
    println!("{text}");
    match how.write {
        Some(path) => {
            table::write(&path, &text).with_context(|| format!("cannot write the table into {}", path.display()))
        }
        None => Ok(()),
    }
}

fn all(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    let parts = [items::measure, calls::measure, latency::measure, many::measure, start::measure];
    Ok(parts.iter().map(|part| part(scene)).collect::<anyhow::Result<Vec<_>>>()?.concat())
}
