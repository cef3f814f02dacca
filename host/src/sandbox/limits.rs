//! What one attempt may use, and the counter that says no.

use super::attempt::StopCause;
use std::time::Duration;
use wasmtime::ResourceLimiter;

/// Limits of one attempt, in every export. Each has a default that suits plugins in any language.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Over all memories of the attempt, in bytes. Python needs about 13 MiB to start.
    pub memory_bytes: usize,
    /// Elements over all tables of the attempt.
    pub table_elements: usize,
    /// Memories, tables, and core instances.
    pub memories: usize,
    pub tables: usize,
    pub instances: usize,
    /// Time on a processor, of the guest alone.
    pub cpu_time: Duration,
    /// Time from start to end, less the time spent waiting for models.
    pub wall_time: Duration,
    /// All emissions of the item together, in bytes.
    pub output_bytes: usize,
    pub emissions: usize,
    /// Nesting of an emission's JSON.
    pub output_depth: usize,
    /// What may cross between guest and host in one call, either way.
    pub crossing_bytes: usize,
    /// Requests in one `complete-many`.
    pub many_requests: usize,
    pub log_lines: usize,
    pub log_bytes: usize,
    /// What is kept of stdout and of stderr, from the end.
    pub stdio_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 128 << 20,
            table_elements: 100_000,
            memories: 8,
            tables: 32,
            instances: 128,
            cpu_time: Duration::from_secs(10),
            wall_time: Duration::from_mins(2),
            output_bytes: 16 << 20,
            emissions: 10_000,
            output_depth: 100,
            crossing_bytes: 64 << 20,
            many_requests: 1_000,
            log_lines: 1_000,
            log_bytes: 64 << 10,
            stdio_bytes: 8 << 10,
        }
    }
}

/// Counts memory and tables over the whole store. wasmtime's own `StoreLimits` counts each memory by itself.
#[derive(Debug)]
pub(super) struct Meter {
    memory_bytes_max: usize,
    table_elements_max: usize,
    memories: usize,
    tables: usize,
    instances: usize,
    pub(super) memory_bytes: usize,
    table_elements: usize,
    /// Set when something was refused; the guest may live with that, or trap.
    pub(super) refused: Option<StopCause>,
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes_max: limits.memory_bytes,
            table_elements_max: limits.table_elements,
            memories: limits.memories,
            tables: limits.tables,
            instances: limits.instances,
            memory_bytes: 0,
            table_elements: 0,
            refused: None,
        }
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        let granted = wanted <= self.memory_bytes_max;
        if granted {
            self.memory_bytes = wanted;
        } else {
            self.refused = Some(StopCause::Memory);
        }
        Ok(granted)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.table_elements.saturating_add(desired.saturating_sub(current));
        let granted = wanted <= self.table_elements_max;
        if granted {
            self.table_elements = wanted;
        } else {
            self.refused = Some(StopCause::Table);
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
        assert_eq!(meter.refused, Some(StopCause::Memory));
        assert!(meter.memory_growing(60, 100, None).unwrap());
    }
}
