//! From the command to the first item, of a plugin that has been run before.

use crate::scene::Scene;
use crate::table::{Bound, Row, median};
use anyhow::Context;
use rusqlite::Connection;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) fn measure(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (plugin, language, most) in [("redact", "Rust", 50.0), ("redact-py", "Python", 150.0)] {
        let input = scene.items(10)?;
        if !scene.has(plugin)? {
            continue;
        }
        scene.compile(plugin, &[])?;
        let times = (0..scene.rounds).map(|_| once(scene, plugin, &input)).collect::<anyhow::Result<Vec<_>>>()?;
        let what = format!("second start to the first item, a plugin in {language}");
        rows.push(Row { what, ours: median(times), yardstick: None, unit: "ms", wanted: Bound::AtMost(most) });
    }
    Ok(rows)
}

fn once(scene: &Scene, plugin: &str, input: &std::path::Path) -> anyhow::Result<f64> {
    let before = unix_ms()?;
    let job = scene.job(plugin, input, &[])?;
    let database = Connection::open(job.database())?;
    let first: Option<i64> = database.query_row("SELECT min(began_ms) FROM attempt", [], |row| row.get(0))?;
    #[expect(clippy::cast_precision_loss, reason = "some milliseconds")]
    let took = (first.context("nothing was begun")? - before) as f64;
    Ok(took)
}

#[expect(clippy::disallowed_methods, reason = "this is what measures")]
pub(crate) fn unix_ms() -> anyhow::Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}
