//! One call an item, of a server on this machine that answers at once.

use crate::process::{self, Served, Took};
use crate::python;
use crate::scene::Scene;
use crate::table::{Bound, Row, median};
use std::path::Path;
use std::process::Command;

const CALLS: usize = 20_000;
/// Calls at once.
pub(crate) const AT_ONCE: usize = 64;
/// Programs in Python take longer.
const CALLS_OF_PYTHON: usize = 2_000;

#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
pub(crate) fn measure(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    let count = scene.scaled(CALLS);
    let (input, component) = (scene.questions(count)?, scene.component("prompt"));
    let server = Served::start(0)?;
    let this = std::env::current_exe()?;
    let micros = |seconds: f64| seconds * 1e6 / count as f64;
    let (mut ours, mut ours_cpu, mut bare, mut sum) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scene.rounds {
        let job = scene.job("prompt", &input, &arguments(&server.url))?;
        ours.push(count as f64 / job.seconds()?);
        ours_cpu.push(micros(job.took.cpu.as_secs_f64()));
        let config = r#"{"prompt":"what of {{text}}?"}"#;
        let wasm = process::run(
            Command::new(&this).args(["bare", "wasm"]).args([&component, &input]).args(["--config", config]),
        )?;
        let (calls, at_once) = (count.to_string(), AT_ONCE.to_string());
        let http = process::run(Command::new(&this).args(["bare", "calls", &server.url, &calls, &at_once]))?;
        let into = scene.fresh()?;
        let rows = rows(&this, &job.database(), &into.path().join("rows.db"))?;
        bare.push(count as f64 / process::work(&http)?.0);
        let works = [&wasm, &http, &rows].map(process::work);
        sum.push(works.into_iter().map(|work| Ok(micros(work?.1))).sum::<anyhow::Result<f64>>()?);
    }
    let ours = median(ours);
    let mut table = vec![
        Row {
            what: "one call an item, calls".to_owned(),
            ours,
            yardstick: Some(("bare reqwest", median(bare))),
            unit: "calls/s",
            wanted: Bound::AtLeast(0.35),
        },
        Row {
            what: "the same, processor time a call".to_owned(),
            ours: median(ours_cpu),
            yardstick: Some(("wasmtime + reqwest + rusqlite", median(sum))),
            unit: "µs",
            wanted: Bound::AtMost(1.5),
        },
    ];
    let few = scene.scaled(CALLS_OF_PYTHON);
    let questions = scene.questions(few)?;
    for (program, least) in [(python::OFFICIAL, 20.0), (python::AIOHTTP, 5.0)] {
        let Some(rate) = python::rate(scene, program, &questions, few, &server.url)? else { continue };
        table.push(Row {
            what: "the same, beside Python".to_owned(),
            ours,
            yardstick: Some((program.name, rate)),
            unit: "calls/s",
            wanted: Bound::AtLeast(least),
        });
    }
    Ok(table)
}

pub(crate) fn arguments(url: &str) -> Vec<&str> {
    let ask = ["--set", "prompt=what of {{text}}?", "--provider", "openai", "--model", "m", "--base-url", url];
    [&ask[..], &["--concurrency", "64", "--call-concurrency", "64"]].concat()
}

fn rows(this: &Path, job: &Path, into: &Path) -> anyhow::Result<Took> {
    process::run(Command::new(this).args(["bare", "rows"]).args([job, into]).arg(AT_ONCE.to_string()))
}
