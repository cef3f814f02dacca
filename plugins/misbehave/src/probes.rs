//! What a guest can find out about the world around it.

use sandmill_plugin::{Blob, Failure};
use serde_json::{Value, json};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The clocks, and four numbers that are random if the host gives randomness.
#[expect(clippy::disallowed_methods, reason = "that is what it is for")]
pub(crate) fn clock() -> Value {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let began = Instant::now();
    let random: Vec<String> = (0..4).map(|_| RandomState::new().build_hasher().finish().to_string()).collect();
    json!({ "wall_ms": wall.as_millis().to_string(), "monotonic_ns": began.elapsed().as_nanos().to_string(), "random": random })
}

/// What is in them, read to the end, beside what is said of them.
pub(crate) fn blobs(blobs: &[Blob]) -> Result<Value, Failure> {
    let tell = |blob: &Blob| {
        let bytes = blob.read_all()?;
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        Ok(json!({
            "name": blob.name, "mime_type": blob.mime_type, "digest": blob.digest,
            "size": blob.size, "read": bytes.len(), "start": start,
        }))
    };
    Ok(json!({ "blobs": blobs.iter().map(tell).collect::<Result<Vec<_>, Failure>>()? }))
}

pub(crate) fn environment() -> Value {
    let variables: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    json!({ "variables": variables, "arguments": std::env::args().collect::<Vec<_>>() })
}

pub(crate) fn files() -> Value {
    let list = |path: &str| match std::fs::read_dir(path) {
        Ok(entries) => json!(entries.count()),
        Err(error) => json!(error.to_string()),
    };
    json!({ "here": list("."), "root": list("/"), "passwd": std::fs::read("/etc/passwd").is_ok() })
}

pub(crate) fn network(address: &str) -> Value {
    let connected = match TcpStream::connect(address) {
        Ok(_) => "connected".to_owned(),
        Err(error) => error.to_string(),
    };
    let resolved = match "localhost:80".to_socket_addrs() {
        Ok(addresses) => addresses.count().to_string(),
        Err(error) => error.to_string(),
    };
    json!({ "tcp": connected, "dns": resolved })
}
