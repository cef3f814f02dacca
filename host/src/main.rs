//! The `sandmill` program. Everything is in the library.

/// What guests' threads allocate the store's thread frees, and the system's allocator makes both wait for one another: a sixth of all time, where
/// items are short.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is freed goes back to the system within a second rather than ten: a tenth less where a thousand items are in flight. jemalloc reads it when
/// it starts, by this name (`jemalloc(3)`, "TUNING").
#[expect(unsafe_code, reason = "a name that another library looks for; nobody else has one like it")]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_SETTINGS: Option<&'static u8> = Some(&b"dirty_decay_ms:1000,muzzy_decay_ms:0\0"[0]);

fn main() -> std::process::ExitCode {
    sandmill::cli::main()
}
