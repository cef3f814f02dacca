//! What a store holds for one attempt: WASI with what was given and no more, the limits' counters, the way to the models.

use super::attempt::{Job, LogLine, Watch};
use super::crash::Calls;
use super::egress::Outlet;
use super::files::Written;
use super::given::Given;
use super::limits::{Exceeded, Limits, Meter, STDIO_BYTES};
use super::stdio::Tail;
use super::time::{CpuTime, GuestClock, VirtualClock, WallTime, monotonic};
use crate::domain::{AttemptNumber, Blob, ItemId, Llm};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// What a guest may ask of random bytes in one call.
const RANDOM_BYTES_MAX: u64 = 1 << 20;

pub(super) struct GuestState {
    pub(super) engine: wasmtime::Engine,
    /// Made when the guest first asks WASI for something: many never do.
    wasi: Option<WasiCtx>,
    given: Arc<Given>,
    seed: Seed,
    table: ResourceTable,
    http: WasiHttpCtx,
    outlet: Outlet,
    pub(super) clock: GuestClock,
    pub(super) meter: Meter,
    pub(super) cpu: Arc<CpuTime>,
    pub(super) wall: Arc<WallTime>,
    pub(super) limits: Limits,
    pub(super) llm: Arc<dyn Llm>,
    pub(super) blobs: Arc<[Blob]>,
    pub(super) log: Log,
    pub(super) stdout: Tail,
    pub(super) stderr: Tail,
    pub(super) written: Written,
    /// Calls of the host's functions so far.
    host_calls: u64,
    /// The limit that an epoch's callback found exceeded.
    pub(super) stopped: Option<Exceeded>,
    /// What it calls that may take long.
    pub(super) calls: Calls,
    /// Who looks on.
    pub(super) watch: Watch,
    /// Codes of the refusals that the guest was told of since a limit was met.
    pub(super) refused_codes: Vec<String>,
}

/// What the guest logged, within bounds.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) lines: Vec<LogLine>,
    pub(super) bytes: usize,
    pub(super) dropped: u64,
}

impl GuestState {
    pub(super) fn new(
        engine: &wasmtime::Engine,
        limits: &Limits,
        given: &Arc<Given>,
        job: &Job,
        seed: Seed,
        llm: Arc<dyn Llm>,
        blobs: Arc<[Blob]>,
    ) -> Self {
        let clock = if given.is_clock_real {
            GuestClock::real()
        } else {
            GuestClock::Virtual(VirtualClock::new(job.created_unix_ms))
        };
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self {
            engine: engine.clone(),
            wasi: None,
            given: Arc::clone(given),
            seed,
            table,
            http: WasiHttpCtx::new(),
            outlet: Outlet::new(given.egress.clone()),
            clock,
            meter: Meter::new(limits),
            cpu: Arc::default(),
            wall: Arc::new(WallTime::start()),
            limits: limits.clone(),
            llm,
            blobs,
            log: Log::default(),
            stdout: Tail::new(STDIO_BYTES),
            stderr: Tail::new(STDIO_BYTES),
            written: Written::new(limits.written_bytes),
            host_calls: 0,
            stopped: None,
            calls: Calls::default(),
            watch: Watch::default(),
            refused_codes: Vec::new(),
        }
    }

    /// For the linker: what every call of a function of the host begins with, WASI's and drops of resources among them.
    pub(super) fn called(&mut self) -> &mut Self {
        self.host_calls = self.host_calls.saturating_add(1);
        self
    }

    pub(super) fn host_calls(&self) -> u64 {
        self.host_calls
    }

    /// What is charged.
    pub(super) fn clocks(&self) -> (Arc<CpuTime>, Arc<WallTime>) {
        (Arc::clone(&self.cpu), Arc::clone(&self.wall))
    }

    /// For our own functions. WASI's cannot refuse a call: they are looked at with each tick, and when the guest has ended.
    pub(super) fn check_calls(&self) -> Result<(), Exceeded> {
        if self.host_calls > self.limits.host_calls { Err(Exceeded::HostCalls) } else { Ok(()) }
    }

    /// Asked while the guest runs.
    pub(super) fn exceeded(&self) -> Option<Exceeded> {
        if self.cpu.guest() > self.limits.cpu_time {
            Some(Exceeded::CpuTime)
        } else if self.cpu.host() > self.limits.host_time {
            Some(Exceeded::HostTime)
        } else if self.wall.spent() > self.limits.wall_time {
            // Here it has a backtrace, which a guest that is dropped while it waits has not.
            Some(Exceeded::WallTime)
        } else {
            self.check_calls().err()
        }
    }

    /// For the linker: the clock beside the table that its timers go into.
    pub(super) fn monotonic(&mut self) -> monotonic::View<'_> {
        self.called();
        monotonic::View { clock: &self.clock, table: &mut self.table }
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.called();
        let Self { wasi, given, seed, clock, stdout, stderr, table, .. } = self;
        let ctx = wasi.get_or_insert_with(|| context(given, seed, clock, stdout, stderr));
        WasiCtxView { ctx, table }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.called();
        WasiHttpCtxView { hooks: &mut self.outlet, table: &mut self.table, ctx: &mut self.http }
    }
}

/// WASI with what was given and no more.
fn context(given: &Given, seed: &Seed, clock: &GuestClock, stdout: &Tail, stderr: &Tail) -> WasiCtx {
    let mut wasi = WasiCtx::builder();
    wasi.stdout(stdout.clone())
        .stderr(stderr.clone())
        .envs(&given.env)
        .max_random_size(RANDOM_BYTES_MAX)
        .allow_tcp(false)
        .allow_udp(false);
    // Where they are given, clock and randomness are the real ones that a context has of itself.
    if let GuestClock::Virtual(clock) = clock {
        wasi.wall_clock(clock.clone());
    }
    if !given.is_random_real {
        let (secure, insecure, insecure_seed) = seed.generators();
        wasi.secure_random(secure).insecure_random(insecure).insecure_random_seed(insecure_seed);
    }
    let mut wasi = wasi.build();
    *wasi.filesystem() = given.files.clone();
    wasi
}

/// Randomness in the guest follows from the item and the attempt, so that a replay draws the same numbers.
pub(super) struct Seed {
    /// `None`: it describes itself.
    pub(super) item: Option<ItemId>,
    pub(super) attempt: AttemptNumber,
}

impl Seed {
    fn generators(&self) -> (ChaCha8Rng, ChaCha8Rng, u128) {
        let mut hasher = Sha256::new();
        hasher.update(b"sandmill guest randomness 1");
        hasher.update(self.attempt.0.to_le_bytes());
        hasher.update(self.item.as_ref().map_or("", ItemId::as_str).as_bytes());
        let seed: [u8; 32] = hasher.finalize().into();
        let mut insecure_key = seed;
        insecure_key[0] ^= 1;
        let mut low = [0; 16];
        low.copy_from_slice(&seed[..16]);
        (ChaCha8Rng::from_seed(seed), ChaCha8Rng::from_seed(insecure_key), u128::from_le_bytes(low))
    }
}
