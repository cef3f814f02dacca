//! The rules of the repository that a compiler does not know.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends so")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Each module's rank; a module imports lower ranks only. ARCHITECTURE.md has the same table, with reasons.
const RANKS: [(&str, u32); 28] = [
    ("domain", 0),
    ("clock", 0),
    ("failpoint", 0),
    ("heavy", 0),
    ("confined", 0),
    ("catalog", 1),
    ("config", 1),
    ("schema", 1),
    ("provider", 1),
    ("registry", 1),
    ("store", 1),
    ("input", 1),
    ("output", 1),
    ("web", 1),
    ("resilience", 2),
    ("results", 2),
    ("sandbox", 3),
    ("run", 4),
    ("kit", 4),
    ("alert", 5),
    ("monitor", 5),
    ("report", 5),
    ("metrics", 6),
    ("progress", 6),
    ("dashboard", 6),
    ("telemetry", 6),
    ("cli", 7),
    ("main", 8),
];

/// Crates that one module alone may know, by the name in its paths.
const OWNED: [(&str, &[&str]); 42] = [
    ("rusqlite", &["store"]),
    ("wasmtime", &["sandbox"]),
    ("wasmparser", &["sandbox"]),
    ("wat", &["sandbox", "kit"]),
    ("rust_embed", &["kit"]),
    ("wit_component", &["kit"]),
    ("wit_parser", &["kit"]),
    ("wasi_preview1_component_adapter_provider", &["kit"]),
    ("wasmtime_wasi", &["sandbox"]),
    ("wasmtime_wasi_http", &["sandbox"]),
    ("http_body", &["sandbox"]),
    ("similar", &["kit"]),
    ("notify", &["cli"]),
    ("reqwest", &["provider", "registry", "sandbox", "alert", "telemetry"]),
    ("oci_spec", &["registry"]),
    ("http_auth", &["registry"]),
    ("docker_credential", &["registry"]),
    ("axum", &["provider", "registry", "metrics", "web", "dashboard"]),
    ("cookie", &["dashboard"]),
    ("subtle", &["dashboard"]),
    ("getrandom", &["dashboard"]),
    ("prometheus_client", &["metrics"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("opentelemetry_http", &["telemetry"]),
    ("tracing_opentelemetry", &["telemetry"]),
    ("tiktoken_rs", &["resilience"]),
    ("backon", &["resilience", "alert"]),
    ("lettre", &["alert"]),
    ("hmac", &["alert"]),
    ("jsonschema", &["schema"]),
    ("toml", &["config", "catalog", "kit", "cli"]),
    ("unicode_width", &["progress"]),
    ("minijinja", &["report"]),
    ("flate2", &["input"]),
    ("zstd", &["input"]),
    ("globset", &["input"]),
    ("walkdir", &["input"]),
    ("num_bigint", &["input"]),
    ("clap", &["cli"]),
    ("anyhow", &["cli"]),
];

/// A file longer than this has outgrown its name; tables of recorded data may be longer.
const LINES_MAX: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// `host/src/run/worker.rs` is part of `run`.
fn module(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("host/src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn host_files() -> Vec<(String, PathBuf, String)> {
    let files = rust_files(&root().join("host/src"));
    let read = |path: PathBuf| (module(&path), std::fs::read_to_string(&path).unwrap(), path);
    files.into_iter().map(read).map(|(module, text, path)| (module, path, text)).filter(|(m, ..)| m != "lib").collect()
}

/// Names that follow `crate::` anywhere in a text, in groups too.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("crate::") {
        let rest = &text[start + "crate::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default(),
            None => rest,
        };
        for name in names.split(',') {
            let name: String = name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push(name);
            if !rest.starts_with('{') {
                break;
            }
        }
    }
    found
}

#[test]
fn modules_import_lower_ranks_only() {
    let ranks: BTreeMap<&str, u32> = RANKS.into_iter().collect();
    let mut breaches = Vec::new();
    for (module, path, text) in host_files() {
        let own = ranks.get(module.as_str()).unwrap_or_else(|| panic!("{module} has no rank: give it one here"));
        for import in imports(&text) {
            let Some(rank) = ranks.get(import.as_str()) else { continue };
            if import != module && rank >= own {
                breaches.push(format!("{}: {module} (rank {own}) imports {import} (rank {rank})", path.display()));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn a_crate_that_belongs_to_a_module_is_used_by_no_other() {
    let mut breaches = Vec::new();
    for (module, path, text) in host_files() {
        for (krate, owners) in OWNED {
            let used = text.contains(&format!("{krate}::")) || text.contains(&format!("use {krate};"));
            if used && !owners.contains(&module.as_str()) {
                breaches.push(format!("{} uses {krate}, which belongs to {owners:?}", path.display()));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn every_file_says_why_it_exists_and_is_short_enough_to_be_read() {
    let mut breaches = Vec::new();
    for folder in ["host/src", "guest-sdk", "plugins", "tests"] {
        for path in rust_files(&root().join(folder)) {
            let text = std::fs::read_to_string(&path).unwrap();
            if !text.starts_with("//!") {
                breaches.push(format!("{} does not open with //!", path.display()));
            }
            if text.lines().count() > LINES_MAX {
                breaches.push(format!("{} has more than {LINES_MAX} lines: split it", path.display()));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// The texts of errors in a source, by what makes them.
fn messages(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["bail!(", "anyhow!(", "#[error("] {
        for (at, _) in text.match_indices(start) {
            let Some(rest) = text[at + start.len()..].trim_start().strip_prefix('"') else { continue };
            let mut is_escaped = false;
            let message = rest.chars().take_while(|c| {
                let ends = *c == '"' && !is_escaped;
                is_escaped = *c == '\\' && !is_escaped;
                !ends
            });
            found.push(message.collect());
        }
    }
    found
}

#[test]
fn an_error_is_a_line_that_begins_small_and_ends_without_a_full_stop() {
    /// Names, as they are written.
    const NAMES: [&str; 1] = ["SQLite"];
    let (mut breaches, mut looked_at) = (Vec::new(), 0);
    for (_, path, text) in host_files() {
        for message in messages(&text) {
            looked_at += 1;
            let is_large =
                message.starts_with(char::is_uppercase) && !NAMES.iter().any(|name| message.starts_with(name));
            if is_large || message.trim_end().ends_with(['.', '!']) {
                breaches.push(format!("{}: {message}", path.display()));
            }
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    assert!(looked_at > 150, "{looked_at}");
    assert_eq!(messages("bail!(\n  \"a \\\"b\\\"\", c); #[error(\"d\")]"), ["a \\\"b\\\"", "d"]);
}

#[test]
fn the_ranks_in_the_architecture_are_those_that_are_enforced() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (module, rank) in RANKS {
        if module != "main" {
            let row = format!("| {rank} | `{module}` |");
            assert!(text.contains(&row), "ARCHITECTURE.md has no row that starts with {row}");
        }
    }
}

#[test]
fn the_search_for_imports_sees_groups_and_paths() {
    let text = "use crate::run::A;\nuse crate::{store::B, domain::C};\nlet x = crate::sandbox::d();";
    assert_eq!(imports(text), ["run", "store", "domain", "sandbox"]);
}

/// Names and texts of the contract's files.
fn contract() -> BTreeMap<String, String> {
    wit_files("wit/1.0.0")
}

fn wit_files(folder: &str) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let named = |path: PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap())
    };
    entries.map(|entry| named(entry.unwrap().path())).collect()
}

#[test]
fn the_contract_that_a_kit_carries_is_the_contract() {
    for folder in ["guest-sdk/python/src/sandmill_plugin/wit", "guest-sdk/js/wit", "guest-sdk/rust/wit"] {
        assert!(wit_files(folder) == contract(), "{folder} is not wit/1.0.0: copy it");
    }
}
