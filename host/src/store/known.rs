//! Which jobs there are, and what a message says of them when one was named that is not.

use super::StoreError;
use super::files::{self, JobName};
use std::path::{Path, PathBuf};

/// Names in one message.
const LISTED: usize = 20;
/// Names less alike than this are two names, not one mistyped; from 0 to 1.
const ALIKE: f64 = 0.6;

/// The file of a job that is there; it is not opened.
pub fn find_job(dir: &Path, job: &JobName) -> Result<PathBuf, StoreError> {
    let path = files::database(dir, job);
    if path.exists() {
        return Ok(path);
    }
    let known = of(job, &files::list_jobs(dir)?);
    Err(StoreError::NotFound { job: job.to_string(), dir: dir.to_path_buf(), known })
}

/// The end of the message: a near name, and those there are.
fn of(wanted: &JobName, jobs: &[JobName]) -> String {
    if jobs.is_empty() {
        return ", nor any other: `sandmill run` makes one".into();
    }
    let likeness = |job: &&JobName| strsim::normalized_damerau_levenshtein(wanted.as_str(), job.as_str());
    let near = jobs.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).filter(|job| likeness(job) >= ALIKE);
    let near = near.map_or(String::new(), |job| format!(": did you mean `{job}`?"));
    let listed: Vec<String> = jobs.iter().take(LISTED).map(|job| format!("`{job}`")).collect();
    let more = match jobs.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more: see `sandmill job list`"),
    };
    let joint = if near.is_empty() { "; there is" } else { " There is" };
    format!("{near}{joint} {}{more}", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(wanted: &str, jobs: &[&str]) -> String {
        let jobs: Vec<JobName> = jobs.iter().map(|name| JobName::new(name).unwrap()).collect();
        of(&JobName::new(wanted).unwrap(), &jobs)
    }

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        assert_eq!(said("tickts", &["mails", "tickets"]), ": did you mean `tickets`? There is `mails`, `tickets`");
        assert_eq!(said("x", &["mails", "tickets"]), "; there is `mails`, `tickets`");
        assert!(said("x", &[]).contains("nor any other"));
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let names: Vec<String> = (0..25).map(|n| format!("job{n:02}")).collect();
        let said = said("other", &names.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(said.ends_with("`job19` and 5 more: see `sandmill job list`"), "{said}");
    }
}
