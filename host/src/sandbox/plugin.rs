//! From bytes to a plugin: compiled and linked once, and asked what it is.

use super::attempt::{Job, bounded, ended};
use super::contract::Release;
use super::linked::{self, Linked};
use super::state::{GuestState, Seed};
use super::time::monotonic;
use super::{Compiling, Engine, Given, Limits, Manifest, SandboxError, convert};
use crate::domain::{
    AttemptNumber, CallEnd, Completion, Digest, Llm, LlmError, LlmErrorKind, Request, TokenCount, Verdict,
};
use std::sync::Arc;
use wasmtime::component::{Component, Linker};

/// A compiled plugin, ready to be instantiated many times.
pub struct Plugin {
    engine: Arc<Engine>,
    linked: Linked,
    manifest: Manifest,
    digest: String,
    live_max: u32,
    /// What attempts are given.
    pub(super) given: Arc<Given>,
}

impl Plugin {
    /// Compiles and links, then asks the component what it is. Takes a fraction of a second for Rust, many for Python.
    ///
    /// `is_text`: the bytes come from a `.wat` file. `digest`: of the bytes, which whoever has them has taken before.
    pub async fn load(
        engine: Arc<Engine>,
        compiling: &Compiling,
        bytes: &[u8],
        is_text: bool,
        digest: Digest,
    ) -> Result<Self, SandboxError> {
        let digest = digest.hex();
        let component = compiling.component(&engine, bytes, &digest, is_text)?;
        let release = release_of(&engine, &component)?;
        let interfaces = link(&engine.wasmtime).map_err(|error| SandboxError::Engine(format!("{error:#}")))?;
        let pre = interfaces.instantiate_pre(&component);
        let linked = pre.and_then(|pre| Linked::new(release.speaks, pre)).map_err(|error| {
            SandboxError::NotAPlugin(format!(
                "the component does not fit the plugin world of {}: {error:#}; it imports what no plugin is given, or was not built with a kit of that version",
                release.version
            ))
        })?;
        let live_max = live_max(&engine, &component);
        let mut plugin =
            Self { engine, linked, manifest: Manifest::unknown(), digest, live_max, given: Arc::default() };
        plugin.manifest = plugin.describe().await?;
        Ok(plugin)
    }

    /// From now on attempts have this. While it described itself, it had nothing.
    pub fn give(&mut self, given: Given) {
        self.given = Arc::new(given);
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the component as it was given, 64 hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How many instances may be live at once.
    pub fn live_max(&self) -> u32 {
        self.live_max
    }

    /// What one instance may have of memory, in bytes.
    pub fn memory_max(&self) -> u64 {
        self.limits().memory_bytes as u64
    }

    /// Whether an attempt that is run again from its start, with the same answers, does the same: what was granted decides.
    pub fn is_replayable(&self) -> bool {
        self.given.is_replayable()
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.engine.limits
    }

    pub(super) fn engine(&self) -> &wasmtime::Engine {
        &self.engine.wasmtime
    }

    pub(super) fn linked(&self) -> &Linked {
        &self.linked
    }

    /// Under the same limits as any attempt.
    async fn describe(&self) -> Result<Manifest, SandboxError> {
        let job = Job { name: String::new(), created_unix_ms: 0, config: "{}".into() };
        let seed = Seed { item: None, attempt: AttemptNumber::FIRST };
        let mut store = self.store(GuestState::new(
            self.engine(),
            self.limits(),
            &Arc::default(),
            &job,
            seed,
            Arc::new(NoModels),
            Arc::default(),
        ));
        let (cpu, wall) = store.data().clocks();
        let call = async {
            let instance = self.linked.instantiate(&mut store).await?;
            instance.describe(&mut store).await
        };
        let called = bounded(self.limits(), cpu, wall, call).await;
        match ended(called, &store) {
            Ok(manifest) => convert::manifest_from_wit(manifest).map_err(SandboxError::Describe),
            Err(Verdict::Failed(failure)) => Err(SandboxError::Describe(format!(
                "{}: {}\n{}",
                failure.class,
                failure.message,
                failure.backtrace.unwrap_or_default()
            ))),
            Err(Verdict::Suspended | Verdict::Finished(_) | Verdict::Retry(_)) => {
                Err(SandboxError::Describe("it asked for a model".into()))
            }
        }
    }
}

/// The version of the contract that it was built for.
fn release_of(engine: &Engine, component: &Component) -> Result<&'static Release, SandboxError> {
    let ty = component.component_type();
    let imports = ty.imports(&engine.wasmtime).map(|(name, _)| name.to_owned());
    let exports = ty.exports(&engine.wasmtime).map(|(name, _)| name.to_owned());
    Release::of(imports, exports).map_err(SandboxError::NotAPlugin)
}

/// Everything a guest can reach.
pub(super) fn link(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    linker.allow_shadowing(true);
    wasmtime_wasi::p2::bindings::clocks::monotonic_clock::add_to_linker::<GuestState, monotonic::Seen>(
        &mut linker,
        GuestState::monotonic,
    )?;
    super::files::add_to_linker(&mut linker)?;
    linker.allow_shadowing(false);
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    linked::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// How many of this component fit into the pool.
fn live_max(engine: &Engine, component: &Component) -> u32 {
    let Some(needs) = component.resources_required() else { return engine.slots };
    engine.fits(needs.num_memories, needs.num_tables)
}

/// While a plugin describes itself there is nobody to ask.
pub(super) struct NoModels;

impl NoModels {
    fn denied() -> LlmError {
        LlmError {
            kind: LlmErrorKind::Denied,
            code: "describing".into(),
            message: "no model can be asked while the plugin describes itself".into(),
            extra: Vec::new(),
        }
    }
}

#[async_trait::async_trait]
impl Llm for NoModels {
    async fn complete(&self, _: Request) -> Result<Completion, CallEnd> {
        Err(Self::denied().into())
    }

    async fn complete_many(&self, _: Vec<Request>) -> Result<Vec<Result<Completion, LlmError>>, CallEnd> {
        Err(Self::denied().into())
    }

    async fn count_tokens(&self, _: Request) -> Result<TokenCount, CallEnd> {
        Err(Self::denied().into())
    }
}
