//! A component of a released version, linked, and an instance of it. What differs from one version to the next ends here.
//!
//! Types of a released version never change, so a later version of the same major uses its bindings' (`with` of `bindgen!`), and brings
//! bindings of its own for what it adds.

use super::bindings::v1_0::{self, exports::sandmill::plugin::handler, sandmill::plugin::types};
use super::contract::Speaks;
use super::state::GuestState;
use wasmtime::Store;
use wasmtime::component::{HasSelf, InstancePre, Linker};

pub(super) enum Linked {
    V1_0(v1_0::ProcessorPre<GuestState>),
}

/// For one attempt.
pub(super) enum Instance {
    V1_0(v1_0::Processor),
}

/// The interfaces of every released version.
pub(super) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    v1_0::Processor::add_to_linker::<_, HasSelf<_>>(linker, GuestState::called)
}

impl Linked {
    pub(super) fn new(speaks: Speaks, pre: InstancePre<GuestState>) -> wasmtime::Result<Self> {
        match speaks {
            Speaks::V1_0 => v1_0::ProcessorPre::new(pre).map(Self::V1_0),
        }
    }

    pub(super) async fn instantiate(&self, store: &mut Store<GuestState>) -> wasmtime::Result<Instance> {
        match self {
            Self::V1_0(pre) => pre.instantiate_async(store).await.map(Instance::V1_0),
        }
    }
}

impl Instance {
    pub(super) async fn describe(&self, store: &mut Store<GuestState>) -> wasmtime::Result<handler::Manifest> {
        match self {
            Self::V1_0(plugin) => plugin.sandmill_plugin_handler().call_describe(store).await,
        }
    }

    pub(super) async fn process(
        &self,
        store: &mut Store<GuestState>,
        item: &types::Item,
        context: &types::Context,
    ) -> wasmtime::Result<Result<handler::Outcome, handler::Failure>> {
        match self {
            Self::V1_0(plugin) => plugin.sandmill_plugin_handler().call_process(store, item, context).await,
        }
    }
}
