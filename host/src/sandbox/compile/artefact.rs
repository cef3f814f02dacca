//! Native code that was compiled elsewhere becomes a component of this process. The program's only `unsafe` block.

use wasmtime::Engine;
use wasmtime::component::Component;

/// `artefact`: what [`Engine::precompile_component`] made, in a compile worker that this process started, or as the cache has kept it.
///
/// wasmtime checks that it was made for this engine, and nothing of the code in it. Where it may come from is therefore decided by
/// `compile/mod.rs` alone: never from a file that a person names.
#[expect(unsafe_code, reason = "native code cannot be checked, only its origin")]
pub(super) fn load(engine: &Engine, artefact: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes were made by `Engine::precompile_component` of this very program, in a process that this one started from its own
    // executable, and have come over a pipe of its own, or from a file in a folder that is this user's alone and with the checksum
    // that it was written with. Whoever can forge either already runs code as this user.
    unsafe { Component::deserialize(engine, artefact) }
}
