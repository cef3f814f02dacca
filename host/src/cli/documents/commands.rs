//! Every command of ours in a document is one that the program's parser takes.

use super::blocks::{Kind, parts};
use super::{Arguments, documents, root};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

/// What stands for a value in a synopsis, and one that is of its type.
const PLACEHOLDERS: [(&str, &str); 5] =
    [("SHELL", "bash"), ("VALUE", "5"), ("LANGUAGE", "rust"), ("N", "3"), ("TIME", "5m")];

/// The simple commands of a script, by their words; comments and what a redirection names are left out.
pub(super) fn simple_commands(script: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for line in script.replace("\\\n", " ").lines() {
        let (mut words, mut word, mut is_word) = (Vec::new(), String::new(), false);
        let mut rest = line.chars().peekable();
        let mut skip_next = false;
        let mut end_word = |word: &mut String, is_word: &mut bool, words: &mut Vec<String>| {
            let whole = std::mem::take(word);
            if std::mem::take(is_word) && !std::mem::take(&mut skip_next) {
                words.push(whole.clone());
            }
            if whole == ">" {
                words.pop();
                skip_next = true;
            }
        };
        while let Some(c) = rest.next() {
            match c {
                '\'' => {
                    is_word = true;
                    word.extend(rest.by_ref().take_while(|c| *c != '\''));
                }
                '"' => {
                    is_word = true;
                    while let Some(c) = rest.next().filter(|c| *c != '"') {
                        word.push(if c == '\\' { rest.next().unwrap_or(c) } else { c });
                    }
                }
                '\\' => word.extend(rest.next()),
                ' ' | '&' | ';' | '|' | '(' | ')' => {
                    // Within a word of a synopsis it is no pipe.
                    if c == '|' && is_word && rest.peek().is_some_and(char::is_ascii_alphabetic) {
                        word.push(c);
                        continue;
                    }
                    end_word(&mut word, &mut is_word, &mut words);
                    if c != ' ' && !words.is_empty() {
                        found.push(std::mem::take(&mut words));
                    }
                }
                '#' if !is_word => break,
                c => {
                    is_word = true;
                    word.push(c);
                }
            }
        }
        end_word(&mut word, &mut is_word, &mut words);
        if !words.is_empty() {
            found.push(words);
        }
    }
    found
}

/// The words of one of ours, as the program sees them.
fn ours(words: &[String]) -> Option<&[String]> {
    let is_variable = |word: &&String| {
        word.split_once('=').is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
    };
    let words = &words[words.iter().take_while(is_variable).count()..];
    let program = words.first()?;
    (program == "sandmill" || program.ends_with("/sandmill")).then_some(words)
}

/// A synopsis as the commands that it stands for: `[X]` with X, `a|b` each.
fn meant(words: &[String]) -> Vec<Vec<String>> {
    let plain = words.iter().map(|word| {
        let word = word.trim_start_matches('[').trim_end_matches(['…', ']']);
        let known = PLACEHOLDERS.iter().find(|(placeholder, _)| *placeholder == word);
        known.map_or(word, |(_, value)| value).to_owned()
    });
    plain.filter(|word| !word.is_empty()).fold(vec![Vec::new()], |begun, word| {
        let ways: Vec<&str> = word.split('|').collect();
        let longer = |way: &&str| {
            begun
                .iter()
                .map(|words: &Vec<String>| [words.as_slice(), &[(*way).to_owned()]].concat())
                .collect::<Vec<_>>()
        };
        ways.iter().flat_map(longer).collect()
    })
}

/// With a number for each of the shell's variables.
fn expanded(word: &str) -> String {
    let mut pieces = word.split('$');
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let name = piece.trim_start_matches('{').trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
        whole += "1";
        whole += name.trim_start_matches('}');
    }
    whole
}

/// What is wrong with a command, if anything.
fn refused(words: &[String], is_whole: bool) -> Option<String> {
    let error = Arguments::try_parse_from(words.iter().map(|word| expanded(word))).err()?;
    let is_mention = matches!(
        error.kind(),
        ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    let is_shown = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    (!is_shown && (is_whole || !is_mention)).then(|| error.to_string())
}

/// `code` within a line.
fn inline(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with("    ")).flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn every_command_of_ours_in_the_documents_can_be_typed() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (name, text) in documents(&root()) {
        let mut check = |script: &str, place: String, is_whole: bool| {
            for words in simple_commands(script) {
                for command in ours(&words)
                    .map(|words| if is_whole { vec![words.to_vec()] } else { meant(words) })
                    .unwrap_or_default()
                {
                    seen += 1;
                    // What is left out is no word of it.
                    let is_whole = is_whole && !command.iter().any(|word| word == "…");
                    let command: Vec<String> = command.into_iter().filter(|word| word != "…").collect();
                    let said = refused(&command, is_whole);
                    wrong.extend(said.map(|said| format!("{place}: {}\n{said}", command.join(" "))));
                }
            }
        };
        for part in parts(&text).into_iter().filter(|part| matches!(part.kind, Kind::Shell(_))) {
            check(&part.text, format!("{name}:{}", part.line), true);
        }
        for code in inline(&text).filter(|code| code.starts_with("sandmill ")) {
            check(code, name.clone(), false);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 100, "only {seen} commands were found");
}

/// Commands that do something, each by its words.
fn commands(command: &clap::Command, before: &str, found: &mut Vec<String>) {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        let words = format!("{before} {}", below.get_name());
        if below.has_subcommands() { commands(below, &words, found) } else { found.push(words) }
    }
}

#[test]
fn every_command_is_in_the_table_of_the_readme() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let rows: String = readme.lines().filter(|line| line.starts_with("| `sandmill ")).collect::<Vec<_>>().join("\n");
    let told: Vec<String> = inline(&rows.replace("\\|", "|"))
        .flat_map(simple_commands)
        .flat_map(|words| meant(&words))
        .map(|words| words.join(" ") + " ")
        .collect();
    let mut known = Vec::new();
    commands(&Arguments::command(), "sandmill", &mut known);
    for command in &known {
        let is_told = told.iter().any(|told| told.starts_with(&format!("{command} ")));
        assert!(is_told, "`{command}` is in no row of README.md's table of commands");
    }
    assert!(known.len() > 30, "{known:?}");
}

#[test]
fn a_script_is_cut_as_a_shell_cuts_it() {
    let words = |script: &str| simple_commands(script).into_iter().map(|words| words.join("␣")).collect::<Vec<_>>();
    assert_eq!(words("a 'b c' \\\n  d=\"e \\\"f\" # g\nh > i && (cd j && k)"), ["a␣b c␣d=e \"f", "h", "cd␣j", "k"]);
    assert_eq!(words("cat x | sandmill run p"), ["cat␣x", "sandmill␣run␣p"]);
    assert_eq!(words("sandmill set JOB a|b 1"), ["sandmill␣set␣JOB␣a|b␣1"]);
}

#[test]
fn what_the_program_would_refuse_is_found() {
    let said = |script: &str| refused(ours(&simple_commands(script)[0]).unwrap(), true);
    assert!(said("sandmill run p --inputs x").unwrap().contains("--inputs"));
    assert!(said("A=b sandmill run p").unwrap().contains("--input"));
    assert!(said("sandmill walk").unwrap().contains("walk"));
    assert_eq!(said("target/release/sandmill run p --input x"), None);
    let synopsis = &simple_commands("sandmill status [JOB] [--watch]")[0];
    assert_eq!(meant(synopsis), [["sandmill", "status", "JOB", "--watch"].map(str::to_owned)]);
    assert_eq!(meant(&simple_commands("sandmill set JOB a|b")[0]).len(), 2);
}
