//! What the host adds to a call, at a pace that leaves it room: beside no more than the commits of the same rows.

use crate::bare_commits;
use crate::layers::Layers;
use crate::pace::{self, A_SECOND, ninety_nine_and_middle};
use crate::scene::Scene;
use crate::table::{Bound, Row, count, median};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

const CALLS: usize = 5_000;
/// A folder that is kept in memory.
const IN_MEMORY: &str = "/dev/shm";

/// Of each round: the time that 99 of 100 calls do not exceed, and the one in the middle; in milliseconds.
#[derive(Default)]
struct Rounds {
    most: Vec<f64>,
    middle: Vec<f64>,
}

#[derive(Default)]
struct Beside {
    ours: Rounds,
    bare: Rounds,
}

impl Rounds {
    fn push(&mut self, times: Vec<Duration>) {
        let (most, middle) = ninety_nine_and_middle(times);
        self.most.push(most);
        self.middle.push(middle);
    }
}

pub(crate) fn measure(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    // The same threads as in a run, on which guests and calls are apart.
    let [guests, network] = [runtime("guests", 1)?, runtime("network", 61)?];
    let calls = scene.scaled(CALLS).max(100);
    let by_turns = |folder: &Path, beside: &mut Beside| -> anyhow::Result<()> {
        beside.ours.push(ours(folder, calls, &guests, &network)?);
        let rows = folder.join("rows.db");
        beside.bare.push(bare_commits::paced(guests.handle(), &folder.join("j.db"), &rows, calls)?);
        Ok(())
    };
    let (mut in_memory, mut on_disk) = (Beside::default(), Beside::default());
    for _ in 0..scene.rounds {
        if Path::new(IN_MEMORY).is_dir() {
            by_turns(tempfile::tempdir_in(IN_MEMORY)?.path(), &mut in_memory)?;
        }
        by_turns(scene.fresh()?.path(), &mut on_disk)?;
    }
    let row = |what: &str, ours: &[f64], bare: Option<&[f64]>, wanted| Row {
        what: format!("what the host adds to a call, {} a second, store {what}", count(A_SECOND as usize)),
        ours: median(ours.iter().copied()),
        yardstick: bare.map(|bare| ("bare commits", median(bare.iter().copied()))),
        unit: "ms",
        wanted,
    };
    let mut rows = Vec::new();
    if in_memory.ours.most.is_empty() {
        eprintln!("left out: there is no {IN_MEMORY} to keep a store in memory");
    } else {
        let Beside { ours, bare } = in_memory;
        rows.push(row("in memory: p99", &ours.most, None, Bound::AtMost(0.5)));
        rows.push(row("in memory: median", &ours.middle, Some(&bare.middle), Bound::Told));
    }
    let Beside { ours, bare } = on_disk;
    rows.push(row("on disk: p99", &ours.most, Some(&bare.most), Bound::AtMost(1.5)));
    rows.push(row("on disk: median", &ours.middle, Some(&bare.middle), Bound::Told));
    Ok(rows)
}

fn ours(folder: &Path, calls: usize, guests: &Runtime, network: &Runtime) -> anyhow::Result<Vec<Duration>> {
    let layers = Arc::new(Layers::open(folder, calls, network.handle())?);
    let took = pace::keep(guests.handle(), calls, |nth| {
        let layers = Arc::clone(&layers);
        async move { layers.item(nth).await }
    })?;
    layers.close()?;
    Ok(took)
}

fn runtime(name: &str, event_interval: u32) -> anyhow::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    Ok(builder.worker_threads(2).event_interval(event_interval).enable_all().thread_name(name).build()?)
}
