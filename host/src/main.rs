//! The `sandmill` program. Everything is in the library.

fn main() -> std::process::ExitCode {
    sandmill::cli::main()
}
