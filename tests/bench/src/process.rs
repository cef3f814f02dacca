//! A program that is run: how long it takes, what processor time and memory.

use crate::server::Kind;
use anyhow::{Context, bail};
use clap::ValueEnum;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Between two looks at a process; the last look before its end is what counts.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What a program took.
#[derive(Debug, Clone)]
pub(crate) struct Took {
    /// From before it was started until it had ended.
    pub(crate) wall: Duration,
    /// Of all its threads, and of the children that it waited for; in steps of 10 ms.
    pub(crate) cpu: Duration,
    /// Of the process itself.
    pub(crate) peak_kib: u64,
    pub(crate) stdout: String,
}

/// Runs it to its end, and fails if it does.
#[expect(clippy::disallowed_methods, reason = "this is what measures")]
pub(crate) fn run(command: &mut Command) -> anyhow::Result<Took> {
    let (before, began) = (times(OF_CHILDREN)?, Instant::now());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let [out, err] = [drain(child.stdout.take()), drain(child.stderr.take())];
    let mut peak_kib = 0;
    let status = loop {
        peak_kib = peak_of(child.id()).unwrap_or(peak_kib);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let wall = began.elapsed();
    let joined = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
    let (stdout, stderr) = (joined(out), joined(err));
    if !status.success() {
        bail!("{command:?} ended with {status}:\n{stderr}");
    }
    Ok(Took { wall, cpu: times(OF_CHILDREN)?.saturating_sub(before), peak_kib, stdout })
}

fn drain(pipe: Option<impl std::io::Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read until then is all that there is to tell.
            let _ = pipe.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// What a yardstick says of itself on stdout: its work alone, without the start, and what it compiles or reads first.
pub(crate) fn work(took: &Took) -> anyhow::Result<(f64, f64)> {
    let told: serde_json::Value = serde_json::from_str(&took.stdout)?;
    let number = |key: &str| told[key].as_f64().with_context(|| format!("a yardstick that tells no {key}"));
    Ok((number("seconds")?, number("cpu_seconds")?))
}

/// Does the work of a yardstick, and says on stdout what it took.
#[expect(clippy::disallowed_methods, reason = "this is what measures")]
pub(crate) fn tell<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let (cpu, began) = (times(OWN)?, Instant::now());
    let done = work()?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu_seconds = times(OWN)?.saturating_sub(cpu).as_secs_f64();
    println!("{}", serde_json::json!({ "seconds": seconds, "cpu_seconds": cpu_seconds }));
    Ok(done)
}

/// Where `/proc/self/stat` has user and system time, behind the name (`proc_pid_stat(5)`: fields 14 and 15, 16 and 17).
const OWN: usize = 11;
const OF_CHILDREN: usize = 13;

/// In hundredths of a second; of children, those that have ended and were waited for.
fn times(first: usize) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let behind_name = stat.rsplit_once(')').context("/proc/self/stat has another form")?.1;
    let ticks: u64 =
        behind_name.split_whitespace().skip(first).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

fn peak_of(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches(" kB").parse().ok()
}

/// Ends with it.
pub(crate) struct Served {
    child: Child,
    pub(crate) url: String,
}

impl Served {
    /// A process of this program that serves, on a port that it finds.
    pub(crate) fn start(latency_ms: u64, kind: Kind) -> anyhow::Result<Self> {
        use std::io::BufRead;
        let kind = kind.to_possible_value().context("an answer without a name")?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", &latency_ms.to_string(), kind.get_name()])
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut url = String::new();
        std::io::BufReader::new(stdout).read_line(&mut url)?;
        Ok(Self { child, url: url.trim().to_owned() })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
