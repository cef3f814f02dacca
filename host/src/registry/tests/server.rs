//! A registry on this machine, as good or as bad as a test wants it. The end-to-end tests share it.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Whom it lets in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Open,
    /// With user and password `jo`, `secret`.
    Basic,
    /// With a token that those are given for; anonymous ones are refused.
    Token,
    /// With a token that anybody is given.
    Anonymous,
}

/// What it does wrong to whoever asks for a path that ends so.
#[derive(Clone)]
pub(crate) enum Wrong {
    Status(u16),
    /// Something else than what was asked for.
    Bytes(Vec<u8>),
    /// With a length that is said.
    Long(u64),
    /// Without one, and without an end.
    Endless,
    /// The header and then nothing, for ever.
    Silent,
    To(String),
}

#[derive(Default)]
struct Shelf {
    manifests: BTreeMap<String, Vec<u8>>,
    blobs: BTreeMap<String, Vec<u8>>,
    wrong: Vec<(String, Wrong)>,
    /// Path and the Authorization header of what was asked.
    asked: Vec<(String, String)>,
}

/// Runs on a thread of its own until the process ends.
#[derive(Clone)]
pub(crate) struct Server {
    /// Host and port.
    pub(crate) host: String,
    shelf: Arc<Mutex<Shelf>>,
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

impl Server {
    pub(crate) fn start(door: Door) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let server = Self { host: listener.local_addr().unwrap().to_string(), shelf: Arc::default() };
        let of_thread = server.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let answer = move |request: Request| {
                let server = of_thread.clone();
                async move { server.answer(door, &request) }
            };
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, axum::Router::new().fallback(answer)).await.unwrap();
            });
        });
        server
    }

    /// As `wkg oci push` would; the manifest's digest.
    pub(crate) fn push(&self, name: &str, tag: &str, component: &[u8], annotations: &[(&str, &str)]) -> String {
        let layer = digest(component);
        let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": digest(b"{}"), "size": 2},
            "layers": [{"mediaType": "application/wasm", "digest": layer, "size": component.len()}],
            "annotations": annotations,
        });
        self.shelf.lock().unwrap().blobs.insert(layer, component.to_vec());
        self.push_manifest(name, tag, manifest.to_string().as_bytes())
    }

    pub(crate) fn push_manifest(&self, name: &str, tag: &str, manifest: &[u8]) -> String {
        let digest = digest(manifest);
        let mut held = self.shelf.lock().unwrap();
        for version in [tag, &digest] {
            held.manifests.insert(format!("{name}/manifests/{version}"), manifest.to_vec());
        }
        digest
    }

    pub(crate) fn does_wrong(&self, path_end: &str, wrong: Wrong) {
        self.shelf.lock().unwrap().wrong.push((path_end.to_owned(), wrong));
    }

    /// Path and the Authorization header of each question so far.
    pub(crate) fn asked(&self) -> Vec<(String, String)> {
        self.shelf.lock().unwrap().asked.clone()
    }

    fn answer(&self, door: Door, request: &Request) -> Response {
        let (path, given) = (request.uri().path().to_owned(), authorization(request.headers()));
        let mut held = self.shelf.lock().unwrap();
        held.asked.push((request.uri().to_string(), given.clone()));
        if path == "/token" {
            return token(door, request, &given);
        }
        // Of a store elsewhere, which wants to see no credentials.
        let is_elsewhere = path.starts_with("/elsewhere/");
        let is_in = match door {
            Door::Open => true,
            Door::Basic => given == BASIC,
            Door::Token | Door::Anonymous => given == "Bearer t0ken",
        };
        if !is_in && !is_elsewhere {
            return self.challenge(door);
        }
        if let Some((_, wrong)) = held.wrong.iter().find(|(end, _)| path.ends_with(end.as_str())) {
            return wrong.answer();
        }
        let (_, rest) = path.split_once('/').unwrap();
        let rest = rest.trim_start_matches("v2/");
        if let Some(manifest) = held.manifests.get(rest) {
            let answer =
                Response::builder().header("content-type", MANIFEST).header("docker-content-digest", digest(manifest));
            return answer.body(Body::from(manifest.clone())).unwrap();
        }
        match rest.rsplit_once('/').and_then(|(_, digest)| held.blobs.get(digest)) {
            Some(blob) => Response::new(Body::from(blob.clone())),
            None => refusal(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
        }
    }

    fn challenge(&self, door: Door) -> Response {
        let mut response = refusal(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
        let text = match door {
            Door::Basic => "Basic realm=\"x\"".to_owned(),
            Door::Open | Door::Token | Door::Anonymous => {
                format!("Bearer realm=\"http://{}/token\",service=\"reg\"", self.host)
            }
        };
        response.headers_mut().insert(header::WWW_AUTHENTICATE, text.parse().unwrap());
        response
    }
}

/// `jo:secret`.
const BASIC: &str = "Basic am86c2VjcmV0";

fn authorization(headers: &HeaderMap) -> String {
    headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

fn token(door: Door, request: &Request, given: &str) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if door == Door::Token && given != BASIC || !query.contains("service=reg") || !query.contains("%3Apull") {
        return refusal(StatusCode::UNAUTHORIZED, "DENIED");
    }
    Response::new(Body::from(r#"{"token":"t0ken"}"#))
}

fn refusal(status: StatusCode, code: &str) -> Response {
    let body = json!({"errors": [{"code": code, "message": "says \u{1b}[31mthe registry to secret"}]}).to_string();
    Response::builder().status(status).body(Body::from(body)).unwrap()
}

impl Wrong {
    fn answer(&self) -> Response {
        let endless = |chunk: &'static [u8]| {
            Body::from_stream(futures_util::stream::repeat_with(move || {
                Ok::<_, std::io::Error>(Bytes::from_static(chunk))
            }))
        };
        match self {
            Self::Status(status) => refusal(StatusCode::from_u16(*status).unwrap(), "TROUBLE"),
            Self::Bytes(bytes) => Response::new(Body::from(bytes.clone())),
            Self::Long(length) => {
                Response::builder().header("content-length", *length).body(endless(&[b' '; 4096])).unwrap()
            }
            Self::Endless => Response::new(endless(&[b' '; 8192])),
            Self::Silent => Response::new(Body::from_stream(futures_util::stream::pending::<std::io::Result<Bytes>>())),
            Self::To(address) => Response::builder()
                .status(StatusCode::TEMPORARY_REDIRECT)
                .header("location", address)
                .body(Body::empty())
                .unwrap(),
        }
    }
}
