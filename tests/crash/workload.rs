//! What is run while it is killed: items of several kinds against a server that may have faults, and the books of what came of it.

use crate::support::{MockServer, Place, Ran, items, plugin};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::rc::Rc;

/// Items in flight.
pub(super) const CONCURRENCY: usize = 16;
/// Each of them is got over by a retry. `timeout` ends with a 504, so that no slow machine makes a timeout of its own.
pub(super) const FAULTS: &str = "latency=10ms,rate_limit=4%,overloaded=2%,server_error=4%,garbage=4%,connection=2%,\
                                 timeout=2%,hang=100ms,retry_after=10ms";
pub(super) const NO_FAULTS: &str = "latency=10ms";

/// What the items do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Pure,
    One,
    Five,
    /// Four questions at once, by `complete-many`.
    Many,
    /// Two questions, rejected by the plugin the first time.
    Rejected,
    Mixed,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [Self::Pure, Self::One, Self::Five, Self::Many, Self::Rejected, Self::Mixed];

    pub(super) fn item(self, index: usize) -> Value {
        let id = format!("i{index}");
        let questions = |n: usize| (0..n).map(|nth| format!("<{id}:{nth}>")).collect::<Vec<_>>();
        match self {
            Self::Pure => json!({"id": id, "do": "ok", "text": index}),
            Self::One => json!({"id": id, "do": "ask", "prompt": questions(1)[0]}),
            Self::Five => json!({"id": id, "do": "ask-then-retry", "prompts": questions(5), "until": 1}),
            Self::Many => json!({"id": id, "do": "ask-many", "prompts": questions(4)}),
            Self::Rejected => json!({"id": id, "do": "ask-then-retry", "prompts": questions(2), "until": 2}),
            Self::Mixed => Self::ALL[index % 5].item(index),
        }
    }

    /// Calls that one item makes.
    pub(super) fn calls(self) -> usize {
        match self {
            Self::Pure => 0,
            Self::One => 1,
            Self::Five => 5,
            Self::Many | Self::Rejected => 4,
            Self::Mixed => Self::ALL[..5].iter().map(|kind| kind.calls()).sum::<usize>().div_ceil(5),
        }
    }
}

/// A job in a folder of its own.
pub(super) struct Batch {
    pub(super) place: Place,
    pub(super) server: Rc<MockServer>,
    args: Vec<String>,
}

impl Batch {
    pub(super) fn new(input: &str, faults: &str, concurrency: usize) -> Self {
        let place = Place::new();
        let server = Rc::new(MockServer::start(&place, faults));
        Self::at(place, &server, input, concurrency)
    }

    pub(super) fn at(place: Place, server: &Rc<MockServer>, input: &str, concurrency: usize) -> Self {
        place.write("in.jsonl", input);
        Self { place, args: arguments(&server.url, concurrency), server: Rc::clone(server) }
    }

    pub(super) fn of_kind(kind: Kind, n: usize, faults: &str, concurrency: usize) -> Self {
        Self::new(&items(n, |index| kind.item(index)), faults, concurrency)
    }

    /// The same with more arguments.
    pub(super) fn with(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    pub(super) fn command(&self) -> Command {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let mut command = self.place.command(&args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// The same for a shell.
    pub(super) fn shell_arguments(&self) -> String {
        self.args.iter().map(|arg| format!("'{arg}'")).collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    pub(super) fn run(&self) -> Ran {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.place.run(&args)
    }

    /// Runs to the `nth` passing of a point; whether it got there.
    pub(super) fn run_to(&self, point: &str, nth: u64) -> bool {
        use std::os::unix::process::ExitStatusExt;
        assert!(sandmill::failpoint::POINTS.contains(&point), "{point}");
        let status = self.command().env("SANDMILL_FAILPOINT", format!("{point}:{nth}")).status().unwrap();
        status.signal() == Some(9)
    }

    pub(super) fn status(&self) -> Status {
        let ran = self.place.run(&["status", "j", "--json"]);
        if ran.code != 0 {
            // Killed before there was anything.
            assert!(
                ran.stderr.contains("there is no job") || ran.stderr.contains("holds nothing yet"),
                "{}",
                ran.stderr
            );
            return Status::default();
        }
        let summary = ran.summary();
        let number = |name: &str| usize::try_from(summary[name].as_u64().unwrap()).unwrap();
        Status {
            total: number("total"),
            processed: number("processed"),
            pending: number("pending"),
            failed: number("failed"),
            calls: number("provider_calls"),
            answered: number("answered_calls"),
            unknown: number("unknown_calls"),
        }
    }

    pub(super) fn books(&self) -> Books {
        Books::read(&self.server.log())
    }
}

fn arguments(url: &str, concurrency: usize) -> Vec<String> {
    let concurrency = concurrency.to_string();
    let plugin = plugin("misbehave");
    [
        &["run", &plugin, "--input", "in.jsonl", "--output", "out.jsonl", "--job", "j", "--json"][..],
        &["--provider", "openai", "--base-url", url, "--model", "m", "--concurrency", &concurrency],
        &["--timeout", "30s", "--max-attempts", "3", "--retry-min", "5ms", "--retry-max", "20ms"],
    ]
    .concat()
    .into_iter()
    .map(str::to_owned)
    .collect()
}

/// What the store says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) total: usize,
    pub(super) processed: usize,
    pub(super) pending: usize,
    pub(super) failed: usize,
    /// Intents.
    pub(super) calls: usize,
    pub(super) answered: usize,
    pub(super) unknown: usize,
}

/// What the server got, by request: how often it answered, and how often a fault came instead.
#[derive(Debug, Default)]
pub(super) struct Books {
    requests: BTreeMap<String, (usize, usize)>,
}

impl Books {
    fn read(log: &str) -> Self {
        let mut books = Self::default();
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let (answered, faults) = books.requests.entry(line["digest"].as_str().unwrap().to_owned()).or_default();
            if line["fault"].is_null() {
                *answered += 1;
            } else {
                *faults += 1;
            }
        }
        books
    }

    pub(super) fn arrived(&self) -> usize {
        self.requests.values().map(|(answered, faults)| answered + faults).sum()
    }

    /// Answers beyond the unharmed run's: each is one that was given and did not reach the store. The mock draws a request's
    /// faults anew after each answer, so each brings the faults of one more round with it, and nothing else may.
    #[track_caller]
    pub(super) fn lost_beside(&self, unharmed: &Self) -> usize {
        assert!(self.requests.keys().eq(unharmed.requests.keys()), "the same was asked");
        let mut gone = 0;
        for (digest, (answered, faults)) in &self.requests {
            let (answered_once, faults_once) = unharmed.requests[digest];
            assert!(*answered >= answered_once, "{digest} was answered {answered} times, and {answered_once} unharmed");
            assert_eq!(faults * answered_once, faults_once * answered, "{digest}: faults of {answered} answers");
            gone += answered - answered_once;
        }
        gone
    }
}

/// After the last resume: nothing lost, nothing doubled, and every call beyond the unharmed run's in the books.
#[track_caller]
pub(super) fn assert_unharmed(harmed: &Batch, last: &Ran, before_last: Status, unharmed: &Batch) -> (usize, Status) {
    assert_eq!(harmed.place.read("out.jsonl"), unharmed.place.read("out.jsonl"), "byte for byte");
    let (status, expected) = (harmed.status(), unharmed.status());
    assert_eq!((status.total, status.processed), (expected.total, expected.processed));
    assert_eq!((status.pending, status.failed), (0, 0));
    let last = last.summary();
    assert_eq!(last["run"]["unknown_calls"], status.unknown - before_last.unknown, "{last}");
    let (books, expected) = (harmed.books(), unharmed.books());
    let gone = books.lost_beside(&expected);
    assert!(
        gone <= status.unknown,
        "{gone} answers came and are not in the store; {} are said unknown",
        status.unknown
    );
    // Whatever arrived had its intent in the store, and what did not arrive is unknown.
    assert!(books.arrived() <= status.calls, "{} calls arrived, {} intended", books.arrived(), status.calls);
    assert!(status.calls - books.arrived() <= status.unknown - gone, "{status:?}, {} arrived", books.arrived());
    (gone, status)
}
