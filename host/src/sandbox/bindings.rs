//! What `bindgen!` makes of the WIT, one module a released version.

pub(super) mod v1_0 {
    wasmtime::component::bindgen!({
        path: "../wit/1.0.0",
        world: "processor",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}
