//! The process that decodes: how it is started and what its end means, and what it does from its first moment on.

use super::super::{InputError, Options};
use super::words::Words;
use super::{damaged, decode};
use crate::confined::{self, Confined, EXIT_PATIENCE, Patient};
use crate::domain::sanitize_line;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

/// Processor time between two pieces of output. The largest page that memory allows is unpacked in a few seconds.
const CPU_BETWEEN: Duration = Duration::from_mins(1);
/// By the clock, while somebody waits for it: what neither computes nor ends. Long, since a disk may be far away.
const PATIENCE: Duration = Duration::from_mins(15);
/// What is said is said in pieces of this size, in bytes.
const PIECE_BYTES: usize = 64 << 10;
/// What is passed on of a worker's words on stderr, in bytes.
const REASON_BYTES_MAX: usize = 300;

/// How a worker ends that has said its last word; and one around which something is wrong, which stderr says.
const SAID: u8 = 0;
const FAILED: u8 = 4;

/// How Parquet is decoded: by this program once more, with a command of its own.
#[derive(Debug, Clone)]
pub struct Decoder {
    program: PathBuf,
    command: Vec<String>,
    memory_bytes: u64,
    patience: Duration,
}

/// What is wanted of the rows, on the worker's command line.
#[derive(Serialize, Deserialize)]
struct Wanted {
    id_field: Option<String>,
    map: Vec<(String, String)>,
}

impl Decoder {
    /// `program`: one that runs [`work`] as `parquet-worker`. `memory_bytes`: of address space, beyond what the program has when it
    /// starts.
    pub fn new(program: PathBuf, memory_bytes: u64) -> Self {
        Self { program, command: vec!["parquet-worker".into()], memory_bytes, patience: PATIENCE }
    }

    /// The file is the worker's stdin, so that it has no need of a path.
    pub(super) fn start(
        &self,
        file: File,
        name: &str,
        options: &Options,
    ) -> Result<(Words<Patient>, Worker), InputError> {
        let wanted = Wanted { id_field: options.id_field.clone(), map: options.map.clone() };
        let unreadable = |error: &dyn std::fmt::Display| InputError::Unreadable {
            name: name.into(),
            reason: format!("cannot start a process to decode it in ({}): {error}", self.program.display()),
        };
        let mut command = confined::command(&self.program);
        command.args(&self.command).args(["--memory-bytes", &self.memory_bytes.to_string()]);
        command.args(["--wanted", &serde_json::to_string(&wanted).map_err(|error| unreadable(&error))?]);
        let mut child = Confined::start(&mut command, file.into()).map_err(|error| unreadable(&error))?;
        let stdout = child.stdout().and_then(|stdout| Patient::new("parquet rows", stdout, self.patience));
        let words = Words::new(stdout.map_err(|error| unreadable(&error))?);
        Ok((words, Worker { child, memory_bytes: self.memory_bytes, patience: self.patience }))
    }
}

/// One that is at work. It ends when this is dropped.
pub(super) struct Worker {
    child: Confined,
    memory_bytes: u64,
    patience: Duration,
}

impl Worker {
    /// What it means that it says no more, or something that is none of its words, before its last word.
    pub(super) fn why_no_more(&mut self, name: &str, problem: Option<io::Error>) -> InputError {
        let told = |reason: String| InputError::Unreadable { name: name.into(), reason };
        let patience = match &problem {
            Some(error) if error.kind() == ErrorKind::TimedOut => {
                let patience = humantime::format_duration(self.patience);
                return told(format!(
                    "nothing came of it for {patience}: look whether the disk that it lies on can be read"
                ));
            }
            Some(_) => Duration::ZERO,
            None => EXIT_PATIENCE,
        };
        let ended = match self.child.end(patience) {
            Ok(ended) => ended,
            Err(error) => return told(format!("the process that decodes it cannot be waited for: {error}")),
        };
        if ended.is_out_of_memory() {
            return told(format!(
                "decoding it takes more than {} MiB of memory: if it is not damaged, write it anew with smaller row groups and pages, or raise [input] parquet_memory",
                self.memory_bytes >> 20
            ));
        }
        if ended.is_out_of_cpu() {
            let between = humantime::format_duration(CPU_BETWEEN);
            return damaged(name, &format!("{between} of processor time have yielded no row"));
        }
        if let Some(error) = problem {
            return told(format!("the process that decodes it has gone wrong: {error}"));
        }
        let says = sanitize_line(&ended.says, REASON_BYTES_MAX);
        match ended.status.code() {
            Some(code) if code == i32::from(FAILED) => told(says),
            _ if ended.is_killed() => told(
                "the process that decodes it was killed, by the system for want of memory or by somebody: give the machine more, or try again".into(),
            ),
            _ => damaged(name, &format!("the process that decodes it has crashed: {}", ended.status)),
        }
    }
}

/// The whole life of a worker, whose stdin is the file; its exit code. `wanted`: as [`Decoder`] puts it.
///
/// It ends when nobody listens any more, and needs no signal for that: such a signal would come when the thread ends that started it,
/// and who reads rows may do so on another one.
pub fn work(memory_bytes: u64, wanted: &str) -> u8 {
    match say_rows(memory_bytes, wanted) {
        Ok(()) => SAID,
        Err(error) => {
            // Without a reader there is nobody to tell.
            let _ = writeln!(io::stderr().lock(), "the process that decodes it has failed: {error}");
            FAILED
        }
    }
}

fn say_rows(memory_bytes: u64, wanted: &str) -> io::Result<()> {
    confined::confine(confined::address_space().saturating_add(memory_bytes))?;
    confined::allow_cpu(CPU_BETWEEN)?;
    let Wanted { id_field, map } = serde_json::from_str(wanted)?;
    let options = Options { format: super::super::Format::Parquet, id_field, map };
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    decode::decode(file, &options, &mut BufWriter::with_capacity(PIECE_BYTES, Steps(stdout)))
}

/// Each piece that is said buys time for the next.
struct Steps<W>(W);

impl<W: Write> Write for Steps<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        confined::allow_cpu(CPU_BETWEEN)?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::options;
    use super::super::super::{Format, Record, Records, open_path};
    use super::*;
    use std::path::Path;

    /// A worker of a kind that decodes nothing: a shell's script. What is in the file comes in on stdin.
    fn worker(script: &str, patience: Duration) -> Decoder {
        let command = ["-c", script, "worker"].map(str::to_owned).to_vec();
        Decoder { program: "/bin/sh".into(), command, memory_bytes: 64 << 20, patience }
    }

    fn opened(script: &str, file: &Path) -> Result<Records, InputError> {
        open_path(file, &options(Format::Parquet), &worker(script, Duration::from_mins(1)))
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn rows_come_in_their_order_and_the_file_is_what_the_worker_is_fed() {
        let rows: Vec<String> = (0..100_000).map(|n| format!("+\"r{n}\"\t{{\"n\":{n}}}\n")).collect();
        let file = file(&format!(":\n{}.\n", rows.concat()));
        let records: Vec<Record> = opened("exec cat", file.path()).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(records.len(), 100_000);
        for (n, record) in (0..).zip(&records) {
            let entry = record.entry.as_ref().unwrap();
            assert_eq!((record.line, entry.json.as_str()), (n + 1, format!("{{\"n\":{n}}}").as_str()));
            assert_eq!(entry.id.as_ref().unwrap().as_str(), format!("r{n}"));
        }
    }

    #[test]
    fn an_end_without_a_last_word_is_none_of_the_input_whatever_the_exit_code() {
        let file = file("");
        for (script, parts) in [
            ("exit 0", &["damaged", "has crashed", "exit status: 0"][..]),
            ("printf '+\\t{\"a\":'", &["damaged", "has crashed"]),
            ("kill -SEGV $$", &["damaged", "has crashed", "signal: 11"]),
            ("kill -XCPU $$", &["damaged", "1m of processor time have yielded no row"]),
            ("kill -KILL $$", &["was killed", "give the machine more"]),
            (
                "echo memory allocation of 8 bytes failed >&2; kill -ABRT $$",
                &["more than 64 MiB of memory", "smaller row groups", "parquet_memory"],
            ),
            ("echo the process has a beard >&2; exit 4", &["the process has a beard"]),
            ("echo hello; sleep 1000", &["gone wrong", "makes no sense"]),
        ] {
            for begin in ["", "printf ':\\n+\\t{\"a\":1}\\n'; "] {
                let (mut rows, mut said) = (0, None);
                match opened(&format!("{begin}{script}"), file.path()) {
                    Err(error) => said = Some(error),
                    Ok(records) => {
                        for record in records {
                            match record {
                                Ok(_) => rows += 1,
                                Err(error) => assert!(said.replace(error).is_none(), "one error, and the last"),
                            }
                        }
                    }
                }
                assert_eq!(rows, usize::from(!begin.is_empty()), "{script}");
                let said = said.unwrap().to_string();
                assert!(said.contains(file.path().to_str().unwrap()), "{said}");
                for part in parts {
                    assert!(said.contains(part), "{begin}{script}: `{part}` is not said in: {said}");
                }
            }
        }
    }

    #[test]
    fn a_last_word_ends_the_input_and_the_worker_with_it() {
        let file = file("");
        let pid = "printf ':\\n+\\t{\"pid\":%s}\\n' $$; ";
        for (last, said) in [(".", None), ("!\"row 2: bad\"", Some("row 2: bad")), ("#\"column\"", Some("column"))] {
            let records = opened(&format!("{pid}printf '%s\\n' '{last}'; sleep 1000"), file.path()).unwrap();
            let mut records: Vec<_> = records.collect();
            let pid = pid_in(records.remove(0));
            assert_eq!(records.len(), usize::from(said.is_some()));
            if let Some(part) = said {
                let error = records.remove(0).unwrap_err().to_string();
                assert!(error.contains(part), "{error}");
            }
            assert!(!is_there(&pid), "{last}");
        }
    }

    fn pid_in(record: Result<Record, InputError>) -> String {
        record.unwrap().entry.unwrap().json.chars().filter(char::is_ascii_digit).collect()
    }

    /// Whether there is such a process, or a zombie of it.
    fn is_there(pid: &str) -> bool {
        let mut kill = std::process::Command::new("kill");
        kill.args(["-0", pid]).stderr(std::process::Stdio::null()).status().unwrap().success()
    }

    #[test]
    fn whoever_reads_no_further_ends_the_worker() {
        let file = file("");
        let script = "printf ':\\n+\\t{\"pid\":%s}\\n' $$; while :; do printf '+\\t{}\\n'; done";
        let mut records = opened(script, file.path()).unwrap();
        let pid = pid_in(records.next().unwrap());
        assert!(is_there(&pid));
        drop(records);
        assert!(!is_there(&pid), "killed, and waited for");
    }

    #[test]
    fn rows_are_read_on_another_thread_than_the_one_that_began() {
        let path = file(":\n+\t{}\n.\n");
        let file = path.path().to_owned();
        let script = "cat; exit 0";
        let records = std::thread::spawn(move || opened(script, &file).unwrap()).join().unwrap();
        assert_eq!(records.map(Result::unwrap).count(), 1);
    }

    #[test]
    fn a_worker_that_hangs_is_ended() {
        let file = file("");
        let silent = worker("printf ':\\n+\\t{}\\n'; sleep 1000", Duration::from_millis(300));
        let mut records = open_path(file.path(), &options(Format::Parquet), &silent).unwrap();
        assert!(records.next().unwrap().is_ok());
        let error = records.next().unwrap().unwrap_err().to_string();
        assert!(error.contains("nothing came of it for 300ms"), "{error}");
        assert!(records.next().is_none());
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        let file = file("");
        let nowhere = Decoder::new("/nowhere/at/all".into(), 1);
        let error = open_path(file.path(), &options(Format::Parquet), &nowhere).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("/nowhere/at/all") && error.contains("cannot start"), "{error}");
    }
}
