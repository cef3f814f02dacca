//! What native code depends on: the proposals that a component may use, and how it is compiled.
//!
//! The engine of a run and that of a compile worker are both made from [`config`], so that what the one compiles the other loads. What
//! concerns only how instances are kept (the pool, the stack) is the engine's own, and changes no code; a test holds that.

use wasmtime::{Config, WasmBacktraceDetails, WasmFeatures};

/// What a component may use, and nothing besides. Measured on components of Rust, C, Go, `QuickJS`, `StarlingMonkey` and `CPython`
/// toolchains, of which none needs more; each further proposal is code of the compiler that only a hostile component would run.
///
/// Of the core language:
/// - mutable globals: the shadow stack's pointer, of every LLVM toolchain
/// - sign extension, saturating conversions, bulk memory, multiple values: on by default in LLVM since 2024
/// - reference types: LLVM encodes `call_indirect` with them, and `wit-component`'s shims have a second table; the reference types of a
///   garbage collector (`externref`) are not among them
/// - extended constants: where position-independent code is put together (`CPython`'s extension modules)
/// - SIMD: not on by default anywhere, but what people build regex, JSON and media code with; it is old and well tested
/// - several memories: no toolchain's modules have them, but the adapters that wasmtime itself writes between components that were
///   composed into one do, and its compiler panics without
/// - floating point, which wasmparser counts as a feature
///
/// Of components: the model as WASI 0.2 has it.
pub(in crate::sandbox) const PROPOSALS: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::COMPONENT_MODEL);

/// A proposal that is switched off, what it is called, and what a plugin's author does about it.
pub(super) struct Missing {
    pub(super) feature: WasmFeatures,
    pub(super) name: &'static str,
    pub(super) way_out: &'static str,
}

/// All that is left out of [`PROPOSALS`] (a test holds that), each with the reason.
pub(super) const MISSING: [Missing; 28] = [
    // Clang's `-mtail-call` alone makes them; their calling convention has had bugs of its own.
    missing(WasmFeatures::TAIL_CALL, "tail calls", "build it without (-mno-tail-call)"),
    // Not deterministic by nature, and a replay has to go the same way; made only where it is asked for.
    missing(WasmFeatures::RELAXED_SIMD, "relaxed SIMD", "build it with plain SIMD (without +relaxed-simd)"),
    // A guest has one thread, and no memory to share.
    missing(WasmFeatures::THREADS, "threads and shared memory", "build it for one thread (without -pthread, +atomics)"),
    missing(WasmFeatures::SHARED_EVERYTHING_THREADS, "shared-everything threads", ONE_THREAD),
    missing(WasmFeatures::CM_THREADING, "threads of components", ONE_THREAD),
    // Guards of 64-bit memories are checked in code rather than by the processor, and 4 GiB is the most that an item may have.
    missing(WasmFeatures::MEMORY64, "64-bit memories", "build it for wasm32"),
    missing(WasmFeatures::CM64, "64-bit memories of components", "build it for wasm32"),
    // A collector in the host, over a heap that the memory limit does not see. Kotlin, Java, Dart and OCaml want it.
    missing(WasmFeatures::GC, "garbage collection", NO_COLLECTOR),
    missing(WasmFeatures::GC_TYPES, "garbage-collected references", NO_COLLECTOR),
    missing(WasmFeatures::CM_GC, "garbage collection between components", NO_COLLECTOR),
    missing(WasmFeatures::FUNCTION_REFERENCES, "typed function references", NO_COLLECTOR),
    missing(WasmFeatures::CUSTOM_DESCRIPTORS, "custom descriptors", NO_COLLECTOR),
    // wasmtime implements them on its garbage collector. LLVM makes them of C++ exceptions and of setjmp where it is told to.
    missing(WasmFeatures::EXCEPTIONS, "exceptions", "build it without (-fno-wasm-exceptions, panic = \"abort\")"),
    missing(WasmFeatures::LEGACY_EXCEPTIONS, "legacy exceptions", "build it without (-fno-wasm-exceptions)"),
    // No toolchain makes them.
    missing(WasmFeatures::STACK_SWITCHING, "stack switching", NOT_YET),
    missing(WasmFeatures::MEMORY_CONTROL, "memory control", NOT_YET),
    missing(WasmFeatures::CUSTOM_PAGE_SIZES, "custom page sizes", NOT_YET),
    missing(WasmFeatures::WIDE_ARITHMETIC, "wide arithmetic", NOT_YET),
    missing(WasmFeatures::COMPACT_IMPORTS, "compact imports", NOT_YET),
    missing(WasmFeatures::CM_VALUES, "component values", NOT_YET),
    missing(WasmFeatures::CM_NESTED_NAMES, "nested names", NOT_YET),
    missing(WasmFeatures::CM_ERROR_CONTEXT, "error contexts", NOT_YET),
    missing(WasmFeatures::CM_FIXED_LENGTH_LISTS, "lists of fixed length", NOT_YET),
    missing(WasmFeatures::CM_MAP, "maps", NOT_YET),
    missing(WasmFeatures::CM_IMPLEMENTS, "`implements` names", NOT_YET),
    missing(WasmFeatures::CM_CANON_NAMES, "canonical names", NOT_YET),
    // wasmtime 48 calls it experimental and gives it no security fixes; the host waits for models asynchronously without it.
    missing(WasmFeatures::CM_ASYNC, "asynchronous functions of components (WASI 0.3)", WASI_02),
    missing(WasmFeatures::CM_ASYNC_STACKFUL.union(WasmFeatures::CM_MORE_ASYNC_BUILTINS), "further asynchrony", WASI_02),
];

const ONE_THREAD: &str = "build it for one thread";
const NO_COLLECTOR: &str = "use a toolchain that brings its own memory management in linear memory";
const NOT_YET: &str = "build it without";
const WASI_02: &str = "build it for WASI 0.2 (wasm32-wasip2)";

const fn missing(feature: WasmFeatures, name: &'static str, way_out: &'static str) -> Missing {
    Missing { feature, name, way_out }
}

/// All settings that native code depends on, and none that it does not.
pub(in crate::sandbox) fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_features(WasmFeatures::all().difference(PROPOSALS), false)
        .wasm_features(PROPOSALS, true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .cranelift_nan_canonicalization(true);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_proposal_is_either_given_or_refused_with_a_reason() {
        let refused = MISSING.iter().fold(WasmFeatures::empty(), |all, missing| all.union(missing.feature));
        assert_eq!(PROPOSALS.union(refused), WasmFeatures::all());
        assert!(PROPOSALS.intersection(refused).is_empty());
    }
}
