//! Whether a text is JSON that the host hands on: valid, within bounds, not nested too deep for those who read it later.

use super::{JSON_BYTES_MAX, sound};

const JSON_DEPTH_MAX: usize = 100;

pub(super) fn check(text: &str, what: &str) -> Result<(), String> {
    if text.len() > JSON_BYTES_MAX {
        return Err(format!("{what} is larger than {JSON_BYTES_MAX} bytes"));
    }
    if is_deeper(text, JSON_DEPTH_MAX) {
        return Err(format!("{what} is nested more than {JSON_DEPTH_MAX} levels deep"));
    }
    sound::check(text).map_err(|error| format!("{what} is not JSON: {error}"))
}

/// Whether arrays and objects nest deeper than that. Nearly every text has so few of them that counting, many bytes at a time, tells.
pub(super) fn is_deeper(text: &str, most: usize) -> bool {
    let is_possible = memchr::memchr2_iter(b'[', b'{', text.as_bytes()).nth(most).is_some();
    is_possible && depth(text) > most
}

/// How deep arrays and objects nest. Counted before parsing, since parsers recurse.
pub(super) fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
