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

/// So much more from now on, whatever was used before, and less than a second on top; to be said again with each step forward.
pub fn allow_cpu(more: Duration) -> io::Result<()> {
    let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or(0);
    // The limit is in whole seconds.
    bound(Resource::Cpu, used.saturating_add(1).saturating_add(more.as_secs().max(1)), u64::MAX)
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

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::super::outside::{Confined, Ended, command, this_program};
    use super::*;
    use std::process::Stdio;

    /// Which part of a test this process is.
    const PART: &str = "PART";

    /// How the test of this name ends in a process of its own, as that part of it.
    fn ended(test: &str, part: &str) -> Ended {
        let mut command = command(&this_program().unwrap());
        command.args([&format!("confined::inside::tests::{test}"), "--exact", "--nocapture"]).env(PART, part);
        Confined::start(&mut command, Stdio::null()).unwrap().end(Duration::from_mins(5)).unwrap()
    }

    fn spin(milliseconds: u64) {
        let used = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap();
        let until = used() + Duration::from_millis(milliseconds);
        while used() < until {}
    }

    #[test]
    fn processor_time_counts_from_the_last_step() {
        match std::env::var(PART).as_deref() {
            Ok("steps") => {
                for _ in 0..4 {
                    allow_cpu(Duration::from_secs(1)).unwrap();
                    spin(700);
                }
            }
            Ok(_) => {
                allow_cpu(Duration::from_secs(1)).unwrap();
                spin(600_000);
            }
            Err(_) => {
                let of = |part| ended("processor_time_counts_from_the_last_step", part);
                let (steps, still) = (of("steps"), of("still"));
                assert!(steps.status.success(), "{steps:?}");
                assert!(still.is_out_of_cpu(), "{still:?}");
            }
        }
    }

    #[test]
    fn memory_counts_beyond_what_the_process_had() {
        let mib = match std::env::var(PART).as_deref() {
            Ok("little") => 16,
            Ok(_) => 256,
            Err(_) => {
                let of = |part| ended("memory_counts_beyond_what_the_process_had", part);
                let (little, much) = (of("little"), of("much"));
                assert!(little.status.success() && !little.is_out_of_memory(), "{little:?}");
                assert!(much.is_out_of_memory(), "{much:?}");
                return;
            }
        };
        confine(address_space() + (64 << 20)).unwrap();
        assert_eq!(vec![1_u8; mib << 20].len(), mib << 20);
    }
}
