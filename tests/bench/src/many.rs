//! From ten thousand items to a million: whether an item takes as long, and the process as much memory; and how soon a job that is nearly done goes on.

use crate::process;
use crate::scene::Scene;
use crate::table::{Bound, Row, median};
use anyhow::Context;
use rusqlite::Connection;

const FEW: usize = 10_000;
const MANY: usize = 1_000_000;
/// Items of the million that are not done.
const LEFT: usize = 1_000;

#[expect(clippy::cast_precision_loss, reason = "counts of items")]
pub(crate) fn measure(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    let (few, many) = (scene.scaled(FEW), scene.scaled(MANY));
    let micros = |seconds: f64, count: usize| seconds * 1e6 / count as f64;
    let mut of_few = Vec::new();
    let input = scene.items(few)?;
    let one = |of_few: &mut Vec<f64>| -> anyhow::Result<f64> {
        let job = scene.job("redact", &input, &[])?;
        of_few.push(micros(job.seconds()?, few));
        Ok(job.mebibytes())
    };
    scene.compile("redact", &[])?;
    // Before and after, since the machine may not be the same meanwhile.
    let memory_of_few = one(&mut of_few)?;
    one(&mut of_few)?;
    let input = scene.items(many)?;
    let job = scene.job("redact", &input, &[])?;
    one(&mut of_few)?;
    let resumed = resumed(scene, &job, &input, many)?;
    let row = |what: &str, ours, yardstick, unit, wanted| Row { what: what.to_owned(), ours, yardstick, unit, wanted };
    Ok(vec![
        row(
            "a million items: time of an item",
            micros(job.seconds()?, many),
            Some(("ten thousand", median(of_few))),
            "µs",
            Bound::AtMost(1.15),
        ),
        row("the same, peak memory", job.mebibytes(), Some(("ten thousand", memory_of_few)), "MiB", Bound::Told),
        row("resume of a job with all but 1,000 done, to its first item", resumed, None, "s", Bound::AtMost(2.0)),
    ])
}

/// Seconds from the command to the first item that is begun.
fn resumed(scene: &Scene, job: &crate::scene::Job, input: &std::path::Path, many: usize) -> anyhow::Result<f64> {
    let left = i64::try_from(LEFT.min(many / 10).max(1))?;
    let database = Connection::open(job.database())?;
    database.execute("DELETE FROM outcome WHERE item IN (SELECT seq FROM item ORDER BY seq DESC LIMIT ?1)", [left])?;
    let last: i64 = database.query_row("SELECT coalesce(max(id), 0) FROM attempt", [], |row| row.get(0))?;
    drop(database);
    let before = crate::start::unix_ms()?;
    let folder = job.folder.path();
    let mut command = scene.sandmill()?;
    command
        .arg("run")
        .arg(scene.plugin("redact"))
        .arg("--input")
        .arg(input)
        .arg("--output")
        .arg(folder.join("out.jsonl"));
    process::run(command.arg("--store").arg(folder.join("store")).args(["--job", "j", "-q"]))?;
    let database = Connection::open(job.database())?;
    let sql = "SELECT min(began_ms) FROM attempt WHERE id > ?1";
    let first: Option<i64> = database.query_row(sql, [last], |row| row.get(0))?;
    let first = first.context("nothing was begun")?;
    #[expect(clippy::cast_precision_loss, reason = "some seconds")]
    let seconds = (first - before) as f64 / 1e3;
    Ok(seconds)
}
