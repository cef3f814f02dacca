//! Yardstick: the rows of a job that is done, written into a file of the same tables by rusqlite alone, in groups: the items first, then of each group
//! what is committed before its calls leave, before the answers are seen, and when the items are done.

use crate::job_rows::{JobRows, Row, Rows, commit};
use crate::process;
use rusqlite::Connection;
use std::path::Path;

pub(crate) fn run(job: &Path, into: &Path, group: usize) -> anyhow::Result<()> {
    let rows = JobRows::of(job)?;
    let to = rows.file(into)?;
    process::tell(|| write(&to, &rows, group))
}

fn write(to: &Connection, rows: &JobRows, group: usize) -> anyhow::Result<()> {
    rows.register(to)?;
    for group in rows.numbers().chunks(group) {
        let of =
            |rows: &Rows| -> Vec<Row> { group.iter().filter_map(|seq| rows.get(seq)).flatten().cloned().collect() };
        let (attempts, calls) = (of(&rows.attempts), of(&rows.calls));
        let (ends, outcomes) = (of(&rows.ends), of(&rows.outcomes));
        if calls.is_empty() {
            commit(to, [("attempt", attempts.as_slice()), ("outcome", outcomes.as_slice())])?;
            continue;
        }
        commit(to, [("attempt", attempts.as_slice()), ("call", calls.as_slice())])?;
        commit(to, [("call_end", ends.as_slice())])?;
        commit(to, [("outcome", outcomes.as_slice())])?;
    }
    Ok(())
}
