//! One attack: the real binary runs it beside neighbours, and then everything that it may have spoilt is looked at.

use super::table::{Attack, Expected, Guest};
use super::{c, wat};
use crate::support::{Place, plugin};
use rusqlite::Connection;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// Items that attack, and items that do not, one attacker after so many neighbours.
const ATTACKERS: usize = 6;
const NEIGHBOURS_EACH: usize = 4;

/// No run takes longer, however busy the machine is; one that does has hung.
const PATIENCE: Duration = Duration::from_mins(20);

/// What all runs have; the stops that a job full of failures would meet are off.
const FLAGS: [[&str; 2]; 6] = [
    ["--limit-memory", "64MiB"],
    ["--max-consecutive-errors", "0"],
    ["--max-traps", "0"],
    ["--concurrency", "8"],
    ["--max-attempts", "2"],
    ["--job", "j"],
];

/// These, but for those that are given otherwise.
pub(super) fn flags<'a>(own: &[&'a str]) -> Vec<&'a str> {
    FLAGS.iter().filter(|[name, _]| !own.contains(name)).flatten().chain(own).copied().collect()
}

/// How often something is done: in a run of all tests, and in one of the whole suite (`just hostile`).
pub(super) fn rounds(few: usize, all: usize) -> usize {
    if std::env::var("SANDMILL_TEST_HOSTILE").is_ok_and(|how| how == "full") { all } else { few }
}

/// What came of an attack.
pub(super) struct Report {
    /// In words, for the table.
    pub(super) seen: String,
    /// Of the neighbours' time from begin to end: beside the attackers, and without them.
    pub(super) p99: [Option<u64>; 2],
    pub(super) peak_mib: [Option<u64>; 2],
    /// What is not as it must be.
    pub(super) faults: Vec<String>,
}

/// The path of the component.
fn component(attack: &Attack, place: &Place) -> String {
    let bytes = match attack.guest {
        Guest::Rust(_) => return plugin("hostile"),
        Guest::Wat => wat::component(attack.name),
        Guest::C => c::component(attack.name),
        Guest::Schemas(config, output, value) => wat::with_schemas(config, output, value),
    };
    place.write("hostile.wasm", bytes).display().to_string()
}

/// The items as JSON Lines: neighbours, with attackers spread among them.
fn input(attack: &Attack, attackers: usize, neighbours: usize) -> String {
    let wish = match attack.guest {
        Guest::Rust(json) => format!(",{json}"),
        Guest::Wat | Guest::C | Guest::Schemas(..) => String::new(),
    };
    // Guests in text know attackers by the length of what they are handed, some of them.
    let attacker = |n: usize| format!("{{\"id\":\"a{n}\"{wish},\"padding\":\"{}\"}}\n", "x".repeat(6_000));
    let each = neighbours.checked_div(attackers).unwrap_or(neighbours).max(1);
    let mut text = String::new();
    for n in 0..neighbours {
        if n % each == 0 && n / each < attackers {
            text += &attacker(n / each);
        }
        writeln!(text, "{{\"id\":\"n{n}\"}}").unwrap();
    }
    text
}

/// How a run of the program went.
pub(super) struct Ran {
    pub(super) status: ExitStatus,
    pub(super) said: String,
    /// The most memory that it had, where the system tells.
    pub(super) peak_kib: Option<u64>,
}

/// Runs it with its words in files, and looks at its memory until it ends.
#[expect(clippy::disallowed_methods, reason = "a bound on hanging")]
pub(super) fn watched(place: &Place, args: &[&str]) -> Ran {
    let files = ["stdout", "stderr"].map(|name| File::create(place.path(name)).unwrap());
    let [stdout, stderr] = files;
    let mut child = place.command(args).stdout(stdout).stderr(stderr).spawn().unwrap();
    let (began, mut peak_kib) = (Instant::now(), None);
    let status = loop {
        peak_kib = peak(child.id()).or(peak_kib);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(3));
    };
    let said = ["stdout", "stderr"]
        .map(|name| String::from_utf8_lossy(&std::fs::read(place.path(name)).unwrap()).into_owned());
    Ran { status, said: said.concat(), peak_kib }
}

fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// How an item ended, and how long that took from its begin.
pub(super) struct Ended {
    pub(super) state: String,
    pub(super) class: Option<String>,
    milliseconds: u64,
}

/// Those that began, by their id.
pub(super) fn ended(place: &Place) -> BTreeMap<String, Ended> {
    let database = Connection::open(place.path(".sandmill/j.db")).unwrap();
    let sql = "SELECT i.id, o.state, o.class, o.ended_ms - a.began_ms FROM item i JOIN outcome o ON o.item = i.seq
        JOIN attempt a ON a.id = o.attempt";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let milliseconds = u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0);
        let ended = Ended { state: row.get(1)?, class: row.get(2)?, milliseconds };
        Ok((row.get(0)?, ended))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Of the neighbours' time from begin to end, in milliseconds.
pub(super) fn p99(items: &BTreeMap<String, Ended>) -> Option<u64> {
    let mut times: Vec<u64> =
        items.iter().filter(|(id, _)| id.starts_with('n')).map(|(_, ended)| ended.milliseconds).collect();
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) * 99 / 100).copied()
}

/// Runs the attack; in a run of the whole suite also the same without attackers.
pub(super) fn assault(attack: &Attack) -> Report {
    if attack.guest == Guest::C && !c::is_there() {
        let seen = "skipped: no clang and wasm-ld on this machine".to_owned();
        return Report { seen, p99: [None, None], peak_mib: [None, None], faults: Vec::new() };
    }
    let (place, alone) = (Place::new(), Place::new());
    let neighbours = ATTACKERS * NEIGHBOURS_EACH;
    let ran = run(attack, &place, ATTACKERS, neighbours);
    let mut report = Report {
        seen: String::new(),
        p99: [None, None],
        peak_mib: [ran.peak_kib.map(|kib| kib >> 10), None],
        faults: Vec::new(),
    };
    if ran.status.code().is_none() {
        report.seen = format!("the process died: {}", ran.status);
        report.faults.push(format!("{}\n{}", report.seen, start(&ran.said)));
        return report;
    }
    report.faults.extend(unfit_for_terminals("the run", &ran.said));
    if let Expected::Refused(part) = attack.expected {
        refused(&ran, part, &mut report);
        return report;
    }
    if ![Some(0), Some(3)].contains(&ran.status.code()) {
        report.seen = ran.status.to_string();
        report.faults.push(format!("{}:\n{}", report.seen, start(&ran.said)));
        return report;
    }
    let items = ended(&place);
    report.p99[0] = p99(&items);
    judge(attack, &place, &ran, &items, &mut report);
    look_around(&place, matches!(attack.expected, Expected::Done(_)), &mut report);
    if rounds(0, 1) == 1 {
        let ran = run(attack, &alone, 0, neighbours);
        report.p99[1] = p99(&ended(&alone));
        report.peak_mib[1] = ran.peak_kib.map(|kib| kib >> 10);
    }
    report
}

pub(super) fn run(attack: &Attack, place: &Place, attackers: usize, neighbours: usize) -> Ran {
    let component = component(attack, place);
    place.write("in.jsonl", input(attack, attackers, neighbours));
    let fixed = ["run", &component, "--input", "in.jsonl", "--output", "out.jsonl", "-v"];
    // Who spins is stopped soon; all others have time to come to their end, however busy the machine is.
    let spins = matches!(attack.expected, Expected::Fails("cpu_time") | Expected::SomeFail(_) | Expected::Refused(_));
    let cpu = ["--limit-cpu", if spins { "100ms" } else { "30s" }];
    watched(place, &[&fixed[..], &cpu, &flags(attack.flags)].concat())
}

fn refused(ran: &Ran, part: &str, report: &mut Report) {
    let word = ran.said.lines().next().unwrap_or_default();
    report.seen = format!("exit {}: {}", ran.status.code().unwrap_or(-1), word.chars().take(160).collect::<String>());
    if ran.status.code() != Some(2) || !ran.said.contains(part) {
        report.faults.push(format!("not refused with `{part}`: {}\n{}", ran.status, start(&ran.said)));
    }
}

/// Whether each item ended as it must.
fn judge(attack: &Attack, place: &Place, ran: &Ran, items: &BTreeMap<String, Ended>, report: &mut Report) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let unsure = matches!(attack.expected, Expected::SomeFail(_));
    for (id, ended) in items {
        let how = ended.class.clone().unwrap_or_else(|| ended.state.clone());
        if id.starts_with('a') || unsure {
            *seen.entry(how).or_default() += 1;
        } else if ended.state != "done" {
            report.faults.push(format!("the neighbour {id} ended as {how}"));
        }
    }
    report.seen = seen.iter().map(|(how, n)| format!("{how} {n}")).collect::<Vec<_>>().join(", ");
    let all = if unsure { ATTACKERS * (NEIGHBOURS_EACH + 1) } else { ATTACKERS };
    let is_met = match attack.expected {
        Expected::Fails(class) => seen.get(class) == Some(&all),
        Expected::Done(_) => seen.get("done") == Some(&all),
        Expected::Skipped => seen.get("skipped") == Some(&all),
        Expected::SomeFail(class) => {
            let (failed, done) = (seen.get(class).copied().unwrap_or(0), seen.get("done").copied().unwrap_or(0));
            failed > 0 && done > 0 && failed + done == all
        }
        Expected::Refused(_) => false,
    };
    if !is_met {
        report.faults.push(format!("expected {}, seen {}\n{}", attack.expected, report.seen, start(&ran.said)));
    }
    let has_failed = seen.keys().any(|how| how != "done" && how != "skipped");
    let code = if has_failed { 3 } else { 0 };
    if ran.status.code() != Some(code) {
        report.faults.push(format!("{} instead of {code}", ran.status));
    }
    if let Expected::Done(part) = attack.expected {
        let output = place.read("out.jsonl");
        let of_attackers: Vec<&str> = output.lines().filter(|line| line.starts_with("{\"id\":\"a")).collect();
        if of_attackers.is_empty() || !output.contains(part) {
            report.faults.push(format!("`{part}` is not in the output:\n{}", start(&of_attackers.concat())));
        }
    }
}

/// The store is whole, and whatever tells of it or is made of it can be shown.
fn look_around(place: &Place, attackers_done: bool, report: &mut Report) {
    let commands: [&[&str]; 6] = [
        &["job", "verify", "j"],
        &["status", "j"],
        &["log", "j"],
        &["failed", "list", "j"],
        &["export", "j", "-o", "out.csv"],
        &["export", "j", "-o", "out.parquet"],
    ];
    // What came out is the neighbours' alone, unless the attackers were done.
    let commands = if attackers_done { &commands[..] } else { &commands[..4] };
    for command in commands {
        let ran = place.run(command);
        let what = command.join(" ");
        if ran.code != 0 {
            report.faults.push(format!("`{what}` ends in {}:\n{}", ran.code, start(&ran.stderr)));
        }
        report.faults.extend(unfit_for_terminals(&what, &(ran.stdout + &ran.stderr)));
    }
    // None where nothing is done, or the job failed as a whole.
    let output = ["out.jsonl", "out.jsonl.partial"].map(|name| place.path(name)).into_iter().find(|path| path.exists());
    if let Some(path) = output {
        report.faults.extend(bad_lines(&path));
    }
}

fn bad_lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let bad = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_err());
    bad.map(|line| format!("a line of the output is not JSON: {}", start(line))).collect()
}

/// Control characters, and marks that turn text around.
pub(super) fn unfit_for_terminals(what: &str, said: &str) -> Option<String> {
    let is_unfit = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let at = said.find(is_unfit)?;
    let around: String = said[..at]
        .chars()
        .rev()
        .take(60)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .chain(said[at..].chars().take(20))
        .collect();
    Some(format!("{what} says what no terminal should be shown: {around:?}"))
}

fn start(text: &str) -> String {
    let short: String = text.chars().take(1_200).collect();
    short.escape_debug().to_string().replace("\\n", "\n")
}
