//! Components in C: compiled by clang without a library, and put in the place of a module of a component in text.

use super::wat;
use crate::support::root;
use std::process::Command;
use std::sync::OnceLock;

/// Whether this machine can compile C to WebAssembly.
pub(super) fn is_there() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    *THERE.get_or_init(|| {
        let answers =
            |program: &str| Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
        answers("clang") && answers("wasm-ld")
    })
}

/// The component of `c/NAME.c`.
pub(super) fn component(name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("core.wasm");
    let source = root().join("tests/hostile/c").join(format!("{name}.c"));
    let flags =
        ["--target=wasm32", "-nostdlib", "-O1", "-Wall", "-Wno-infinite-recursion", "-Werror", "-Wl,--no-entry"];
    let output = Command::new("clang").args(flags).arg("-o").arg(&module).arg(&source).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    with_module(&wat::around_c(), &std::fs::read(&module).unwrap())
}

/// A component whose one core module is another.
fn with_module(component: &[u8], module: &[u8]) -> Vec<u8> {
    const CORE_MODULE: u8 = 1;
    let (header, mut rest) = component.split_at(8);
    let mut out = header.to_vec();
    while let Some((&id, after)) = rest.split_first() {
        let (length, after) = leb(after);
        let (body, after) = after.split_at(length);
        let body = if id == CORE_MODULE { module } else { body };
        out.push(id);
        push_leb(&mut out, body.len());
        out.extend_from_slice(body);
        rest = after;
    }
    out
}

fn leb(bytes: &[u8]) -> (usize, &[u8]) {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
    let value = bytes[..=end].iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
    (value, &bytes[end + 1..])
}

fn push_leb(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        out.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return;
        }
    }
}
