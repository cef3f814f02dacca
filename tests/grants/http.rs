//! Requests over HTTP: to whom they were granted, and to nobody else, by whatever name.

use super::{is_refused, reached, run, with_files};
use crate::support::Place;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server on this machine, until it is dropped; what it was asked for is counted.
struct Server {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), asked: Arc::default() };
        let (asked, port) = (Arc::clone(&server.asked), server.port);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                asked.fetch_add(1, Ordering::Relaxed);
                std::thread::spawn(move || answer(stream, port));
            }
        });
        server
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn grant(&self, before: &str, after: &str) -> String {
        format!("http=http://{before}:{}{after}", self.port)
    }

    fn wish(&self, host: &str, path: &str) -> Value {
        json!({ "do": "http", "scheme": "http", "authority": format!("{host}:{}", self.port), "path": path })
    }

    /// Of the host `localhost`, with more of it.
    fn wish_with(&self, path: &str, more: Value) -> Value {
        let mut wish = self.wish("localhost", path);
        wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        wish
    }
}

/// One request a connection; whoever goes away meanwhile does no harm.
fn answer(stream: TcpStream, port: u16) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        if let Some(bytes) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap();
        }
        head += &line;
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (status, headers, body) = match path {
        "/redirect" => ("302 Found", format!("location: http://127.0.0.1:{port}/secret\r\n"), String::new()),
        "/length" => ("200 OK", String::new(), body.len().to_string()),
        "/head" => ("200 OK", String::new(), head.clone()),
        "/silent" => {
            // Until the other side goes.
            let _ = reader.read(&mut [0]);
            return;
        }
        "/endless" => {
            let mut stream = stream;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
            let many = vec![b'x'; 1 << 20];
            while stream.write_all(&many).is_ok() {}
            return;
        }
        _ => ("200 OK", String::new(), format!("hello from {path}")),
    };
    let mut stream = stream;
    let length = body.len();
    let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}");
}

#[test]
fn a_host_that_was_granted_answers_and_no_other() {
    let (server, place) = (Server::start(), Place::new());
    let wishes = [
        server.wish("127.0.0.1", "/a?b"),
        server.wish("localhost", "/a"),
        server.wish("[::1]", "/a"),
        server.wish("127.1", "/a"),
        server.wish("2130706433", "/a"),
        server.wish("user@127.0.0.1", "/a"),
        json!({ "do": "http", "scheme": "https", "authority": format!("127.0.0.1:{}", server.port) }),
        json!({ "do": "http", "scheme": "http", "authority": "127.0.0.1:1" }),
        json!({ "do": "http", "scheme": "https", "authority": "example.com" }),
        server.wish_with("/a", json!({ "authority": format!("127.0.0.1:{}", server.port), "method": "CONNECT" })),
    ];
    let came = reached(&place, &[&server.grant("127.0.0.1", "")], &wishes);
    assert_eq!((&came[0]["ok"]["status"], &came[0]["ok"]["body"]), (&json!(200), &json!("hello from /a?b")));
    assert!(came[1..].iter().all(is_refused), "{came:?}");
    assert_eq!(came[1]["refused"], "ErrorCode::HttpRequestDenied");
    assert_eq!(server.asked(), 1, "what is refused never leaves");
}

#[test]
fn without_a_grant_every_request_is_refused_and_that_is_said_at_load() {
    let (server, place) = (Server::start(), Place::new());
    let ran = run(&place, &[], &[server.wish("127.0.0.1", "/a")]).expect(0);
    assert!(ran.stderr.contains("http: imported, not granted: every request is refused"), "{}", ran.stderr);
    assert_eq!(place.rows("out.jsonl")[0].1["refused"], "ErrorCode::HttpRequestDenied");
    assert_eq!(server.asked(), 0);
}

#[test]
fn a_redirect_is_a_request_of_its_own() {
    let (server, place) = (Server::start(), Place::new());
    let wishes = [server.wish("localhost", "/redirect"), server.wish("127.0.0.1", "/secret")];
    let came = reached(&place, &[&server.grant("localhost", "")], &wishes);
    assert_eq!(came[0]["ok"]["status"], 302);
    assert!(came[0]["ok"]["location"].as_str().unwrap().ends_with("/secret"));
    assert_eq!(came[1]["refused"], "ErrorCode::HttpRequestDenied");
    assert_eq!(server.asked(), 1, "nobody follows it");
}

/// Names that lead to this machine, as DNS of somebody else might: by the file of hosts, where a test may write one.
#[test]
fn a_name_that_leads_to_a_private_address_is_refused_unless_that_is_granted() {
    let (server, place) = (Server::start(), with_files());
    let wish = server.wish("inside.example", "/a");
    place.write("in.jsonl", format!("{wish}\n"));
    place.write("hosts", "127.0.0.1 inside.example\n");
    let plugin = crate::support::plugin("reaching");
    let ran = |job: &str, after: &str| {
        let grant = server.grant("inside.example", after);
        place.run_with_mounts(&format!(
            "mount --bind hosts /etc/hosts && \"$S\" run {plugin} --input in.jsonl -o out.jsonl --job {job} --grant {grant}"
        ))
    };
    let Some(refused) = ran("one", "") else { return };
    refused.expect(0);
    assert_eq!(place.rows("out.jsonl")[0].1["refused"], "ErrorCode::DestinationIpProhibited");
    assert_eq!(server.asked(), 0);
    ran("other", "+private").unwrap().expect(0);
    assert_eq!(place.rows("out.jsonl")[0].1["ok"]["body"], "hello from /a");
}

#[test]
fn what_is_sent_and_received_is_bounded_and_no_header_is_the_hosts() {
    let (server, place) = (Server::start(), Place::new());
    let four_kib = "x".repeat(4_096);
    let wishes = [
        server.wish_with("/length", json!({ "method": "POST", "body": four_kib, "times": 100 })),
        server.wish_with("/length", json!({ "method": "POST", "body": four_kib, "times": 4_200 })),
        server.wish_with("/endless", json!({})),
        server.wish_with("/head", json!({ "headers": { "x-own": "1" } })),
        server.wish_with("/a", json!({ "headers": { "host": "evil.example" } })),
        server.wish_with("/a", json!({ "headers": { "transfer-encoding": "chunked" } })),
    ];
    let came = reached(&place, &[&server.grant("localhost", "")], &wishes);
    assert_eq!(came[0]["ok"]["body"], "409600");
    assert!(came[1]["refused"].as_str().unwrap().contains("HttpRequestBodySize"), "{}", came[1]);
    assert!(came[2]["refused"].as_str().unwrap().contains("response body size exceeds"), "{}", came[2]);
    let head = came[3]["ok"]["body"].as_str().unwrap().to_ascii_lowercase();
    assert!(head.contains("x-own: 1") && head.contains(&format!("host: localhost:{}", server.port)), "{head}");
    assert!(came[4..].iter().all(|came| came["refused"].as_str().unwrap().contains("Forbidden")), "{came:?}");
}

#[test]
fn who_waits_for_an_answer_that_does_not_come_is_ended_by_the_limit_on_time() {
    let (server, place) = (Server::start(), Place::new());
    place.write("in.jsonl", format!("{}\n{}\n", server.wish("localhost", "/silent"), server.wish("localhost", "/a")));
    let grant = server.grant("localhost", "");
    let plugin = crate::support::plugin("reaching");
    let fixed = ["run", &plugin, "--input", "in.jsonl", "-o", "out.jsonl", "--job", "j"];
    let ran = place.run(&[&fixed[..], &["--grant", &grant, "--limit-wall", "2s", "--json"]].concat()).expect(3);
    assert_eq!(ran.summary()["job"]["failures"], json!({ "wall_time": 1 }));
    assert_eq!(place.rows("out.jsonl")[0].1["ok"]["body"], "hello from /a");
}

#[test]
fn a_dry_run_asks_nobody() {
    let (server, place) = (Server::start(), Place::new());
    place.write("in.jsonl", format!("{}\n", server.wish("localhost", "/a")));
    let plugin = crate::support::plugin("reaching");
    let fixed = ["run", &plugin, "--input", "in.jsonl", "--job", "j", "--dry-run"];
    place.run(&[&fixed[..], &["--grant", &server.grant("localhost", "")]].concat()).expect(0);
    assert_eq!(server.asked(), 0);
}
