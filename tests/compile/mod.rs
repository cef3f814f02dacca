//! What a component's way to native code may take and leave behind: the cache, and files that are made to hurt a compiler.

mod cache;
mod hostile;
mod wasm;

use crate::support::Place;
use std::path::Path;

/// A folder with one item, and settings in which compiling may take so much.
fn place(compile_cpu: &str, compile_memory: &str) -> Place {
    let place = Place::new();
    place.write("in.jsonl", "{\"id\":\"a\",\"text\":\"x\"}\n");
    let settings = format!("[sandbox]\ncompile_cpu = \"{compile_cpu}\"\ncompile_memory = \"{compile_memory}\"\n");
    place.write("sandmill.toml", settings);
    place
}

fn redact() -> Vec<u8> {
    // Built by whoever asks for the plugin first.
    let folder = crate::support::plugin("redact");
    std::fs::read(Path::new(&folder).join("../target/wasm32-wasip2/plugin/redact.wasm")).unwrap()
}
