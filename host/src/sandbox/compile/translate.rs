//! From untrusted bytes to native code: bounded, validated, compiled. Runs in a process that may die of it.

use super::settings::{MISSING, PROPOSALS};
use super::shape;
use std::borrow::Cow;
use wasmparser::{Validator, WasmFeatures};
use wasmtime::Engine;

/// The native code, or why there is none, for a person.
///
/// The shape first, then whether it is valid, and only then the compiler: it is the largest of the three, and what runs longest.
pub(super) fn translate(engine: &Engine, bytes: &[u8], is_text: bool) -> Result<Vec<u8>, String> {
    let bytes = if is_text { from_text(bytes)? } else { Cow::Borrowed(bytes) };
    shape::check(&bytes)?;
    validate(&bytes)?;
    engine.precompile_component(&bytes).map_err(|error| does_not_load(format!("{error:#}")))
}

fn from_text(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    wat::parse_bytes(bytes).map_err(|error| format!("the component's text is not WebAssembly: {error}"))
}

fn does_not_load(error: String) -> String {
    format!("the component does not load (truncated or damaged?): {error}")
}

/// With the very proposals that the compiler has.
fn validate(bytes: &[u8]) -> Result<(), String> {
    let valid_with = |features: WasmFeatures| Validator::new_with_features(features).validate_all(bytes).map(|_| ());
    let Err(error) = valid_with(PROPOSALS) else { return Ok(()) };
    if valid_with(WasmFeatures::all()).is_err() {
        return Err(does_not_load(error.to_string()));
    }
    // Valid, but for what is switched off: each is named, without which it would not be.
    let needed: Vec<String> = MISSING
        .iter()
        .filter(|missing| valid_with(WasmFeatures::all().difference(missing.feature)).is_err())
        .map(|missing| format!("{}: {}", missing.name, missing.way_out))
        .collect();
    let what = if needed.is_empty() { error.to_string() } else { needed.join("; ") };
    Err(format!("the component uses what no plugin is given ({what})"))
}

#[cfg(test)]
mod tests {
    use super::super::{artefact, settings};
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use std::sync::LazyLock;

    fn said(wat: &str) -> String {
        let engine = Engine::new(&settings::config()).unwrap();
        translate(&engine, wat.as_bytes(), true).err().unwrap_or_default()
    }

    #[test]
    fn a_proposal_that_is_switched_off_is_named_with_the_way_out() {
        let tail_call = said("(component (core module (func $f (return_call $f))))");
        assert!(tail_call.contains("tail calls: build it without"), "{tail_call}");
        let threads = said("(component (core module (memory 1 1 shared)))");
        assert!(threads.contains("threads and shared memory"), "{threads}");
        assert!(!threads.contains("tail calls"), "{threads}");
        let memory64 = said("(component (core module (memory i64 1)))");
        assert!(memory64.contains("64-bit memories: build it for wasm32"), "{memory64}");
        let relaxed =
            "(component (core module (func (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))))";
        assert!(said(relaxed).contains("relaxed SIMD"), "{}", said(relaxed));
        let exceptions = said("(component (core module (tag) (func (throw 0))))");
        assert!(exceptions.contains("exceptions: build it without"), "{exceptions}");
        let gc = said("(component (core module (type (struct (field i32)))))");
        assert!(gc.contains("garbage collection"), "{gc}");
        let wasi_03 = said("(component (type (future)))");
        assert!(wasi_03.contains("WASI 0.2"), "{wasi_03}");
    }

    #[test]
    fn what_every_toolchain_makes_is_compiled() {
        for module in [
            "(func (param v128) (result v128) (i8x16.neg (local.get 0)))",
            "(global (mut i32) (i32.add (i32.const 1) (i32.const 2)))",
            "(memory 1) (memory 1) (func (memory.copy 0 1 (i32.const 0) (i32.const 0) (i32.const 0)))",
            "(table 1 funcref) (table 1 funcref) (func (call_indirect 1 (i32.const 0)))",
            "(func (result i32 i64) (i32.extend8_s (i32.const 1)) (i64.trunc_sat_f32_s (f32.const 1)))",
        ] {
            assert_eq!(said(&format!("(component (core module {module}))")), "", "{module}");
        }
    }

    #[test]
    fn components_that_were_composed_into_one_are_compiled() {
        // Strings between two memories: wasmtime writes an adapter with both.
        let memory = r#"(memory (export "m") 1) (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable)"#;
        let options = |of: &str| format!(r#"(memory (core memory {of} "m")) (realloc (core func {of} "r"))"#);
        let exporter = format!(
            r#"(component $a (core module $m {memory} (func (export "f") (param i32 i32))) (core instance $i (instantiate $m))
                 (func (export "f") (param "s" string) (canon lift (core func $i "f") {})))"#,
            options("$i")
        );
        let importer = format!(
            r#"(component $b (import "f" (func $f (param "s" string)))
                 (core module $libc {memory}) (core instance $libc (instantiate $libc))
                 (core func $low (canon lower (func $f) {}))
                 (core module $m (import "" "f" (func (param i32 i32))))
                 (core instance (instantiate $m (with "" (instance (export "f" (func $low)))))))"#,
            options("$libc")
        );
        let whole = format!(
            r#"(component {exporter} {importer} (instance $a (instantiate $a)) (instance (instantiate $b (with "f" (func $a "f")))))"#
        );
        assert_eq!(said(&whole), "");
    }

    #[test]
    fn text_that_is_none_and_bytes_that_are_cut_are_told() {
        assert!(said("(component").contains("text is not WebAssembly"));
        let whole = wat::parse_str("(component (core module (func)))").unwrap();
        let engine = Engine::new(&settings::config()).unwrap();
        let cut = translate(&engine, &whole[..whole.len() - 2], false).unwrap_err();
        assert!(cut.contains("truncated or damaged"), "{cut}");
    }

    static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(&settings::config()).unwrap());

    /// A little of everything: a type, a memory with data, a table, branches, a function that is lifted.
    static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let text = r#"(component
            (core module $m
                (memory (export "m") 1) (data (i32.const 8) "some text") (table 2 funcref) (elem (i32.const 0) $f $g)
                (global $p (mut i32) (i32.const 7)) (type $t (func (param i32) (result i32)))
                (func (export "r") (param i32 i32 i32 i32) (result i32) (global.get $p))
                (func $f (type $t) (block (block (br_table 0 1 (local.get 0)))) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (i32.const 3))
                (func $g (export "g") (type $t) (call_indirect (type $t) (local.get 0) (i32.const 0)))
                (func (export "s") (param i32 i32) (result i32) (call $g (i32.add (local.get 0) (local.get 1)))))
            (core instance $i (instantiate $m))
            (type $r (record (field "a" u32) (field "b" string)))
            (export $rr "r" (type $r))
            (func (export "s") (param "text" string) (result u32)
                (canon lift (core func $i "s") (memory (core memory $i "m")) (realloc (core func $i "r")))))"#;
        wat::parse_str(text).unwrap()
    });

    #[test]
    fn what_is_undamaged_is_compiled_and_loads() {
        let native = translate(&ENGINE, &WHOLE, false).unwrap();
        artefact::load(&ENGINE, &native).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn whatever_is_damaged_is_compiled_or_told(
            changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
            cut in prop::option::of(any::<Index>()),
            gap in prop::option::of((any::<Index>(), 1..40_usize)),
        ) {
            let mut bytes = WHOLE.clone();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some((at, length)) = gap {
                let at = at.index(bytes.len());
                let end = (at + length).min(bytes.len());
                bytes.drain(at..end);
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            match translate(&ENGINE, &bytes, false) {
                Ok(native) => prop_assert!(artefact::load(&ENGINE, &native).is_ok()),
                Err(said) => prop_assert!(said.starts_with("the component "), "{}", said),
            }
        }
    }
}
