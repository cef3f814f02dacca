//! Power that fails: what the process wrote is recorded, and what a disk may have kept of it at some moment is made into a store,
//! which must open, hold all that was acknowledged by then, and go on.

mod disk;

use super::workload::{Batch, Kind, NO_FAULTS};
use super::{seeded, soak};
use crate::support::{MockServer, Place, items, root};
use disk::{Disk, Record};
use rand::{Rng, RngExt};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

const CONCURRENCY: usize = 3;
const ITEMS: usize = 24;

/// The library that looks on; `None` where no compiler is there to make it.
#[expect(clippy::print_stderr, reason = "a test that did not take place must be told")]
fn shim(place: &Place) -> Option<PathBuf> {
    let library = place.path("powerloss.so");
    let source = root().join("tests/powerloss/shim.c");
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(source)
        .args(["-ldl", "-lpthread"]);
    let Ok(output) = cc.output() else {
        eprintln!("not tested: there is no C compiler (`cc`) to make tests/powerloss/shim.c with");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(library)
}

/// Has a process looked at.
fn watched<'a>(command: &'a mut Command, library: &Path, folder: &Path, log: &Path) -> &'a mut Command {
    command.env("LD_PRELOAD", library).env("POWERLOSS_ROOT", folder).env("POWERLOSS_LOG", log)
}

/// A job that was killed, resumed, run again when it was finished, and started over, all of it recorded.
struct Recording {
    root: PathBuf,
    records: Vec<Record>,
    /// Where it was started over.
    fresh_from: usize,
    output: String,
}

/// Kinds of which a question that is asked tells what was acknowledged.
fn input() -> String {
    items(ITEMS, |index| [Kind::One, Kind::Five, Kind::Many, Kind::Pure][index % 4].item(index))
}

fn record(library: &Path, log: &Path) -> Recording {
    let batch = Batch::new(&input(), NO_FAULTS, CONCURRENCY);
    let root = batch.place.path("").canonicalize().unwrap();
    let run = |more: &[&str], failpoint: &str| {
        let mut command = batch.command();
        command.args(more).env("SANDMILL_FAILPOINT", failpoint);
        watched(&mut command, library, &root, log).stdout(std::process::Stdio::piped());
        command.output().unwrap().status.code()
    };
    let records = || disk::read_log(&std::fs::read(log).unwrap());
    assert_eq!(run(&[], "call-committed:9"), None, "killed");
    assert_eq!(run(&[], ""), Some(0));
    let output = batch.place.read("out.jsonl");
    assert_eq!(run(&[], ""), Some(0));
    let fresh_from = records().len();
    assert_eq!(run(&["--fresh"], ""), Some(0));
    assert_eq!(batch.place.read("out.jsonl"), output);
    let records = records();
    // The log holds all that there is: what it says without a loss is what is there.
    let mut disk = Disk::new(&root);
    for record in &records {
        disk.apply(record);
    }
    let whole = disk.kept_whole();
    for name in ["out.jsonl", ".sandmill/j.db"] {
        assert!(whole[name] == std::fs::read(batch.place.path(name)).unwrap(), "{name} was written unseen");
    }
    Recording { root, records, fresh_from, output }
}

/// What the process had let others see before a moment.
#[derive(Default)]
struct Acknowledged {
    /// Questions that were sent: the intent of each was committed.
    sent: usize,
    /// Questions whose answer the plugin had, for it asked the next one.
    answers: BTreeSet<(usize, usize)>,
    /// Items whose outcome stood in the queue before another item's first question, and so is durable.
    outcomes: usize,
    /// The summary was printed.
    ended: bool,
}

/// `<i7:2>`: the third question of item 7.
fn questions(bytes: &[u8]) -> Vec<(usize, usize)> {
    let text = String::from_utf8_lossy(bytes);
    let parse = |part: &str| {
        let (item, nth) = part.split_once('>')?.0.split_once(':')?;
        Some((item.parse().ok()?, nth.parse().ok()?))
    };
    text.split("<i").skip(1).filter_map(parse).collect()
}

impl Acknowledged {
    fn of(records: &[Record]) -> Self {
        let mut seen = Self::default();
        let mut begun = BTreeSet::new();
        for record in records {
            match record.kind {
                b'N' => {
                    for (item, nth) in questions(&record.bytes) {
                        seen.sent += 1;
                        begun.insert(item);
                        if nth > 0 && item % 4 == 1 {
                            seen.answers.insert((item, nth - 1));
                        }
                    }
                }
                b'O' => seen.ended = true,
                _ => {}
            }
        }
        seen.outcomes = begun.len().saturating_sub(CONCURRENCY);
        seen
    }
}

/// Moments after a name changed or something was synced are the delicate ones: half of the draws are of those.
fn draw_cut(recording: &Recording, random: &mut impl Rng) -> usize {
    let all = recording.records.len();
    if random.random_bool(0.5) {
        return random.random_range(0..=all);
    }
    let delicate: Vec<usize> = (0..all).filter(|index| b"CMURD".contains(&recording.records[*index].kind)).collect();
    (delicate[random.random_range(0..delicate.len())] + random.random_range(0..6)).min(all)
}

struct Rebuilt<'a> {
    recording: &'a Recording,
    library: &'a Path,
    server: Rc<MockServer>,
}

impl Rebuilt<'_> {
    fn check(&self, cut: usize, random: &mut impl Rng) {
        let recording = self.recording;
        let mut disk = Disk::new(&recording.root);
        for record in &recording.records[..cut] {
            disk.apply(record);
        }
        let from = if cut > recording.fresh_from { recording.fresh_from } else { 0 };
        let acknowledged = Acknowledged::of(&recording.records[from..cut]);
        let batch = Batch::at(Place::new(), &self.server, &input(), CONCURRENCY);
        for (name, bytes) in disk.kept_after_a_loss(random) {
            let path = batch.place.path(&name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        if batch.place.path("out.jsonl").exists() {
            assert_eq!(batch.place.read("out.jsonl"), recording.output, "whole or not there");
        } else {
            assert!(!acknowledged.ended, "the summary was printed, and there is no output");
        }
        let status = batch.status();
        assert!(status.calls >= acknowledged.sent, "{status:?}, {} sent", acknowledged.sent);
        assert!(status.answered >= acknowledged.answers.len(), "{status:?}, {:?}", acknowledged.answers);
        assert!(status.processed >= acknowledged.outcomes, "{status:?}, {} outcomes", acknowledged.outcomes);
        let log = batch.place.path("asked.log");
        let mut command = batch.command();
        let output = watched(&mut command, self.library, &batch.place.path("nothing"), &log)
            .stderr(std::process::Stdio::piped())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(batch.place.read("out.jsonl"), recording.output, "byte for byte");
        for record in disk::read_log(&std::fs::read(&log).unwrap()) {
            for question in questions(&record.bytes) {
                assert!(
                    !acknowledged.answers.contains(&question),
                    "{question:?} had been answered, and was asked again"
                );
            }
        }
    }
}

#[test]
fn after_a_power_loss_the_store_opens_with_all_that_was_acknowledged_and_goes_on() {
    let mut random = seeded();
    let place = Place::new();
    let Some(library) = shim(&place) else { return };
    let recording = record(&library, &place.path("writes.log"));
    let server = Rc::new(MockServer::start(&place, ""));
    let rebuilt = Rebuilt { recording: &recording, library: &library, server };
    let cuts = soak().unwrap_or(8);
    println!("{} records, {cuts} cuts", recording.records.len());
    for _ in 0..cuts {
        let cut = draw_cut(&recording, &mut random);
        println!("cut at {cut}");
        rebuilt.check(cut, &mut random);
    }
}
