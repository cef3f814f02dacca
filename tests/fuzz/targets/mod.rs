//! What is fuzzed: a function for each place where bytes of somebody else are read. It panics where what always holds does not.
//!
//! Called by `cargo fuzz` (`fuzz_targets/`), and by a bounded test with the corpus and mutations of it (`bounded.rs`). A function
//! knows nothing of who calls it, and is the same for the same bytes.

mod config;
mod guest;
mod input;
mod memory;
mod output;
mod parts;
mod provider;
mod request;
mod schema;
mod store;
mod text;

/// A target by its name, which is that of its corpus too.
pub(crate) type Target = (&'static str, fn(&[u8]));

pub(crate) const ALL: [Target; 14] = [
    ("config", config::files),
    ("guest_outcome", guest::outcome),
    ("guest_request", request::any),
    ("guest_schema", schema::any),
    ("input_csv", input::csv),
    ("input_parquet", input::parquet),
    ("input_text", input::text),
    ("output", output::rows),
    ("provider_answer", provider::answer),
    ("provider_headers", provider::headers),
    ("store_file", store::file),
    ("store_forms", store::forms),
    ("text", text::sanitized),
    ("tokens", text::tokens),
];

/// By its name.
pub(crate) fn run(name: &str, bytes: &[u8]) {
    let target = ALL.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("no target {name}")).1(bytes);
}
