//! The parent's side of compiling: one process for one component, bounded in everything, and what its end means.

use super::super::SandboxError;
use super::worker::{WorkerEnd, WorkerLimits};
use crate::domain::sanitize_text;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Native code is several times as large as what it was made from: that of `CPython` is about 60 MB.
const ARTEFACT_BYTES_MAX: u64 = 1 << 30;
/// Of what a worker says on stderr; and of that, what is passed on.
const STDERR_BYTES_MAX: u64 = 64 << 10;
const REASON_BYTES_MAX: usize = 1_000;
/// The compiler's threads. Each takes address space, and they gain little beyond.
const THREADS_MAX: usize = 8;
/// How much longer than its processor time a worker may take on a machine that is busy with other things, and how long for the rest.
const WALL_FACTOR: u32 = 4;
const WALL_MORE: Duration = Duration::from_mins(1);
/// How long a worker may still be there after it has said everything; looked at so often.
const EXIT_LOOKS: u32 = 1_000;
const EXIT_LOOK_EVERY: Duration = Duration::from_millis(5);

/// `RLIMIT_CPU`'s soft limit, `abort`, and what a process is killed by.
const SIGXCPU: i32 = 24;
const SIGKILL: i32 = 9;

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
        let ended = Conversation::begin(&mut child, bytes).and_then(|talk| talk.finish(&mut child, self.patience));
        match ended {
            Ok(ended) => self.judge(ended),
            Err(error) => {
                kill(&mut child);
                Err(SandboxError::Engine(format!("cannot talk to the process that compiles: {error}")))
            }
        }
    }

    /// Nothing of this process's environment, folder or terminal goes along. In a process group of its own, so that a Ctrl-C reaches the
    /// run, which decides what it means.
    fn start(&self, is_text: bool) -> std::io::Result<Child> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(THREADS_MAX);
        let seconds = self.limits.cpu_time.as_secs().to_string();
        let mut command = Command::new(&self.program);
        command.args(&self.command).args(["--cpu-seconds", &seconds]);
        command.args(["--memory-bytes", &self.limits.memory_bytes.to_string()]);
        command.args(["--parent", &std::process::id().to_string()]);
        command.args(is_text.then_some(OsStr::new("--text")));
        command.env_clear().env("RAYON_NUM_THREADS", threads.to_string()).current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    fn judge(&self, ended: Ended) -> Result<Vec<u8>, SandboxError> {
        let cpu = humantime::format_duration(Duration::from_secs(self.limits.cpu_time.as_secs()));
        let mib = self.limits.memory_bytes >> 20;
        let says = ended.reason();
        let bound = |text: String| Err(SandboxError::Compile(text));
        let raise = "the component is larger or stranger than plugins are; raise";
        if ended.is_late {
            let wall = humantime::format_duration(self.patience);
            return bound(format!("it takes longer than {wall}: {raise} [sandbox] compile_cpu if it is meant to be"));
        }
        if ended.status.signal() == Some(SIGXCPU) {
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
            Some(0) if ended.is_too_large() => {
                bound(format!("its native code is larger than {} MiB", ARTEFACT_BYTES_MAX >> 20))
            }
            Some(0) => Ok(ended.artefact),
            _ if ended.status.signal() == Some(SIGKILL) => bound(
                "the process that did was killed, by the system for want of memory or by somebody: give the machine more, or try again".into(),
            ),
            _ => bound(format!("the compiler itself failed ({}), and nothing was run: {says}", ended.status)),
        }
    }
}

/// What goes in and out, each on a thread of its own: any of them may block for as long as the worker likes.
struct Conversation {
    artefact: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
}

impl Conversation {
    fn begin(child: &mut Child, bytes: &[u8]) -> std::io::Result<Self> {
        let missing = || std::io::Error::other("it has no pipe");
        let mut stdin = child.stdin.take().ok_or_else(missing)?;
        let bytes = bytes.to_vec();
        // Whether it listens to the end shows in how it ends.
        spawn("compile stdin", move || drop(stdin.write_all(&bytes)))?;
        let artefact = collect("compile stdout", child.stdout.take().ok_or_else(missing)?, ARTEFACT_BYTES_MAX)?;
        let stderr = collect("compile stderr", child.stderr.take().ok_or_else(missing)?, STDERR_BYTES_MAX)?;
        Ok(Self { artefact, stderr })
    }

    /// Waits for the end, and brings it about if it does not come.
    fn finish(self, child: &mut Child, wall: Duration) -> std::io::Result<Ended> {
        let artefact = self.artefact.recv_timeout(wall).ok();
        let is_late = artefact.is_none();
        let status = if is_late { None } else { exit_of(child)? };
        let status = if let Some(status) = status {
            status
        } else {
            kill(child);
            child.wait()?
        };
        let stderr = self.stderr.recv_timeout(EXIT_LOOK_EVERY.saturating_mul(EXIT_LOOKS)).unwrap_or_default();
        Ok(Ended { is_late, artefact: artefact.unwrap_or_default(), stderr, status })
    }
}

fn spawn(name: &str, task: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(task).map(drop)
}

/// Reads one byte more than is allowed, so that it shows, and then no further.
fn collect(name: &str, pipe: impl Read + Send + 'static, most: u64) -> std::io::Result<Receiver<Vec<u8>>> {
    let (sender, receiver) = channel();
    spawn(name, move || {
        let mut bytes = Vec::new();
        // A pipe that breaks ends what came; the worker's exit tells the rest.
        let _ = pipe.take(most + 1).read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    })?;
    Ok(receiver)
}

fn exit_of(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    for _ in 0..EXIT_LOOKS {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(EXIT_LOOK_EVERY);
    }
    Ok(None)
}

/// With all that it may have started.
fn kill(child: &mut Child) {
    // It may have ended by itself, and then there is nobody to kill.
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
}

struct Ended {
    is_late: bool,
    artefact: Vec<u8>,
    stderr: Vec<u8>,
    status: ExitStatus,
}

impl Ended {
    fn is_too_large(&self) -> bool {
        self.artefact.len() as u64 > ARTEFACT_BYTES_MAX
    }

    fn reason(&self) -> String {
        sanitize_text(String::from_utf8_lossy(&self.stderr).trim(), REASON_BYTES_MAX)
    }

    /// Rust's allocator, mmap and threads each have words of their own for it.
    fn is_out_of_memory(&self) -> bool {
        let says = self.reason();
        let words = ["memory allocation of", "annot allocate memory", "Resource temporarily unavailable"];
        !self.status.success() && words.iter().any(|words| says.contains(words))
    }
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
    fn nothing_of_this_process_goes_along() {
        let said = said("pwd >&2; export >&2; exit 3");
        assert!(said.starts_with("/\n"), "{said}");
        // A shell adds what it needs itself.
        let own = ["RAYON_NUM_THREADS", "PWD", "OLDPWD", "SHLVL", "_", "PATH"];
        for line in said.lines().skip(1) {
            let name = line.trim_start_matches("export ").trim_start_matches("declare -x ").split('=').next().unwrap();
            assert!(own.contains(&name), "{line}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        let limits = WorkerLimits { cpu_time: Duration::from_secs(1), memory_bytes: 1 };
        let error = Workshop::new("/nowhere/at/all".into(), limits).compile(b"x", false).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
