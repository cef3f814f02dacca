//! Files, variables, time, chance, and requests over HTTP.

use serde_json::{Value, json};
use std::io::ErrorKind;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wasip2::filesystem::preopens::get_directories;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

/// Of an answer's body.
const SHOWN_BYTES_MAX: usize = 2_000;

pub(crate) fn reach(data: &Value) -> Result<Value, String> {
    let text = |name: &str| data[name].as_str().unwrap_or_default();
    let of_file = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "not found".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    match text("do") {
        "read" => std::fs::read_to_string(text("path")).map(Value::from).map_err(of_file),
        "write" => std::fs::write(text("path"), text("text")).map(|()| json!(true)).map_err(of_file),
        "remove" => std::fs::remove_file(text("path")).map(|()| json!(true)).map_err(of_file),
        "list" => std::fs::read_dir(text("path")).map_err(of_file).map(|entries| {
            let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
            names.collect::<Vec<_>>().into()
        }),
        "link" => link(text("from"), text("to")),
        "env" => std::env::var(text("name")).map(Value::from).map_err(|error| error.to_string()),
        "variables" => Ok(std::env::vars().map(|(name, _)| name).collect::<Vec<_>>().into()),
        "clock" => Ok(clock(data["sleep_ms"].as_u64().unwrap_or(0))),
        "random" => Ok(wasip2::random::random::get_random_u64().to_string().into()),
        "http" => http(data),
        other => Err(format!("nothing is called {other}")),
    }
}

/// A symbolic link `from` in the first folder, which the standard library cannot make here.
fn link(from: &str, to: &str) -> Result<Value, String> {
    let folders = get_directories();
    let (folder, _) = folders.first().ok_or("there is no folder")?;
    folder.symlink_at(to, from).map(|()| json!(true)).map_err(|code| format!("{code:?}"))
}

#[expect(clippy::disallowed_methods, reason = "that is what it is for")]
fn clock(sleep_ms: u64) -> Value {
    let began = Instant::now();
    std::thread::sleep(Duration::from_millis(sleep_ms));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({ "wall_s": now.as_secs(), "slept_ms": began.elapsed().as_millis().to_string() })
}

fn http(data: &Value) -> Result<Value, String> {
    let text = |name: &str| data[name].as_str();
    let code = |code: wasip2::http::types::ErrorCode| format!("{code:?}");
    let headers = Fields::new();
    for (name, value) in data["headers"].as_object().into_iter().flatten() {
        let value = value.as_str().unwrap_or_default().as_bytes().to_vec();
        headers.append(name, &value).map_err(|error| format!("{error:?}"))?;
    }
    let request = OutgoingRequest::new(headers);
    let scheme = if text("scheme") == Some("https") { Scheme::Https } else { Scheme::Http };
    let body = text("body").unwrap_or_default();
    let method = match text("method") {
        Some("CONNECT") => Method::Connect,
        Some("POST") => Method::Post,
        _ => Method::Get,
    };
    let set = request.set_method(&method).is_ok()
        && request.set_scheme(Some(&scheme)).is_ok()
        && request.set_authority(text("authority")).is_ok()
        && request.set_path_with_query(text("path").or(Some("/"))).is_ok();
    if !set {
        return Err("it is no request".into());
    }
    let outgoing = request.body().map_err(|()| "it has no body".to_owned())?;
    let answer = handle(request, None).map_err(code)?;
    let mut refused = None;
    if !body.is_empty() {
        let stream = outgoing.write().map_err(|()| "it has no stream".to_owned())?;
        let times = data["times"].as_u64().unwrap_or(1);
        for _ in 0..times {
            if let Err(error) = stream.blocking_write_and_flush(body.as_bytes()) {
                refused = Some(error.to_string());
                break;
            }
        }
    }
    // Where it was refused meanwhile, that is told below.
    let _ = OutgoingBody::finish(outgoing, None);
    answer.subscribe().block();
    let response = match answer.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(error))) => return Err(code(error)),
        Some(Err(())) | None => return Err(format!("no answer, {refused:?}")),
    };
    received(&response)
}

fn received(response: &IncomingResponse) -> Result<Value, String> {
    let headers = response.headers();
    let header = |name: &str| headers.get(name).first().map(|value| String::from_utf8_lossy(value).into_owned());
    let (status, location) = (response.status(), header("location"));
    let body: IncomingBody = response.consume().map_err(|()| "its body is gone".to_owned())?;
    let stream = body.stream().map_err(|()| "its body has no stream".to_owned())?;
    let (mut bytes, mut shown) = (0, Vec::new());
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(more) => {
                bytes += more.len();
                shown.extend(more.into_iter().take(SHOWN_BYTES_MAX.saturating_sub(shown.len())));
            }
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                let code = wasip2::http::types::http_error_code(&error);
                return Err(code.map_or_else(|| error.to_debug_string(), |code| format!("{code:?}")));
            }
        }
    }
    let shown = String::from_utf8_lossy(&shown).into_owned();
    Ok(json!({ "status": status, "location": location, "bytes": bytes, "body": shown }))
}
