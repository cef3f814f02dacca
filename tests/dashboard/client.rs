//! A run with a page, and who asks for it: over plain sockets, so that nothing is added to what is sent.

use crate::support::Place;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

/// Ended when dropped.
pub(crate) struct Watched {
    run: Child,
    /// What it says on stderr behind the address.
    said: Option<std::thread::JoinHandle<String>>,
    pub(crate) url: String,
    pub(crate) address: String,
    /// Name and value.
    pub(crate) cookie: String,
}

impl Watched {
    /// Starts a run, and enters its page by the address that it printed.
    pub(crate) fn start(place: &Place, args: &[&str]) -> Self {
        let mut run =
            place.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(run.stderr.take().unwrap());
        let url = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "no address was said");
            if let Some(url) = line.strip_prefix("Dashboard at ") {
                break url.trim().to_owned();
            }
        };
        let said = std::thread::spawn(move || {
            let mut said = String::new();
            stderr.read_to_string(&mut said).unwrap();
            said
        });
        let (address, query) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let (status, head, _) = ask(address, address, &format!("GET /{query}"), "");
        assert_eq!(status, 303, "{head}");
        let cookie = head
            .lines()
            .find_map(|line| line.to_lowercase().starts_with("set-cookie: ").then(|| line[12..].to_owned()));
        let cookie = cookie.unwrap().split(';').next().unwrap().to_owned();
        Self { run, said: Some(said), address: address.to_owned(), cookie, url }
    }

    pub(crate) fn id(&self) -> u32 {
        self.run.id()
    }

    /// All that it reads from stdin.
    pub(crate) fn say(&mut self, text: &str) {
        self.run.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Status, head and body.
    pub(crate) fn bare(&self, method: &str, path: &str, headers: &str) -> (u16, String, String) {
        ask(&self.address, &self.address, &format!("{method} {path}"), headers)
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let (status, _, body) = self.bare("GET", path, &format!("Cookie: {}\r\n", self.cookie));
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) fn data(&self) -> Value {
        self.json("/data")
    }

    /// As the page does it.
    pub(crate) fn post(&self, path: &str) -> (u16, String, String) {
        self.bare("POST", path, &format!("Cookie: {}\r\nOrigin: http://{}\r\n", self.cookie, self.address))
    }

    /// The status of a request that comes under another name.
    pub(crate) fn under(&self, host: &str, path: &str) -> u16 {
        ask(&self.address, host, &format!("GET {path}"), &format!("Cookie: {}\r\n", self.cookie)).0
    }

    pub(crate) fn events(&self) -> Events {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "GET /events HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
            self.address, self.cookie
        )
        .unwrap();
        Events(BufReader::new(stream))
    }

    /// Its exit code (-1: it was killed), its summary, and what it said on stderr.
    pub(crate) fn end(mut self) -> (i32, Value, String) {
        // Whoever said nothing on stdin says that there is no more.
        drop(self.run.stdin.take());
        let mut summary = Vec::new();
        self.run.stdout.take().unwrap().read_to_end(&mut summary).unwrap();
        let code = self.run.wait().unwrap().code().unwrap_or(-1);
        (code, serde_json::from_slice(&summary).unwrap_or_default(), self.said.take().unwrap().join().unwrap())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Gone, if it was ended.
        let _ = self.run.kill();
        let _ = self.run.wait();
    }
}

fn ask(address: &str, host: &str, what: &str, headers: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{what} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
}

/// The stream of what is new.
pub(crate) struct Events(BufReader<TcpStream>);

impl Events {
    /// The first of what is shown that is so.
    #[track_caller]
    pub(crate) fn until(&mut self, is_so: impl Fn(&Value) -> bool) -> Value {
        let (mut line, mut last) = (String::new(), String::new());
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended; last came {last}");
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let value: Value = serde_json::from_str(data).unwrap();
            if value["kind"] == "sandmill-dashboard" && is_so(&value) {
                return value;
            }
            last = value.to_string();
        }
    }

    /// Whether nothing more comes, and the last chunk came as it should.
    pub(crate) fn has_ended(mut self) -> bool {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest.ends_with("0\r\n\r\n") && !rest.contains("data: ")
    }
}
