//! Many calls at once, of a server that takes its time: beside what no program can be faster than.

use crate::process::Served;
use crate::scene::{Job, Scene};
use crate::server::Kind;
use crate::table::{Bound, Row, count, median};
use std::path::Path;

const CALLS: usize = 50_000;
const AT_ONCE: usize = 1_000;
const IN_FLIGHT: usize = 10_000;
const LATENCY_MS: u64 = 200;
/// Long enough for as many as are in flight to have begun before the first is answered.
const LONG_LATENCY_MS: u64 = 20_000;
/// Few at once, for what an item takes by itself.
const FEW_AT_ONCE: usize = 16;
const FEW: usize = 1_000;

const SUSPENDED: [&str; 2] = ["--suspend", "auto"];
const KEPT: [&str; 2] = ["--suspend", "never"];

/// A plugin that asks once an item, what it needs to, and how many instances it may have.
struct Asks<'a> {
    plugin: &'a str,
    settings: &'a [&'a str],
    instances: usize,
}

pub(crate) fn measure(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    let mut rows = one_after_the_other(scene)?;
    rows.extend(in_flight_of_rust(scene)?);
    if scene.has("summarize-py")? {
        rows.extend(in_flight_of_python(scene)?);
    }
    Ok(rows)
}

const PROMPT: Asks<'_> = Asks { plugin: "prompt", settings: &["--set", "prompt=what of {{text}}?"], instances: 64 };
const SUMMARIZE: Asks<'_> = Asks { plugin: "summarize-py", settings: &[], instances: 48 };

impl<'a> Asks<'a> {
    fn compile(&self, scene: &Scene, url: &'a str) -> anyhow::Result<()> {
        scene.compile(self.plugin, &self.asking(url))
    }

    fn asking(&self, url: &'a str) -> Vec<&'a str> {
        [self.settings, &["--provider", "openai", "--model", "m", "--base-url", url]].concat()
    }

    /// So many items in flight, each of which may have a call on its way.
    fn job(&self, scene: &Scene, input: &Path, url: &'a str, at_once: usize, more: &[&str]) -> anyhow::Result<Job> {
        let at_once = at_once.to_string();
        let calls = ["--call-concurrency", at_once.as_str()];
        self.items(scene, input, url, &at_once, &[calls.as_slice(), more].concat())
    }

    /// So many items in flight, and as many calls on their way as the route is found to bear.
    fn items(&self, scene: &Scene, input: &Path, url: &'a str, at_once: &str, more: &[&str]) -> anyhow::Result<Job> {
        scene.job(self.plugin, input, &[&self.asking(url), ["--concurrency", at_once].as_slice(), more].concat())
    }

    /// No more instances than it may have, whatever is in flight.
    fn in_flight(&self, scene: &Scene, input: &Path, url: &'a str) -> anyhow::Result<Job> {
        let instances = self.instances.to_string();
        let more = [&["--max-instances", instances.as_str()], SUSPENDED.as_slice()].concat();
        self.job(scene, input, url, IN_FLIGHT, &more)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls")]
fn one_after_the_other(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    let server = Served::start(LATENCY_MS, Kind::Text)?;
    let calls = scene.scaled(CALLS);
    let input = scene.questions(calls)?;
    let ideal = (calls as f64 / AT_ONCE as f64).ceil() * LATENCY_MS as f64 / 1e3;
    let (mut seconds, mut peaks) = (Vec::new(), Vec::new());
    PROMPT.compile(scene, &server.url)?;
    for _ in 0..scene.rounds {
        let job = PROMPT.job(scene, &input, &server.url, AT_ONCE, &[])?;
        seconds.push(job.seconds()?);
        peaks.push(job.mebibytes());
    }
    let what = format!("{} calls of {LATENCY_MS} ms, {} at once", count(calls), count(AT_ONCE));
    Ok(vec![
        Row {
            what: format!("{what}: time"),
            ours: median(seconds),
            yardstick: Some(("the ideal", ideal)),
            unit: "s",
            wanted: Bound::AtMost(1.1),
        },
        memory(format!("{what}: peak memory"), peaks, 250.0),
    ])
}

/// So many items in flight, and the call of each on its way.
fn in_flight_of_rust(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    let (server, quick) = (Served::start(LONG_LATENCY_MS, Kind::Text)?, Served::start(LATENCY_MS, Kind::Text)?);
    let many = scene.scaled(IN_FLIGHT);
    let input = scene.questions(many)?;
    let (mut peaks, mut seconds, mut peaks_by_itself) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scene.rounds {
        let job = PROMPT.in_flight(scene, &input, &server.url)?;
        peaks.push(job.mebibytes());
        seconds.push(job.seconds()?);
        let job = PROMPT.items(scene, &input, &quick.url, &IN_FLIGHT.to_string(), &SUSPENDED)?;
        peaks_by_itself.push(job.mebibytes());
    }
    let what = format!("{} items in flight in {} instances, Rust, a connection each", count(many), PROMPT.instances);
    let by_itself = format!("{} items in flight, Rust, calls and instances by themselves: peak memory", count(many));
    let time = format!("{what}, calls of {} s: time", LONG_LATENCY_MS / 1_000);
    Ok(vec![
        memory(by_itself, peaks_by_itself, 300.0),
        memory(format!("{what}: peak memory"), peaks, 300.0),
        Row { what: time, ours: median(seconds), yardstick: None, unit: "s", wanted: Bound::Told },
    ])
}

/// The time beside what the processors need to run each item once: what a guest that was run again takes is on top of that.
#[expect(clippy::cast_precision_loss, reason = "counts of items")]
fn in_flight_of_python(scene: &Scene) -> anyhow::Result<Vec<Row>> {
    let (at_once, slow) = (Served::start(0, Kind::Summary)?, Served::start(LATENCY_MS, Kind::Summary)?);
    let (few, many) = (scene.scaled(FEW), scene.scaled(IN_FLIGHT));
    let (input_of_few, input) = (scene.questions(few)?, scene.questions(many)?);
    let processors = std::thread::available_parallelism()?.get() as f64;
    let (mut peaks, mut seconds, mut implied) = (Vec::new(), Vec::new(), Vec::new());
    SUMMARIZE.compile(scene, &at_once.url)?;
    for _ in 0..scene.rounds {
        let job = SUMMARIZE.job(scene, &input_of_few, &at_once.url, FEW_AT_ONCE, &KEPT)?;
        let an_item = job.took.cpu.as_secs_f64() / few as f64;
        implied.push(many as f64 * an_item / processors + LATENCY_MS as f64 / 1e3);
        let job = SUMMARIZE.in_flight(scene, &input, &slow.url)?;
        seconds.push(job.seconds()?);
        peaks.push(job.mebibytes());
    }
    let what = format!("{} items in flight in {} instances, Python", count(many), SUMMARIZE.instances);
    Ok(vec![
        memory(format!("{what}: peak memory"), peaks, 1024.0),
        Row {
            what: format!("{what}: time"),
            ours: median(seconds),
            yardstick: Some(("processor time of one run an item", median(implied))),
            unit: "s",
            wanted: Bound::AtMost(2.0),
        },
    ])
}

fn memory(what: String, peaks: Vec<f64>, most: f64) -> Row {
    Row { what, ours: median(peaks), yardstick: None, unit: "MiB", wanted: Bound::AtMost(most) }
}
