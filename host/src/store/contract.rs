//! What every store must hold to, whatever its file went through.

use super::{JobName, NewJob, Store, StoreError};
use rusqlite::Connection;
use std::path::Path;

fn open(dir: &Path) -> Result<Store, StoreError> {
    let new = NewJob { created_ms: 1, seed: 0, arguments: "{}".into() };
    Store::create_or_open(dir, &JobName::new("j").unwrap(), &new).map(|(store, _)| store)
}

fn arguments(store: &Store) -> String {
    store.reader().job().unwrap().unwrap().arguments
}

#[test]
fn what_another_program_locks_out_is_told_with_the_way_out_and_what_was_acknowledged_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.set_arguments("acknowledged".into()).unwrap();
    let mut other = Connection::open(dir.path().join("j.db")).unwrap();
    let lock = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let error = store.set_arguments("refused".into()).unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }), "{error}");
    assert!(error.to_string().contains("close it there and run the same command again"), "{error}");
    drop(lock);
    assert!(store.set_arguments("after a failure nothing is taken".into()).is_err());
    assert!(store.close().is_err());
    drop(store);
    assert_eq!(arguments(&open(dir.path()).unwrap()), "acknowledged");
}

#[test]
fn a_file_that_a_process_left_half_made_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("j.new"), [0; 4096]).unwrap();
    std::fs::write(dir.path().join("j.new-journal"), "half").unwrap();
    drop(open(dir.path()).unwrap());
    let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(names, ["j.db", "j.lock"]);
}

/// As a power loss may leave it, after a `--fresh`, of the file that was removed.
#[test]
fn the_log_of_a_file_that_is_gone_is_not_read_into_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    store.set_arguments("of the old job".into()).unwrap();
    let log = dir.path().join("j.db-wal");
    let kept = std::fs::read(&log).unwrap();
    assert!(!kept.is_empty());
    drop(store);
    std::fs::remove_file(dir.path().join("j.db")).unwrap();
    std::fs::write(&log, kept).unwrap();
    assert_eq!(arguments(&open(dir.path()).unwrap()), "{}");
}

#[test]
fn the_file_has_its_tables_in_itself_from_the_first_moment_under_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    // What the job wrote since stands in the log; what tells that the file is ours must not.
    let alone = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join("j.db"), alone.path().join("j.db")).unwrap();
    drop(open(alone.path()).unwrap());
    drop(store);
}
