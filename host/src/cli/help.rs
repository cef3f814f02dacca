//! The help of the whole program: the commands by what one is about to do, and examples that teach.

use super::{Arguments, exit};
use clap::{Command, CommandFactory};
use std::fmt::Write as _;

/// Every command that is shown, under the heading that says what it is for.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Run", &["run", "resume", "pause", "set"]),
    ("Look at", &["status", "log", "cost", "export", "report"]),
    ("Mend", &["failed", "debug", "merge", "job"]),
    ("Plugins", &["plugin", "mock-server"]),
    ("Settings", &["init", "doctor", "config", "alert", "completions"]),
];

const EXAMPLES: &str = "  # without a model: a mock provider that fails now and then
  sandmill run plugins/summarize --input talks.jsonl -o out.jsonl \\
      --provider mock --faults rate_limit=5%,garbage=5%
  # one question an item, within five dollars; the key is in OPENAI_API_KEY
  sandmill run plugins/prompt --set prompt='Is this spam? {{text}}' \\
      --input mails.csv --map text=body --job mails -o answers.csv \\
      --provider openai --model gpt-4o-mini --max-cost 5
  # from another terminal; then what failed, once more
  sandmill status mails --watch
  sandmill failed retry mails";

/// As clap shows a heading.
const HEADING: &str = "\x1b[1m\x1b[4m";
const LITERAL: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// The command line as it is parsed, and as it is shown.
pub(super) fn command() -> Command {
    let command = Arguments::command();
    let text = template(&command);
    command.help_template(text)
}

fn template(command: &Command) -> String {
    let mut text = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for (heading, names) in GROUPS {
        let _ = write!(text, "\n{HEADING}{heading}:{PLAIN}\n");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {LITERAL}{name:<13}{PLAIN}{about}");
        }
    }
    // Braces of the examples would be taken for parts of the template.
    let _ = write!(text, "\n{HEADING}Options:{PLAIN}\n{{options}}{{after-help}}");
    text
}

/// Below the options.
pub(super) fn after() -> String {
    format!(
        "{HEADING}Examples:{PLAIN}\n{EXAMPLES}\n\n{}\n\n`sandmill COMMAND --help` tells all about a command.",
        exit::HELP
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;
    use clap::Arg;
    use clap::builder::PossibleValue;
    use std::collections::BTreeSet;

    const COLUMNS: usize = 80;
    /// Commands whose stdout is the data itself, or what is to be typed or read on.
    const WITHOUT_JSON: [&str; 6] =
        ["export", "failed export", "plugin new", "plugin build", "mock-server", "completions"];

    /// Every command that does something, by its words.
    fn leaves() -> Vec<(String, Command)> {
        fn walk(words: &str, command: &Command, found: &mut Vec<(String, Command)>) {
            let below: Vec<&Command> = command.get_subcommands().filter(|below| !below.is_hide_set()).collect();
            if below.is_empty() {
                found.push((words.to_owned(), command.clone()));
            }
            for below in below {
                walk(format!("{words} {}", below.get_name()).trim(), below, found);
            }
        }
        let mut found = Vec::new();
        walk("", &command(), &mut found);
        found
    }

    fn argument<'a>(command: &'a Command, long: &str) -> Option<&'a Arg> {
        command.get_arguments().find(|argument| argument.get_long() == Some(long))
    }

    #[test]
    fn every_command_stands_in_one_group() {
        let shown = command();
        let names =
            shown.get_subcommands().filter(|below| !below.is_hide_set()).map(|below| below.get_name().to_owned());
        let grouped: Vec<String> =
            GROUPS.iter().flat_map(|(_, names)| names.iter()).map(|name| (*name).to_owned()).collect();
        assert_eq!(names.collect::<BTreeSet<_>>(), grouped.iter().cloned().collect());
        assert_eq!(grouped.iter().collect::<BTreeSet<_>>().len(), grouped.len(), "none stands twice");
    }

    #[test]
    fn the_help_fits_a_terminal_of_eighty_columns() {
        let text = command().term_width(COLUMNS).render_help().to_string();
        for part in ["Run:", "Mend:", "Examples:", "Exit codes:", "--provider mock"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let wide = text.lines().find(|line| line.chars().count() > COLUMNS);
        assert_eq!(wide, None);
        let mut wide = Vec::new();
        for (words, command) in leaves() {
            // Names and their values stand where they stand; what is written by hand must fit.
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            wide.extend(after.lines().filter(|line| line.chars().count() > COLUMNS).map(str::to_owned));
            assert!(after.contains("Examples:"), "{words} shows no example");
        }
        assert!(wide.is_empty(), "{wide:#?}");
    }

    #[test]
    fn every_argument_says_what_it_is() {
        for (words, command) in leaves() {
            let silent: Vec<_> =
                command.get_arguments().filter(|argument| argument.get_help().is_none()).map(Arg::get_id).collect();
            assert!(silent.is_empty(), "{words}: {silent:?}");
        }
    }

    #[test]
    fn one_flag_means_one_thing_in_every_command() {
        for (words, command) in leaves() {
            let is_without = WITHOUT_JSON.contains(&words.as_str());
            assert_eq!(argument(&command, "json").is_none(), is_without, "{words}: --json");
            for argument in command.get_arguments() {
                let Some(long) = argument.get_long() else { continue };
                let value = argument.get_value_names().map(|names| names[0].to_string());
                let expected = match long {
                    "output" => (Some('o'), Some("FILE")),
                    "quiet" => (Some('q'), None),
                    "verbose" => (Some('v'), None),
                    "config" => (None, Some("FILE")),
                    "store" => (None, Some("DIR")),
                    "format" => {
                        let named = argument.get_possible_values();
                        assert!(named.iter().map(PossibleValue::get_name).eq(Format::NAMES), "{words}: --format");
                        continue;
                    }
                    "json" => {
                        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                        assert!(help.starts_with("Print "), "{words}: --json: {help}");
                        (None, None)
                    }
                    _ => continue,
                };
                let takes = argument.get_action().takes_values();
                assert_eq!((argument.get_short(), value.as_deref().filter(|_| takes)), expected, "{words}: --{long}");
            }
        }
    }

    /// The commands that are shown, each without its trailing comment.
    fn examples(text: &str) -> Vec<String> {
        let joined = text.replace("\\\n", " ");
        let lines = joined.lines().filter_map(|line| line.trim().strip_prefix("sandmill "));
        // What follows a pipe is not ours; neither is what the shell expands.
        lines
            .map(|line| {
                line.split(" | ").next().unwrap_or_default().split("  #").next().unwrap_or_default().trim().to_owned()
            })
            .collect()
    }

    #[test]
    fn every_example_is_understood() {
        let mut texts = vec![("sandmill".to_owned(), after())];
        texts.extend(
            leaves()
                .into_iter()
                .map(|(words, command)| (words, command.get_after_help().map(ToString::to_string).unwrap_or_default())),
        );
        for (words, text) in texts {
            let found = examples(&text);
            assert!(!found.is_empty(), "{words}");
            for line in found {
                let line = line.split(" > ").next().unwrap_or_default().split(" >> ").next().unwrap_or_default();
                let given = split(line);
                let parsed = command().try_get_matches_from(std::iter::once("sandmill".to_owned()).chain(given));
                assert!(parsed.is_ok(), "{words}: {line}: {}", parsed.err().map(|e| e.to_string()).unwrap_or_default());
            }
        }
    }

    /// As a shell splits words, with single quotes.
    fn split(line: &str) -> Vec<String> {
        let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
        for c in line.chars() {
            match c {
                '\'' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
                c => word.push(c),
            }
        }
        words.extend((!word.is_empty()).then_some(word));
        words
    }
}
