//! Bytes that were a Parquet file, and files that say that they hold more than there is: each is refused, or gives what is left of it. The
//! process of the run lives, no larger than it was, and the one that decoded has gone.

use super::assault::{Ran, flags, rounds, unfit_for_terminals, watched};
use super::mutate::{Change, change, changed, runner};
use crate::support::{Place, plugin, readers_of, root};
use proptest::prelude::*;
use proptest::sample::Index;

/// What the process of a run may have of memory: it takes less than half of that, in a build without optimisation.
const PEAK_MIB: u64 = 512;

/// What stands at the end of a file: the length of what stands before, and its kind.
const TAIL: usize = 8;

/// How an error begins that is about the file.
const REFUSALS: [&str; 4] = [
    "it is no Parquet file, cut off or damaged (",
    "decoding it takes more than 256 MiB of memory: if it is not damaged, write it anew with smaller row groups",
    "cannot be read: it is ",
    "comes twice: rename one of them",
];

#[derive(Debug, Clone)]
enum Damage {
    /// Of what tells where everything is and how it is packed.
    Footer(Vec<Change>),
    /// Of the pages.
    Body(Vec<Change>),
    /// Bytes become others.
    Bytes(Vec<(Index, u8)>),
    /// Numbers become large ones, of up to so many bytes.
    Numbers(Vec<(Index, usize)>),
    Cut(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let changes = || prop::collection::vec(change(), 1..3);
    prop_oneof![
        2 => changes().prop_map(Damage::Footer),
        3 => changes().prop_map(Damage::Body),
        5 => prop::collection::vec((any::<Index>(), any::<u8>()), 1..3).prop_map(Damage::Bytes),
        3 => prop::collection::vec((any::<Index>(), 1_usize..10), 1..3).prop_map(Damage::Numbers),
        1 => any::<Index>().prop_map(Damage::Cut),
    ]
}

/// The pages, and the footer without its tail.
fn parts(file: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, tail) = file.split_last_chunk::<TAIL>()?;
    let length = u32::from_le_bytes(*tail.first_chunk()?);
    rest.split_at_checked(rest.len().checked_sub(usize::try_from(length).ok()?)?)
}

fn damaged(file: &[u8], damage: &Damage) -> Vec<u8> {
    let (body, footer) = parts(file).unwrap();
    // Its length is put right: what is damaged shall be looked at.
    let joined = |body: &[u8], footer: &[u8]| {
        [body, footer, &u32::try_from(footer.len()).unwrap().to_le_bytes(), b"PAR1"].concat()
    };
    match damage {
        Damage::Body(changes) if body.len() > 32 => joined(&changed(body.to_vec(), changes), footer),
        Damage::Footer(changes) | Damage::Body(changes) => joined(body, &changed(footer.to_vec(), changes)),
        Damage::Bytes(others) => {
            let mut bytes = file.to_vec();
            for (at, other) in others {
                bytes[4 + at.index(file.len() - TAIL - 4)] = *other;
            }
            bytes
        }
        Damage::Numbers(numbers) => {
            let mut bytes = file.to_vec();
            for (at, length) in numbers {
                let at = 4 + at.index(file.len() - TAIL - 4);
                let end = (at + length).min(file.len() - TAIL);
                // As Thrift, Snappy and the encodings of deltas write them: seven bits a byte, the last one below 128.
                bytes[at..end].fill(0xff);
                bytes[end - 1] = 0x07;
            }
            bytes
        }
        Damage::Cut(at) => file[..at.index(file.len())].to_vec(),
    }
}

fn originals() -> Vec<(String, Vec<u8>)> {
    let folder = root().join("tests/hostile/parquet");
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .filter(|(name, _)| !name.starts_with("count_of_"))
        .collect();
    found.sort();
    assert!(found.len() > 15, "{}", found.len());
    found
}

fn run(place: &Place, bytes: &[u8]) -> Ran {
    let input = place.write("in.parquet", bytes);
    let args = ["run", &plugin("misbehave"), "--input", "in.parquet", "--output", "out.jsonl", "--fresh", "-v"];
    let bounded = ["--limit", "300", "--on-duplicate", "skip"];
    let ran = watched(place, &[&args[..], &bounded, &flags(&[])].concat());
    assert_eq!(readers_of(&input), 0, "a process has been left:\n{}", ran.said);
    ran
}

/// Whether the end is one of those that there may be.
fn check(what: &str, ran: &Ran) -> Result<(), TestCaseError> {
    let said = &ran.said;
    prop_assert!(matches!(ran.status.code(), Some(0 | 2 | 3)), "{what}: {}: {said}", ran.status);
    let is_told = ran.status.code() != Some(2) || REFUSALS.iter().any(|part| said.contains(part));
    prop_assert!(is_told, "{what}: {said}");
    prop_assert_eq!(unfit_for_terminals("the run", said), None);
    prop_assert!(ran.peak_kib.is_none_or(|kib| kib >> 10 < PEAK_MIB), "{what}: {:?} KiB", ran.peak_kib);
    Ok(())
}

#[test]
fn a_damaged_parquet_file_is_refused_or_gives_what_is_left_of_it() {
    let mut runner = runner(rounds(40, 3_000));
    let originals = originals();
    let place = Place::new();
    place.write("sandmill.toml", "[input]\nparquet_memory = \"256MiB\"\n");
    let mut ends = std::collections::BTreeMap::<String, usize>::new();
    let ends = std::cell::RefCell::new(&mut ends);
    let checked = runner.run(&(0..originals.len(), damage()), |(nth, damage)| {
        let (name, original) = &originals[nth];
        let ran = run(&place, &damaged(original, &damage));
        let refusal = REFUSALS.iter().find(|part| ran.said.contains(**part)).unwrap_or(&"");
        *ends.borrow_mut().entry(format!("{:?} {refusal}", ran.status.code())).or_default() += 1;
        check(name, &ran)
    });
    println!("{:#?}", ends.borrow());
    checked.unwrap();
}

#[test]
fn the_files_that_are_damaged_are_whole_before() {
    let place = Place::new();
    for (name, bytes) in originals() {
        let ran = run(&place, &bytes);
        assert!(matches!(ran.status.code(), Some(0 | 3)), "{name}: {}: {}", ran.status, ran.said);
    }
}

/// Where a file claims more values than there are, the crate makes room for all of them before it looks.
#[test]
fn a_count_that_no_file_holds_takes_neither_the_runs_memory_nor_its_life() {
    for (name, memory, part) in [
        ("count_of_a_gigabyte", "2GiB", REFUSALS[0]),
        ("count_of_a_gigabyte", "256MiB", REFUSALS[1]),
        ("count_of_a_quintillion", "256MiB", REFUSALS[1]),
    ] {
        let place = Place::new();
        place.write("sandmill.toml", format!("[input]\nparquet_memory = \"{memory}\"\n"));
        let ran = run(&place, &std::fs::read(root().join("tests/hostile/parquet").join(name)).unwrap());
        check(name, &ran).unwrap();
        assert!(ran.status.code() == Some(2) && ran.said.contains(part), "{name} in {memory}: {}", ran.said);
    }
}
