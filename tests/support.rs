//! What the end-to-end tests share: the built plugins, a folder of their own, the program, the mock server.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub(crate) const SANDMILL: &str = env!("CARGO_BIN_EXE_sandmill");

/// No run of the program takes longer than this; one that does has hung.
const PATIENCE: Duration = Duration::from_mins(5);

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Plugins that one file of tests needs, and that take longest to build.
const LARGE: [&str; 5] = ["extract", "classify", "judge", "translate", "clean"];

/// A plugin's folder, built: all of them once, by the program's own `plugin build`.
pub(crate) fn plugin(name: &str) -> String {
    static BUILT: OnceLock<()> = OnceLock::new();
    static LARGE_BUILT: OnceLock<()> = OnceLock::new();
    let build = |names: &[&str]| {
        let folders = names.iter().map(|name| folder(name));
        let output = Command::new(SANDMILL).args(["plugin", "build"]).args(folders).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    if LARGE.contains(&name) {
        LARGE_BUILT.get_or_init(|| build(&LARGE));
    } else {
        BUILT.get_or_init(|| build(&["redact", "misbehave", "prompt", "summarize", "hostile", "reaching"]));
    }
    folder(name).display().to_string()
}

fn folder(name: &str) -> PathBuf {
    root().join(match name {
        "hostile" => "tests/hostile/guest".to_owned(),
        "reaching" => "tests/grants/guest".to_owned(),
        _ => format!("plugins/{name}"),
    })
}

/// `plugin build` of a folder whose language needs tools that a machine may lack. `None` where one is missing, which is told by name; with
/// `SANDMILL_TEST_KITS=all` that fails.
#[expect(clippy::print_stderr, reason = "a test that did not take place must be told")]
pub(crate) fn built_if_it_can_be(path: &Path) -> Option<String> {
    built_or_why_not(path).map_err(|said| eprintln!("not tested: {}: {said}", path.display())).ok()
}

/// The same; the error: which tool is missing, and how to have it.
pub(crate) fn built_or_why_not(path: &Path) -> Result<String, String> {
    let output = Command::new(SANDMILL).args(["plugin", "build", "-q"]).arg(path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(path.display().to_string());
    }
    assert!(said.contains("needs what is not there"), "{said}");
    assert!(std::env::var("SANDMILL_TEST_KITS").as_deref() != Ok("all"), "{said}");
    Err(said.into_owned())
}

/// Where all tests keep compiled plugins, so that each is compiled once.
pub(crate) fn compiled() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled")
}

/// How the program ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    fn new(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// With what the program said, if it ended otherwise.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Ends in `code` and says each of `parts`.
    #[track_caller]
    pub(crate) fn expect_error(self, code: i32, parts: &[&str]) {
        let ran = self.expect(code);
        for part in parts {
            assert!(ran.stderr.contains(part), "`{part}` is not said in:\n{}", ran.stderr);
        }
    }

    pub(crate) fn summary(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}

/// A folder of its own.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(SANDMILL);
        command.args(args).current_dir(self.dir.path()).env_remove("OPENAI_API_KEY").stdin(Stdio::null());
        command.env("SANDMILL_CACHE", compiled());
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        finish(self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), b"")
    }

    #[track_caller]
    pub(crate) fn run_with(&self, args: &[&str], env: &[(&str, String)]) -> Ran {
        let mut command = self.command(args);
        command.envs(env.iter().map(|(name, value)| (name, value))).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command.spawn().unwrap(), b"")
    }

    /// Runs a shell's script with `$S` for the program in namespaces of its own, where it may mount; `None` where the
    /// machine forbids that.
    #[expect(clippy::print_stderr, reason = "a test that did not take place must be told")]
    pub(crate) fn run_with_mounts(&self, script: &str) -> Option<Ran> {
        let unshare = |script: &str| {
            let mut command = Command::new("unshare");
            command
                .args(["--user", "--map-root-user", "--mount", "sh", "-ec", script])
                .env("S", SANDMILL)
                .env("SANDMILL_CACHE", compiled());
            command.current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().ok()
        };
        let probe = unshare("mkdir -p probe && mount -t tmpfs none probe")?;
        if finish(probe, b"").code != 0 {
            eprintln!("not tested: this machine lets nobody mount");
            return None;
        }
        Some(finish(unshare(script).unwrap(), b""))
    }

    pub(crate) fn run_with_stdin(&self, args: &[&str], stdin: &[u8]) -> Ran {
        let mut command = self.command(args);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        finish(child, stdin)
    }

    /// The output's lines, by id, in their order.
    pub(crate) fn rows(&self, name: &str) -> Vec<(String, Value)> {
        self.read(name)
            .lines()
            .map(|line| {
                let row: Value = serde_json::from_str(line).unwrap();
                (row["id"].as_str().unwrap().to_owned(), row["output"].clone())
            })
            .collect()
    }
}

/// Waits, feeding stdin, and kills what hangs.
fn finish(mut child: Child, stdin: &[u8]) -> Ran {
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(stdin).unwrap();
    }
    let pid = child.id();
    let (done, watch) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if watch.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            signal(pid, "KILL");
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(done);
    guard.join().unwrap();
    Ran::new(&output)
}

/// What a provider of a test says.
pub(crate) struct Said {
    status: u16,
    body: String,
}

impl Said {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into() }
    }
}

/// A provider that answers each question as the test says, by its body. Of its models it tells nothing. It ends with the process.
pub(crate) struct Saying {
    /// Up to and including the version.
    pub(crate) url: String,
}

impl Saying {
    pub(crate) fn start(says: impl Fn(&str) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let says = Arc::new(says);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let says = Arc::clone(&says);
                // A question that waits holds up no other.
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let said = match read_post(&stream) {
                        Some(body) => says(&String::from_utf8(body).unwrap()),
                        None => Said::new(404, ""),
                    };
                    let Said { status, body } = said;
                    let length = body.len();
                    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                    // Who asked may be gone: that is for the test to find.
                    let _ = stream.write_all((head + &body).as_bytes());
                });
            }
        });
        Self { url }
    }
}

/// The program while it runs, with all that it says in one stream. Ended when dropped.
pub(crate) struct Talking {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Talking {
    pub(crate) fn start(place: &Place, args: &[&str]) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = place.command(args);
        command.stdout(writer.try_clone().unwrap()).stderr(writer);
        let child = command.spawn().unwrap();
        // Its ends of the pipe go with it.
        drop(command);
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(reader).lines();
            lines.map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Self { child, lines }
    }

    /// Everything that is said up to a line with this in it.
    #[track_caller]
    pub(crate) fn until(&self, part: &str) -> String {
        let mut said = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => said.push_str(&(line + "\n")),
                Err(error) => panic!("waited for `{part}` ({error}), and was told:\n{said}"),
            }
            if said.lines().last().is_some_and(|line| line.contains(part)) {
                return said;
            }
        }
    }

    /// Sends a signal by name, and returns how it ended.
    pub(crate) fn end(mut self, by: &str) -> Option<i32> {
        signal(self.child.id(), by);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        // Gone, if it was ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by name to a process that this test started.
pub(crate) fn signal(pid: u32, name: &str) {
    signal_to(&pid.to_string(), name);
}

/// The same to a process group that this test started.
pub(crate) fn signal_group(leader: u32, name: &str) {
    signal_to(&format!("-{leader}"), name);
}

fn signal_to(whom: &str, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), "--", whom]).stderr(Stdio::null()).status();
    assert!(status.is_ok());
}

/// Waits until something holds; a bound on hanging, not on time.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a bound on hanging")]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `sandmill mock-server` as a process of its own, ended when dropped.
pub(crate) struct MockServer {
    child: Child,
    pub(crate) url: String,
    log: PathBuf,
}

impl MockServer {
    pub(crate) fn start(place: &Place, faults: &str) -> Self {
        Self::start_at(place, faults, "127.0.0.1:0")
    }

    pub(crate) fn start_at(place: &Place, faults: &str, address: &str) -> Self {
        let log = place.path("server.jsonl");
        let mut child = place
            .command(&["mock-server", "--listen", address, "--faults", faults, "--log", log.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child, url, log }
    }

    /// A JSON line for each request that arrived.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Requests that arrived so far.
    pub(crate) fn requests(&self) -> usize {
        self.log().lines().count()
    }
}

impl Drop for MockServer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// JSON Lines of `n` items, each made from its number.
pub(crate) fn items(n: usize, item: impl Fn(usize) -> Value) -> String {
    (0..n).map(|index| item(index).to_string() + "\n").collect()
}

/// Reads one request over HTTP; the body of a POST, `None` of any other.
pub(crate) fn read_post(stream: &TcpStream) -> Option<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).unwrap();
    let is_post = line.starts_with("POST ");
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        match line.trim().to_lowercase().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body).unwrap();
    is_post.then_some(body)
}

/// Processes whose stdin is this file, and that are no zombies; none where the system does not tell.
pub(crate) fn readers_of(path: &Path) -> usize {
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    let path = path.canonicalize().unwrap();
    // Whoever ends in between has no such link any more.
    let stdins = processes.flatten().filter_map(|process| std::fs::read_link(process.path().join("fd/0")).ok());
    stdins.filter(|stdin| *stdin == path).count()
}
