//! What one attempt may use, and the counter that says no.

use super::attempt::MemoryListener;
use crate::domain::{Failure, FailureClass};
use std::fmt;
use std::time::Duration;
use wasmtime::ResourceLimiter;

/// The deepest that [`Limits::output_depth`] may be: what reads JSON later recurses, and gives up at 128.
pub const DEPTH_MAX: usize = 120;

/// What is kept of stdout and of stderr, from the end, in bytes.
pub(super) const STDIO_BYTES: usize = 8 << 10;

/// Limits of one attempt, in every export and from instantiation on. Each has a default that suits plugins in any language, and a
/// flag that raises it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Over all memories of the attempt, in bytes. Python needs about 13 MiB to start.
    pub memory_bytes: usize,
    /// Elements over all tables of the attempt.
    pub table_elements: usize,
    /// Of WebAssembly; the host's functions have their own above it.
    pub stack_bytes: usize,
    /// Time on a processor, of the guest, of WASI and of what is copied between guest and host.
    pub cpu_time: Duration,
    /// The same of the host's own functions: checking, converting and hashing what the guest hands over.
    pub host_time: Duration,
    /// Time from start to end, less the time spent waiting for models.
    pub wall_time: Duration,
    /// Core instances of a component. Memories and tables go by it.
    pub instances: usize,
    /// Resources of the host that the guest holds at once: streams, pollables, timers.
    pub handles: usize,
    /// Calls of functions that the host gives, WASI's and drops of resources among them.
    pub host_calls: u64,
    /// What may cross between guest and host in one call, either way, in bytes.
    pub transfer_bytes: usize,
    /// Into files that were granted, in bytes.
    pub written_bytes: u64,
    /// All emissions of the item together, in bytes.
    pub output_bytes: usize,
    pub emissions: usize,
    /// Nesting of an emission's JSON, at most [`DEPTH_MAX`].
    pub output_depth: usize,
    /// What is kept of the log; the rest is counted and dropped.
    pub log_bytes: usize,
    pub log_lines: usize,
    /// Requests in one `complete-many`.
    pub requests: usize,
}

impl Limits {
    /// Memories that a component may have.
    pub(super) fn memories(&self) -> usize {
        (self.instances / 16).max(1)
    }

    /// Tables that a component may have.
    pub(super) fn tables(&self) -> usize {
        (self.instances / 4).max(1)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 128 << 20,
            table_elements: 100_000,
            stack_bytes: 1 << 20,
            cpu_time: Duration::from_secs(10),
            host_time: Duration::from_secs(10),
            wall_time: Duration::from_mins(2),
            instances: 128,
            handles: 10_000,
            host_calls: 1_000_000,
            transfer_bytes: 64 << 20,
            written_bytes: 1 << 30,
            output_bytes: 16 << 20,
            emissions: 10_000,
            output_depth: 100,
            log_bytes: 64 << 10,
            log_lines: 1_000,
            requests: 1_000,
        }
    }
}

/// A limit that was met. As an error it stops the guest from a host function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceeded {
    Memory,
    Table,
    Stack,
    CpuTime,
    HostTime,
    WallTime,
    Instances,
    Handles,
    HostCalls,
    Transfer,
    /// What was returned.
    Output,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a limit was met: {self:?}")
    }
}

impl std::error::Error for Exceeded {}

impl Exceeded {
    pub(super) fn failure(self, limits: &Limits) -> Failure {
        Failure::new(self.class(), self.message(limits))
    }

    fn class(self) -> FailureClass {
        match self {
            Self::Memory => FailureClass::Memory,
            Self::Table => FailureClass::Table,
            Self::Stack => FailureClass::Stack,
            Self::CpuTime => FailureClass::CpuTime,
            Self::HostTime => FailureClass::HostTime,
            Self::WallTime => FailureClass::WallTime,
            Self::Instances => FailureClass::Instances,
            Self::Handles => FailureClass::Handles,
            Self::HostCalls => FailureClass::HostCalls,
            Self::Transfer => FailureClass::Transfer,
            Self::Output => FailureClass::OutputTooLarge,
        }
    }

    fn message(self, limits: &Limits) -> String {
        let time = humantime::format_duration;
        let size = |bytes: usize| bytesize::ByteSize(bytes as u64);
        match self {
            Self::Memory => format!(
                "the plugin asked for more than {} of memory: it allocates without end, or raise --limit-memory",
                size(limits.memory_bytes)
            ),
            Self::Table => format!(
                "the plugin asked for more than {} elements in its tables: raise --limit-table",
                limits.table_elements
            ),
            Self::Stack => format!(
                "the plugin's stack of {} overflowed: endless or very deep recursion, or raise --limit-stack",
                size(limits.stack_bytes)
            ),
            Self::CpuTime => format!(
                "the plugin used more than {} of processor time: an endless loop, or raise --limit-cpu",
                time(limits.cpu_time)
            ),
            Self::HostTime => format!(
                "the host worked for more than {} on what the plugin handed it: it calls without end, or raise --limit-host-time",
                time(limits.host_time)
            ),
            Self::WallTime => format!(
                "the plugin ran for more than {}, models not counted: raise --limit-wall",
                time(limits.wall_time)
            ),
            Self::Instances => format!(
                "the plugin needs more than {} core instances, {} memories or {} tables: raise --limit-instances",
                limits.instances,
                limits.memories(),
                limits.tables()
            ),
            Self::Handles => format!(
                "the plugin holds more than {} resources of the host: it never drops them, or raise --limit-handles",
                limits.handles
            ),
            Self::HostCalls => format!(
                "the plugin called the host more than {} times: it calls without end, or raise --limit-host-calls",
                limits.host_calls
            ),
            Self::Transfer => format!(
                "the plugin handed the host, or asked of it, more than {} in one call: raise --limit-transfer",
                size(limits.transfer_bytes)
            ),
            Self::Output => format!(
                "the plugin returned more than {}: emit less per item, or raise --limit-output",
                size(limits.transfer_bytes)
            ),
        }
    }
}

/// Counts memory and tables over the whole store. wasmtime's own `StoreLimits` counts each memory by itself.
pub(super) struct Meter {
    memory_bytes_max: usize,
    table_elements_max: usize,
    memories: usize,
    tables: usize,
    instances: usize,
    pub(super) memory_bytes: usize,
    table_elements: usize,
    /// Set when something was refused; the guest may live with that, or trap.
    pub(super) refused: Option<Exceeded>,
    /// Whoever adds up what all guests have.
    pub(super) told: Option<MemoryListener>,
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes_max: limits.memory_bytes,
            table_elements_max: limits.table_elements,
            memories: limits.memories(),
            tables: limits.tables(),
            instances: limits.instances,
            memory_bytes: 0,
            table_elements: 0,
            refused: None,
            told: None,
        }
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        let granted = wanted <= self.memory_bytes_max;
        if granted {
            self.memory_bytes = wanted;
            if let Some(told) = &self.told {
                told(wanted);
            }
        } else {
            self.refused = Some(Exceeded::Memory);
        }
        Ok(granted)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.table_elements.saturating_add(desired.saturating_sub(current));
        let granted = wanted <= self.table_elements_max;
        if granted {
            self.table_elements = wanted;
        } else {
            self.refused = Some(Exceeded::Table);
        }
        Ok(granted)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_memories_are_counted_together() {
        let limits = Limits { memory_bytes: 100, ..Limits::default() };
        let mut meter = Meter::new(&limits);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(!meter.memory_growing(0, 60, None).unwrap());
        assert_eq!(meter.refused, Some(Exceeded::Memory));
        assert!(meter.memory_growing(60, 100, None).unwrap());
    }
}
