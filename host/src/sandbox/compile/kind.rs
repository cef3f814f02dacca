//! What the bytes are, by their first ones: all that the process of a run looks at of a component itself.

use super::super::SandboxError;

/// The largest component, in bytes. Python's and JavaScript's are about 20 MB.
const COMPONENT_BYTES_MAX: usize = 256 << 20;

/// Refuses what cannot be a component. `is_text`: the bytes come from a `.wat` file.
pub(in super::super) fn check_kind(bytes: &[u8], is_text: bool) -> Result<(), SandboxError> {
    refusal(bytes, is_text).map_or(Ok(()), |text| Err(SandboxError::NotAPlugin(text)))
}

fn refusal(bytes: &[u8], is_text: bool) -> Option<String> {
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Some(format!(
            "the component is larger than {} MiB: leave out what it does not need, or strip it (`wasm-tools strip`)",
            COMPONENT_BYTES_MAX >> 20
        ));
    }
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Some(
            "this is precompiled native code (.cwasm), which cannot be checked: give the component it was made from"
                .into(),
        );
    }
    let text = match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return None,
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            "this is a core WebAssembly module, not a component: build it for wasm32-wasip2, or wrap it with `wasm-tools component new`"
        }
        [0, b'a', b's', b'm', ..] => "this is WebAssembly of a kind that is not known here: it wants a component",
        [] => "the file is empty: it wants a WebAssembly component",
        _ if is_text => return None,
        _ => {
            "this is not WebAssembly: it wants a component (.wasm), a component in text form (.wat), or a plugin's folder"
        }
    };
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(bytes: &[u8], is_text: bool, part: &str) {
        let said = refusal(bytes, is_text).unwrap();
        assert!(said.contains(part), "{said}");
    }

    #[test]
    fn what_is_no_component_is_told_by_its_first_bytes() {
        check_refused(b"", false, "empty");
        check_refused(b"hello", false, "not WebAssembly");
        check_refused(b"\0asm\x01\0\0\0", false, "core WebAssembly module");
        check_refused(b"\0asm\x01\0\0\0", true, "core WebAssembly module");
        check_refused(b"\0asm\x0e\0\x01\0", false, "of a kind");
        assert_eq!(refusal(b"\0asm\x0d\0\x01\0", false), None);
        assert_eq!(refusal(b"(component)", true), None);
    }

    #[test]
    fn native_code_is_refused_whatever_the_file_is_called() {
        let engine = wasmtime::Engine::new(&super::super::settings::config()).unwrap();
        let native = engine.precompile_component(&wat::parse_str("(component)").unwrap()).unwrap();
        check_refused(&native, false, "precompiled");
        check_refused(&native, true, "precompiled");
    }
}
