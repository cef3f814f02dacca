//! From a core module, which is as far as the compilers of some languages get, to a component of the contract's world.

use crate::sandbox::Release;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap, WorldId};

const WORLD: &str = "processor";

/// `core`: a module that imports and exports what the contract's world has, by the names of the canonical ABI, and WASI in its first
/// preview at most. The error says why it is none.
pub(super) fn encode(core: &[u8]) -> Result<Vec<u8>, String> {
    let told = |error: &dyn std::fmt::Display| format!("{error:#}");
    let (resolve, world) = contract()?;
    let mut module = core.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).map_err(|error| told(&error))?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.adapter(ADAPTER_NAME, ADAPTER))
        .and_then(ComponentEncoder::encode)
        .map_err(|error| told(&error))
}

fn contract() -> Result<(Resolve, WorldId), String> {
    let mut files = SourceMap::new();
    for (name, text) in Release::latest().wit {
        files.push_str(name, text);
    }
    let group = files.parse().map_err(|(_, error)| error.to_string())?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group).map_err(|error| error.to_string())?;
    let world = resolve.select_world(&[package], Some(WORLD)).map_err(|error| error.to_string())?;
    Ok((resolve, world))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least that a plugin exports.
    const CORE: &str = r#"(module
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
        (func (export "sandmill:plugin/handler@1.0.0#describe") (result i32) unreachable)
        (func (export "sandmill:plugin/handler@1.0.0#process") (param i32) (result i32) unreachable)
    )"#;

    #[test]
    fn a_core_module_of_the_contract_becomes_a_component() {
        let component = encode(&wat::parse_str(CORE).unwrap()).unwrap();
        let anatomy = crate::sandbox::Anatomy::read(&component, false).unwrap();
        let exports: Vec<String> = anatomy.exports.iter().map(ToString::to_string).collect();
        assert_eq!(exports, ["sandmill:plugin/handler@1.0.0"]);
    }

    #[test]
    fn what_a_core_module_lacks_or_must_not_have_is_told() {
        let check = |from: &str, to: &str, part: &str| {
            let reason = encode(&wat::parse_str(CORE.replace(from, to)).unwrap()).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        };
        check("0#process", "0#proces", "sandmill:plugin/handler@1.0.0");
        check("(memory", "(import \"env\" \"open\" (func)) (memory", "env");
        assert!(!encode(b"\0asm\x0d\0\x01\0").unwrap_err().is_empty());
    }
}
