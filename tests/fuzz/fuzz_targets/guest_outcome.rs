//! See `targets`.

#![no_main]

libfuzzer_sys::fuzz_target!(init: sandmill_fuzz::prepare(), |bytes: &[u8]| sandmill_fuzz::run("guest_outcome", bytes));
