//! A program of the operator's that reads the alert as JSON from its stdin. No shell; whatever it starts ends with it.

use super::{Channel, SendError};
use crate::alert::Alert;
use async_trait::async_trait;
use futures_util::future::{Either, select};
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

/// What is kept of its complaints, in bytes.
const COMPLAINT_MAX: usize = 2_000;
/// What it started may hold its stderr when it has ended.
const COMPLAINT_WAIT: Duration = Duration::from_millis(200);

pub(in crate::alert) struct CommandLine {
    program: String,
    arguments: Vec<String>,
    timeout: Duration,
}

impl CommandLine {
    pub(in crate::alert) fn new(words: &[String], timeout: Duration) -> Result<Self, String> {
        match words {
            [program, arguments @ ..] if !program.is_empty() => {
                Ok(Self { program: program.clone(), arguments: arguments.to_vec(), timeout })
            }
            _ => Err("`command` is empty: command = [\"program\", \"argument\"]".into()),
        }
    }

    async fn run(&self, child: &mut Child, input: String) -> Result<(), SendError> {
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let mut complaint = Vec::new();
        let status = {
            let reading = read(stderr, &mut complaint);
            let ending = async { tokio::join!(write(stdin, input), child.wait()).1 };
            tokio::pin!(reading, ending);
            match select(reading, ending).await {
                Either::Left(((), ending)) => ending.await,
                Either::Right((status, reading)) => {
                    // What it said before it ended is in the pipe already.
                    let _ = tokio::time::timeout(COMPLAINT_WAIT, reading).await;
                    status
                }
            }
        };
        let status = status.map_err(|error| SendError::passing(format!("it cannot be waited for: {error}")))?;
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&complaint);
        Err(SendError::passing(format!("it ended with {status}: {}", said.trim())))
    }
}

#[async_trait]
impl Channel for CommandLine {
    async fn send(&self, alert: &Alert) -> Result<(), SendError> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A Ctrl-C is the run's, and of that it is told.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| SendError::last(format!("it cannot be run: {error}")))?;
        let _group = Group(child.id());
        let input = format!("{}\n", alert.to_json());
        tokio::time::timeout(self.timeout, self.run(&mut child, input)).await.unwrap_or_else(|_| {
            Err(SendError::passing(format!("it took longer than {}", humantime::format_duration(self.timeout))))
        })
    }

    fn describe(&self) -> String {
        format!("command `{}`", self.program)
    }
}

/// A process group that ends with this. Its number is not given anew while any process is in it.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let leader = self.0.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(leader) = leader {
            // Gone already, if all went well.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// A program that does not read is none that fails.
async fn write(stdin: Option<ChildStdin>, input: String) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input.as_bytes()).await;
        let _ = stdin.shutdown().await;
    }
}

/// All of it, so that nobody waits for room; the start is kept.
async fn read(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut buffer = [0; 4_096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let room = COMPLAINT_MAX.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&buffer[..room]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::message::tests::alert;

    async fn sent(script: &str, timeout: Duration) -> Result<(), SendError> {
        let words = ["sh", "-c", script].map(str::to_owned);
        CommandLine::new(&words, timeout).unwrap().send(&alert()).await
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn it_reads_the_alert_from_its_stdin() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("told");
        sent(&format!("cat > {}", path.display()), LONG).await.unwrap();
        let told: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(told, alert().to_json());
        // One that reads nothing has been told, too.
        sent("exit 0", LONG).await.unwrap();
    }

    #[tokio::test]
    async fn one_that_fails_says_why_and_may_be_tried_again() {
        let error = sent("echo no route >&2; exit 3", LONG).await.unwrap_err();
        assert!(error.message.contains("exit status: 3: no route") && !error.is_final, "{error}");
        let error = sent("yes complaint >&2 & head -c 1000000 /dev/zero >&2; exit 1", LONG).await.unwrap_err();
        assert!(error.message.contains("exit status: 1"), "{error}");
        let missing = CommandLine::new(&["/no/such/program".into()], LONG).unwrap().send(&alert()).await;
        assert!(missing.unwrap_err().is_final);
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", path.display());
        let words = ["sh", "-c", &script].map(str::to_owned);
        let command = CommandLine::new(&words, LONG).unwrap();
        let pid = || std::fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'));
        let alert = alert();
        tokio::select! {
            sent = command.send(&alert) => panic!("{sent:?}"),
            () = async { while pid().is_none() { tokio::task::yield_now().await } } => {}
        }
        let pid = Pid::from_raw(pid().unwrap().trim().parse().unwrap()).unwrap();
        // Gone, or waiting for its parent to take note.
        let is_gone = || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        };
        while !is_gone() {
            tokio::task::yield_now().await;
        }
        let error = sent("sleep 600", Duration::from_millis(10)).await.unwrap_err();
        assert!(error.message.contains("longer than 10ms"), "{error}");
    }
}
