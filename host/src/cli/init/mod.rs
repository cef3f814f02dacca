//! `init`: a sandmill.toml in which every setting stands, commented out, as it is where nobody sets it.

use super::{CliResult, Exit, print_json};
use crate::config::{self, DEFAULT_FILE};
use crate::output::AtomicFile;
use anyhow::{Context, bail};
use clap::Args;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Held to what the program knows by the tests below.
const TEXT: &str = include_str!("sandmill.toml");
const GITIGNORE: &str = ".gitignore";
/// The folder of the jobs, which holds what was asked and answered.
const IGNORED: &str = ".sandmill/";

#[derive(Debug, Args)]
#[command(after_help = "Writes sandmill.toml into this folder, and has git ignore .sandmill, the folder
of the jobs.

Examples:
  sandmill init
  sandmill init --force            # what stands in sandmill.toml is lost")]
pub(super) struct InitArgs {
    /// Replace a sandmill.toml that is there
    #[arg(long)]
    force: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn init(args: &InitArgs) -> CliResult {
    let path = Path::new(DEFAULT_FILE);
    if path.exists() && !args.force {
        bail_there()?;
    }
    let file = AtomicFile::create(path)?;
    (&file).write_all(TEXT.as_bytes()).with_context(|| format!("cannot write {DEFAULT_FILE}"))?;
    file.commit()?;
    let ignores = ignore(Path::new("."))?;
    if args.json {
        print_json(&serde_json::json!({ "schema": 1, "file": DEFAULT_FILE, "gitignore": ignores }))?;
        return Ok(Exit::Done);
    }
    outln!("made {DEFAULT_FILE}: every setting stands in it, commented out");
    if ignores {
        outln!("{GITIGNORE} has {IGNORED} now, where the jobs are kept");
    }
    outln!("\nNext:\n");
    outln!("    sandmill config check            # after each change");
    outln!("    sandmill doctor                  # keys, providers, disk, limits of the system");
    outln!("    sandmill plugin new NAME --lang python");
    outln!("    sandmill run PLUGIN --input FILE --provider mock");
    Ok(Exit::Done)
}

fn bail_there() -> anyhow::Result<()> {
    let broken = config::load(None).err().map(|error| format!(" (and cannot be used: {error})")).unwrap_or_default();
    bail!(
        "{DEFAULT_FILE} is there already{broken}, and is left as it is: `sandmill config show` tells what is in force, --force replaces it"
    )
}

/// Adds the jobs' folder to what git ignores, where there is a git to ignore it. Whether it was added.
fn ignore(folder: &Path) -> anyhow::Result<bool> {
    let path = folder.join(GITIGNORE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let is_there = text.lines().any(|line| matches!(line.trim().trim_matches('/'), ".sandmill"));
    let absolute = std::path::absolute(folder)?;
    let is_in_git = !text.is_empty() || absolute.ancestors().any(|above| above.join(".git").exists());
    if is_there || !is_in_git {
        return Ok(false);
    }
    let joint = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let file = AtomicFile::create(&path)?;
    (&file)
        .write_all(format!("{text}{joint}{IGNORED}\n").as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.commit()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::policy::InForce;
    use super::super::reference::keys;
    use super::super::{settings, show};
    use super::*;
    use crate::config::Config;
    use std::collections::BTreeSet;

    /// The file as somebody has it who takes every `#` away.
    fn uncommented() -> String {
        let is_setting = |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
        let line = |line: &'static str| line.strip_prefix('#').filter(|rest| is_setting(rest)).unwrap_or(line);
        TEXT.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    /// What is in force, by key.
    fn in_force(text: &str) -> Vec<(String, String)> {
        let config: Config = toml::from_str(text).unwrap();
        let args = settings::no_flags().unwrap();
        let shown = show::show(&args, &args, &config, Path::new(DEFAULT_FILE), &InForce::default()).unwrap();
        shown.into_iter().map(|setting| (setting.key, setting.value)).collect()
    }

    #[test]
    fn it_can_be_used_as_it_is_and_says_nothing_then() {
        assert_eq!(toml::from_str::<Config>(TEXT).unwrap(), Config::default());
    }

    #[test]
    fn every_setting_stands_in_it_and_no_other() {
        let all: toml::Table = toml::from_str(&uncommented()).unwrap();
        for (section, keys) in [
            ("run", keys::<config::Run>()),
            ("retry", keys::<config::Retry>()),
            ("breaker", keys::<config::Breaker>()),
            ("context", keys::<config::Context>()),
            ("limits", keys::<config::Limits>()),
            ("sandbox", keys::<config::Sandbox>()),
            ("trust", keys::<config::Trust>()),
            ("alert", keys::<config::Alert>()),
            ("telemetry", keys::<config::Telemetry>()),
        ] {
            let written: BTreeSet<String> = all[section].as_table().unwrap().keys().cloned().collect();
            // Of the kinds of channels one is shown.
            let is_channel =
                |key: &String| section == "alert" && ["email", "webhook", "command"].contains(&key.as_str());
            let keys: BTreeSet<String> = keys.into_iter().filter(|key| !is_channel(key)).collect();
            assert_eq!(written, keys, "cli/init/sandmill.toml, [{section}]: what stands there, and what there is");
        }
        let sections: BTreeSet<String> = all.keys().cloned().collect();
        // Figures of models are for those who know that they need them.
        assert_eq!(sections, keys::<Config>().into_iter().filter(|section| section != "model").collect());
    }

    #[test]
    fn what_stands_in_it_is_the_default() {
        let channel = "[alert.slack.team]\nurl_env = \"SLACK_WEBHOOK_URL\"\n";
        let (written, nobody) = (in_force(&uncommented()), in_force(channel));
        // Examples, where nothing is set unless somebody sets it.
        let examples = [
            "run.route",
            "run.memory_target",
            "run.metrics",
            "run.dashboard",
            "limits.item_tokens",
            "limits.item_cost",
            "sandbox.cache",
            "alert.cost",
        ];
        let mut compared = 0;
        for (key, value) in &nobody {
            let section = key.split('.').next().unwrap_or_default();
            let is_of_nobody =
                ["run", "retry", "breaker", "context", "limits", "sandbox", "trust", "alert", "telemetry"]
                    .contains(&section);
            if !is_of_nobody || examples.contains(&key.as_str()) {
                continue;
            }
            let said = written.iter().find(|(other, _)| other == key).map(|(_, value)| value);
            // An empty list is none.
            let said = said.map(|said| if said.is_empty() { "none" } else { said });
            assert_eq!(said, Some(value.as_str()), "cli/init/sandmill.toml: {key}");
            compared += 1;
        }
        assert!(compared > 50, "{compared}");
    }

    #[test]
    fn git_is_told_once_and_only_where_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let told = || ignore(dir.path()).unwrap();
        let read = || std::fs::read_to_string(dir.path().join(GITIGNORE)).unwrap();
        assert!(!told() && !dir.path().join(GITIGNORE).exists(), "there is no git");
        std::fs::create_dir(dir.path().join(".git")).unwrap();
        assert!(told());
        assert_eq!(read(), ".sandmill/\n");
        assert!(!told(), "once is enough");
        std::fs::write(dir.path().join(GITIGNORE), "target").unwrap();
        assert!(told());
        assert_eq!(read(), "target\n.sandmill/\n");
    }
}
