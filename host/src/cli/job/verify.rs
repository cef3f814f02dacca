//! `job verify`: whether a job's file is whole.

use super::super::{CliResult, Exit, print_json};
use super::JobArgs;
use crate::domain::sanitize_line;

const PROBLEM_BYTES_MAX: usize = 4_000;

pub(super) fn verify(args: &JobArgs) -> CliResult {
    let job = args.resolve()?;
    let verdict = job.open()?.verify()?;
    let is_whole = verdict.problems.is_empty();
    if args.json {
        print_json(&serde_json::json!({
            "schema": 1, "job": job.name.as_str(), "whole": is_whole, "items": verdict.items, "calls": verdict.calls,
            "answers": verdict.answers, "problems": verdict.problems,
        }))?;
    } else if is_whole {
        outln!(
            "Job {} is whole: {} items, {} calls, {} answers that can be read",
            job.name,
            verdict.items,
            verdict.calls,
            verdict.answers
        );
    }
    if is_whole {
        return Ok(Exit::Done);
    }
    if !args.json {
        for problem in &verdict.problems {
            // A damaged file says anything.
            outln!("{}", sanitize_line(problem, PROBLEM_BYTES_MAX));
        }
    }
    Err(anyhow::anyhow!(
        "job {} is not whole: restore it from a backup, or start over with `sandmill run --fresh`; what it holds can be read with sqlite3",
        job.name
    )
    .into())
}
