//! Files that would keep a compiler busy for minutes, take its memory, or crash it: each ends in exit code 2 and a message, and the process
//! of the run is none the worse.

use super::wasm::{body, branches, component, loops_by_locals, module, number, section, vector};
use super::{place, redact};
use crate::support::{Place, Ran, plugin};
use rand::RngExt;

fn run(place: &Place, component: impl AsRef<[u8]>) -> Ran {
    place.write("plugin.wasm", component);
    place.run(&["run", "plugin.wasm", "--input", "in.jsonl", "--cache", "off"])
}

#[track_caller]
fn check(component: impl AsRef<[u8]>, parts: &[&str]) {
    run(&place("2s", "1GiB"), component).expect_error(2, parts);
}

#[test]
fn a_small_file_that_takes_minutes_is_stopped() {
    let many = vec![loops_by_locals(150, 900); 1_000];
    let file = component(&module(&many));
    assert!(file.len() < 10 << 20, "{}", file.len());
    check(file, &["more than 2s of processor time", "compile_cpu"]);
}

#[test]
fn a_small_file_that_takes_all_memory_is_stopped() {
    let file = component(&module(&[loops_by_locals(8_000, 20_000)]));
    assert!(file.len() < 1 << 20, "{}", file.len());
    run(&place("5m", "512MiB"), file).expect_error(2, &["more than 512 MiB of memory", "compile_memory"]);
}

#[test]
fn what_is_beyond_a_bound_is_told_with_the_bound() {
    let nothing = body(0, &[]);
    check(component(&module(&[loops_by_locals(40_000, 40_000)])), &["versions of local variables", "200000000"]);
    check(component(&module(&vec![body(50_000, &[]); 100])), &["more than 4000000 local variables"]);
    check(component(&module(&[branches(200_000, 10)])), &["br_table with 200000 targets"]);
    check(component(&module(&vec![branches(90_000, 10); 100])), &["more than 8000000 targets of br_table"]);
    check(component(&module(&vec![nothing.clone(); 300_001])), &["more than 300000 functions"]);
    let modules = section(1, &module(&[])).repeat(251);
    check([b"\0asm\x0d\0\x01\0", &modules[..]].concat(), &["more than 250 core modules"]);
    let results = [&[0x60, 0][..], &number(65), &[0x7f; 65]].concat();
    let wide = [b"\0asm\x01\0\0\0", &section(1, &vector(&[results]))[..]].concat();
    check(component(&wide), &["yields 65 values"]);
    let name = [&number(9_000)[..], &[b'n'; 9_000], &[0, 0]].concat();
    let named = [&module(&[nothing])[..], &[]].concat();
    let (head, code) = named.split_at(named.len() - section(10, &vector(&[vec![4, 1, 0, 0x7f, 0x0b]])).len());
    let long = [head, &section(7, &vector(&[name])), code].concat();
    check(component(&long), &["a name of 9000 bytes"]);
}

#[test]
fn components_and_types_that_are_nested_without_end_are_told() {
    let mut nested = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..30 {
        nested = [b"\0asm\x0d\0\x01\0", &section(4, &nested)[..]].concat();
    }
    check(&nested, &["more than 16 deep"]);
    // A type that declares a type that declares a type …: reading it goes as deep.
    let deep = [0x42, 1, 1].repeat(300_000);
    let types = section(7, &[&[1][..], &deep, &[0x42, 0]].concat());
    check([b"\0asm\x0d\0\x01\0", &types[..]].concat(), &["error: ", "plugin.wasm cannot be used"]);
    // Each type is twice the one before.
    let mut types = vec![vec![0x7f]];
    types.extend((0..60_u8).map(|nth| vec![0x6f, 2, nth, nth]));
    check([b"\0asm\x0d\0\x01\0", &section(7, &vector(&types))[..]].concat(), &["does not load"]);
}

#[test]
fn a_component_that_is_too_large_is_not_even_handed_over() {
    let place = place("2s", "1GiB");
    let file = std::fs::File::create(place.path("plugin.wasm")).unwrap();
    file.set_len((256 << 20) + 1).unwrap();
    place.run(&["run", "plugin.wasm", "--input", "in.jsonl"]).expect_error(2, &["larger than 256 MiB"]);
}

#[test]
fn damaged_components_work_or_are_told() {
    let whole = redact();
    let mut rng = crate::crash::seeded();
    let place = place("5m", "4GiB");
    for _ in 0..10 {
        let mut bytes = whole.clone();
        match rng.random_range(0..3) {
            0 => bytes.truncate(rng.random_range(0..whole.len())),
            1 => {
                for _ in 0..rng.random_range(1..8) {
                    let at = rng.random_range(0..bytes.len());
                    bytes[at] ^= 1 << rng.random_range(0..8);
                }
            }
            _ => {
                let (at, length) = (rng.random_range(0..bytes.len()), rng.random_range(1..2_000));
                bytes.drain(at..(at + length).min(whole.len()));
            }
        }
        let ran = run(&place, &bytes);
        // Damage in a text or a constant is none that anybody could tell; it fails the item at most, or changes its job.
        assert!([0, 2, 3].contains(&ran.code), "{}\n{}", ran.code, ran.stderr);
        assert!(ran.code != 2 || ran.stderr.contains("error: "), "{}", ran.stderr);
    }
}

#[test]
fn nobody_else_has_a_use_for_the_worker() {
    let place = place("2s", "1GiB");
    let help = place.run(&["--help"]).expect(0).stdout;
    assert!(!help.contains("compile-worker") && !help.contains("parquet-worker"), "{help}");
    let alone = ["compile-worker", "--cpu-seconds", "5", "--memory-bytes", "1000000000", "--parent", "1"];
    if cfg!(target_os = "linux") {
        place.run(&alone).expect_error(4, &["the process that wanted it has gone"]);
    }
}

#[test]
fn a_cold_start_without_any_cache_runs() {
    let place = place("5m", "4GiB");
    let redact = plugin("redact");
    place.run(&["run", &redact, "--input", "in.jsonl", "--cache", "off", "--output", "out.jsonl"]).expect(0);
    assert_eq!(place.rows("out.jsonl").len(), 1);
}
