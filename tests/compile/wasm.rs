//! Components, byte by byte, of a kind that no toolchain makes.

/// LEB128.
pub(super) fn number(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&number(u32::try_from(bytes.len()).unwrap()), bytes].concat()
}

/// A section of a module or a component: its number and what is in it.
pub(super) fn section(id: u8, bytes: &[u8]) -> Vec<u8> {
    [&[id][..], &sized(bytes)].concat()
}

/// So many of something.
pub(super) fn vector(items: &[Vec<u8>]) -> Vec<u8> {
    [number(u32::try_from(items.len()).unwrap()), items.concat()].concat()
}

/// A module whose functions take and yield nothing and have these bodies.
pub(super) fn module(bodies: &[Vec<u8>]) -> Vec<u8> {
    let types = vector(&[vec![0x60, 0, 0]]);
    let functions = vector(&vec![vec![0]; bodies.len()]);
    let code: Vec<Vec<u8>> = bodies.iter().map(|body| sized(body)).collect();
    [b"\0asm\x01\0\0\0".to_vec(), section(1, &types), section(3, &functions), section(10, &vector(&code))].concat()
}

/// A component that holds a module.
pub(super) fn component(module: &[u8]) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, module)].concat()
}

/// A function with so many `i32` variables that begins with a few bytes.
pub(super) fn body(locals: u32, code: &[u8]) -> Vec<u8> {
    [&[1][..], &number(locals), &[0x7f], code, &[0x0b]].concat()
}

pub(super) const LOOP: [u8; 2] = [0x03, 0x40];
pub(super) const BLOCK: [u8; 2] = [0x02, 0x40];
pub(super) const END: u8 = 0x0b;

/// In the innermost of so many loops each variable is changed: each loop has a version of each of its own.
pub(super) fn loops_by_locals(loops: usize, locals: u32) -> Vec<u8> {
    let mut code = LOOP.repeat(loops);
    for local in 0..locals {
        code.extend([&[0x20][..], &number(local), &[0x41, 1, 0x6a, 0x21], &number(local)].concat());
    }
    // Back to the head of each loop, or on.
    for _ in 0..loops {
        code.extend([0x20, 0, 0x0d, 0, END]);
    }
    body(locals, &code)
}

/// A `br_table` with so many targets, spread over so many blocks.
pub(super) fn branches(targets: u32, blocks: u32) -> Vec<u8> {
    let mut code = BLOCK.repeat(blocks as usize);
    code.extend([0x20, 0, 0x0e]);
    code.extend(number(targets));
    code.extend((0..targets).flat_map(|target| number(target % blocks)));
    code.push(0);
    code.extend(std::iter::repeat_n(END, blocks as usize));
    body(1, &code)
}
