//! Merging against an oracle, and what must hold of the inputs.

use super::*;
use crate::store::NewJob;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One item of a small store.
#[derive(Debug, Clone)]
struct Spec {
    id: u8,
    content: u8,
    /// State, output and time.
    outcome: Option<(&'static str, u8, i64)>,
    calls: u8,
}

/// A store: its process, when it was run last, its items.
#[derive(Debug, Clone)]
struct StoreSpec {
    pid: i64,
    run_ms: i64,
    items: Vec<Spec>,
}

fn execute(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) {
    connection.execute(sql, parameters).unwrap();
}

fn begin(connection: &Connection, pid: i64, run_ms: i64) {
    execute(connection, "INSERT INTO job VALUES (1, 'j', 5, 0, '{\"x\":1}', NULL)", []);
    execute(
        connection,
        "INSERT INTO generation (digest, plugin_name, plugin_version, plugin_digest, config, model, created_ms)
         VALUES ('g', 'p', '1', 'd', '{}', '', 1)",
        [],
    );
    execute(
        connection,
        "INSERT INTO run (generation, pid, started_ms, tags) VALUES (1, ?1, ?2, '{}')",
        params![pid, run_ms],
    );
}

fn add_item(connection: &Connection, seq: i64, position: i64, item: &Spec) {
    let mut fingerprint = [0_u8; 32];
    (fingerprint[0], fingerprint[1]) = (item.id, item.content);
    execute(
        connection,
        "INSERT INTO item (seq, id, position, line, fingerprint, input, pass) VALUES (?1, ?2, ?3, 1, ?4, ?5, 1)",
        params![seq, format!("i{}", item.id), position, fingerprint, format!("{{\"c\":{}}}", item.content)],
    );
    execute(
        connection,
        "INSERT INTO attempt (id, item, number, run, context, began_ms) VALUES (?1, ?1, 1, 1, '{}', 1)",
        params![seq],
    );
    for nth in 0..item.calls {
        execute(
            connection,
            "INSERT INTO call (item, attempt, hash, occurrence, try, route, model, reserved, intent_ms)
             VALUES (?1, ?1, ?2, ?3, 1, 'r', 'm', 0, 1)",
            params![seq, [item.content; 32], nth],
        );
        execute(
            connection,
            "INSERT INTO call_end (call, ended_ms, state, cost, answer) VALUES (?1, 2, 'answered', 7, '{}')",
            params![connection.last_insert_rowid()],
        );
    }
    if let Some((state, output, ended_ms)) = item.outcome {
        let emissions = (state == "done").then(|| emissions(output));
        execute(
            connection,
            "INSERT INTO outcome (item, state, attempt, generation, run, ended_ms, attempts, emissions)
             VALUES (?1, ?2, ?1, 1, 1, ?3, 1, ?4)",
            params![seq, state, ended_ms, emissions],
        );
    }
}

fn emissions(output: u8) -> String {
    format!("{{\"v\":1,\"e\":[{{\"value\":{output}}}]}}")
}

fn make(path: &Path, spec: &StoreSpec) {
    let connection = open::writer(path).unwrap();
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    begin(&connection, spec.pid, spec.run_ms);
    for (seq, item) in (1..).zip(&spec.items) {
        add_item(&connection, seq, i64::from(item.id), item);
    }
}

fn make_all(dir: &Path, specs: &[StoreSpec]) -> Vec<PathBuf> {
    let paths: Vec<PathBuf> = (0..specs.len()).map(|index| dir.join(format!("s{index}.db"))).collect();
    paths.iter().zip(specs).for_each(|(path, spec)| make(path, spec));
    paths
}

/// What stands for each id: content, state, output.
type Standing = BTreeMap<u8, (u8, Option<(String, Option<String>)>)>;

fn standing(merged: &Merged) -> Standing {
    let connection = open::reader(&merged.path()).unwrap();
    let mut statement = connection
        .prepare("SELECT i.id, i.fingerprint, o.state, o.emissions FROM item i LEFT JOIN outcome o ON o.item = i.seq")
        .unwrap();
    let rows = statement.query_map([], |row| {
        let (id, fingerprint): (String, [u8; 32]) = (row.get(0)?, row.get(1)?);
        let state: Option<String> = row.get(2)?;
        let emissions: Option<String> = row.get(3)?;
        Ok((id[1..].parse().unwrap(), (fingerprint[1], state.map(|state| (state, emissions)))))
    });
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

/// The rules, over lists.
fn oracle(specs: &[StoreSpec]) -> (Standing, u64, u64) {
    let mut specs: Vec<&StoreSpec> = specs.iter().collect();
    specs.sort_by_key(|spec| spec.run_ms);
    let mut standing = Standing::new();
    let (mut contents, mut outputs) = (0, 0);
    let ids: std::collections::BTreeSet<u8> = specs.iter().flat_map(|spec| &spec.items).map(|item| item.id).collect();
    for id in ids {
        let all: Vec<&Spec> = specs.iter().flat_map(|spec| &spec.items).filter(|item| item.id == id).collect();
        let content = all.last().unwrap().content;
        contents += u64::from(all.iter().any(|item| item.content != content));
        let ends: Vec<_> = all.iter().filter(|item| item.content == content).filter_map(|item| item.outcome).collect();
        let rank = |state: &str| ["failed", "skipped", "done"].iter().position(|known| *known == state);
        // The last of the best, as `max_by_key` has it.
        let best = ends.iter().max_by_key(|(state, _, ended_ms)| (rank(state), *ended_ms));
        let good: std::collections::BTreeSet<_> = ends
            .iter()
            .filter(|(state, ..)| *state != "failed")
            .map(|(s, out, _)| (*s, (*s == "done").then_some(*out)))
            .collect();
        outputs += u64::from(good.len() > 1);
        let best = best.map(|(state, out, _)| ((*state).to_owned(), (*state == "done").then(|| emissions(*out))));
        standing.insert(id, (content, best));
    }
    (standing, contents, outputs)
}

fn spec() -> impl Strategy<Value = Spec> {
    let state = prop::sample::select(vec!["done", "skipped", "failed"]);
    (0..5_u8, 0..2_u8, prop::option::of((state, 0..2_u8, 0..3_i64)), 0..3_u8)
        .prop_map(|(id, content, outcome, calls)| Spec { id, content, outcome, calls })
}

fn specs() -> impl Strategy<Value = Vec<StoreSpec>> {
    let items = prop::collection::vec(spec(), 0..6).prop_map(|mut items| {
        items.sort_by_key(|item| item.id);
        items.dedup_by_key(|item| item.id);
        items
    });
    prop::collection::vec((0..3_i64, items), 1..4)
        .prop_map(|stores| (1..).zip(stores).map(|(pid, (run_ms, items))| StoreSpec { pid, run_ms, items }).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_stands_is_what_the_rules_say_and_no_call_is_lost_or_counted_twice(specs in specs()) {
        let dir = tempfile::tempdir().unwrap();
        let paths = make_all(dir.path(), &specs);
        let merged = Merged::make(&paths, dir.path()).unwrap();
        let (expected, contents, outputs) = oracle(&specs);
        prop_assert_eq!(standing(&merged), expected);
        let report = merged.report();
        prop_assert_eq!((report.content_conflicts.count, report.output_conflicts.count), (contents, outputs));
        let calls: u64 = specs.iter().flat_map(|spec| &spec.items).map(|item| u64::from(item.calls)).sum();
        prop_assert_eq!((report.calls, report.calls_shared), (calls, 0));
        prop_assert_eq!(merged.reader().unwrap().usage().unwrap().cost, 7 * calls);

        // What was merged, merged with one of its parts once more, is the same.
        let job = JobName::new("all").unwrap();
        let kept = dir.path().join("all.db");
        merged.keep(dir.path(), &job, "{}").unwrap();
        let again = Merged::make(&[kept, paths[0].clone()], dir.path()).unwrap();
        let (shared, report) = (specs[0].items.iter().map(|item| u64::from(item.calls)).sum::<u64>(), again.report());
        prop_assert_eq!((report.calls, report.calls_shared), (calls, shared));
    }
}

fn done(id: u8) -> Spec {
    Spec { id, content: 0, outcome: Some(("done", id, 1)), calls: 1 }
}

fn ids(merged: &Merged) -> Vec<String> {
    let mut ids = Vec::new();
    merged
        .reader()
        .unwrap()
        .for_each_done(|id, _| -> Result<(), StoreError> {
            ids.push(id.to_owned());
            Ok(())
        })
        .unwrap();
    ids
}

#[test]
fn shards_keep_the_order_of_their_input_and_other_inputs_stand_one_after_another() {
    let dir = tempfile::tempdir().unwrap();
    let of = |pid, ids: &[u8]| StoreSpec { pid, run_ms: pid, items: ids.iter().map(|id| done(*id)).collect() };
    let shards = make_all(dir.path(), &[of(1, &[1, 4]), of(2, &[0, 2]), of(3, &[2, 3])]);
    let merged = Merged::make(&shards, dir.path()).unwrap();
    assert_eq!(ids(&merged), ["i0", "i1", "i2", "i3", "i4"]);
    assert!(!merged.report().is_concatenated);
    // Another input, that numbers from 0 again.
    let other = dir.path().join("other.db");
    let connection = open::writer(&other).unwrap();
    begin(&connection, 9, 0);
    for (seq, id) in [(1, 8), (2, 2), (3, 7)] {
        add_item(&connection, seq, seq - 1, &done(id));
    }
    drop(connection);
    let merged = Merged::make(&[other, shards[0].clone(), shards[1].clone()], dir.path()).unwrap();
    assert_eq!(ids(&merged), ["i8", "i2", "i7", "i1", "i4", "i0"]);
    assert!(merged.report().is_concatenated);
}

fn bytes_of(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn an_input_of_format_1_or_with_a_log_is_merged_and_not_a_byte_of_it_changes() {
    let (dir, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = |name: &str| dir.path().join(name);
    let old = Connection::open(at("old.db")).unwrap();
    old.execute_batch(include_str!("../migrations/0001.sql")).unwrap();
    old.pragma_update(None, "application_id", files::APPLICATION_ID).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    begin(&old, 1, 1);
    add_item(&old, 1, 0, &done(0));
    drop(old);
    // Its process is killed: the log stays as it is.
    make(&at("live.db"), &StoreSpec { pid: 2, run_ms: 2, items: vec![done(1)] });
    let live = open::writer(&at("live.db")).unwrap();
    add_item(&live, 2, 2, &done(2));
    for name in ["killed.db", "killed.db-wal"] {
        std::fs::copy(at(&name.replace("killed", "live")), at(name)).unwrap();
    }
    drop(live);
    let before = bytes_of(dir.path());
    assert!(!before[&at("killed.db-wal")].is_empty());
    let merged = Merged::make(&[at("old.db"), at("killed.db")], work.path()).unwrap();
    assert_eq!(ids(&merged), ["i0", "i1", "i2"]);
    assert_eq!(bytes_of(dir.path()), before);
    drop(merged);
    assert_eq!(std::fs::read_dir(work.path()).unwrap().count(), 0, "what is not kept leaves no trace");
}

#[test]
fn what_cannot_be_merged_is_told_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let paths = make_all(dir.path(), &[StoreSpec { pid: 1, run_ms: 1, items: vec![done(1)] }]);
    let error = |inputs: &[PathBuf]| Merged::make(inputs, dir.path()).err().unwrap().to_string();
    assert!(error(&[paths[0].clone(), paths[0].clone()]).contains("named twice"));
    let other = dir.path().join("other.db");
    std::fs::write(&other, "text").unwrap();
    assert!(error(&[other]).contains("is not a Sandmill store"));
    let _lock = Lock::take(dir.path(), &JobName::new("s0").unwrap()).unwrap();
    assert!(error(&paths).contains("is being run by process"));
}

#[test]
fn a_merged_job_is_one_that_can_be_opened_and_no_job_is_replaced_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let paths = make_all(dir.path(), &[StoreSpec { pid: 1, run_ms: 1, items: vec![done(1)] }]);
    let job = JobName::new("all").unwrap();
    Merged::make(&paths, dir.path()).unwrap().keep(dir.path(), &job, "{}").unwrap();
    let new = NewJob { created_ms: 9, seed: 9, arguments: "{}".into() };
    let (store, opened) = crate::store::Store::create_or_open(dir.path(), &job, &new).unwrap();
    assert!(!opened.created);
    assert_eq!(store.reader().job().unwrap().unwrap().created_ms, 5);
    store.close().unwrap();
    let again = Merged::make(&paths, dir.path()).unwrap().keep(dir.path(), &job, "{}");
    assert!(matches!(again, Err(StoreError::Exists { .. })));
}

#[test]
fn every_table_is_one_that_merging_knows() {
    let dir = tempfile::tempdir().unwrap();
    let connection = open::writer(&dir.path().join("s.db")).unwrap();
    let mut statement = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name");
    let tables: Vec<String> =
        statement.as_mut().unwrap().query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap();
    let known = [
        "attempt",
        "attempt_retry",
        "call",
        "call_end",
        "generation",
        "guest_log",
        "item",
        "item_blob",
        "job",
        "outcome",
        "price",
        "route_event",
        "run",
        "told",
    ];
    assert_eq!(tables, known, "say in store/merge what becomes of a new table's rows");
}
