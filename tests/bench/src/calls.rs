//! One call an item, of a server on this machine that answers at once.

use crate::process::{self, Served};
use crate::python;
use crate::scene::Scene;
use crate::server::Kind;
use crate::table::{Bound, Row, median};
use std::path::Path;
use std::process::Command;

const CALLS: usize = 20_000;
/// Calls at once.
pub(crate) const AT_ONCE: usize = 64;
/// Programs in Python take longer.
const CALLS_OF_PYTHON: usize = 2_000;

/// Of each round.
#[derive(Default)]
struct Rounds {
    ours: Vec<f64>,
    ours_cpu: Vec<f64>,
    bare: Vec<f64>,
    bare_cpu: Vec<f64>,
    /// Of each program.
    python: Vec<Vec<f64>>,
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
pub(crate) fn measure(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    let (count, few) = (scene.scaled(CALLS), scene.scaled(CALLS_OF_PYTHON));
    let (input, input_of_few) = (scene.questions(count)?, scene.questions(few)?);
    let server = Served::start(0, Kind::Text)?;
    let programs = [
        (python::OFFICIAL, Bound::AtLeast(20.0)),
        (python::AIOHTTP, Bound::AtLeast(5.0)),
        (python::OFFICIAL_IN_GROUPS, Bound::Told),
        (python::AIOHTTP_IN_GROUPS, Bound::Told),
    ];
    let programs: Vec<_> = programs.into_iter().filter_map(|(it, wanted)| Some((python::runs(it)?, wanted))).collect();
    let mut rounds = Rounds { python: vec![Vec::new(); programs.len()], ..Rounds::default() };
    scene.compile("prompt", &arguments(&server.url))?;
    for _ in 0..scene.rounds {
        let job = scene.job("prompt", &input, &arguments(&server.url))?;
        rounds.ours.push(count as f64 / job.seconds()?);
        rounds.ours_cpu.push(job.took.cpu.as_secs_f64() * 1e6 / count as f64);
        let (seconds, cpu) = bare(scene, &input, count, &server.url, &job.database())?;
        rounds.bare.push(count as f64 / seconds);
        rounds.bare_cpu.push(cpu * 1e6 / count as f64);
        for ((runs, _), rates) in programs.iter().zip(&mut rounds.python) {
            rates.push(runs.rate(scene, &input_of_few, few, &server.url)?);
        }
    }
    let ours = median(rounds.ours);
    let row = |what: &str, ours, yardstick, unit, wanted| Row {
        what: what.to_owned(),
        ours,
        yardstick: Some(yardstick),
        unit,
        wanted,
    };
    let mut rows = vec![
        row(
            "one call an item, of a server that answers at once",
            ours,
            ("bare reqwest", median(rounds.bare)),
            "calls/s",
            Bound::AtLeast(0.35),
        ),
        row(
            "one call an item: processor time of a call",
            median(rounds.ours_cpu),
            ("bare wasmtime + bare reqwest + rusqlite", median(rounds.bare_cpu)),
            "µs",
            Bound::AtMost(1.5),
        ),
    ];
    for ((runs, wanted), rates) in programs.into_iter().zip(rounds.python) {
        let what = "one call an item, beside what else one would write";
        rows.push(row(what, ours, (runs.program.name, median(rates)), "calls/s", wanted));
    }
    Ok(rows)
}

/// The seconds of the calls alone, and the processor time of all that the job consists of.
fn bare(scene: &Scene, input: &Path, count: usize, url: &str, job: &Path) -> anyhow::Result<(f64, f64)> {
    let this = std::env::current_exe()?;
    let config = r#"{"prompt":"what of {{text}}?"}"#;
    let mut wasm = Command::new(&this);
    wasm.args(["bare", "wasm"]).arg(scene.component("prompt")).arg(input).args(["--config", config]);
    let mut calls = Command::new(&this);
    calls.args(["bare", "calls", url, &count.to_string(), &AT_ONCE.to_string()]);
    let into = scene.fresh()?;
    let mut rows = Command::new(&this);
    rows.args(["bare", "rows"]).arg(job).arg(into.path().join("rows.db")).arg(AT_ONCE.to_string());
    let (_, cpu_of_wasm) = process::work(&process::run(&mut wasm)?)?;
    let (seconds, cpu_of_calls) = process::work(&process::run(&mut calls)?)?;
    let (_, cpu_of_rows) = process::work(&process::run(&mut rows)?)?;
    Ok((seconds, cpu_of_wasm + cpu_of_calls + cpu_of_rows))
}

fn arguments(url: &str) -> Vec<&str> {
    let ask = ["--set", "prompt=what of {{text}}?", "--provider", "openai", "--model", "m", "--base-url", url];
    [&ask[..], &["--concurrency", "64", "--call-concurrency", "64"]].concat()
}
