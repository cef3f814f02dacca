//! From flags, environment and sandmill.toml to how components are compiled, and where that is remembered.

use super::settings;
use crate::config::{Config, NO_CACHE};
use crate::confined;
use crate::progress::Console;
use crate::sandbox::{CACHE_BYTES_MAX, Cache, CompilePlace, Compiling, WorkerLimits, Workshop};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `CPython` takes about half a minute of a slow machine; nothing that is known to be of use takes more.
pub(super) const COMPILE_CPU: Duration = Duration::from_mins(5);
/// Of address space; `CPython` takes a fifth of it.
pub(super) const COMPILE_MEMORY: u64 = 4 << 30;
const MEMORY_LEAST: u64 = 256 << 20;

/// Goes before sandmill.toml.
pub(super) const CACHE_VARIABLE: &str = "SANDMILL_CACHE";

pub(super) fn compiling(cache: Option<&Path>, config: &Config, console: &Console) -> anyhow::Result<Compiling> {
    let place = CompilePlace::Child(Workshop::new(this_program()?, limits(config)?));
    let cache = cache_folder(cache, config).and_then(|folder| {
        let opened = Cache::open(&folder, CACHE_BYTES_MAX);
        opened
            .map_err(|error| console.say(&format!("warning: the cache of compiled plugins is not used: {error}")))
            .ok()
    });
    let console = console.clone();
    Ok(Compiling { place, cache, say: Box::new(move |text| console.say(text)) })
}

pub(super) fn limits(config: &Config) -> anyhow::Result<WorkerLimits> {
    let cpu_time = config.sandbox.compile_cpu.unwrap_or(COMPILE_CPU);
    let memory_bytes = config.sandbox.compile_memory.unwrap_or(COMPILE_MEMORY);
    if cpu_time < Duration::from_secs(1) {
        bail!("[sandbox] compile_cpu is at least 1s");
    }
    if memory_bytes < MEMORY_LEAST {
        bail!("[sandbox] compile_memory is at least 256MiB");
    }
    Ok(WorkerLimits { cpu_time, memory_bytes })
}

/// `None`: nothing is kept.
pub(super) fn cache_folder(flag: Option<&Path>, config: &Config) -> Option<PathBuf> {
    let variable = cache_variable();
    let named = flag.map(Path::to_path_buf).or(variable).or_else(|| config.sandbox.cache.clone());
    let folder = named.unwrap_or_else(default_cache);
    (folder.as_os_str() != NO_CACHE).then_some(folder)
}

pub(super) fn cache_variable() -> Option<PathBuf> {
    std::env::var_os(CACHE_VARIABLE).filter(|text| !text.is_empty()).map(PathBuf::from)
}

/// Without a home there is none.
pub(super) fn default_cache() -> PathBuf {
    settings::caches().map_or_else(|| NO_CACHE.into(), |caches| caches.join("compiled"))
}

/// For processes of its own.
pub(super) fn this_program() -> anyhow::Result<PathBuf> {
    confined::this_program().context("cannot tell where this program is")
}
