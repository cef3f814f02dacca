//! The hostile suite: components that attack the host, each run through the real binary with well-behaved items beside it.
//!
//! `table.rs` lists the attacks and what must become of them; `assault.rs` runs one and looks at what it left; `wat.rs` and `c.rs`
//! make the components. What is asserted are classes, exit codes, neighbours, memory, and what reaches a terminal; never time.

mod assault;
mod c;
mod growth;
mod isolation;
mod load;
mod mutate;
mod parquet;
mod table;
mod wat;

use crate::support::root;
use assault::{Report, assault};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Mutex;
use table::{ATTACKS, Attack, Guest};

/// Attacks at the same time.
const AT_ONCE: usize = 2;

/// All of them, or those whose names hold `SANDMILL_TEST_ATTACK`.
fn chosen() -> Vec<&'static Attack> {
    let filter = std::env::var("SANDMILL_TEST_ATTACK").unwrap_or_default();
    ATTACKS.iter().filter(|attack| attack.name.contains(&filter)).collect()
}

#[test]
fn every_attack_ends_in_its_class_and_costs_its_own_item_alone() {
    let left = Mutex::new(chosen().into_iter().rev().collect::<Vec<_>>());
    let reports = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(attack) = left.lock().unwrap().pop() else { return };
                    let report = assault(attack);
                    println!("{}: {}", attack.name, report.seen);
                    reports.lock().unwrap().push((attack, report));
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap();
    reports.sort_by_key(|(attack, _)| ATTACKS.iter().position(|other| std::ptr::eq(*attack, other)));
    let table = written(&reports);
    println!("{table}");
    std::fs::write(root().join("target/hostile.md"), &table).unwrap();
    let faults: Vec<String> = reports
        .iter()
        .flat_map(|(attack, report)| report.faults.iter().map(|fault| format!("{}: {fault}", attack.name)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn written(reports: &[(&Attack, Report)]) -> String {
    let mut table = String::from(
        "| attack | language | expected | seen | neighbours' p99, alone, in ms | peak memory, alone, in MiB |\n|---|---|---|---|---|---|\n",
    );
    for (attack, report) in reports {
        let Report { seen, p99, peak_mib, .. } = report;
        let pair = |pair: &[Option<u64>; 2]| pair.map(|one| one.map_or("–".into(), |one| one.to_string())).join(", ");
        writeln!(
            table,
            "| {} | {} | {} | {seen} | {} | {} |",
            attack.name,
            attack.guest.language(),
            attack.expected,
            pair(p99),
            pair(peak_mib)
        )
        .unwrap();
    }
    table
}

#[test]
fn every_attack_in_text_is_in_the_table_and_no_name_comes_twice() {
    let listed: BTreeSet<&str> = ATTACKS.iter().map(|attack| attack.name).collect();
    assert_eq!(listed.len(), ATTACKS.len());
    let in_text: BTreeSet<&str> =
        ATTACKS.iter().filter(|attack| matches!(attack.guest, Guest::Wat)).map(|attack| attack.name).collect();
    assert_eq!(in_text, wat::names().filter(|name| *name != "isolation").collect());
}

/// A row for what becomes of attacks, with those that it becomes of.
fn documented() -> String {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for attack in ATTACKS {
        groups.entry(attack.expected.to_string()).or_default().push(attack.name.replace('-', " "));
    }
    let row =
        |(expected, names): (String, Vec<String>)| format!("| {expected} | {} | {} |\n", names.len(), names.join(", "));
    groups.into_iter().map(row).collect::<Vec<_>>().concat()
}

#[test]
fn the_documents_tell_of_every_attack_and_what_becomes_of_it() {
    let text = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let rows = documented();
    assert!(text.contains(&rows), "the table in docs/security.md is to be:\n{rows}");
}
