//! The fuzz targets as `cargo fuzz` runs them.

#[path = "targets/mod.rs"]
mod targets;

/// Runs a target on these bytes; its panic is what is looked for.
pub fn run(name: &str, bytes: &[u8]) {
    targets::run(name, bytes);
}

/// For a process that only fuzzes: a panic of our own code is a crash, wherever it would have been caught; one of a library's that the
/// host catches is its way to say that it gives up.
pub fn prepare() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_of_library =
            panic.location().is_some_and(|at| ["/registry/", "/rustc/"].iter().any(|part| at.file().contains(part)));
        if !is_of_library {
            // libFuzzer's own hook, which ends the process.
            tell(panic);
        }
    }));
}
