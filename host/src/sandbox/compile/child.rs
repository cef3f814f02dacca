//! The parent's side of compiling: one process for one component, bounded in everything, and what its end means.

use super::super::SandboxError;
use super::worker::{WorkerEnd, WorkerLimits};
use crate::confined::{self, Confined, EXIT_PATIENCE, Ended, collect, spawn};
use crate::domain::sanitize_text;
use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Native code is several times as large as what it was made from: that of `CPython` is about 60 MB.
const ARTEFACT_BYTES_MAX: u64 = 1 << 30;
/// Of what a worker says on stderr, so much is passed on.
const REASON_BYTES_MAX: usize = 1_000;
/// The compiler's threads. Each takes address space, and they gain little beyond.
const THREADS_MAX: usize = 8;
/// How much longer than its processor time a worker may take on a machine that is busy with other things, and how long for the rest.
const WALL_FACTOR: u32 = 4;
const WALL_MORE: Duration = Duration::from_mins(1);

/// How workers are started: this program once more, with a command of its own.
#[derive(Debug, Clone)]
pub struct Workshop {
    program: PathBuf,
    command: Vec<String>,
    limits: WorkerLimits,
    /// By the clock.
    patience: Duration,
}

impl Workshop {
    /// `program`: one that runs [`work`](super::work) as `compile-worker`.
    pub fn new(program: PathBuf, limits: WorkerLimits) -> Self {
        let patience = limits.cpu_time.saturating_mul(WALL_FACTOR).saturating_add(WALL_MORE);
        Self { program, command: vec!["compile-worker".into()], limits, patience }
    }

    /// The native code of a component.
    pub(super) fn compile(&self, bytes: &[u8], is_text: bool) -> Result<Vec<u8>, SandboxError> {
        let mut child = self.start(is_text).map_err(|error| {
            SandboxError::Engine(format!("cannot start a process to compile in ({}): {error}", self.program.display()))
        })?;
        let made = begin(&mut child, bytes).and_then(|artefact| finish(&mut child, &artefact, self.patience));
        let made =
            made.map_err(|error| SandboxError::Engine(format!("cannot talk to the process that compiles: {error}")))?;
        self.judge(made)
    }

    fn start(&self, is_text: bool) -> std::io::Result<Confined> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(THREADS_MAX);
        let seconds = self.limits.cpu_time.as_secs().to_string();
        let mut command = confined::command(&self.program);
        command.args(&self.command).args(["--cpu-seconds", &seconds]);
        command.args(["--memory-bytes", &self.limits.memory_bytes.to_string()]);
        command.args(["--parent", &std::process::id().to_string()]);
        command.args(is_text.then_some(OsStr::new("--text")));
        command.env("RAYON_NUM_THREADS", threads.to_string());
        Confined::start(&mut command, Stdio::piped())
    }

    fn judge(&self, made: Made) -> Result<Vec<u8>, SandboxError> {
        let cpu = humantime::format_duration(Duration::from_secs(self.limits.cpu_time.as_secs()));
        let mib = self.limits.memory_bytes >> 20;
        let Made { artefact, ended } = made;
        let says = sanitize_text(&ended.says, REASON_BYTES_MAX);
        let bound = |text: String| Err(SandboxError::Compile(text));
        let raise = "the component is larger or stranger than plugins are; raise";
        let Some(artefact) = artefact else {
            let wall = humantime::format_duration(self.patience);
            return bound(format!("it takes longer than {wall}: {raise} [sandbox] compile_cpu if it is meant to be"));
        };
        if ended.is_out_of_cpu() {
            return bound(format!(
                "it takes more than {cpu} of processor time: {raise} [sandbox] compile_cpu if it is meant to be"
            ));
        }
        if ended.is_out_of_memory() {
            return bound(format!(
                "it takes more than {mib} MiB of memory: {raise} [sandbox] compile_memory if it is meant to be"
            ));
        }
        match ended.status.code() {
            Some(code) if code == i32::from(WorkerEnd::Refused.code()) => Err(SandboxError::NotAPlugin(says)),
            Some(0) if artefact.len() as u64 > ARTEFACT_BYTES_MAX => {
                bound(format!("its native code is larger than {} MiB", ARTEFACT_BYTES_MAX >> 20))
            }
            Some(0) => Ok(artefact),
            _ if ended.is_killed() => bound(
                "the process that did was killed, by the system for want of memory or by somebody: give the machine more, or try again".into(),
            ),
            _ => bound(format!("the compiler itself failed ({}), and nothing was run: {says}", ended.status)),
        }
    }
}

/// The component goes in and native code comes out, each on a thread of its own: either may block for as long as the worker likes.
fn begin(child: &mut Confined, bytes: &[u8]) -> std::io::Result<Receiver<Vec<u8>>> {
    let mut stdin = child.stdin()?;
    let bytes = bytes.to_vec();
    // Whether it listens to the end shows in how it ends.
    spawn("compile stdin", move || drop(stdin.write_all(&bytes)))?;
    collect("compile stdout", child.stdout()?, ARTEFACT_BYTES_MAX)
}

/// Waits for the end, and brings it about if it does not come.
fn finish(child: &mut Confined, artefact: &Receiver<Vec<u8>>, wall: Duration) -> std::io::Result<Made> {
    let artefact = artefact.recv_timeout(wall).ok();
    let patience = if artefact.is_some() { EXIT_PATIENCE } else { Duration::ZERO };
    Ok(Made { artefact, ended: child.end(patience)? })
}

struct Made {
    /// `None`: it came too late.
    artefact: Option<Vec<u8>>,
    ended: Ended,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker of a kind that compiles nothing: a shell's script.
    fn workshop(script: &str, patience: Duration) -> Workshop {
        let limits = WorkerLimits { cpu_time: Duration::from_secs(7), memory_bytes: 64 << 20 };
        let command = ["-c", script, "worker"].map(str::to_owned).to_vec();
        Workshop { program: "/bin/sh".into(), command, limits, patience }
    }

    fn said(script: &str) -> String {
        workshop(script, Duration::from_mins(1)).compile(&vec![b'x'; 1 << 20], false).unwrap_err().to_string()
    }

    #[test]
    fn what_goes_in_comes_out_as_native_code() {
        let component = vec![b'x'; 3 << 20];
        let cat = workshop("exec cat", Duration::from_mins(1));
        assert_eq!(cat.compile(&component, false).unwrap(), component);
    }

    #[test]
    fn each_end_of_a_worker_has_a_meaning() {
        for (script, parts) in [
            ("kill -XCPU $$", &["more than 7s of processor time", "compile_cpu"][..]),
            ("kill -SEGV $$", &["the compiler itself failed", "signal: 11"]),
            ("echo wasm panicked >&2; exit 101", &["the compiler itself failed", "101", "wasm panicked"]),
            ("kill -KILL $$", &["was killed"]),
            (
                "echo memory allocation of 8 bytes failed >&2; kill -ABRT $$",
                &["more than 64 MiB of memory", "compile_memory"],
            ),
            ("echo os error: Cannot allocate memory >&2; exit 3", &["more than 64 MiB of memory"]),
            ("echo it has a beard >&2; exit 3", &["it has a beard"]),
        ] {
            let said = said(script);
            for part in parts {
                assert!(said.contains(part), "{script}: `{part}` is not said in: {said}");
            }
        }
    }

    #[test]
    fn what_a_worker_says_is_bounded_and_harmless() {
        let said = said(r"printf '\033[2J' >&2; head -c 3000000 /dev/zero | tr '\0' x >&2; exit 3");
        assert!(said.len() < 2_000 && !said.contains('\u{1b}') && said.contains("xxx"), "{said}");
    }

    #[test]
    fn a_worker_that_hangs_or_leaves_something_behind_is_ended() {
        for script in ["sleep 1000", "sleep 1000 & exit 0"] {
            let error = workshop(script, Duration::from_millis(200)).compile(b"x", false).unwrap_err().to_string();
            assert!(error.contains("it takes longer than 200ms"), "{script}: {error}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        let limits = WorkerLimits { cpu_time: Duration::from_secs(1), memory_bytes: 1 };
        let error = Workshop::new("/nowhere/at/all".into(), limits).compile(b"x", false).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
