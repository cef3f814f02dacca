//! The `sandmill` program. Everything is in the library.

/// What guests' threads allocate the store's thread frees, and the system's allocator makes both wait for one another: a fifth of all time, where
/// items are short.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    sandmill::cli::main()
}
