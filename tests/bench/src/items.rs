//! Items without a call: a fresh sandbox each, durable.

use crate::process;
use crate::scene::Scene;
use crate::table::{Bound, Row, median};
use std::process::Command;

const ITEMS: usize = 200_000;

#[expect(clippy::cast_precision_loss, reason = "counts of items")]
pub(crate) fn measure(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    let count = scene.scaled(ITEMS);
    let (input, component) = (scene.items(count)?, scene.component("redact"));
    let this = std::env::current_exe()?;
    let rate = |seconds: f64| count as f64 / seconds;
    let (mut ours, mut whole, mut wasm, mut json, mut peak) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    scene.compile("redact", &[])?;
    for _ in 0..scene.rounds {
        let job = scene.job("redact", &input, &[])?;
        ours.push(rate(job.seconds()?));
        whole.push(rate(job.took.wall.as_secs_f64()));
        peak.push(job.mebibytes());
        let bare = process::run(Command::new(&this).args(["bare", "wasm"]).args([&component, &input]))?;
        wasm.push(rate(process::work(&bare)?.0));
        let into = scene.path("bare.jsonl");
        let bare = process::run(Command::new(&this).args(["bare", "json"]).args([&input, &into]))?;
        json.push(rate(process::work(&bare)?.0));
    }
    let (ours, whole, peak) = (median(ours), median(whole), median(peak));
    let row = |what: &str, ours, yardstick, unit, wanted| Row { what: what.to_owned(), ours, yardstick, unit, wanted };
    Ok(vec![
        row(
            "items of 1 KB without a call, each in a fresh sandbox",
            ours,
            Some(("bare wasmtime", median(wasm))),
            "items/s",
            Bound::AtLeast(0.4),
        ),
        row("items of 1 KB without a call", ours, None, "items/s", Bound::AtLeast(30_000.0)),
        row("the same, the whole command", whole, Some(("bare serde_json", median(json))), "items/s", Bound::Told),
        row("the same, peak memory", peak, None, "MiB", Bound::Told),
    ])
}
