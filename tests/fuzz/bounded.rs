//! The fuzz targets without a fuzzer: the corpus, and so many mutations of it, always the same ones for a seed.
//!
//! `SANDMILL_TEST_SEED` and `SANDMILL_TEST_MUTATIONS` change what is tried; what fails is printed as hexadecimal digits, and belongs
//! into the corpus once it is mended.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends so")]
#![expect(clippy::print_stdout, reason = "what failed has to be tried again")]

#[path = "mutate.rs"]
mod mutate;
#[path = "targets/mod.rs"]
mod targets;

use mutate::Mutator;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What is counted of the heap is the process's: one target at a time.
static TURN: Mutex<()> = Mutex::new(());

/// The longest input that a mutation makes, in bytes.
const BYTES_MAX: usize = 4_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(name);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn check(name: &str, mutations: u64) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let seed = setting("SANDMILL_TEST_SEED", 1);
    let mutations = setting("SANDMILL_TEST_MUTATIONS", mutations);
    println!("SANDMILL_TEST_SEED={seed} SANDMILL_TEST_MUTATIONS={mutations}");
    let corpus = corpus(name);
    assert!(corpus.len() >= 5, "{name} has a corpus");
    let mut mutator = Mutator::new(seed, corpus);
    for nth in 0..mutator.seeds() as u64 + mutations {
        let input = mutator.input(nth, BYTES_MAX);
        let passed = std::panic::catch_unwind(|| targets::run(name, &input));
        assert!(passed.is_ok(), "input {nth} of {name}: {}", hex::encode(&input));
    }
}

/// How many mutations: those that are slow get fewer.
macro_rules! targets {
    ($($name:ident: $mutations:literal,)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name), $mutations);
            }
        )*

        #[test]
        fn every_target_is_tried_here() {
            let mut known: Vec<&str> = targets::ALL.iter().map(|(name, _)| *name).collect();
            known.sort_unstable();
            assert_eq!(known, [$(stringify!($name)),*]);
        }
    };
}

targets! {
    config: 500,
    guest_outcome: 2_000,
    guest_request: 500,
    guest_schema: 300,
    input_csv: 2_000,
    input_parquet: 300,
    input_text: 2_000,
    output: 500,
    provider_answer: 1_000,
    provider_headers: 2_000,
    store_file: 50,
    store_forms: 1_000,
    text: 2_000,
    tokens: 100,
}
