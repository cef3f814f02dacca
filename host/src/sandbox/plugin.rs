//! From bytes to a plugin: compiled and linked once, and asked what it is.

use super::attempt::{Job, bounded, ended};
use super::bindings::v0_1::{Processor, ProcessorPre};
use super::bindings::{HANDLER, PACKAGE};
use super::state::{GuestState, Seed};
use super::time::monotonic;
use super::{Compiling, Engine, Given, Limits, Manifest, SandboxError, convert};
use crate::domain::{
    AttemptNumber, CallEnd, Completion, Digest, Llm, LlmError, LlmErrorKind, Request, TokenCount, Verdict,
};
use std::sync::Arc;
use wasmtime::component::{Component, HasSelf, Linker};

/// A compiled plugin, ready to be instantiated many times.
pub struct Plugin {
    engine: Arc<Engine>,
    pre: ProcessorPre<GuestState>,
    manifest: Manifest,
    digest: String,
    live_max: u32,
    /// What attempts are given.
    pub(super) given: Given,
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
        check_world(&engine, &component)?;
        let linker = link(&engine.wasmtime).map_err(|error| SandboxError::Engine(format!("{error:#}")))?;
        let pre = linker.instantiate_pre(&component).and_then(ProcessorPre::new).map_err(|error| {
            SandboxError::NotAPlugin(format!(
                "the component does not fit the plugin world: {error:#}; it was built for another version of the interface, or imports what no plugin is given"
            ))
        })?;
        let live_max = live_max(&engine, &component);
        let mut plugin = Self { engine, pre, manifest: Manifest::unknown(), digest, live_max, given: Given::default() };
        plugin.manifest = plugin.describe().await?;
        Ok(plugin)
    }

    /// From now on attempts have this. While it described itself, it had nothing.
    pub fn give(&mut self, given: Given) {
        self.given = given;
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

    pub(super) fn limits(&self) -> &Limits {
        &self.engine.limits
    }

    pub(super) fn engine(&self) -> &wasmtime::Engine {
        &self.engine.wasmtime
    }

    pub(super) fn instance_pre(&self) -> &ProcessorPre<GuestState> {
        &self.pre
    }

    /// Under the same limits as any attempt.
    async fn describe(&self) -> Result<Manifest, SandboxError> {
        let job = Job { name: String::new(), created_unix_ms: 0, config: "{}".into() };
        let seed = Seed { item_id: "", attempt: AttemptNumber::FIRST };
        let mut store = self.store(GuestState::new(
            self.limits(),
            &Given::default(),
            &job,
            &seed,
            Arc::new(NoModels),
            Arc::default(),
        ));
        let (cpu, wall) = store.data().clocks();
        let call = async {
            let instance: Processor = self.pre.instantiate_async(&mut store).await?;
            instance.sandmill_plugin_handler().call_describe(&mut store).await
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

/// Says which world a component is of when it is not ours: the linker's own words name a missing function at best.
fn check_world(engine: &Engine, component: &Component) -> Result<(), SandboxError> {
    let exports: Vec<String> =
        component.component_type().exports(&engine.wasmtime).map(|(name, _)| name.to_owned()).collect();
    if exports.iter().any(|name| name == HANDLER) {
        return Ok(());
    }
    Err(SandboxError::NotAPlugin(match exports.iter().find(|name| name.starts_with(PACKAGE)) {
        Some(other) => format!(
            "the component is a plugin for `{other}`, and this host knows `{HANDLER}`: use a newer sandmill, or build the plugin against the older interface"
        ),
        None if exports.is_empty() => format!("the component exports nothing: a plugin exports `{HANDLER}`"),
        None => format!(
            "the component is of another world: it exports {}, and a plugin exports `{HANDLER}`",
            exports
                .iter()
                .take(5)
                .map(|name| format!("`{}`", crate::domain::sanitize_text(name, 100)))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }))
}

/// Everything a guest can reach.
fn link(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<GuestState>> {
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
    Processor::add_to_linker::<_, HasSelf<_>>(&mut linker, GuestState::called)?;
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
