//! What is around: files, network, environment, clocks, chance, streams.

use super::returned::ESCAPES;
use super::{Run, emit, fail};
use sandmill_plugin::bindings::sandmill::plugin::blobs;
use sandmill_plugin::bindings::sandmill::plugin::log::{Level, log};
use sandmill_plugin::bindings::sandmill::plugin::types::{Failure, Item, Outcome, Pair};
use serde_json::{Value, json};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[expect(clippy::panic, clippy::disallowed_methods, clippy::large_stack_arrays, reason = "that is what it is for")]
pub(super) fn run(attack: &str, data: &Value, item: &Item) -> Run {
    let n = data["n"].as_u64().unwrap_or(1_000_000);
    Some(match attack {
        "log-escapes" => Ok(log_escapes()),
        "log-megabytes" => Ok(log_megabytes()),
        "stdout-flood" => flood(&mut std::io::stdout(), n, b"everything is fine, 100% done\n"),
        "stderr-flood" => flood(&mut std::io::stderr(), n, ESCAPES.trim_end().as_bytes()),
        "panic-with-escapes" => panic!("{}", ESCAPES.repeat(1_000)),
        "exit-zero" => std::process::exit(0),
        "abort" => std::process::abort(),
        "sleep-for-ever" => loop {
            std::thread::sleep(Duration::from_secs(1 << 40));
        },
        "clock-and-chance" => Ok(emit(clock_and_chance().to_string())),
        "environment" => Ok(emit(environment().to_string())),
        "files" => Ok(emit(files(data["path"].as_str().unwrap_or("/etc/passwd")).to_string())),
        "network" => Ok(emit(network(data["address"].as_str().unwrap_or("127.0.0.1:80")).to_string())),
        "names" => Ok(emit(names().to_string())),
        "blobs" => Ok(emit(read_blobs(item).to_string())),
        "blobs-for-ever" => loop {
            let _ = std::hint::black_box(blobs::read("table", 0, u32::MAX));
        },
        "secrets-in-memory" => secrets(),
        "recursion-with-arrays" => Ok(emit(down([1; 4_096]).to_string())),
        _ => return None,
    })
}

fn log_escapes() -> Outcome {
    log(Level::Error, ESCAPES, &[Pair { name: ESCAPES.into(), value: ESCAPES.into() }]);
    log(Level::Info, "a3: done\nsandmill: the job is finished\r\n\u{85}\u{2028}next", &[]);
    emit("{\"logged\":true}")
}

fn log_megabytes() -> Outcome {
    let text = ESCAPES.repeat(20_000);
    let fields: Vec<Pair> = (0..1_000).map(|n| Pair { name: format!("f{n}"), value: text[..1_000].into() }).collect();
    for _ in 0..20 {
        log(Level::Error, &text, &fields);
    }
    emit("{\"logged\":true}")
}

fn flood(stream: &mut impl Write, n: u64, bytes: &[u8]) -> Result<Outcome, Failure> {
    let many = bytes.repeat(1_000);
    for _ in 0..n / 1_000 {
        stream.write_all(&many).map_err(|error| fail("write", error.to_string()))?;
    }
    Ok(emit("{\"written\":true}"))
}

#[expect(clippy::disallowed_methods, reason = "that is what it is for")]
fn clock_and_chance() -> Value {
    let wall = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (wall_first, began) = (wall(), Instant::now());
    std::thread::sleep(Duration::from_hours(24));
    let random: Vec<String> = (0..3).map(|_| RandomState::new().build_hasher().finish().to_string()).collect();
    json!({
        "wall_ms": wall_first.as_millis().to_string(),
        "slept_s": began.elapsed().as_secs(),
        "wall_slept_s": wall().saturating_sub(wall_first).as_secs(),
        "random": random,
    })
}

fn environment() -> Value {
    let variables: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    let here = std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default();
    json!({ "variables": variables, "arguments": std::env::args().count(), "here": here })
}

/// What could be read, listed, written, linked or removed.
fn files(path: &str) -> Value {
    let mut reached = Vec::new();
    let mut note = |what: String, worked: bool| reached.extend(worked.then_some(what));
    for path in
        ["/", ".", "..", "../../../../../../etc/passwd", "/proc/self/environ", ".sandmill", "\u{0}", "//", "in.jsonl"]
    {
        note(format!("read {path}"), std::fs::read(path).is_ok());
        note(format!("list {path}"), std::fs::read_dir(path).is_ok());
        note(format!("stat {path}"), std::fs::metadata(path).is_ok());
    }
    // What would do harm is tried on a file of the test's own.
    note(format!("read {path}"), std::fs::read(path).is_ok());
    note(format!("write {path}"), std::fs::write(path, "x").is_ok());
    note(format!("link {path}"), std::fs::hard_link(path, format!("{path}.link")).is_ok());
    note(format!("make {path}"), std::fs::create_dir_all(format!("{path}.dir/a")).is_ok());
    note(format!("rename {path}"), std::fs::rename(path, format!("{path}.moved")).is_ok());
    note(format!("remove {path}"), std::fs::remove_file(path).is_ok());
    json!({ "reached": reached })
}

fn network(address: &str) -> Value {
    let mut reached = Vec::new();
    let mut note = |what: &str, worked: bool| reached.extend(worked.then(|| what.to_owned()));
    note("connect", TcpStream::connect(address).is_ok());
    note("listen", TcpListener::bind("127.0.0.1:0").is_ok());
    note("listen everywhere", TcpListener::bind("0.0.0.0:0").is_ok());
    note("udp", UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(b"x", address)).is_ok());
    note("connect 6", TcpStream::connect("[::1]:80").is_ok());
    json!({ "reached": reached })
}

fn names() -> Value {
    let mut reached = Vec::new();
    for name in ["localhost:80", "metadata.google.internal:80", "169.254.169.254:80", "example.com:80", "\u{202e}:1"] {
        // A number is no name, and needs nobody to look it up.
        if !name.starts_with("169.") && name.to_socket_addrs().is_ok() {
            reached.push(name);
        }
    }
    json!({ "reached": reached })
}

fn read_blobs(item: &Item) -> Value {
    let name = item.blobs.first().map_or("table", |blob| blob.name.as_str());
    let length = |offset, length| blobs::read(name, offset, length).map_or(usize::MAX, |bytes| bytes.len());
    let unknown = [ESCAPES, "", "../table", "table\u{0}"].map(|name| blobs::read(name, 0, 1).is_err());
    json!({
        "end": [length(u64::MAX, u32::MAX), length(u64::MAX, 1), length(u64::MAX - 1, 2), length(1 << 32, 1)],
        "all": length(0, u32::MAX),
        "unknown": unknown,
    })
}

/// Looks for what an earlier item may have left in the heap, and leaves something itself.
fn secrets() -> Result<Outcome, Failure> {
    let mut found = 0;
    for _ in 0..64 {
        let mut block: Vec<u8> = vec![0; 100_000];
        found += block.iter().filter(|byte| **byte != 0).count();
        block.fill(0xa5);
        std::mem::forget(std::hint::black_box(block));
    }
    if found > 0 { Err(fail("leak", format!("{found} bytes"))) } else { Ok(emit("0")) }
}

#[expect(unconditional_recursion, clippy::large_types_passed_by_value, reason = "that is what it is for")]
fn down(array: [u64; 4_096]) -> u64 {
    std::hint::black_box(down(std::hint::black_box(array))) + array[7]
}
