//! What a user would otherwise write: a loop with asyncio and sqlite, run where Python has what it needs.

use crate::calls::AT_ONCE;
use crate::process;
use crate::scene::Scene;
use crate::table::median;
use std::path::Path;
use std::process::Command;

/// A program in `tests/bench/python`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    file: &'static str,
    /// What it imports.
    needs: &'static str,
}

pub(crate) const OFFICIAL: Program = Program { name: "Python, official client", file: "official.py", needs: "openai" };
pub(crate) const AIOHTTP: Program = Program { name: "Python, aiohttp", file: "with_aiohttp.py", needs: "aiohttp" };

/// Calls a second; `None`: it cannot be run here, and that is said.
#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
pub(crate) fn rate(
    scene: &Scene,
    program: Program,
    input: &Path,
    calls: usize,
    url: &str,
) -> anyhow::Result<Option<f64>> {
    let python = std::env::var("SANDMILL_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let can = Command::new(&python).args(["-c", &format!("import {}", program.needs)]).output();
    if !can.is_ok_and(|can| can.status.success()) {
        eprintln!(
            "left out: {python} has no {} (pip install {}; SANDMILL_BENCH_PYTHON names another)",
            program.needs, program.needs
        );
        return Ok(None);
    }
    let mut rates = Vec::new();
    for _ in 0..scene.rounds {
        let folder = scene.fresh()?;
        let mut command = Command::new(&python);
        command.arg(scene.python(program.file)).arg(input).arg(folder.path().join("done.db")).arg(url);
        let took = process::run(command.arg(AT_ONCE.to_string()))?;
        rates.push(calls as f64 / took.wall.as_secs_f64());
    }
    Ok(Some(median(rates)))
}
