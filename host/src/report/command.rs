//! Commands about one job, to be pasted into a shell.

use crate::domain::sanitize_line;

/// A name or a path is shorter; a file that others made may hold anything.
const WORD_BYTES_MAX: usize = 8_000;

/// Names a job in commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobCommand {
    job: String,
    /// What `--store` is given; `None`: the folder that holds without it.
    store: Option<String>,
}

impl JobCommand {
    pub fn new(job: &str, store: Option<String>) -> Self {
        Self { job: job.to_owned(), store }
    }

    /// `words`: the subcommand.
    pub fn of(&self, words: &str) -> String {
        let store = self.store.as_ref().map_or_else(String::new, |store| format!(" --store {}", quoted(store)));
        format!("sandmill {words}{store} {}", quoted(&self.job))
    }

    /// With one of the job's items.
    pub fn of_item(&self, words: &str, item: &str) -> String {
        let dashes = if item.starts_with('-') { "-- " } else { "" };
        format!("{} {dashes}{}", self.of(words), quoted(item))
    }

    /// Writes what is done into a file of the working directory.
    pub fn export(&self) -> String {
        format!("{} -o {}", self.of("export"), quoted(&format!("{}.jsonl", self.job)))
    }
}

fn quoted(word: &str) -> String {
    let word = sanitize_line(word, WORD_BYTES_MAX);
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_whatever_job_and_item_are_called() {
        let here = JobCommand::new("j", None);
        assert_eq!(here.of("resume"), "sandmill resume j");
        assert_eq!(here.of_item("debug", "a-1"), "sandmill debug j a-1");
        assert_eq!(here.of_item("debug", "it's $(all)"), r"sandmill debug j 'it'\''s $(all)'");
        let there = JobCommand::new("j", Some("/x y".into()));
        assert_eq!(there.of_item("failed show", "-a"), "sandmill failed show --store '/x y' j -- -a");
        assert_eq!(there.export(), "sandmill export --store '/x y' j -o j.jsonl");
    }
}
