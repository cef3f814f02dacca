//! The child's side: giving up what is not needed.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::time::Duration;

/// No core dump, not a byte into any file (what it has to say goes into pipes), no new privileges, and at most so many bytes of address
/// space.
pub fn confine(memory_bytes: u64) -> io::Result<()> {
    bound(Resource::Core, 0, 0)?;
    bound(Resource::Fsize, 0, 0)?;
    bound(Resource::As, memory_bytes, memory_bytes)?;
    #[cfg(target_os = "linux")]
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

/// What the process has of address space by now, in bytes; 0 where the system does not tell.
pub fn address_space() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")?.parse().ok());
    kib.map_or(0, |kib: u64| kib << 10)
}

/// Of all threads together, since the start; in whole seconds.
pub fn bound_cpu(total: Duration) -> io::Result<()> {
    let seconds = total.as_secs().max(1);
    // The soft limit's signal tells what happened; the hard one cannot be caught.
    bound(Resource::Cpu, seconds, seconds + 1)
}

/// So much more from now on, whatever was used before; to be said again with each step forward. In whole seconds.
pub fn allow_cpu(more: Duration) -> io::Result<()> {
    let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or(0);
    bound(Resource::Cpu, used.saturating_add(more.as_secs()).saturating_add(1), u64::MAX)
}

/// Ends this process with the one that started it, or rather with the thread that did; an error if that has gone before.
#[cfg(target_os = "linux")]
pub fn die_with(parent: u32) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before it was asked for.
    let now = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if now != Some(parent) {
        return Err(io::Error::other("the process that wanted it has gone"));
    }
    Ok(())
}

/// There, the end of its pipes and the parent's patience are what is left.
#[cfg(not(target_os = "linux"))]
pub fn die_with(_parent: u32) -> io::Result<()> {
    Ok(())
}

/// Never more than was allowed before.
fn bound(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let before = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let of = |limit: u64| Some(limit.min(before)).filter(|limit| *limit < u64::MAX);
    Ok(setrlimit(resource, Rlimit { current: of(soft), maximum: of(hard) })?)
}
