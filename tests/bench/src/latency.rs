//! Many calls at once, of a server that takes its time: beside what no program can be faster than.

use crate::process::Served;
use crate::scene::Scene;
use crate::table::{Bound, Row, median};

const CALLS: usize = 50_000;
const AT_ONCE: usize = 1_000;
const IN_FLIGHT: usize = 10_000;
const LATENCY_MS: u64 = 200;

#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
pub(crate) fn measure(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    let server = Served::start(LATENCY_MS)?;
    let count = scene.scaled(CALLS);
    let input = scene.questions(count)?;
    let ask = ["--set", "prompt=what of {{text}}?", "--provider", "openai", "--model", "m", "--base-url", &server.url];
    let latency = LATENCY_MS as f64 / 1e3;
    let ideal = (count as f64 / AT_ONCE as f64).ceil() * latency;
    let (mut seconds, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..scene.rounds {
        let at_once = AT_ONCE.to_string();
        let job = scene.job(
            "prompt",
            &input,
            &[&ask[..], &["--concurrency", &at_once, "--call-concurrency", &at_once]].concat(),
        )?;
        seconds.push(job.seconds()?);
        peaks.push(job.took.peak_kib as f64 / 1024.0);
    }
    let mut suspended = Vec::new();
    let in_flight = IN_FLIGHT.to_string();
    for _ in 0..scene.rounds {
        let how = [
            "--concurrency",
            &in_flight,
            "--call-concurrency",
            &in_flight,
            "--max-instances",
            "64",
            "--suspend",
            "auto",
        ];
        let job = scene.job("prompt", &input, &[&ask[..], &how].concat())?;
        suspended.push(job.took.peak_kib as f64 / 1024.0);
    }
    let row = |what: String, ours, yardstick, unit, wanted| Row { what, ours, yardstick, unit, wanted };
    Ok(vec![
        row(
            format!("{LATENCY_MS} ms a call, {AT_ONCE} at once"),
            median(seconds),
            Some(("ideal", ideal)),
            "s",
            Bound::AtMost(1.1),
        ),
        row("the same, peak memory".to_owned(), median(peaks), None, "MiB", Bound::AtMost(250.0)),
        row(
            format!("{IN_FLIGHT} items in flight, 64 instances, peak memory"),
            median(suspended),
            None,
            "MiB",
            Bound::AtMost(300.0),
        ),
    ])
}
