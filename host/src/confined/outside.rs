//! The parent's side: how a child is started, waited for and ended.

use super::pipe::collect;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Of what a child says on stderr.
const STDERR_BYTES_MAX: u64 = 64 << 10;
/// How long a child may still be there after it has said everything; looked at so often.
pub const EXIT_PATIENCE: Duration = Duration::from_secs(5);
const EXIT_LOOK_EVERY: Duration = Duration::from_millis(5);

/// `RLIMIT_CPU`'s soft limit, and what a process is killed by.
const SIGXCPU: i32 = 24;
const SIGKILL: i32 = 9;

/// The file that runs, even if another has taken its name since.
pub fn this_program() -> io::Result<PathBuf> {
    let linux = Path::new("/proc/self/exe");
    if linux.exists() {
        return Ok(linux.to_path_buf());
    }
    std::env::current_exe()
}

/// Nothing of this process's environment, folder or terminal goes along. In a process group of its own, so that a Ctrl-C reaches the run,
/// which decides what it means.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir("/").process_group(0);
    command
}

/// A child in a process group of its own. It ends when this is dropped, with all that it may have started.
#[derive(Debug)]
pub struct Confined {
    child: Child,
    stderr: Option<Receiver<Vec<u8>>>,
    /// Once it was waited for: from then on its number may be somebody else's.
    status: Option<ExitStatus>,
}

impl Confined {
    pub fn start(command: &mut Command, stdin: Stdio) -> io::Result<Self> {
        let child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut this = Self { child, stderr: None, status: None };
        let pipe = this.child.stderr.take().ok_or_else(no_pipe)?;
        this.stderr = Some(collect("child stderr", pipe, STDERR_BYTES_MAX)?);
        Ok(this)
    }

    /// To be taken once, as its stdout.
    pub fn stdin(&mut self) -> io::Result<ChildStdin> {
        self.child.stdin.take().ok_or_else(no_pipe)
    }

    pub fn stdout(&mut self) -> io::Result<ChildStdout> {
        self.child.stdout.take().ok_or_else(no_pipe)
    }

    /// Waits for its end, and brings it about after `patience`.
    pub fn end(&mut self, patience: Duration) -> io::Result<Ended> {
        let status = match self.status_within(patience)? {
            Some(status) => status,
            None => self.kill()?,
        };
        let says = self.stderr.take().and_then(|stderr| stderr.recv_timeout(EXIT_PATIENCE).ok()).unwrap_or_default();
        Ok(Ended { status, says: String::from_utf8_lossy(&says).trim().to_owned() })
    }

    fn status_within(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let mut left = patience;
        while self.status.is_none() && !left.is_zero() {
            self.status = self.child.try_wait()?;
            if self.status.is_none() {
                std::thread::sleep(EXIT_LOOK_EVERY);
                left = left.saturating_sub(EXIT_LOOK_EVERY);
            }
        }
        Ok(self.status)
    }

    fn kill(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        // It may have ended by itself, and then there is nobody to kill.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
        let status = self.child.wait()?;
        self.status = Some(status);
        Ok(status)
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        // Nobody is left to be told that it could not be waited for.
        let _ = self.kill();
    }
}

fn no_pipe() -> io::Error {
    io::Error::other("it has no pipe")
}

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// On stderr: as it came, and bounded.
    pub says: String,
}

impl Ended {
    pub fn is_out_of_cpu(&self) -> bool {
        self.status.signal() == Some(SIGXCPU)
    }

    pub fn is_killed(&self) -> bool {
        self.status.signal() == Some(SIGKILL)
    }

    /// Rust's allocator, mmap and threads each have words of their own for it.
    pub fn is_out_of_memory(&self) -> bool {
        let words = ["memory allocation of", "annot allocate memory", "Resource temporarily unavailable"];
        !self.status.success() && words.iter().any(|words| self.says.contains(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    fn shell(script: &str) -> Confined {
        Confined::start(command(Path::new("/bin/sh")).args(["-c", script]), Stdio::null()).unwrap()
    }

    #[test]
    fn nothing_of_this_process_goes_along() {
        let said = shell("pwd >&2; export >&2").end(Duration::from_mins(1)).unwrap().says;
        assert!(said.starts_with("/\n"), "{said}");
        // A shell adds what it needs itself.
        let own = ["PWD", "OLDPWD", "SHLVL", "_", "PATH"];
        for line in said.lines().skip(1) {
            let name = line.trim_start_matches("export ").trim_start_matches("declare -x ").split('=').next().unwrap();
            assert!(own.contains(&name), "{line}");
        }
    }

    /// Whether there is such a process, or a zombie of it.
    fn is_there(pid: &str) -> bool {
        std::process::Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().unwrap().success()
    }

    #[test]
    fn a_child_goes_with_what_holds_it_and_takes_along_what_it_started() {
        let mut child = shell("sleep 1000 & echo $! $$; wait");
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout().unwrap());
        said.read_line(&mut line).unwrap();
        assert!(line.split_whitespace().all(is_there) && line.split_whitespace().count() == 2, "{line}");
        let own = child.child.id().to_string();
        drop(child);
        assert!(!is_there(&own), "killed, and waited for");
        // What it started is somebody else's to wait for; its end of the pipe has gone with it.
        assert_eq!(said.read_line(&mut line).unwrap(), 0);
    }
}
