//! What `bindgen!` makes of the WIT, one module a released version.

pub(super) mod v0_1 {
    wasmtime::component::bindgen!({
        path: "../wit/0.1.0",
        world: "processor",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

/// The package whose worlds the host speaks.
pub(super) const PACKAGE: &str = "sandmill:plugin/";
/// The export that makes a component a plugin.
pub(super) const HANDLER: &str = "sandmill:plugin/handler@0.1.0";
