//! One engine serves the whole run: a pool of slots for instances, an epoch that a thread of its own advances. What native code depends
//! on stands in `compile/settings.rs`.

use super::compile::settings;
use super::{Limits, SandboxError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often a running guest is looked at. A guest that spins holds its thread for no longer than this.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// What host functions have of the stack that the guest runs on (the process is aborted when *they* overflow it).
const HOST_STACK_BYTES: usize = 1 << 20;

/// Slots are address space, not memory. Some components bring several memories and tables.
const MEMORIES_PER_SLOT: u32 = 2;
const TABLES_PER_SLOT: u32 = 8;

/// What a slot keeps of its memory at most when an instance is dropped, so that the next one need not fault it in again. Worth it
/// only together with `pagemap_scan`, which tells the pages that were written.
const KEEP_RESIDENT_BYTES: usize = 2 << 20;

/// What all slots together keep, as a part of what guests shall have: nobody is counted for it.
const KEPT_PART: u64 = 8;

const TABLE_KEEP_RESIDENT_BYTES: usize = 64 << 10;

/// Slots whose memory is given back to the system together. One: in a batch all would be given back by whoever fills it, a hundred milliseconds of
/// work where guests had 128 MiB each, with the lock of the whole address space held, and whoever fills it may be the shortest of all. Small
/// guests have nothing to give back (`KEEP_RESIDENT_BYTES`), so that nothing is lost by it.
const DECOMMIT_BATCH: usize = 1;

/// Threads in each of the two lanes that guests run on: one a processor.
pub fn lane_threads() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// Slots that are being given back, and so are nobody's: one on each thread that drops guests (two lanes, and whoever loads or
/// stops). Without them a guest could find no slot though fewer than may live do.
fn on_their_way_back() -> u32 {
    u32::try_from(2 * lane_threads() + 2).unwrap_or(u32::MAX)
}

/// The compiler and the pool, with the thread that advances the epoch.
pub struct Engine {
    pub(super) wasmtime: wasmtime::Engine,
    pub(super) limits: Limits,
    /// How many components may be live at once.
    pub(super) slots: u32,
    stop: Arc<AtomicBool>,
    ticker: Option<JoinHandle<()>>,
}

impl Engine {
    /// `live_max`: how many instances shall be able to live at once. Where the machine has too little address space for
    /// that, the pool is made smaller; [`Engine::slots`] tells.
    pub fn new(limits: Limits, live_max: u32) -> Result<Self, SandboxError> {
        Self::with(limits, live_max, KEEP_RESIDENT_BYTES, false)
    }

    /// The same where guests shall have so much memory together, in bytes: an instance that is given back then gives its memory back too, but for
    /// what is small beside that.
    pub fn within(limits: Limits, live_max: u32, memory_target: Option<u64>) -> Result<Self, SandboxError> {
        Self::with(limits, live_max, kept(live_max, memory_target), false)
    }

    /// For one attempt at a time, of which a core dump can be had when it traps.
    pub fn with_coredumps(limits: Limits) -> Result<Self, SandboxError> {
        Self::with(limits, 1, KEEP_RESIDENT_BYTES, true)
    }

    fn with(limits: Limits, live_max: u32, kept: usize, has_coredumps: bool) -> Result<Self, SandboxError> {
        let mut slots = live_max.max(1);
        let wasmtime = loop {
            match wasmtime::Engine::new(config(&limits, slots, kept).coredump_on_trap(has_coredumps)) {
                Ok(engine) => break engine,
                // A machine with 42 bits of address space cannot reserve 4 GiB a slot for many slots.
                Err(_) if slots > 16 => slots /= 2,
                Err(error) => return Err(SandboxError::Engine(format!("{error:#}"))),
            }
        };
        let stop = Arc::new(AtomicBool::new(false));
        let ticker = start_ticker(wasmtime.clone(), Arc::clone(&stop))?;
        Ok(Self { wasmtime, limits, slots, stop, ticker: Some(ticker) })
    }

    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// How many components that need so many memories and tables each can be live at once.
    pub(super) fn fits(&self, memories: u32, tables: u32) -> u32 {
        let by = |per_slot: u32, needed: u32| self.slots.saturating_mul(per_slot) / needed.max(1);
        self.slots.min(by(MEMORIES_PER_SLOT, memories)).min(by(TABLES_PER_SLOT, tables)).max(1)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(ticker) = self.ticker.take() {
            // The thread cannot panic; it ends within a tick.
            let _ = ticker.join();
        }
    }
}

/// On a thread of its own: a busy runtime must not be able to hold up the clock that stops the busy ones.
fn start_ticker(engine: wasmtime::Engine, stop: Arc<AtomicBool>) -> Result<JoinHandle<()>, SandboxError> {
    std::thread::Builder::new()
        .name("epoch".into())
        .spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                engine.increment_epoch();
            }
        })
        .map_err(|error| SandboxError::Engine(format!("cannot start the epoch thread: {error}")))
}

/// What one slot keeps, in bytes.
fn kept(slots: u32, memory_target: Option<u64>) -> usize {
    let part = memory_target.map_or(u64::MAX, |target| target / KEPT_PART / u64::from(slots.max(1)));
    usize::try_from(part).unwrap_or(usize::MAX).min(KEEP_RESIDENT_BYTES)
}

fn config(limits: &Limits, slots: u32, kept: usize) -> Config {
    let mut config = settings::config();
    config
        .max_wasm_stack(limits.stack_bytes)
        // Twice: when a host function has the guest allocate for an answer, wasmtime gives that call a whole stack of its own, above
        // what the guest has already used.
        .async_stack_size(2 * limits.stack_bytes + HOST_STACK_BYTES)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits, slots, kept)));
    config
}

/// `slots`: that can be live at once. `kept`: what each keeps of its memory, in bytes.
fn pool(limits: &Limits, slots: u32, kept: usize) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (instances, memories, tables) = (number(limits.instances), number(limits.memories()), number(limits.tables()));
    let slots = slots.saturating_add(on_their_way_back());
    pool.total_component_instances(slots)
        .total_stacks(slots)
        .total_memories(slots.saturating_mul(MEMORIES_PER_SLOT).max(memories))
        .total_tables(slots.saturating_mul(TABLES_PER_SLOT).max(tables))
        .total_core_instances(slots.saturating_mul(instances))
        .max_core_instances_per_component(instances)
        .max_memories_per_component(memories)
        .max_memories_per_module(memories)
        .max_tables_per_component(tables)
        .max_tables_per_module(tables)
        .max_memory_size(limits.memory_bytes)
        .table_elements(limits.table_elements)
        .max_component_instance_size(16 << 20)
        .max_core_instance_size(16 << 20)
        .linear_memory_keep_resident(kept)
        .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES)
        .decommit_batch_size(DECOMMIT_BATCH)
        .pagemap_scan(Enabled::Auto);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{DefaultHasher, Hash, Hasher};

    fn compatibility(engine: &wasmtime::Engine) -> u64 {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn what_idle_slots_keep_is_little_of_what_guests_shall_have() {
        assert_eq!(kept(256, None), KEEP_RESIDENT_BYTES);
        assert_eq!(kept(256, Some(64 << 30)), KEEP_RESIDENT_BYTES);
        assert_eq!(kept(256, Some(1 << 30)), 512 << 10);
        assert_eq!(kept(0, Some(0)), 0);
    }

    #[test]
    fn how_instances_are_kept_changes_no_code() {
        let worker = compatibility(&wasmtime::Engine::new(&settings::config()).unwrap());
        for (memory_bytes, slots) in [(64 << 10, 1), (128 << 20, 16), (1 << 30, 8)] {
            let limits = Limits { memory_bytes, ..Limits::default() };
            assert_eq!(
                compatibility(&Engine::new(limits.clone(), slots).unwrap().wasmtime),
                worker,
                "{memory_bytes} {slots}"
            );
            let short = Engine::within(limits.clone(), slots, Some(1 << 20)).unwrap();
            assert_eq!(compatibility(&short.wasmtime), worker);
            assert_eq!(compatibility(&Engine::with_coredumps(limits).unwrap().wasmtime), worker);
        }
        let other = wasmtime::Engine::new(settings::config().epoch_interruption(false)).unwrap();
        assert_ne!(compatibility(&other), worker);
    }
}
